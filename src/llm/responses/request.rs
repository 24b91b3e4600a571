//! Requests: wire to canonical form and back.

use serde_json::value::RawValue;

use super::wire::{WireFormat, WireReasoning, WireRequest, WireText};
use super::{input, tool};
use crate::llm::chat::{ChatRequest, Content, Effort, Part, Reasoning, ResponseFormat};
use crate::llm::codec::{Dropped, is_empty, is_neutral, member};
use crate::llm::error::RequestError;
use crate::llm::json_schema::described;
use crate::llm::members::{Member, Members};
use crate::llm::openai::{Fit, is_reasoning_model, takes_breakpoints};

/// The least bound on generated tokens that OpenAI takes.
const MIN_OUTPUT_TOKENS: u64 = 16;
const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";
const INCLUDE_REASONING: &str = "reasoning.encrypted_content";

/// What has meaning only together with another member.
#[derive(Default)]
struct Late<'a> {
    tool_choice: Option<&'a RawValue>,
    top_logprobs: u32,
    wants_logprobs: bool,
    has_input: bool,
}

/// Wire to canonical.
pub fn decode(body: &[u8], dropped: &mut Dropped) -> Result<ChatRequest, RequestError> {
    let Members(members) = Members::parse(body)?;
    let (mut request, mut late) = (ChatRequest::default(), Late::default());
    for Member { name, value } in members {
        late.has_input |= name == "input" && !is_empty(value);
        if name == "tool_choice" {
            late.tool_choice = Some(value);
        } else if !decode_plain(&name, value, &mut request)?
            && !decode_structured(&name, value, &mut request, dropped)?
        {
            decode_rest(&name, value, &mut late, dropped)?;
        }
    }
    if !late.has_input {
        let message = "\"input\" is missing or empty: give a text or a list of items";
        return Err(RequestError::field("input", message));
    }
    if let Some(choice) = late.tool_choice {
        tool::decode_choice(choice, &mut request)?;
    }
    if late.wants_logprobs || late.top_logprobs > 0 {
        request.logprobs = Some(late.top_logprobs);
    }
    Ok(request)
}

