//! Content parts of items: between wire and canonical form, both ways.

use super::wire::{WireAnnotation, WirePart};
use crate::llm::chat::{Citation, Content, Part, Source};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;
use crate::llm::one_or_many::OneOrMany;
use crate::llm::openai::{decode_breakpoint, encode_breakpoint};

/// The parts of an item's content or output.
pub fn decode_content(content: Option<OneOrMany<WirePart>>) -> Result<Vec<Part>, RequestError> {
    match content {
        None => Ok(Vec::new()),
        Some(OneOrMany::One(text)) if text.is_empty() => Ok(Vec::new()),
        Some(OneOrMany::One(text)) => Ok(vec![Content::Text(text).into()]),
        Some(OneOrMany::Many(parts)) => parts.into_iter().map(decode_part).collect(),
        Some(OneOrMany::Foreign) => {
            let message = "\"content\" and \"output\" must be a string or a list of parts";
            Err(RequestError::field("input", message))
        }
    }
}

fn decode_part(wire: WirePart) -> Result<Part, RequestError> {
    let cache = decode_breakpoint(wire.prompt_cache_breakpoint.as_ref());
    let content = match wire.kind.as_str() {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            Content::Text(wire.text.unwrap_or_default())
        }
        "refusal" => Content::Refusal(wire.refusal.unwrap_or_default()),
        "input_image" => Content::Image {
            source: image_source(wire.image_url, wire.file_id)?,
            detail: wire.detail,
        },
        "input_file" => {
            let name = wire.filename.clone();
            Content::File { source: file_source(wire)?, name }
        }
        other => {
            let message = format!(
                "content of type \"{other}\" cannot be given to this model's provider: use \
                 \"input_text\", \"input_image\", \"input_file\", \"output_text\" or \"refusal\""
            );
            return Err(RequestError::unsupported("input", "unsupported_content", message));
        }
    };
    Ok(Part { cache, ..Part::from(content) })
}

fn image_source(url: Option<String>, file_id: Option<String>) -> Result<Source, RequestError> {
    match (url, file_id) {
        (Some(url), _) => place_or_data(url),
        (None, Some(id)) => Ok(Source::Id(id)),
        (None, None) => {
            let message =
                "an \"input_image\" needs \"image_url\": a URL or a data URL, as a string";
            Err(RequestError::field("input", message))
        }
    }
}

fn file_source(wire: WirePart) -> Result<Source, RequestError> {
    match (wire.file_data, wire.file_url, wire.file_id) {
        (Some(data), _, _) if data.starts_with("data:") => place_or_data(data),
        (Some(data), _, _) => Ok(Source::Base64 { media_type: "application/pdf".to_owned(), data }),
        (None, Some(url), _) => place_or_data(url),
        (None, None, Some(id)) => Ok(Source::Id(id)),
        (None, None, None) => {
            let message = "an \"input_file\" needs \"file_data\" with a data URL, for example \"data:application/pdf;base64,...\", or \"file_url\"";
            Err(RequestError::field("input", message))
        }
    }
}

/// A `data:` URL is data, not a place.
fn place_or_data(url: String) -> Result<Source, RequestError> {
    let Some(rest) = url.strip_prefix("data:") else { return Ok(Source::Url(url)) };
    let Some((media_type, data)) = rest.split_once(";base64,") else {
        let message = "a data URL must be in base64, for example \"data:image/png;base64,...\"";
        return Err(RequestError::field("input", message));
    };
    let media_type = media_type.split(';').next().unwrap_or_default();
    // A frequent slip that Anthropic refuses.
    let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
    Ok(Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() })
}

