//! `generationConfig`, both ways.

use serde_json::Value;
use serde_json::value::RawValue;

use super::model::{Model, reasoning, thinking};
use super::schema::{from_openapi, to_gemini};
use super::wire::{WireConfig, WireThinking};
use crate::llm::chat::{ChatRequest, Json, ResponseFormat};
use crate::llm::codec::{Dropped, is_neutral, member};
use crate::llm::error::RequestError;
use crate::llm::members::{Member, Members};

/// The most stop sequences that Gemini takes.
const MAX_STOP: usize = 5;
const JSON: &str = "application/json";

/// What of the config has a meaning only together.
#[derive(Default)]
struct Parts {
    mime_type: Option<String>,
    schema: Option<Json>,
    wants_logprobs: bool,
    logprobs: Option<u32>,
}

/// Reads a caller's config.
pub fn decode(
    value: &RawValue,
    request: &mut ChatRequest,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if value.get() == "null" {
        return Ok(());
    }
    let Members(members) = serde_json::from_str(value.get()).map_err(|_| {
        RequestError::field("generationConfig", "\"generationConfig\" must be an object")
    })?;
    let mut parts = Parts::default();
    for Member { name, value } in members {
        decode_member(&name, value, &mut parts, request, dropped)?;
    }
    request.logprobs = parts.wants_logprobs.then(|| parts.logprobs.unwrap_or(0));
    request.response_format = match (parts.mime_type.as_deref(), parts.schema) {
        (Some(JSON) | None, Some(schema)) => {
            Some(ResponseFormat::JsonSchema { name: None, schema, strict: None })
        }
        (Some(JSON), None) => Some(ResponseFormat::JsonObject),
        (None | Some("" | "text/plain"), _) => None,
        (Some(_), _) => {
            dropped.add("generationConfig.responseMimeType");
            None
        }
    };
    Ok(())
}

fn decode_member(
    name: &str,
    value: &RawValue,
    parts: &mut Parts,
    request: &mut ChatRequest,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    match name {
        "candidateCount" | "candidate_count" => {
            request.choices = member(name, value)?.filter(|count| *count > 1);
        }
        "maxOutputTokens" | "max_output_tokens" => request.max_tokens = member(name, value)?,
        "temperature" => request.temperature = member(name, value)?,
        "topP" | "top_p" => request.top_p = member(name, value)?,
        // Some clients write whole numbers as 40.0.
        "topK" | "top_k" => {
            request.top_k = member::<f64>(name, value)?.map(|number| number.max(0.0) as u64);
        }
        "stopSequences" | "stop_sequences" => {
            request.stop = member(name, value)?.unwrap_or_default();
        }
        "seed" => request.seed = member(name, value)?,
        "presencePenalty" | "presence_penalty" => request.presence_penalty = member(name, value)?,
        "frequencyPenalty" | "frequency_penalty" => {
            request.frequency_penalty = member(name, value)?;
        }
        "responseLogprobs" | "response_logprobs" => {
            parts.wants_logprobs = member(name, value)?.unwrap_or(false);
        }
        "logprobs" => parts.logprobs = member(name, value)?,
        "responseMimeType" | "response_mime_type" => parts.mime_type = member(name, value)?,
        "responseSchema" | "response_schema" => {
            parts.schema = member::<Json>(name, value)?.as_ref().map(from_openapi);
        }
        "responseJsonSchema" | "response_json_schema" => parts.schema = member(name, value)?,
        "thinkingConfig" | "thinking_config" => {
            request.reasoning = member::<WireThinking>(name, value)?.as_ref().and_then(reasoning);
        }
        "responseModalities" | "response_modalities" if only_text(value) => {}
        _ if is_neutral(name, value) => {}
        _ => dropped.add(format!("generationConfig.{name}")),
    }
    Ok(())
}

fn only_text(value: &RawValue) -> bool {
    let modalities: Vec<Value> = serde_json::from_str(value.get()).unwrap_or_default();
    modalities.iter().all(|modality| modality == "TEXT")
}

/// Writes the config of a request; `None`: it says nothing.
pub fn encode<'a>(request: &'a ChatRequest, dropped: &mut Dropped) -> Option<WireConfig<'a>> {
    if request.stop.len() > MAX_STOP {
        dropped.add("stop");
    }
    let seed = request.seed.filter(|seed| i32::try_from(*seed).is_ok());
    if seed != request.seed {
        dropped.add("seed");
    }
    let mut config = WireConfig {
        candidate_count: request.choices.filter(|count| *count > 1),
        max_output_tokens: request.max_tokens,
        temperature: request.temperature.map(|temperature| temperature.clamp(0.0, 2.0)),
        top_p: request.top_p,
        top_k: request.top_k,
        stop_sequences: request.stop.iter().take(MAX_STOP).map(String::as_str).collect(),
        seed,
        presence_penalty: request.presence_penalty,
        frequency_penalty: request.frequency_penalty,
        response_logprobs: request.logprobs.map(|_| true),
        logprobs: request.logprobs.filter(|count| *count > 0),
        thinking_config: request
            .reasoning
            .and_then(|asked| thinking(&request.model, asked, dropped)),
        ..WireConfig::default()
    };
    if instruction(request).is_some() {
        dropped.add("response_format");
    } else {
        match &request.response_format {
            None | Some(ResponseFormat::Text) => {}
            Some(ResponseFormat::JsonObject) => config.response_mime_type = Some(JSON),
            Some(ResponseFormat::JsonSchema { schema, .. }) => {
                config.response_mime_type = Some(JSON);
                config.response_json_schema = Some(to_gemini(schema));
            }
        }
    }
    (config != WireConfig::default()).then_some(config)
}

/// The form of the answer in words, for models that refuse it together with functions.
pub fn instruction(request: &ChatRequest) -> Option<String> {
    let refused = Model::of(&request.model).is_none_or(|model| !model.takes_json_with_tools());
    if request.tools.is_empty() || !refused {
        return None;
    }
    match request.response_format.as_ref()? {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => {
            Some("Give the final answer as one JSON object and nothing else.".to_owned())
        }
        ResponseFormat::JsonSchema { schema, .. } => Some(format!(
            "Give the final answer as one JSON value and nothing else. It must follow this JSON schema: {}",
            schema.text()
        )),
    }
}
