//! The endpoints of the data port: what each is called, what dialect it speaks, what kind of work it
//! asks for, and what a request's path says before its body is read. Translates nothing.
//!
//! A new endpoint is one variant and one `Facts`; one that has its model in the
//! path is also one row of `METHODS`.

use std::borrow::Cow;

use super::form::estimate::Files;
use super::{Dialect, Names, anthropic, gemini, openai, responses, stream::StreamForm};

/// An endpoint of the data port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/completions`.
    Completions,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/images/generations`.
    Images,
    /// `POST /v1/images/edits`.
    ImageEdits,
    /// `POST /v1/images/variations`.
    ImageVariations,
    /// `POST /v1/audio/speech`.
    Speech,
    /// `POST /v1/audio/transcriptions`.
    Transcriptions,
    /// `POST /v1/audio/translations`.
    Translations,
    /// `POST /v1/moderations`.
    Moderations,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/messages/count_tokens`.
    CountTokens,
    /// `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`.
    GenerateContent,
    /// `POST /v1beta/models/{model}:countTokens`.
    GeminiCountTokens,
    /// `POST /v1beta/models/{model}:embedContent`.
    EmbedContent,
    /// `POST /v1beta/models/{model}:batchEmbedContents`.
    BatchEmbedContents,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v2/rerank` and `/v1/rerank`.
    Rerank,
}

/// The kind of work that an endpoint asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A conversation: crosses dialects, may be streamed.
    Chat,
    /// A continuation of a text: may be streamed; only within one dialect.
    Text,
    /// Vectors; nothing is generated.
    Vectors,
    /// A judgement of the input; nothing is generated.
    Verdict,
    /// An order of the input; nothing is generated.
    Order,
    /// Images or sound: an answer that is large or not JSON, and is handed on unread.
    Media,
    /// What is said in a sound, written down: JSON, plain text or subtitles, handed on unread, and may
    /// be streamed.
    Transcript,
    /// How many tokens a conversation has: no provider charges for it, and where the provider cannot
    /// say it, the gateway estimates.
    Count,
}

/// Everything that is fixed about an endpoint.
pub(super) struct Facts {
    /// The dialect that its callers speak.
    dialect: Dialect,
    /// Its path on the data port; `{model}` stands for what varies.
    path: &'static str,
    /// The path at a provider that speaks the same dialect, after the base URL; of a chat endpoint
    /// the codec knows it.
    upstream: &'static str,
    /// `gen_ai.operation.name`.
    operation: &'static str,
    work: Work,
    /// What the members of its requests are called.
    pub(super) names: &'static Names,
    /// A model for the messages about a missing one.
    pub(super) example: &'static str,
    /// The model that is meant where none is named.
    pub(super) default_model: Option<&'static str>,
    /// What the files are, where requests are forms (`multipart/form-data`) and not JSON.
    files: Option<Files>,
}

const CHAT_COMPLETIONS: Facts = Facts {
    dialect: Dialect::OpenAi,
    path: "/v1/chat/completions",
    upstream: "",
    operation: "chat",
    work: Work::Chat,
    names: &openai::NAMES,
    example: "gpt-5-mini",
    default_model: None,
    files: None,
};
const COMPLETIONS: Facts = Facts {
    path: "/v1/completions",
    upstream: "/completions",
    operation: "text_completion",
    work: Work::Text,
    names: &openai::COMPLETION_NAMES,
    example: "gpt-3.5-turbo-instruct",
    ..CHAT_COMPLETIONS
};
const EMBEDDINGS: Facts = Facts {
    path: "/v1/embeddings",
    upstream: "/embeddings",
    operation: "embeddings",
    work: Work::Vectors,
    example: "text-embedding-3-small",
    ..CHAT_COMPLETIONS
};
const IMAGES: Facts = Facts {
    path: "/v1/images/generations",
    upstream: "/images/generations",
    operation: "image_generation",
    work: Work::Media,
    example: "gpt-image-1",
    ..CHAT_COMPLETIONS
};
const IMAGE_EDITS: Facts = Facts {
    path: "/v1/images/edits",
    upstream: "/images/edits",
    operation: "image_edit",
    files: Some(Files::Pictures),
    ..IMAGES
};
const IMAGE_VARIATIONS: Facts = Facts {
    path: "/v1/images/variations",
    upstream: "/images/variations",
    operation: "image_variation",
    example: "dall-e-2",
    // The only one that OpenAI's API reference says it is for.
    default_model: Some("dall-e-2"),
    ..IMAGE_EDITS
};
const SPEECH: Facts = Facts {
    path: "/v1/audio/speech",
    upstream: "/audio/speech",
    operation: "speech",
    work: Work::Media,
    example: "gpt-4o-mini-tts",
    ..CHAT_COMPLETIONS
};
const TRANSCRIPTIONS: Facts = Facts {
    path: "/v1/audio/transcriptions",
    upstream: "/audio/transcriptions",
    operation: "transcription",
    work: Work::Transcript,
    example: "gpt-4o-transcribe",
    files: Some(Files::Sound),
    ..CHAT_COMPLETIONS
};
const TRANSLATIONS: Facts = Facts {
    path: "/v1/audio/translations",
    upstream: "/audio/translations",
    operation: "translation",
    example: "whisper-1",
    ..TRANSCRIPTIONS
};
const MODERATIONS: Facts = Facts {
    path: "/v1/moderations",
    upstream: "/moderations",
    operation: "moderation",
    work: Work::Verdict,
    example: "omni-moderation-latest",
    // As OpenAI's API reference says.
    default_model: Some("omni-moderation-latest"),
    ..CHAT_COMPLETIONS
};
const RERANK: Facts = Facts {
    dialect: Dialect::Cohere,
    path: "/v2/rerank",
    upstream: "/rerank",
    operation: "rerank",
    work: Work::Order,
    example: "rerank-v4.0-fast",
    ..CHAT_COMPLETIONS
};
const MESSAGES: Facts = Facts {
    dialect: Dialect::Anthropic,
    path: "/v1/messages",
    names: &anthropic::NAMES,
    example: "claude-sonnet-5",
    ..CHAT_COMPLETIONS
};
const GENERATE_CONTENT: Facts = Facts {
    dialect: Dialect::Gemini,
    path: "/v1beta/models/{model}:generateContent",
    operation: "generate_content",
    names: &gemini::NAMES,
    example: "gemini-3-flash",
    ..CHAT_COMPLETIONS
};
const GEMINI_COUNT_TOKENS: Facts = Facts {
    path: "/v1beta/models/{model}:countTokens",
    upstream: "/models/{model}:countTokens",
    operation: "count_tokens",
    work: Work::Count,
    names: &gemini::INPUT_NAMES,
    ..GENERATE_CONTENT
};
const EMBED_CONTENT: Facts = Facts {
    path: "/v1beta/models/{model}:embedContent",
    upstream: "/models/{model}:embedContent",
    operation: "embeddings",
    work: Work::Vectors,
    names: &gemini::INPUT_NAMES,
    example: "gemini-embedding-001",
    ..GENERATE_CONTENT
};
const BATCH_EMBED_CONTENTS: Facts = Facts {
    path: "/v1beta/models/{model}:batchEmbedContents",
    upstream: "/models/{model}:batchEmbedContents",
    ..EMBED_CONTENT
};

const RESPONSES: Facts = Facts {
    dialect: Dialect::Responses,
    path: "/v1/responses",
    names: &responses::NAMES,
    ..CHAT_COMPLETIONS
};

const COUNT_TOKENS: Facts = Facts {
    path: "/v1/messages/count_tokens",
    upstream: "/messages/count_tokens",
    operation: "count_tokens",
    work: Work::Count,
    ..MESSAGES
};

impl Endpoint {
    /// Every endpoint, in a stable order.
    pub const ALL: [Self; 18] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Images,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
        Self::Moderations,
        Self::Messages,
        Self::CountTokens,
        Self::GenerateContent,
        Self::GeminiCountTokens,
        Self::EmbedContent,
        Self::BatchEmbedContents,
        Self::Responses,
        Self::Rerank,
    ];

    /// What is fixed about it.
    pub(super) fn facts(self) -> &'static Facts {
        match self {
            Self::ChatCompletions => &CHAT_COMPLETIONS,
            Self::Completions => &COMPLETIONS,
            Self::Embeddings => &EMBEDDINGS,
            Self::Images => &IMAGES,
            Self::ImageEdits => &IMAGE_EDITS,
            Self::ImageVariations => &IMAGE_VARIATIONS,
            Self::Speech => &SPEECH,
            Self::Transcriptions => &TRANSCRIPTIONS,
            Self::Translations => &TRANSLATIONS,
            Self::Moderations => &MODERATIONS,
            Self::Messages => &MESSAGES,
            Self::CountTokens => &COUNT_TOKENS,
            Self::GenerateContent => &GENERATE_CONTENT,
            Self::GeminiCountTokens => &GEMINI_COUNT_TOKENS,
            Self::EmbedContent => &EMBED_CONTENT,
            Self::BatchEmbedContents => &BATCH_EMBED_CONTENTS,
            Self::Responses => &RESPONSES,
            Self::Rerank => &RERANK,
        }
    }

    /// The dialect that callers of this endpoint speak.
    pub fn dialect(self) -> Dialect {
        self.facts().dialect
    }

    /// The path on the data port; where the model is part of it, `{model}` stands for it.
    pub fn path(self) -> &'static str {
        self.facts().path
    }

    /// The name of its group in routes (`AIRoute.spec.endpoints`): one for endpoints that belong
    /// together.
    pub fn group(self) -> &'static str {
        match self {
            Self::ChatCompletions => "ChatCompletions",
            Self::Completions => "Completions",
            Self::Embeddings | Self::EmbedContent | Self::BatchEmbedContents => "Embeddings",
            Self::Images | Self::ImageEdits | Self::ImageVariations => "Images",
            Self::Speech => "Speech",
            Self::Transcriptions | Self::Translations => "Transcriptions",
            Self::Moderations => "Moderations",
            Self::Messages | Self::CountTokens => "Messages",
            Self::GenerateContent | Self::GeminiCountTokens => "GenerateContent",
            Self::Responses => "Responses",
            Self::Rerank => "Rerank",
        }
    }

    /// The operation's name in the OpenTelemetry GenAI conventions (`gen_ai.operation.name`), and a
    /// word like them where they have none.
    pub fn operation(self) -> &'static str {
        self.facts().operation
    }

    /// Whether its answers repeat what was asked or must fit it in number, so that the request must be
    /// kept until then.
    pub fn answers_by_request(self) -> bool {
        self == Self::Responses || matches!(self.work(), Work::Vectors | Work::Order)
    }

    /// Whether its requests are forms (`multipart/form-data`) and not JSON.
    pub fn takes_form(self) -> bool {
        self.files().is_some()
    }

    /// What the files of its forms are.
    pub(super) fn files(self) -> Option<Files> {
        self.facts().files
    }

    /// Whether it makes pictures, some of which are billed by piece.
    pub fn makes_images(self) -> bool {
        matches!(self, Self::Images | Self::ImageEdits | Self::ImageVariations)
    }

    /// The kind of work that it asks for.
    pub fn work(self) -> Work {
        self.facts().work
    }

    /// The path at a provider of the same dialect, after the base URL, for all but chat.
    pub(super) fn upstream(self) -> &'static str {
        self.facts().upstream
    }
}

impl Work {
    /// Whether text is generated, so that an answer without any is empty, and its length says how
    /// many tokens it had.
    pub fn generates_text(self) -> bool {
        matches!(self, Self::Chat | Self::Text)
    }

    /// Whether the answer has output tokens at all.
    pub fn has_output(self) -> bool {
        matches!(self, Self::Chat | Self::Text | Self::Media | Self::Transcript)
    }

    /// Whether an answer that is no stream of events is handed on unread, for it may be large or not
    /// JSON.
    pub fn is_opaque(self) -> bool {
        matches!(self, Self::Media | Self::Transcript)
    }
}

/// What a request's path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called<'a> {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The model, where it is part of the path.
    pub model: Option<Cow<'a, str>>,
    /// Whether the answer is to be streamed, where the path says so and not the body.
    pub stream: Option<bool>,
    /// How a stream is to be written.
    pub form: StreamForm,
}

/// A method behind a colon: the endpoint, and whether it streams.
type Method = (&'static str, Endpoint, bool);

/// What may follow `/v1/models/{model}:` and `/v1beta/models/{model}:`.
const METHODS: &[Method] = &[
    ("generateContent", Endpoint::GenerateContent, false),
    ("streamGenerateContent", Endpoint::GenerateContent, true),
    ("countTokens", Endpoint::GeminiCountTokens, false),
    ("embedContent", Endpoint::EmbedContent, false),
    ("batchEmbedContents", Endpoint::BatchEmbedContents, false),
];

/// What may follow the colon, for people.
pub fn methods() -> String {
    METHODS.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
}

impl From<Endpoint> for Called<'static> {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, model: None, stream: None, form: StreamForm::Sse }
    }
}

impl<'a> Called<'a> {
    /// Reads a path and its query; `None`: no endpoint is there.
    pub fn read(path: &'a str, query: Option<&str>) -> Option<Self> {
        // Jina's shape, and Cohere's older one.
        let path = if path == "/v1/rerank" { RERANK.path } else { path };
        let fixed = Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path);
        fixed.map(Called::from).or_else(|| Self::with_model(METHODS, path, query))
    }

    fn with_model(methods: &[Method], path: &'a str, query: Option<&str>) -> Option<Self> {
        let rest = path.strip_prefix("/v1beta/").or_else(|| path.strip_prefix("/v1/"))?;
        // What SDKs encode must not be taken for what it stands for before the colon is found.
        let (model, name) = match rest.strip_prefix("models/")?.rsplit_once(':') {
            Some((model, name)) => (decoded(model), name),
            None => split_at_encoded_colon(rest.strip_prefix("models/")?)?,
        };
        let (_, endpoint, stream) = methods.iter().find(|(method, ..)| *method == name)?;
        let is_sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
        let form = if is_sse { StreamForm::Sse } else { StreamForm::JsonArray };
        (!model.is_empty()).then_some(Self {
            endpoint: *endpoint,
            model: Some(model),
            stream: Some(*stream),
            form,
        })
    }
}

/// Some SDKs encode the colon too.
fn split_at_encoded_colon(rest: &str) -> Option<(Cow<'_, str>, &str)> {
    let at = rest.rfind("%3A").max(rest.rfind("%3a"))?;
    Some((decoded(rest.get(..at)?), rest.get(at + 3..)?))
}

/// A part of a path without its percent-encoding (RFC 3986, 2.1): SDKs encode the slash of `a/b`.
pub fn decoded(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return part.into();
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let (byte, read) = escaped.map_or((first, 0), |(high, low)| (high << 4 | low, 2));
        bytes.push(byte);
        rest = after.get(read..).unwrap_or_default();
    }
    // What is not text names no model.
    String::from_utf8(bytes).map_or(part.into(), Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_own_path() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Called::read(endpoint.path(), None), Some(endpoint.into()));
        }
        assert_eq!(Called::read("/v1/chat/completions/", None), None);
    }

    #[test]
    fn a_model_in_the_path_is_decoded_and_the_method_says_whether_to_stream() {
        let methods = [("one", Endpoint::Messages, false), ("many", Endpoint::Messages, true)];
        let read = |path: &'static str, query| Called::with_model(&methods, path, query);
        for path in [
            "/v1beta/models/a%2Fb:c:many",
            "/v1/models/a/b%3Ac:many",
            "/v1/models/a/b%3Ac%3Amany",
            "/v1/models/a%2fb%3ac%3amany",
        ] {
            let called = read(path, Some("key=x&alt=sse")).unwrap();
            assert_eq!(called.model.as_deref(), Some("a/b:c"), "{path}");
            assert_eq!((called.stream, called.form), (Some(true), StreamForm::Sse), "{path}");
        }
        let called = read("/v1/models/m:one", Some("alt=json")).unwrap();
        assert_eq!((called.stream, called.form), (Some(false), StreamForm::JsonArray));
        for path in ["/v1/models/m", "/v1/models/m:none", "/v1/models/:one", "/v2/models/m:one"] {
            assert_eq!(read(path, None), None, "{path}");
        }
    }
}
