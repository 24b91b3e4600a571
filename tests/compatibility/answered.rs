//! Answers: what becomes of each feature on its way to each caller, by the caller's native bytes, in a
//! whole answer and in a stream, however it is cut.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use sluice::llm::{
    Called, Dialect, Endpoint, Peek, ResponseContext, StreamFault, Translator, decode_error,
    encode_error, eventstream, peek,
};

use crate::asked;
use crate::collected::{collect, normal};
use crate::data::{FEATURES, Feature, INGRESSES, Ingress, NativeError, UPSTREAMS, Upstream};
use crate::matching::matches;

/// What became of a feature.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The bytes pass as they are.
    Same,
    /// The caller's native answer has it, whole and streamed.
    Carried,
    /// The provider's dialect has no such thing, because of this.
    Missing(String),
    /// The caller's dialect has no such thing, because of this.
    Nowhere(String),
}

/// One cell of the matrix.
pub struct Cell {
    pub ingress: &'static Ingress,
    pub feature: &'static Feature,
    pub outcome: Outcome,
}

/// Every cell, and what is wrong with some.
pub fn all() -> (Vec<Cell>, Vec<String>) {
    let (mut cells, mut faults) = (Vec::new(), Vec::new());
    for ingress in INGRESSES.iter() {
        for upstream in UPSTREAMS.iter() {
            let name = format!("{} to {}", upstream.probes.title, ingress.requests.title);
            for feature in &FEATURES.answered {
                match outcome(ingress, upstream, feature) {
                    Ok(outcome) => cells.push(Cell { ingress, feature, outcome }),
                    Err(fault) => faults.push(format!("{} from {name}: {fault}", feature.id)),
                }
            }
            faults.extend(errors(ingress, upstream).map_err(|it| format!("{name}: {it}")).err());
        }
    }
    (cells, faults)
}

fn translator(ingress: &Ingress, upstream: &Upstream) -> Translator {
    Translator::new(ingress.endpoint, upstream.dialect.alone()).unwrap()
}

fn outcome(
    ingress: &'static Ingress,
    upstream: &'static Upstream,
    feature: &'static Feature,
) -> Result<Outcome, String> {
    if let Some(Value::String(reason)) = upstream.answers.lacks.get(&feature.id) {
        return Ok(Outcome::Missing(reason.clone()));
    }
    let probe = ingress.clients.probes.get(&feature.id).ok_or("no probe")?;
    if let Value::String(reason) = probe {
        return Ok(Outcome::Nowhere(reason.clone()));
    }
    let case = upstream.answers.cases.get(&feature.answer).ok_or("no native answer")?;
    let translator = translator(ingress, upstream);
    let whole = whole(translator, &case["whole"])?;
    let stream = stream_of(upstream.dialect, case["stream"].as_array().ok_or("no stream")?);
    let streamed = collect(ingress.endpoint, &feed(translator, &[&stream])?);
    for (form, answer) in [("whole", &whole), ("stream", &streamed)] {
        if !matches(answer, probe) {
            return Err(format!("LOST SILENTLY ({form}): {answer}"));
        }
        if feature.id == "returned" {
            returned(ingress, upstream, answer)?;
        }
    }
    Ok(if translator.is_passthrough() { Outcome::Same } else { Outcome::Carried })
}

/// Every native answer: its stream gives what it gives whole, wherever it is cut.
pub fn streams() -> Vec<String> {
    let of = |upstream: &'static Upstream| std::thread::spawn(|| streams_of(upstream));
    let threads: Vec<_> = UPSTREAMS.iter().map(of).collect();
    threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
}

fn streams_of(upstream: &Upstream) -> Vec<String> {
    let mut faults = Vec::new();
    for ingress in INGRESSES.iter() {
        for (name, case) in &upstream.answers.cases {
            let told = is_the_same(ingress, upstream, case).and_then(|stream| {
                // Cutting is the provider's side of a crossing: one caller stands for all others.
                let own = translator(ingress, upstream).is_passthrough();
                let first = ingress.endpoint == Endpoint::Messages || name == "called";
                if own || first { is_the_same_cut(ingress, upstream, &stream) } else { Ok(()) }
            });
            let place = || format!("{} to {}", upstream.probes.title, ingress.requests.title);
            faults.extend(told.map_err(|fault| format!("{name} from {}: {fault}", place())).err());
        }
    }
    faults
}

