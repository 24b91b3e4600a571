//! How many tokens a request has, where no provider says so: an estimate, and always marked as one.
//! It takes time in proportion to the request: nothing on the way of a request that a provider meters
//! may call it, and nobody on a thread that serves connections.

mod tokenizer;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{LazyLock, Mutex, PoisonError};

use super::chat::{ChatRequest, Content, Part, ResponseFormat, Source, Tool};
use super::usage::estimate_tokens;
use tokenizer::Tokenizer;

/// Tokens that a message costs beside its text (OpenAI's cookbook, "How to count tokens").
const PER_MESSAGE: u64 = 3;
/// Tokens that prime the answer (the same).
const PER_ANSWER: u64 = 3;
/// Tokens that a tool, a call or a result costs beside its text.
const PER_TOOL: u64 = 8;
/// An image whose size is not known: OpenAI's count for 1024 x 1024 in high detail. Claude's
/// (width x height / 750) is 1,398 for the same, Gemini's 1,290.
const PER_IMAGE: u64 = 765;
/// An image in low detail (OpenAI).
const PER_SMALL_IMAGE: u64 = 85;
/// A page of a PDF, text and picture: in the middle of what Anthropic's documentation says.
const PER_PAGE: u64 = 2000;
/// Bytes of a PDF that are taken for a page.
const PAGE_BYTES: usize = 50_000;
/// Bytes of text that are cut into tokens; the rest of a longer request is estimated by its length.
const MAX_TEXT: usize = 4 << 20;
/// Texts shorter than this are counted faster than they are looked up.
const MIN_CACHED: usize = 256;
/// Counts that are remembered: conversations are counted again with every turn.
const MAX_CACHED: usize = 8192;

/// The tokens of a request's input, by the tokenizer of its model's family.
pub fn count_request(request: &ChatRequest) -> u64 {
    let mut counter = Counter {
        tokenizer: tokenizer::of_model(&request.model),
        model: &request.model,
        text_left: MAX_TEXT,
        tokens: PER_ANSWER,
    };
    if !request.system.is_empty() {
        counter.message(&request.system);
    }
    for message in &request.messages {
        counter.message(&message.parts);
    }
    for tool in &request.tools {
        counter.tool(tool);
    }
    if let Some(ResponseFormat::JsonSchema { schema, .. }) = &request.response_format {
        counter.text(schema.text());
    }
    counter.tokens
}

struct Counter<'a> {
    tokenizer: &'static dyn Tokenizer,
    model: &'a str,
    text_left: usize,
    tokens: u64,
}

impl Counter<'_> {
    fn add(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    fn text(&mut self, text: &str) {
        let end =
            (0..=self.text_left.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        let (counted, rest) = text.split_at_checked(end.unwrap_or(0)).unwrap_or(("", text));
        self.text_left -= counted.len();
        let tokens = match counted.len() {
            0..MIN_CACHED => self.tokenizer.count(counted),
            _ => CACHE.count(self.tokenizer, self.model, counted),
        };
        self.add(tokens);
        self.add(estimate_tokens(rest.len()));
    }

    fn message(&mut self, parts: &[Part]) {
        self.add(PER_MESSAGE);
        self.parts(parts);
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            self.part(&part.content);
        }
    }

    fn part(&mut self, content: &Content) {
        match content {
            Content::Text(text) | Content::Refusal(text) | Content::Thinking { text, .. } => {
                self.text(text);
            }
            Content::Image { detail: Some(detail), .. } if detail == "low" => {
                self.add(PER_SMALL_IMAGE);
            }
            Content::Image { .. } => self.add(PER_IMAGE),
            Content::File { source: Source::Text(text), .. } => self.text(text),
            Content::File { source: Source::Base64 { data, .. }, .. } => {
                let pages = (data.len() / 4 * 3).div_ceil(PAGE_BYTES);
                self.add(PER_PAGE.saturating_mul(u64::try_from(pages).unwrap_or(u64::MAX)));
            }
            Content::File { .. } => self.add(PER_PAGE),
            Content::ToolCall { name, arguments, .. } => {
                self.add(PER_TOOL);
                self.text(name);
                self.text(arguments);
            }
            Content::ToolResult { parts, .. } => {
                self.add(PER_TOOL);
                self.parts(parts);
            }
            Content::RedactedThinking(data) => self.add(estimate_tokens(data.len())),
        }
    }

    fn tool(&mut self, tool: &Tool) {
        self.add(PER_TOOL);
        self.text(&tool.name);
        self.text(tool.description.as_deref().unwrap_or_default());
        self.text(tool.parameters.as_ref().map_or("", |schema| schema.text()));
    }
}

static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);

/// Counts by the hash of the text; two texts that share one would only share an estimate.
#[derive(Default)]
struct Cache {
    hasher: RandomState,
    counts: Mutex<HashMap<u64, u64>>,
}

impl Cache {
    fn count(&self, tokenizer: &dyn Tokenizer, model: &str, text: &str) -> u64 {
        let key = self.hasher.hash_one((model, text));
        let counts = || self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts().get(&key) {
            return *count;
        }
        let count = tokenizer.count(text);
        let mut counts = counts();
        if counts.len() >= MAX_CACHED {
            counts.clear();
        }
        counts.insert(key, count);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::{Message, Role};

    fn request(model: &str, parts: Vec<Content>) -> ChatRequest {
        let parts = parts.into_iter().map(Part::from).collect();
        let messages = vec![Message { role: Role::User, parts }];
        ChatRequest { model: model.to_owned(), messages, ..ChatRequest::default() }
    }

    #[test]
    fn text_is_counted_by_the_models_family_and_the_frame_is_added() {
        let hello = || vec![Content::Text("hello world".to_owned())];
        assert_eq!(count_request(&request("gpt-4o", hello())), PER_ANSWER + PER_MESSAGE + 2);
        assert_eq!(count_request(&request("llama", hello())), PER_ANSWER + PER_MESSAGE + 4);
    }

    #[test]
    fn images_and_documents_count_though_they_have_no_text() {
        let source =
            || Source::Base64 { media_type: "image/png".to_owned(), data: "A".repeat(80_000) };
        let image = |detail: Option<&str>| Content::Image {
            source: source(),
            detail: detail.map(str::to_owned),
        };
        let base = PER_ANSWER + PER_MESSAGE;
        assert_eq!(count_request(&request("m", vec![image(None)])), base + PER_IMAGE);
        assert_eq!(count_request(&request("m", vec![image(Some("low"))])), base + PER_SMALL_IMAGE);
        let file = Content::File { source: source(), name: None };
        assert_eq!(count_request(&request("m", vec![file])), base + 2 * PER_PAGE);
    }

    #[test]
    fn what_exceeds_the_bound_is_estimated_and_what_repeats_is_remembered() {
        let text = "é".repeat(MAX_TEXT / 2 + 300);
        let counted = count_request(&request("m", vec![Content::Text(text.clone())]));
        let expected = estimate_tokens(MAX_TEXT) + estimate_tokens(600);
        assert_eq!(counted, PER_ANSWER + PER_MESSAGE + expected);
        assert_eq!(count_request(&request("m", vec![Content::Text(text)])), counted);
        let cache = Cache::default();
        let words = "words ".repeat(60);
        let once = cache.count(tokenizer::of_model("m"), "m", &words);
        assert_eq!(cache.count(&Never, "m", &words), once);
    }

    struct Never;

    impl Tokenizer for Never {
        fn count(&self, _: &str) -> u64 {
            unreachable!("a remembered text is counted again")
        }
    }
}