/// What a user says or a tool gives: a text if there is one text only, else a list.
pub fn encode_content(
    parts: &[Part],
    takes_marks: bool,
    dropped: &mut Dropped,
) -> OneOrMany<WirePart> {
    let encode = |part: &Part| {
        let prompt_cache_breakpoint = encode_breakpoint(part, takes_marks, dropped);
        dropped.title(&part.content);
        Some(WirePart { prompt_cache_breakpoint, ..encode_part(part)? })
    };
    let mut encoded: Vec<WirePart> = parts.iter().filter_map(encode).collect();
    match encoded.as_mut_slice() {
        [] => OneOrMany::One(String::new()),
        [only] if only.kind == "input_text" && only.prompt_cache_breakpoint.is_none() => {
            OneOrMany::One(only.text.take().unwrap_or_default())
        }
        _ => OneOrMany::Many(encoded),
    }
}

fn encode_part(part: &Part) -> Option<WirePart> {
    let of = |kind: &str| WirePart { kind: kind.to_owned(), ..WirePart::default() };
    Some(match &part.content {
        Content::Text(text)
        | Content::Refusal(text)
        | Content::File { source: Source::Text(text), .. } => {
            WirePart { text: Some(text.clone()), ..of("input_text") }
        }
        Content::Image { source, detail } => {
            let (image_url, file_id) = match source {
                Source::Id(id) => (None, Some(id.clone())),
                other => (Some(place(other)), None),
            };
            WirePart { image_url, file_id, detail: detail.clone(), ..of("input_image") }
        }
        Content::File { source, name } => encode_file(source, name.as_deref()),
        Content::ToolCall { .. }
        | Content::ToolResult { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking(_) => return None,
    })
}

fn encode_file(source: &Source, name: Option<&str>) -> WirePart {
    let mut wire = WirePart { kind: "input_file".to_owned(), ..WirePart::default() };
    match source {
        Source::Url(url) => wire.file_url = Some(url.clone()),
        Source::Id(id) => wire.file_id = Some(id.clone()),
        Source::Base64 { .. } | Source::Text(_) => {
            wire.file_data = Some(place(source));
            // Data without a name is refused.
            wire.filename = Some(name.unwrap_or("document.pdf").to_owned());
        }
    }
    wire
}

fn place(source: &Source) -> String {
    match source {
        Source::Url(text) | Source::Id(text) | Source::Text(text) => text.clone(),
        Source::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
    }
}

/// What the model said.
pub fn output_text(text: &str) -> WirePart {
    let kind = "output_text".to_owned();
    WirePart { kind, text: Some(text.to_owned()), ..WirePart::default() }
}

/// What the model declined.
pub fn refusal(text: &str) -> WirePart {
    let kind = "refusal".to_owned();
    WirePart { kind, refusal: Some(text.to_owned()), ..WirePart::default() }
}

/// An annotation's citation. `before`: characters of the answer's text before the annotated part.
pub fn decode_annotation(wire: WireAnnotation, before: u64) -> Option<Citation> {
    let start = wire.start_index.or(wire.index);
    let end = wire.end_index.or(wire.index);
    let span = start.zip(end).map(|(start, end)| (before + start, before + end));
    match wire.kind.as_str() {
        "url_citation" => Some(Citation { url: wire.url, title: wire.title, text: None, span }),
        "file_citation" | "container_file_citation" => {
            Some(Citation { url: None, title: wire.filename, text: None, span })
        }
        _ => None,
    }
}

/// A citation's annotation. `before`: as above; `length`: characters of the annotated part so far,
/// where a citation without a span is put.
pub fn encode_annotation(citation: &Citation, before: u64, length: u64) -> WireAnnotation {
    let (start, end) = match citation.span {
        Some((start, end)) => (start.saturating_sub(before), end.saturating_sub(before)),
        None => (length, length),
    };
    let title = citation.title.clone().unwrap_or_default();
    match &citation.url {
        Some(url) => WireAnnotation {
            kind: "url_citation".to_owned(),
            url: Some(url.clone()),
            title: Some(title),
            start_index: Some(start),
            end_index: Some(end),
            ..WireAnnotation::default()
        },
        None => WireAnnotation {
            kind: "file_citation".to_owned(),
            file_id: Some(String::new()),
            filename: Some(title),
            index: Some(end),
            ..WireAnnotation::default()
        },
    }
}
