//! Parts of Gemini's contents as canonical parts: of requests and of answers.

use super::signature::{Proof, bytes, read, usual_alphabet};
use super::wire::{WireBlob, WireCall, WireContent, WireFile, WirePart, WireResult};
use crate::llm::chat::{Content, Message, Part, Role, Signature, Source};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;

fn refuse(message: impl Into<String>) -> RequestError {
    RequestError::field("contents", message)
}

/// Gives every call an id and every result the id of its call: Gemini's callers may leave both out,
/// and then the order ties them.
pub struct Ids {
    prefix: String,
    minted: usize,
    unanswered: Vec<(String, String)>,
}

impl Ids {
    /// Minted ids are `call_<prefix>_<n>`.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), minted: 0, unanswered: Vec::new() }
    }

    fn mint(&mut self) -> String {
        let id = format!("call_{}_{}", self.prefix, self.minted);
        self.minted += 1;
        id
    }

    /// The id of a call.
    pub fn call(&mut self, given: Option<String>, name: &str) -> String {
        let id = given.filter(|id| !id.is_empty()).unwrap_or_else(|| self.mint());
        self.unanswered.push((name.to_owned(), id.clone()));
        id
    }

    /// The id of the call that a result answers: the one it names, else the first open one of the
    /// function.
    fn result(&mut self, given: Option<String>, name: &str) -> String {
        let given = given.filter(|id| !id.is_empty());
        let by_id = |id: &String| self.unanswered.iter().position(|(_, open)| open == id);
        let by_name = || self.unanswered.iter().position(|(open, _)| open == name);
        match given.as_ref().and_then(by_id).or_else(by_name) {
            Some(at) => self.unanswered.remove(at).1,
            None => given.unwrap_or_else(|| self.mint()),
        }
    }
}

/// The turns of a request. A part that only Google can serve is refused.
pub fn decode_contents(
    contents: Vec<WireContent>,
    dropped: &mut Dropped,
) -> Result<Vec<Message>, RequestError> {
    let mut ids = Ids::new("g");
    let mut messages = Vec::with_capacity(contents.len());
    for (at, content) in contents.into_iter().enumerate() {
        let role = match content.role.as_deref().unwrap_or("user") {
            "user" | "function" | "tool" | "" => Role::User,
            "model" => Role::Assistant,
            "system" => Role::System,
            other => {
                let text = format!("contents[{at}].role is \"{other}\": use user or model");
                return Err(refuse(text));
            }
        };
        let parts = decode_parts(content.parts.unwrap_or_default(), role, &mut ids, dropped)?;
        messages.push(Message { role, parts });
    }
    Ok(messages)
}

/// The parts of one turn.
pub fn decode_parts(
    wire: Vec<WirePart>,
    role: Role,
    ids: &mut Ids,
    dropped: &mut Dropped,
) -> Result<Vec<Part>, RequestError> {
    let mut parts = Vec::with_capacity(wire.len());
    for part in wire {
        if part.video_metadata.is_some() {
            dropped.add("videoMetadata");
        }
        if part.media_resolution.is_some() {
            dropped.add("mediaResolution");
        }
        if part.tool_call.is_some() || part.tool_response.is_some() {
            return Err(refuse(
                "a \"toolCall\" or \"toolResponse\" of Google's own tools cannot be given to this model's provider: leave it out of the history",
            ));
        }
        match decode_part(part, ids)? {
            Some(part) if role == Role::Assistant => join(&mut parts, part),
            Some(part) => parts.push(part),
            None => {
                return Err(refuse(
                    "a part without data that this model's provider takes: use \"text\", \"inlineData\", \"fileData\", \"functionCall\" or \"functionResponse\"",
                ));
            }
        }
    }
    Ok(parts)
}

/// Adds a part of the model's. What clients collect from a stream comes back in pieces, while a
/// signature holds for the whole.
pub fn join(parts: &mut Vec<Part>, next: Part) {
    let Some(last) = parts.last_mut() else { return parts.push(next) };
    match (&mut last.content, &next.content) {
        (
            Content::Thinking { text, signature: signature @ None },
            Content::Thinking { text: more, signature: proof },
        ) => {
            text.push_str(more);
            signature.clone_from(proof);
        }
        (Content::Text(text), Content::Text(more)) if last.signature.is_none() => {
            text.push_str(more);
            last.signature = next.signature;
        }
        _ => parts.push(next),
    }
}