fn is_the_same(ingress: &Ingress, upstream: &Upstream, case: &Value) -> Result<Vec<u8>, String> {
    let translator = translator(ingress, upstream);
    let whole = whole(translator, &case["whole"])?;
    let stream = stream_of(upstream.dialect, case["stream"].as_array().ok_or("no stream")?);
    let told = feed(translator, &[&stream])?;
    let streamed = collect(ingress.endpoint, &told);
    if normal(&whole) != normal(&streamed) {
        return Err(format!("\n  whole:    {}\n  streamed: {}", normal(&whole), normal(&streamed)));
    }
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    if feed(translator, &single)? != told {
        return Err("byte by byte it is another".to_owned());
    }
    Ok(stream)
}

fn is_the_same_cut(ingress: &Ingress, upstream: &Upstream, stream: &[u8]) -> Result<(), String> {
    let translator = translator(ingress, upstream);
    let told = feed(translator, &[stream])?;
    for cut in 1..stream.len() {
        let (head, tail) = stream.split_at(cut);
        if feed(translator, &[head, tail])? != told {
            return Err(format!("cut at {cut} it is another"));
        }
    }
    Ok(())
}

fn context() -> ResponseContext {
    ResponseContext {
        created: 1,
        model: "asked".to_owned(),
        request_id: "req-1".to_owned(),
        request: Bytes::from_static(b"{\"model\":\"asked\"}"),
        ..ResponseContext::default()
    }
}

fn whole(translator: Translator, answer: &Value) -> Result<Value, String> {
    let body = Bytes::from(answer.to_string());
    let whole = translator.response(&body, &context()).map_err(|error| error.to_string())?;
    serde_json::from_slice(&whole.body).map_err(|error| error.to_string())
}

/// A stream in the provider's own framing.
fn stream_of(dialect: Dialect, events: &[Value]) -> Vec<u8> {
    let mut stream = Vec::new();
    for event in events {
        let text = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
        match (dialect, event) {
            (Dialect::Bedrock, event) => {
                let data = Bytes::from(event[1].to_string());
                let name = event[0].as_str().unwrap();
                match name.strip_prefix('!') {
                    Some(name) => eventstream::write_exception(name, data, &mut stream).unwrap(),
                    None => eventstream::write_event(name, data, &mut stream).unwrap(),
                }
            }
            (Dialect::Ollama, _) => stream.extend(format!("{text}\n").bytes()),
            (Dialect::Anthropic | Dialect::Responses | Dialect::Cohere, Value::Object(event)) => {
                let kind = event["type"].as_str().unwrap();
                stream.extend(format!("event: {kind}\ndata: {text}\n\n").bytes());
            }
            _ => stream.extend(format!("data: {text}\n\n").bytes()),
        }
    }
    stream
}

fn peeked(endpoint: Endpoint) -> Peek {
    let in_path = endpoint == Endpoint::GenerateContent;
    let called = Called {
        model: in_path.then(|| "asked".into()),
        stream: in_path.then_some(true),
        ..Called::from(endpoint)
    };
    let mut body = json!({"model": "asked", "stream": true});
    body["stream_options"] = json!({"include_usage": true});
    peek(&called, body.to_string().as_bytes()).unwrap()
}

/// What the caller gets; the fault of a stream that fails.
fn feed(translator: Translator, pieces: &[&[u8]]) -> Result<String, String> {
    let (told, result) = feed_all(translator, pieces);
    result.map(|()| told).map_err(|fault| fault.to_string())
}

