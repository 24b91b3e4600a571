//! Reranking: one request in the shape that Cohere and Jina share, to Cohere itself or to a server that
//! follows it (Jina, vLLM and others). Bodies pass through; only Cohere, which refuses what it does not
//! know, gets members of the other shapes taken out or put into its own form. Answers are the same
//! everywhere, apart from where they report usage.
//!
//! Sources of the wire formats: Cohere's API reference, "v1/rerank" and "v2/rerank"; Jina's
//! API, "Reranker"; vLLM's documentation, "Re-rank API".

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Dialect;
use super::batch::check_order;
use super::codec::{Dropped, is_neutral, member};
use super::error::RequestError;
use super::members::{Member, Members};
use super::passthrough::in_a_200;
use super::scan::scan;
use super::translate::{ResponseError, WholeResponse};
use super::usage::{Usage, count};

/// The members that Cohere's version 2 takes.
const KNOWN: [&str; 7] =
    ["model", "query", "documents", "top_n", "max_tokens_per_doc", "relevant_spans", "priority"];

/// A request as Cohere's version 2 takes it; `None` if it is one already.
///
/// # Errors
/// [`RequestError`] if a document is neither a text nor an object with one.
pub fn to_cohere(body: &[u8], dropped: &mut Dropped) -> Result<Option<Vec<u8>>, RequestError> {
    let Members(members) = Members::parse(body)?;
    let fields = rank_fields(&members)?;
    let (mut kept, mut changed) = (Vec::with_capacity(members.len()), false);
    for Member { name, value } in members {
        match &*name {
            "documents" => {
                let texts = texts(value, fields.as_deref())?;
                changed |= texts.is_some();
                kept.push((name, texts.map_or(Cow::Borrowed(value.get()), Cow::Owned)));
            }
            known if KNOWN.contains(&known) => kept.push((name, Cow::Borrowed(value.get()))),
            // Done above.
            "rank_fields" => changed = true,
            _ => {
                changed = true;
                if !is_neutral(&name, value) {
                    dropped.add(name);
                }
            }
        }
    }
    Ok(changed.then(|| write(&kept)))
}

fn write(members: &[(Cow<'_, str>, Cow<'_, str>)]) -> Vec<u8> {
    let pair = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
        format!("{}:{value}", Value::from(name.as_ref()))
    };
    let pairs: Vec<String> = members.iter().map(pair).collect();
    format!("{{{}}}", pairs.join(",")).into_bytes()
}

/// `rank_fields` of version 1: which members of a document count, in this order.
fn rank_fields(members: &[Member<'_>]) -> Result<Option<Vec<String>>, RequestError> {
    let given = members.iter().find(|found| found.name == "rank_fields");
    given.map_or(Ok(None), |found| member("rank_fields", found.value))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Text(String),
    Fields(Map<String, Value>),
}

/// The documents as a list of texts; `None` if they are one already.
fn texts(value: &RawValue, fields: Option<&[String]>) -> Result<Option<String>, RequestError> {
    if serde_json::from_str::<Vec<Cow<'_, str>>>(value.get()).is_ok() {
        return Ok(None);
    }
    let wrong = || {
        let message = "\"documents\" must be a list of texts, or of objects with a \"text\"";
        RequestError::field("documents", message)
    };
    let documents: Vec<Document> = serde_json::from_str(value.get()).map_err(|_| wrong())?;
    let text = |document| match document {
        Document::Text(text) => Some(text),
        Document::Fields(members) => match fields {
            Some(fields) => Some(as_yaml(&members, fields)),
            None => members.get("text")?.as_str().map(str::to_owned),
        },
    };
    let texts: Option<Vec<String>> = documents.into_iter().map(text).collect();
    Ok(Some(Value::from(texts.ok_or_else(wrong)?).to_string()))
}