/// The part that a wire part is; `None`: it holds nothing that is known here.
pub fn decode_part(wire: WirePart, ids: &mut Ids) -> Result<Option<Part>, RequestError> {
    let proof = wire.thought_signature.filter(|text| !text.is_empty()).map(read);
    let signature = match proof {
        Some(Proof::Redacted(data)) => return Ok(Some(Content::RedactedThinking(data).into())),
        Some(Proof::Signed(signature)) => Some(signature),
        None => None,
    };
    if wire.thought == Some(true) {
        let text = wire.text.unwrap_or_default();
        return Ok(Some(Content::Thinking { text, signature }.into()));
    }
    let content = if let Some(call) = wire.function_call {
        Some(decode_call(call, ids))
    } else if let Some(result) = wire.function_response {
        Some(decode_result(result, ids)?)
    } else if let Some(blob) = wire.inline_data {
        Some(decode_blob(blob)?)
    } else if let Some(file) = wire.file_data {
        Some(decode_file(file)?)
    } else if let Some(code) = wire.executable_code {
        let language = code.language.to_lowercase();
        Some(Content::Text(format!("```{language}\n{}\n```\n", code.code)))
    } else if let Some(outcome) = wire.code_execution_result {
        Some(Content::Text(format!("```\n{}\n```\n", outcome.output)))
    } else {
        wire.text.or_else(|| signature.as_ref().map(|_| String::new())).map(Content::Text)
    };
    Ok(content.map(|content| signed(content, signature)))
}

fn signed(content: Content, signature: Option<Signature>) -> Part {
    Part { signature, ..Part::from(content) }
}

fn decode_call(call: WireCall, ids: &mut Ids) -> Content {
    let name = call.name.unwrap_or_default();
    let arguments = call.args.map(|args| args.text().to_owned()).filter(|text| text != "null");
    Content::ToolCall {
        id: ids.call(call.id, &name),
        name,
        arguments: arguments.unwrap_or_else(|| "{}".to_owned()),
    }
}

fn decode_result(result: WireResult, ids: &mut Ids) -> Result<Content, RequestError> {
    let response = result.response.as_ref().map_or("", |response| response.text());
    let (text, is_error) = plain_result(response);
    let mut parts: Vec<Part> = Vec::new();
    if !text.is_empty() {
        parts.push(Content::Text(text).into());
    }
    for part in result.parts.unwrap_or_default() {
        parts.extend(decode_part(part, ids)?);
    }
    Ok(Content::ToolResult { call_id: ids.result(result.id, &result.name), parts, is_error })
}

/// The text of a result, and whether it says that the function failed. An object whose only member
/// is `output`, `result` or `error` wraps what the function gave.
pub fn plain_result(response: &str) -> (String, bool) {
    if matches!(response, "" | "null" | "{}") {
        return (String::new(), false);
    }
    let object: Option<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(response).ok();
    let only =
        object.filter(|object| object.len() == 1).and_then(|object| object.into_iter().next());
    match only {
        Some((name, serde_json::Value::String(text)))
            if matches!(name.as_str(), "output" | "result" | "error") =>
        {
            (text, name == "error")
        }
        Some((name, _)) if name == "error" => (response.to_owned(), true),
        _ => (response.to_owned(), false),
    }
}

fn decode_blob(blob: WireBlob) -> Result<Content, RequestError> {
    let media_type = blob.mime_type;
    if media_type.starts_with("text/")
        && let Some(text) = bytes(&blob.data).and_then(|bytes| String::from_utf8(bytes).ok())
    {
        return Ok(Content::File { source: Source::Text(text), name: blob.display_name });
    }
    // A frequent slip that others refuse.
    let media_type = if media_type == "image/jpg" { "image/jpeg".to_owned() } else { media_type };
    let data = usual_alphabet(blob.data);
    let source = Source::Base64 { media_type: media_type.clone(), data };
    media(&media_type, source, blob.display_name)
}

fn decode_file(file: WireFile) -> Result<Content, RequestError> {
    let guessed = || media_type(&file.file_uri).unwrap_or("application/pdf").to_owned();
    let kind = file.mime_type.filter(|kind| !kind.is_empty()).unwrap_or_else(guessed);
    // What lies in Google's own stores is an id to everybody else.
    let held = file.file_uri.starts_with("gs://")
        || file.file_uri.starts_with("files/")
        || file.file_uri.contains("generativelanguage.googleapis.com");
    let source = if held { Source::Id(file.file_uri) } else { Source::Url(file.file_uri) };
    media(&kind, source, file.display_name)
}

fn media(kind: &str, source: Source, name: Option<String>) -> Result<Content, RequestError> {
    if kind.starts_with("image/") {
        return Ok(Content::Image { source, detail: None });
    }
    if kind.starts_with("audio/") || kind.starts_with("video/") {
        return Err(refuse(format!(
            "data of type \"{kind}\" cannot be given to this model's provider: send text, images or documents"
        )));
    }
    Ok(Content::File { source, name })
}

