//! How many elements a request asks about (texts to embed, documents to order), and whether an answer is
//! about them. Reads no more than it has to count; knows no provider.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::Endpoint;
use super::members::Members;
use super::translate::ResponseError;

/// How many texts or documents a request is about; `None` if it is not about a number of them, or
/// written in a way that only its provider knows.
pub(super) fn asked(endpoint: Endpoint, request: &Bytes) -> Option<usize> {
    let list = match endpoint {
        Endpoint::EmbedContent if !request.is_empty() => return Some(1),
        Endpoint::Embeddings => "input",
        Endpoint::BatchEmbedContents => "requests",
        Endpoint::Rerank => "documents",
        _ => return None,
    };
    let Members(members) = Members::parse(request).ok()?;
    let value = members.iter().find(|member| member.name == list)?.value;
    match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        // One text in tokens.
        Ok(list) if list.first().is_some_and(|first| is_number(first)) => Some(1),
        Ok(list) => Some(list.len()),
        Err(_) => value.get().starts_with('"').then_some(1),
    }
}

fn is_number(value: &RawValue) -> bool {
    value.get().starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// Refuses an answer with another number of vectors than what was asked for: nobody could say which
/// belongs to which.
///
/// # Errors
/// [`ResponseError::Malformed`] with both numbers.
pub(super) fn check_vectors(given: usize, asked: Option<usize>) -> Result<(), ResponseError> {
    match asked {
        Some(asked) if asked != given => {
            Err(ResponseError::Malformed(format!("it has {given} vectors for {asked} inputs")))
        }
        _ => Ok(()),
    }
}

/// The same for an answer that is handed on as it came, in OpenAI's or in Gemini's form.
///
/// # Errors
/// As [`check_vectors`], and if there is no list of vectors.
pub(super) fn check_untouched(body: &[u8], asked: Option<usize>) -> Result<(), ResponseError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(alias = "embeddings")]
        data: Option<Vec<IgnoredAny>>,
        embedding: Option<IgnoredAny>,
    }
    if asked.is_none() {
        return Ok(());
    }
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| ResponseError::Malformed(error.to_string()))?;
    let one = || usize::from(answer.embedding.is_some());
    check_vectors(answer.data.as_ref().map_or_else(one, Vec::len), asked)
}

/// Refuses an order of documents that were not given, or that has one of them twice.
///
/// # Errors
/// [`ResponseError::Malformed`] that names the place.
pub(super) fn check_order(
    places: impl Iterator<Item = usize>,
    asked: Option<usize>,
) -> Result<(), ResponseError> {
    let mut places: Vec<usize> = places.collect();
    places.sort_unstable();
    if let Some(asked) = asked
        && let Some(place) = places.iter().find(|place| **place >= asked)
    {
        return Err(ResponseError::Malformed(format!(
            "it ranks document {place}, but counted from 0 there are {asked}"
        )));
    }
    match places.windows(2).find(|pair| pair.first() == pair.last()) {
        Some([place, ..]) => {
            Err(ResponseError::Malformed(format!("it ranks document {place} twice")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::Dialect;
    use crate::llm::translate::{ResponseContext, Translator};

    /// What comes of an answer to a request.
    fn answered(
        endpoint: Endpoint,
        upstream: &'static [Dialect],
        request: &serde_json::Value,
        answer: &serde_json::Value,
    ) -> Result<(), ResponseError> {
        let request = request.to_string().into();
        let context = ResponseContext { request, ..ResponseContext::default() };
        let translator = Translator::new(endpoint, upstream).unwrap();
        translator.response(&answer.to_string().into(), &context).map(|_| ())
    }

    fn is_malformed(result: &Result<(), ResponseError>) -> bool {
        matches!(result, Err(ResponseError::Malformed(_)))
    }

    #[test]
    fn an_answer_has_one_vector_for_each_text_in_every_dialect() {
        let request = json!({"model": "m", "input": ["a", "b"]});
        let list = |count: usize| vec![json!([0.5]); count];
        type Write = fn(Vec<serde_json::Value>) -> serde_json::Value;
        let data: Write = |vectors| {
            let items = vectors.into_iter().map(|vector| json!({"embedding": vector}));
            json!({"data": items.collect::<Vec<_>>()})
        };
        let gemini: Write = |vectors| {
            let items = vectors.into_iter().map(|vector| json!({"values": vector}));
            json!({"embeddings": items.collect::<Vec<_>>()})
        };
        let cohere: Write = |vectors| json!({"embeddings": {"float": vectors}});
        let ollama: Write = |vectors| json!({"embeddings": vectors});
        let upstreams: [(&'static [Dialect], Write); 6] = [
            (&[Dialect::OpenAi], data),
            (&[Dialect::Mistral], data),
            (&[Dialect::Gemini], gemini),
            (&[Dialect::Cohere], cohere),
            (&[Dialect::Ollama], ollama),
            (&[Dialect::Bedrock], cohere),
        ];
        for (upstream, write) in upstreams {
            let given =
                |count| answered(Endpoint::Embeddings, upstream, &request, &write(list(count)));
            assert_eq!(given(2), Ok(()), "{upstream:?}");
            for count in [0, 1, 3] {
                assert!(is_malformed(&given(count)), "{upstream:?} {count}");
            }
        }
    }

    #[test]
    fn geminis_callers_get_one_vector_for_each_request() {
        let spoken: &[Dialect] = &[Dialect::Gemini];
        let vector = json!({"values": [0.5]});
        let one = json!({"content": {"parts": [{"text": "a"}]}});
        let single = |answer| answered(Endpoint::EmbedContent, spoken, &one, &answer);
        assert_eq!(single(json!({"embedding": vector})), Ok(()));
        assert!(is_malformed(&single(json!({}))));
        let two = json!({"requests": [one, one]});
        let batch = |answer| answered(Endpoint::BatchEmbedContents, spoken, &two, &answer);
        assert_eq!(batch(json!({"embeddings": [vector, vector]})), Ok(()));
        assert!(is_malformed(&batch(json!({"embeddings": [vector]}))));
    }

    #[test]
    fn a_text_in_tokens_is_one_and_what_is_not_understood_is_not_counted() {
        let count = |input| {
            asked(Endpoint::Embeddings, &json!({"model": "m", "input": input}).to_string().into())
        };
        assert_eq!(count(json!("a")), Some(1));
        assert_eq!(count(json!([1, 2, 3])), Some(1));
        assert_eq!(count(json!([[1, 2], [3]])), Some(2));
        assert_eq!(count(json!([{"image": "x"}, {"text": "y"}])), Some(2));
        assert_eq!(count(json!({"texts": []})), None);
        assert_eq!(asked(Endpoint::Embeddings, &Bytes::new()), None);
    }

    #[test]
    fn an_order_is_of_the_documents_that_were_given() {
        let request = json!({"model": "m", "query": "q", "documents": ["a", "b"]});
        for upstream in [&[Dialect::Cohere] as &'static [Dialect], &[Dialect::OpenAi]] {
            let ranked = |places: &[i64]| {
                let results: Vec<_> = places
                    .iter()
                    .map(|place| json!({"index": place, "relevance_score": 0.5}))
                    .collect();
                answered(Endpoint::Rerank, upstream, &request, &json!({"results": results}))
            };
            assert_eq!(ranked(&[1]), Ok(()));
            assert_eq!(ranked(&[1, 0]), Ok(()));
            for places in [&[2][..], &[0, 99], &[-1], &[1, 1]] {
                assert!(is_malformed(&ranked(places)), "{upstream:?} {places:?}");
            }
        }
    }
}
