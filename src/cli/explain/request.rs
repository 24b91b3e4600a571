//! The request that is explained, made of the command's arguments.

use std::{io::Read as _, path::Path};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Value, json};

use crate::{
    llm::{
        Boundary, Called, Endpoint, Peek, RequestError, peek,
        peek::ModelPlace,
        peek_form,
        rewrite::{splice, with_member},
    },
    snapshot::CREDENTIAL_HEADERS,
    source::directory,
};

use super::Args;

/// Separates the parts of a form.
const BOUNDARY: &str = "sluice-explain";
/// First parts of paths of the data port, behind the version, that take no request of this sort.
const UNJUDGED: [&str; 3] = ["realtime", "providers", "models"];

/// The headers, the host among them.
pub(super) fn headers(args: &Args) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in &args.headers {
        let (name, value) = header
            .split_once('=')
            .with_context(|| format!("--header {header}: write NAME=VALUE"))?;
        let name: HeaderName = name.trim().parse().with_context(|| format!("--header {header}"))?;
        if CREDENTIAL_HEADERS.contains(&name.as_str()) {
            eprintln!(
                "sluice: --header {name}: says nothing of who calls: name the caller by --consumer \
                 NAMESPACE/SECRET"
            );
        }
        let value: HeaderValue = value.parse().with_context(|| format!("--header {header}"))?;
        headers.append(name, value);
    }
    if let Some(host) = &args.hostname {
        let host = host.parse().with_context(|| format!("--hostname {host}"))?;
        headers.insert(header::HOST, host);
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
        if UNJUDGED.contains(&wanted.trim_start_matches("v1/").split('/').next().unwrap_or(wanted)) {
            return format!(
                "{wanted} cannot be explained: realtime sessions, direct calls and lists of models go \
                 no way of their own through rules and targets that could be told beforehand"
            );
        }
        let known = Endpoint::ALL.map(short).join(", ");
        format!("there is no endpoint {wanted}; there are: {known}")
    })?;
    if !endpoint.path().contains("{model}") {
        return Ok(Called::from(endpoint));
    }
    let model = args.model.clone();
    let model = model.with_context(|| format!("{} names its model: give --model", endpoint.path()));
    let (model, stream) = (Some(model?.into()), Some(args.stream));
    Ok(Called { model, stream, ..Called::from(endpoint) })
}

/// The body, and what is read of it or why it is refused.
pub(super) fn body(
    args: &Args,
    called: &Called<'_>,
) -> anyhow::Result<(Bytes, Result<Peek, RequestError>)> {
    let endpoint = called.endpoint;
    if endpoint.takes_form() {
        anyhow::ensure!(args.body.is_none(), "--body: the body of {} is a form", endpoint.path());
        let body = form(args.model.as_deref().unwrap_or_default());
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let boundary =
            Boundary::read(content_type.as_bytes()).context("the form has no boundary")?;
        let peek = peek_form(called, boundary, &body);
        return Ok((body, peek));
    }
    let mut body = match &args.body {
        Some(file) => read(file)?,
        None => Bytes::from(words(endpoint).to_string()),
    };
    let found = match &args.model {
        Some(model) => with_model(&mut body, called, model),
        None => peek(called, &body),
    };
    match found {
        Ok(found) if args.stream && !found.stream => {
            let streamed = with_member(&body, &found, r#""stream":true"#);
            let found = peek(called, &streamed);
            Ok((streamed, Ok(found.context("--stream: the body says that none is wanted")?)))
        }
        found => Ok((body, found)),
    }
}

/// Puts the model into a body, as the gateway puts a target's: no other byte changes.
fn with_model(body: &mut Bytes, called: &Called<'_>, model: &str) -> Result<Peek, RequestError> {
    let found = match peek(called, body) {
        Ok(found) if found.model == model => return Ok(found),
        Ok(found) => found,
        Err(error) => {
            let elsewhere = Called { model: Some("".into()), ..called.clone() };
            let Ok(found) = peek(&elsewhere, body) else { return Err(error) };
            let found = Peek { model_place: ModelPlace::Nowhere, ..found };
            let named = splice(body, &found, model, false);
            // It fails for a body that names a model, and wrongly.
            let Ok(found) = peek(called, &named) else { return Err(error) };
            *body = named;
            return Ok(found);
        }
    };
    *body = splice(body, &found, model, false);
    peek(called, body)
}

fn read(file: &Path) -> anyhow::Result<Bytes> {
    let mut body = Vec::new();
    if file.as_os_str() == directory::STDIN {
        std::io::stdin().read_to_end(&mut body).context("cannot read the standard input")?;
    } else {
        body = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(body.into())
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