fn feed_all(translator: Translator, pieces: &[&[u8]]) -> (String, Result<(), StreamFault>) {
    let mut stream = translator.stream(&peeked(translator.endpoint()), &context());
    let (mut out, mut result) = (Vec::new(), Ok(()));
    for piece in pieces {
        result = result.and_then(|()| stream.push(Bytes::copy_from_slice(piece), &mut out));
    }
    result = result.and_then(|()| stream.finish(&mut out));
    if let Err(StreamFault::Upstream(error)) = &result {
        stream.fail(error, &mut out);
    }
    (String::from_utf8(out.concat()).unwrap(), result)
}

/// The caller gives the answer back with the results of its calls, and the provider that gave it finds
/// its own signature and ids in it.
fn returned(ingress: &Ingress, upstream: &Upstream, answer: &Value) -> Result<(), String> {
    let asked = ingress.requests.of("tools").unwrap();
    let next = follow_up(ingress.endpoint, asked, answer);
    let sent = asked::send(translator(ingress, upstream), &next, &upstream.probes.model);
    let sent = sent.map_err(|error| error.to_string())?;
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    if !matches(&body, &upstream.probes.returned) {
        return Err(format!("does not come back: {body}"));
    }
    let known = ["reasoning_content", "thinking"];
    match sent.dropped.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("\"{name}\" is lost when it comes back")),
        None => Ok(()),
    }
}

fn follow_up(endpoint: Endpoint, mut asked: Value, answer: &Value) -> Value {
    let ids = ["call00001", "call00002"];
    let add = |history: &mut Value, more: Vec<Value>| history.as_array_mut().unwrap().extend(more);
    match endpoint {
        Endpoint::Messages => {
            let result = |id| json!({"type": "tool_result", "tool_use_id": id, "content": "cold"});
            let said = json!({"role": "assistant", "content": answer["content"]});
            let results = json!({"role": "user", "content": ids.map(result)});
            add(&mut asked["messages"], vec![said, results]);
        }
        Endpoint::Responses => {
            let result =
                |id| json!({"type": "function_call_output", "call_id": id, "output": "cold"});
            add(&mut asked["input"], answer["output"].as_array().unwrap().clone());
            add(&mut asked["input"], ids.map(result).to_vec());
        }
        Endpoint::GenerateContent => {
            let result = |(id, name)| json!({"functionResponse": {"id": id, "name": name, "response": {"output": "cold"}}});
            let results = [("call00001", "weather"), ("call00002", "time")].map(result);
            let said = answer["candidates"][0]["content"].clone();
            add(&mut asked["contents"], vec![said, json!({"role": "user", "parts": results})]);
        }
        _ => {
            let result = |id| json!({"role": "tool", "tool_call_id": id, "content": "cold"});
            add(&mut asked["messages"], vec![answer["choices"][0]["message"].clone()]);
            add(&mut asked["messages"], ids.map(result).to_vec());
        }
    }
    asked
}

/// A provider's error, whole and in the middle of a stream, in the caller's dialect.
fn errors(ingress: &Ingress, upstream: &Upstream) -> Result<(), String> {
    let NativeError { status, body, headers, stream } = &upstream.answers.error;
    let header = |(name, value): (&String, &Value)| {
        let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
        (name.parse::<HeaderName>().unwrap(), value)
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let status = StatusCode::from_u16(*status).unwrap();
    let error = decode_error(upstream.dialect, status, &headers, body.to_string().as_bytes());
    let dialect = ingress.endpoint.dialect();
    let told = encode_error(dialect, &error, "req-1");
    let told: Value = serde_json::from_slice(&told).map_err(|error| error.to_string())?;
    if error.status_for(dialect) != status || !matches(&told, &ingress.clients.error) {
        return Err(format!("an error becomes another: {told}"));
    }
    let (told, result) =
        feed_all(translator(ingress, upstream), &[&stream_of(upstream.dialect, stream)]);
    let event = &ingress.clients.error_event;
    if !matches!(result, Err(StreamFault::Upstream(_)))
        || !told.contains("Hel")
        || !told.contains(event)
        || !told.contains("Slow down.")
        || told.contains("[DONE]")
    {
        return Err(format!("an error inside a stream becomes another: {result:?}: {told}"));
    }
    Ok(())
}
