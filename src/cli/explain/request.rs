//! The request that is explained, made of the command's arguments.

use std::io::Read as _;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::{
    llm::{Boundary, Called, Endpoint, Peek, peek, peek_form},
    source::directory,
};

use super::Args;

/// Separates the parts of a form.
const BOUNDARY: &str = "sluice-explain";

/// The headers.
pub(super) fn headers(args: &Args) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in &args.headers {
        let (name, value) = header
            .split_once('=')
            .with_context(|| format!("--header {header}: write NAME=VALUE"))?;
        let name: HeaderName = name.trim().parse().with_context(|| format!("--header {header}"))?;
        let value: HeaderValue = value.parse().with_context(|| format!("--header {header}"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// What is called: a path of the data port, whole or without its version.
pub(super) fn called(args: &Args) -> anyhow::Result<Called<'static>> {
    let wanted = args.endpoint.trim_start_matches('/');
    let short = |endpoint: Endpoint| {
        let path = endpoint.path().trim_start_matches('/');
        let tail = path.split_once('/').map_or(path, |(_, tail)| tail);
        // Of Gemini's the method is enough.
        tail.rsplit_once(':').map_or(tail, |(_, method)| method)
    };
    let is_it = |endpoint: &Endpoint| {
        short(*endpoint) == wanted || endpoint.path().trim_start_matches('/') == wanted
    };
    let endpoint = Endpoint::ALL.into_iter().find(is_it).with_context(|| {
        let known = Endpoint::ALL.map(short).join(", ");
        format!("there is no endpoint {wanted}; there are: {known}")
    })?;
    let in_path = endpoint.path().contains("{model}");
    Ok(Called {
        model: in_path.then(|| args.model.clone().into()),
        stream: in_path.then_some(args.stream),
        ..Called::from(endpoint)
    })
}

/// The body, and what is read of it.
pub(super) fn body(args: &Args, called: &Called<'_>) -> anyhow::Result<(Bytes, Peek)> {
    let endpoint = called.endpoint;
    if endpoint.takes_form() {
        anyhow::ensure!(args.body.is_none(), "--body: the body of {} is a form", endpoint.path());
        let body = form(&args.model);
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let boundary =
            Boundary::read(content_type.as_bytes()).context("the form has no boundary")?;
        let peek = peek_form(called, boundary, &body)?;
        return Ok((body, peek));
    }
    let mut value = match &args.body {
        Some(file) => read(file)?,
        None => words(endpoint),
    };
    let members = value.as_object_mut().context("--body: the body is no JSON object")?;
    if called.model.is_none() {
        members.insert("model".to_owned(), args.model.as_str().into());
        if args.stream {
            members.insert("stream".to_owned(), true.into());
        }
    }
    let body = Bytes::from(value.to_string());
    let peek = peek(called, &body).context("the gateway refuses this body")?;
    Ok((body, peek))
}

fn read(file: &std::path::Path) -> anyhow::Result<Value> {
    let text = if file.as_os_str() == directory::STDIN {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text
    } else {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
    };
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))
}

/// The smallest request of an endpoint.
fn words(endpoint: Endpoint) -> Value {
    let said = json!([{"role": "user", "content": "Hello"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "Hello"}]}]);
    match endpoint {
        Endpoint::ChatCompletions => json!({"messages": said}),
        Endpoint::Messages => json!({"max_tokens": 1024, "messages": said}),
        Endpoint::CountTokens => json!({"messages": said}),
        Endpoint::GenerateContent | Endpoint::GeminiCountTokens => json!({"contents": contents}),
        Endpoint::EmbedContent => json!({"content": contents[0]}),
        Endpoint::BatchEmbedContents => json!({"requests": [{"content": contents[0]}]}),
        Endpoint::Completions | Endpoint::Images => json!({"prompt": "Hello"}),
        Endpoint::Speech => json!({"input": "Hello", "voice": "alloy"}),
        Endpoint::Rerank => json!({"query": "Hello", "documents": ["Hello"]}),
        _ => json!({"input": "Hello"}),
    }
}

fn form(model: &str) -> Bytes {
    let part = |head: &str, content: &str| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    };
    let file = "name=\"file\"; filename=\"a.wav\"";
    let end = format!("--{BOUNDARY}--\r\n");
    Bytes::from(part("name=\"model\"", model) + &part(file, "") + &end)
}