/// Several fields in the form that Cohere advises for structured documents.
fn as_yaml(members: &Map<String, Value>, fields: &[String]) -> String {
    let line = |field: &String| Some(format!("{field}: {}", members.get(field)?));
    fields.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

/// Meters an answer and gives it back untouched. `asked`: how many documents were given, where that is
/// known.
///
/// # Errors
/// [`ResponseError`] if it is an error in disguise, has no results, or ranks what was not given.
pub fn response(
    dialect: Dialect,
    body: &Bytes,
    asked: Option<usize>,
) -> Result<WholeResponse, ResponseError> {
    #[derive(Deserialize)]
    struct Answer {
        results: Vec<Ranked>,
        #[serde(default)]
        model: Option<String>,
    }
    #[derive(Deserialize)]
    struct Ranked {
        #[serde(default)]
        index: Option<usize>,
    }
    if scan(body).error {
        return Err(ResponseError::Upstream(in_a_200(dialect, body)));
    }
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| ResponseError::Malformed(error.to_string()))?;
    check_order(answer.results.iter().filter_map(|ranked| ranked.index), asked)?;
    Ok(WholeResponse {
        body: body.clone(),
        usage: usage_of(body),
        model: answer.model,
        stored_as: None,
        finish_reason: None,
        output_bytes: 0,
    })
}

/// What an answer reports: Cohere's search units, or the tokens of the others.
pub fn usage_of(body: &[u8]) -> Option<Usage> {
    let Report { meta, usage } = serde_json::from_slice(body).ok()?;
    let input = meta
        .tokens
        .input_tokens
        .or(meta.billed_units.input_tokens)
        .or(usage.prompt_tokens)
        .or(usage.total_tokens);
    let requests = meta.billed_units.search_units;
    (input.is_some() || requests.is_some()).then(|| Usage {
        input: input.unwrap_or(0),
        requests: requests.unwrap_or(0),
        ..Usage::default()
    })
}

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    meta: Meta,
    #[serde(default)]
    usage: Tokens,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    billed_units: Units,
    tokens: Units,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Units {
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    search_units: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    #[serde(deserialize_with = "count")]
    prompt_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    total_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn converted(body: Value) -> (Option<Value>, Vec<String>) {
        let mut dropped = Dropped::default();
        let body = to_cohere(body.to_string().as_bytes(), &mut dropped).unwrap();
        (body.map(|body| serde_json::from_slice(&body).unwrap()), dropped.into_names())
    }

    #[test]
    fn what_is_in_coheres_form_stays_as_it_came() {
        let body = json!({"model": "m", "query": "q", "documents": ["a", "b\n"], "top_n": 1,
            "max_tokens_per_doc": 9, "priority": 1});
        assert_eq!(converted(body), (None, Vec::new()));
    }

    #[test]
    fn members_of_other_shapes_are_taken_out_and_named() {
        let body = json!({"model": "m", "query": "q", "documents": [{"text": "a", "id": 1}, "b"],
            "return_documents": true, "max_chunks_per_doc": 10, "truncation": false, "x": null});
        let expected = json!({"model": "m", "query": "q", "documents": ["a", "b"]});
        let dropped = ["max_chunks_per_doc", "return_documents"].map(str::to_owned);
        assert_eq!(converted(body), (Some(expected), dropped.to_vec()));
    }

    #[test]
    fn fields_to_rank_by_become_lines_in_their_order() {
        let body = json!({"model": "m", "query": "q", "rank_fields": ["title", "n"],
            "documents": [{"n": 1, "title": "a: b", "other": 2}]});
        let (body, dropped) = converted(body);
        assert_eq!(body.unwrap()["documents"], json!(["title: \"a: b\"\nn: 1"]));
        assert!(dropped.is_empty());
    }

    #[test]
    fn documents_without_a_text_are_refused_with_what_to_write() {
        for documents in [json!([{"title": "a"}]), json!([1]), json!("a"), json!([{"text": 1}])] {
            let body = json!({"model": "m", "documents": documents}).to_string();
            let error = to_cohere(body.as_bytes(), &mut Dropped::default()).unwrap_err();
            assert!(error.to_string().contains("a list of texts"), "{body}");
        }
    }

    #[test]
    fn usage_is_read_as_units_or_as_tokens() {
        let read = |body: Value| {
            usage_of(body.to_string().as_bytes()).map(|usage| (usage.input, usage.requests))
        };
        assert_eq!(read(json!({"meta": {"billed_units": {"search_units": 2.0}}})), Some((0, 2)));
        assert_eq!(read(json!({"usage": {"total_tokens": 7}})), Some((7, 0)));
        assert_eq!(read(json!({"usage": {"prompt_tokens": 6, "total_tokens": 7}})), Some((6, 0)));
        assert_eq!(read(json!({"results": []})), None);
    }
}