/// Members with a canonical field of the same form; false: it is none of them.
fn decode_plain(
    name: &str,
    value: &RawValue,
    request: &mut ChatRequest,
) -> Result<bool, RequestError> {
    match name {
        "parallel_tool_calls" => request.parallel_tool_calls = member(name, value)?,
        "max_output_tokens" => request.max_tokens = member(name, value)?,
        "temperature" => request.temperature = member(name, value)?,
        "top_p" => request.top_p = member(name, value)?,
        "stream" => request.stream = member(name, value)?.unwrap_or(false),
        "user" => request.user = member(name, value)?.or(request.user.take()),
        "safety_identifier" => request.user = request.user.take().or(member(name, value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn decode_structured(
    name: &str,
    value: &RawValue,
    request: &mut ChatRequest,
    dropped: &mut Dropped,
) -> Result<bool, RequestError> {
    match name {
        "input" => {
            if let Some(items) = member(name, value)? {
                input::decode(items, request, dropped)?;
            }
        }
        "instructions" => {
            let text: Option<String> = member(name, value)?;
            let text = text.filter(|text| !text.is_empty()).map(|text| Content::Text(text).into());
            // They come before what the input says, wherever they stand in the body.
            request.system.splice(0..0, text);
        }
        "tools" => request.tools = tool::decode(member(name, value)?.unwrap_or_default(), dropped),
        "text" => decode_text(member(name, value)?.unwrap_or_default(), request, dropped)?,
        "reasoning" => {
            request.reasoning =
                member(name, value)?.and_then(|wire| decode_reasoning(wire, dropped));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn decode_rest<'a>(
    name: &str,
    value: &'a RawValue,
    late: &mut Late<'a>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    match name {
        // `max_tool_calls` bounds OpenAI's own tools only, and these are left out.
        "model" | "stream_options" | "max_tool_calls" => {}
        // Other things to include belong to OpenAI's own tools; reasoning is always given.
        "include" => {
            let wanted: Vec<String> = member(name, value)?.unwrap_or_default();
            late.wants_logprobs = wanted.iter().any(|name| name == INCLUDE_LOGPROBS);
        }
        "top_logprobs" => late.top_logprobs = member(name, value)?.unwrap_or(0),
        "service_tier" if matches!(value.get(), "\"auto\"" | "\"default\"") => {}
        "truncation" if value.get() == "\"disabled\"" => {}
        _ if is_neutral(name, value) => {}
        "previous_response_id" | "conversation" | "background" | "prompt" => {
            return Err(stateful(name));
        }
        _ => dropped.add(name),
    }
    Ok(())
}

/// What needs a memory that only a provider of Responses has. To leave it out would give the model
/// another conversation than the caller means.
fn stateful(name: &str) -> RequestError {
    let instead = match name {
        "previous_response_id" | "conversation" => {
            "send the whole conversation in \"input\", with the items of earlier answers"
        }
        "background" => "leave it out and wait for the answer, or stream it",
        _ => "write the prompt out in \"instructions\" and \"input\"",
    };
    let message = format!(
        "\"{name}\" needs a server that keeps state, and this model's provider does not speak \
         Responses: {instead}, or use a route to a provider that speaks Responses"
    );
    RequestError::unsupported(name.to_owned(), "unsupported_parameter", message)
}

fn decode_text(
    wire: WireText,
    request: &mut ChatRequest,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if wire.verbosity.is_some_and(|verbosity| verbosity != "medium") {
        dropped.add("text.verbosity");
    }
    let Some(format) = wire.format else { return Ok(()) };
    request.response_format = Some(match format.kind.as_str() {
        "text" => ResponseFormat::Text,
        "json_object" => ResponseFormat::JsonObject,
        "json_schema" => {
            let schema = format.schema.ok_or_else(|| {
                let text = "\"text.format.schema\" is missing: put the JSON schema there";
                RequestError::field("text", text)
            })?;
            ResponseFormat::JsonSchema {
                name: format.name,
                schema: described(schema, format.description),
                strict: format.strict,
            }
        }
        other => {
            let text = format!(
                "\"text.format.type\" is \"{other}\": use text, json_object or json_schema"
            );
            return Err(RequestError::field("text", text));
        }
    });
    Ok(())
}

fn decode_reasoning(wire: WireReasoning, dropped: &mut Dropped) -> Option<Reasoning> {
    let effort = wire.effort.as_deref().and_then(Effort::parse);
    if wire.effort.is_some() && effort.is_none() {
        dropped.add("reasoning.effort");
    }
    if wire.context.is_some_and(|context| context != "auto") {
        dropped.add("reasoning.context");
    }
    if wire.mode.is_some_and(|mode| mode != "standard") {
        dropped.add("reasoning.mode");
    }
    let shown = wire.summary.or(wire.generate_summary).map(|summary| summary != "none");
    let asked = Reasoning { effort, budget: None, shown };
    (asked != Reasoning::default()).then_some(asked)
}

/// Canonical to wire. Nothing is left with the provider: `store` is false, and reasoning comes back
/// encrypted.
pub fn encode(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, RequestError> {
    name_dropped(request, dropped);
    let with_tools = !request.tools.is_empty();
    let fit = Fit::of(request, dropped);
    let reasoning = encode_reasoning(request, fit, dropped);
    // Models that do not reason refuse to encrypt what they do not think.
    let reasons = reasoning.is_some() || is_reasoning_model(&request.model);
    let logprobs = request.logprobs.filter(|_| fit.samples);
    let takes_marks = takes_breakpoints(&request.model);
    let mut input = input::encode(&request.messages, takes_marks, dropped);
    // Instructions are a text, which holds no marks.
    let marked = takes_marks && request.system.iter().any(|part| part.cache.is_some());
    let instructions = match marked {
        true => {
            input.splice(0..0, input::said("developer", &request.system, takes_marks, dropped));
            None
        }
        false => encode_system(&request.system, dropped),
    };
    let mut include = Vec::new();
    include.extend(logprobs.map(|_| INCLUDE_LOGPROBS));
    include.extend(reasons.then_some(INCLUDE_REASONING));
    let wire = WireRequest {
        model: &request.model,
        instructions,
        input,
        tools: request.tools.iter().map(tool::encode).collect(),
        tool_choice: request.tool_choice.as_ref().filter(|_| with_tools).map(tool::encode_choice),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| with_tools),
        max_output_tokens: request.max_tokens.map(|tokens| tokens.max(MIN_OUTPUT_TOKENS)),
        temperature: request.temperature.filter(|_| fit.samples),
        top_p: request.top_p.filter(|_| fit.samples),
        top_logprobs: logprobs.filter(|top| *top > 0),
        include,
        reasoning,
        text: request.response_format.as_ref().map(encode_text),
        user: request.user.as_deref(),
        store: false,
        stream: request.stream.then_some(true),
    };
    serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
}

fn name_dropped(request: &ChatRequest, dropped: &mut Dropped) {
    let lost = [
        ("top_k", request.top_k.is_some()),
        ("stop", !request.stop.is_empty()),
        ("n", request.choices.is_some_and(|n| n > 1)),
        ("seed", request.seed.is_some()),
        ("frequency_penalty", request.frequency_penalty.is_some()),
        ("presence_penalty", request.presence_penalty.is_some()),
        ("max_tokens", request.max_tokens.is_some_and(|tokens| tokens < MIN_OUTPUT_TOKENS)),
        ("cache_control", request.tools.iter().any(|tool| tool.cache.is_some())),
    ];
    lost.into_iter().filter(|(_, is)| *is).for_each(|(name, _)| dropped.add(name));
}

fn encode_system(parts: &[Part], dropped: &mut Dropped) -> Option<String> {
    if parts.iter().any(|part| part.cache.is_some()) {
        dropped.add("cache_control");
    }
    let text = |part: &Part| match &part.content {
        Content::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let texts: Vec<String> = parts.iter().filter_map(text).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

fn encode_reasoning(
    request: &ChatRequest,
    fit: Fit,
    dropped: &mut Dropped,
) -> Option<WireReasoning> {
    let asked = request.reasoning?;
    let shown = asked.shown == Some(true);
    if !fit.reasons {
        if shown {
            dropped.add("reasoning.summary");
        }
        return None;
    }
    Some(WireReasoning {
        effort: fit.effort.map(str::to_owned),
        summary: shown.then(|| "auto".to_owned()),
        ..WireReasoning::default()
    })
}

fn encode_text(format: &ResponseFormat) -> WireText {
    let of = |kind: &str| WireFormat { kind: kind.to_owned(), ..WireFormat::default() };
    let format = match format {
        ResponseFormat::Text => of("text"),
        ResponseFormat::JsonObject => of("json_object"),
        ResponseFormat::JsonSchema { name, schema, strict } => WireFormat {
            name: Some(name.clone().unwrap_or_else(|| "response".to_owned())),
            schema: Some(schema.clone()),
            strict: *strict,
            ..of("json_schema")
        },
    };
    WireText { format: Some(format), verbosity: None }
}