/// The media type that a URL's ending tells.
pub fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::chat::Signer;

    fn decode(json: &str) -> Result<Vec<Message>, RequestError> {
        decode_contents(serde_json::from_str(json).unwrap(), &mut Dropped::default())
    }

    fn contents(json: &str) -> Vec<Content> {
        let messages = decode(json).unwrap();
        messages.into_iter().flat_map(|message| message.parts).map(|part| part.content).collect()
    }

    fn ids(json: &str) -> Vec<String> {
        let id = |content| match content {
            Content::ToolCall { id, .. } => Some(id),
            Content::ToolResult { call_id, .. } => Some(call_id),
            _ => None,
        };
        contents(json).into_iter().filter_map(id).collect()
    }

    #[test]
    fn results_find_their_calls_by_id_and_else_by_name_and_order() {
        let json = r#"[
            {"role": "model", "parts": [
                {"functionCall": {"name": "f"}}, {"functionCall": {"name": "g"}},
                {"function_call": {"name": "f", "args": {"x": 1}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "g", "response": {}}},
                {"function_response": {"name": "f", "response": {}}},
                {"functionResponse": {"name": "f", "response": {}}}]}]"#;
        let expected = ["call_g_0", "call_g_1", "call_g_2", "call_g_1", "call_g_0", "call_g_2"];
        assert_eq!(ids(json), expected);
        let named = r#"[
            {"role": "model", "parts": [{"functionCall": {"id": "a", "name": "f"}},
                {"functionCall": {"id": "b", "name": "f"}}]},
            {"parts": [{"functionResponse": {"id": "b", "name": "f", "response": {}}},
                {"functionResponse": {"id": "a", "name": "f", "response": {}}}]}]"#;
        assert_eq!(ids(named), ["a", "b", "b", "a"]);
    }

    #[test]
    fn results_are_unwrapped() {
        assert_eq!(plain_result(r#"{"output": "ok"}"#), ("ok".to_owned(), false));
        assert_eq!(plain_result(r#"{"error": "no"}"#), ("no".to_owned(), true));
        assert_eq!(
            plain_result(r#"{"t": 3, "u": "C"}"#),
            (r#"{"t": 3, "u": "C"}"#.to_owned(), false)
        );
        assert_eq!(plain_result(r#"{"output": [1]}"#), (r#"{"output": [1]}"#.to_owned(), false));
    }

    #[test]
    fn media_is_told_apart_and_what_nobody_else_takes_is_refused() {
        let one = |json: &str| contents(&format!("[{{\"parts\": [{json}]}}]")).remove(0);
        let image = one(r#"{"inline_data": {"mime_type": "image/jpg", "data": "-_8"}}"#);
        let source =
            Source::Base64 { media_type: "image/jpeg".to_owned(), data: "+/8=".to_owned() };
        assert_eq!(image, Content::Image { source, detail: None });
        let text = one(r#"{"inlineData": {"mimeType": "text/csv", "data": "YSxi"}}"#);
        let source = Source::Text("a,b".to_owned());
        assert_eq!(text, Content::File { source, name: None });
        let url = one(r#"{"fileData": {"fileUri": "https://x.test/a.PNG?s=1"}}"#);
        let source = Source::Url("https://x.test/a.PNG?s=1".to_owned());
        assert_eq!(url, Content::Image { source, detail: None });
        let held = one(r#"{"fileData": {"fileUri": "gs://b/a.pdf"}}"#);
        let source = Source::Id("gs://b/a.pdf".to_owned());
        assert_eq!(held, Content::File { source, name: None });
        for foreign in [
            r#"{"inlineData": {"mimeType": "audio/wav", "data": ""}}"#,
            r#"{"toolCall": {}}"#,
            "{}",
        ] {
            let error = decode(&format!("[{{\"parts\": [{foreign}]}}]")).unwrap_err();
            assert!(matches!(error, RequestError::Field { .. }), "{foreign}");
        }
    }

    #[test]
    fn pieces_of_a_collected_stream_become_one_signed_thought() {
        let json = r#"[{"role": "model", "parts": [
            {"text": "a", "thought": true}, {"text": "b", "thought": true},
            {"text": "", "thought": true, "thoughtSignature": "QUJD"},
            {"text": "c"}, {"text": "d"}, {"text": "", "thoughtSignature": "REVG"}]}]"#;
        let parts = decode(json).unwrap().remove(0).parts;
        let own = |value| Some(Signature::new(Signer::Gemini, value));
        let thought = Content::Thinking { text: "ab".to_owned(), signature: own("QUJD") };
        assert_eq!(parts[0], Part::from(thought));
        assert_eq!(parts[1].content, Content::Text("cd".to_owned()));
        assert_eq!((parts[1].signature.clone(), parts.len()), (own("REVG"), 2));
    }
}
