//! Requests of Converse: canonical form to wire and back.

use serde_json::{Map, Value};

use super::block::{Writer, cache_mark, decode_blocks};
use super::media::DocumentNames;
use super::model::{Beside, Model};
use super::wire::{
    WireBlock, WireFormat, WireInference, WireJsonSchema, WireMessage, WireOutput, WireRequest,
    WireStructure, WireToolConfig,
};
use super::{extra, tool};
use crate::llm::chat::{ChatRequest, Json, Message, Part, ResponseFormat, Role, Tool, ToolChoice};
use crate::llm::codec::Dropped;
use crate::llm::error::RequestError;
use crate::llm::json_schema::{closed, object_schema};
use crate::llm::members::Members;
use crate::llm::structured;

/// How `json_object` is asked for where no parameter does.
const JSON_INSTRUCTION: &str = "Answer with one JSON object and nothing else.";
/// How a structured answer is asked for where no tool can be forced.
const ANSWER_INSTRUCTION: &str =
    "Give your final answer by calling the tool sluice_structured_answer, never as text.";
/// Stands in where Bedrock wants a turn that nobody took.
const FILLER: &str = ".";
/// The longest value of `requestMetadata`.
const MAX_METADATA: usize = 256;

/// Canonical to wire.
pub fn encode(request: &ChatRequest, dropped: &mut Dropped) -> Result<Vec<u8>, RequestError> {
    let wire = encode_wire(request, dropped)?;
    serde_json::to_vec(&wire).map_err(|error| RequestError::syntax(&error))
}

/// Canonical to wire, as a value.
pub fn encode_wire(
    request: &ChatRequest,
    dropped: &mut Dropped,
) -> Result<WireRequest, RequestError> {
    let model = Model::of(&request.model);
    let mut writer = Writer { model, dropped, names: DocumentNames::default() };
    let tools = tool::encode(request, &mut writer)?;
    let mut wire = WireRequest::default();
    encode_conversation(request, &tools, &mut writer, &mut wire)?;
    let temperature = request.temperature.map(|temperature| temperature.clamp(0.0, 1.0));
    if temperature != request.temperature {
        writer.dropped.add("temperature");
    }
    wire.inference_config = WireInference {
        max_tokens: request.max_tokens,
        temperature,
        top_p: request.top_p,
        stop_sequences: encode_stop(&request.stop, model, writer.dropped),
    };
    wire.additional_model_request_fields =
        extra::encode(request, &tools, &mut wire.inference_config, &mut writer);
    wire.output_config = encode_format(request.response_format.as_ref(), model);
    if model.is_claude() && !wire.inference_config.stop_sequences.is_empty() {
        let place = if request.stream { "/delta/stop_sequence" } else { "/stop_sequence" };
        wire.additional_model_response_field_paths.push(place.to_owned());
    }
    wire.request_metadata = encode_user(request.user.as_deref(), writer.dropped);
    wire.tool_config = tools.config;
    note_missing(request, writer.dropped);
    Ok(wire)
}

/// Empty sequences are refused, and those of white space alone by Claude.
fn encode_stop(stop: &[String], model: Model<'_>, dropped: &mut Dropped) -> Vec<String> {
    let blank = |text: &&String| if model.is_claude() { text.trim() } else { text }.is_empty();
    if stop.iter().any(|text| blank(&text)) {
        dropped.add("stop");
    }
    stop.iter().filter(|text| !blank(text)).cloned().collect()
}

/// Names what Converse has nothing for.
fn note_missing(request: &ChatRequest, dropped: &mut Dropped) {
    let missing = [
        ("n", request.choices.is_some_and(|choices| choices > 1)),
        ("seed", request.seed.is_some()),
        ("frequency_penalty", request.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("presence_penalty", request.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("logprobs", request.logprobs.is_some()),
    ];
    for (name, _) in missing.into_iter().filter(|(_, set)| *set) {
        dropped.add(name);
    }
}

/// The end user goes where invocation logs can be searched for it, if it has the form for it.
fn encode_user(user: Option<&str>, dropped: &mut Dropped) -> Map<String, Value> {
    let Some(user) = user else { return Map::new() };
    let fits =
        |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":_@$#=/+,-.".contains(c);
    if user.len() <= MAX_METADATA && user.chars().all(fits) {
        return Map::from_iter([("user".to_owned(), Value::from(user))]);
    }
    dropped.add("user");
    Map::new()
}

fn encode_format(format: Option<&ResponseFormat>, model: Model<'_>) -> Option<WireOutput> {
    let Some(ResponseFormat::JsonSchema { name, schema, .. }) = format else { return None };
    if !model.takes_output_format() {
        return None;
    }
    let schema = closed(&object_schema(Some(schema))).text().to_owned();
    let structure = WireStructure { json_schema: WireJsonSchema { name: name.clone(), schema } };
    let text_format = Some(WireFormat { kind: "json_schema".to_owned(), structure });
    Some(WireOutput { text_format })
}

fn encode_conversation(
    request: &ChatRequest,
    tools: &tool::Tools,
    writer: &mut Writer<'_>,
    wire: &mut WireRequest,
) -> Result<(), RequestError> {
    for part in &request.system {
        writer.part(part, &mut wire.system)?;
    }
    let mut turns: Vec<(Role, Vec<WireBlock>)> = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        if message.role == Role::System {
            // Only few models take the operator's words in the conversation; up here all do.
            for part in &message.parts {
                writer.part(part, &mut wire.system)?;
            }
            continue;
        }
        // Neighbours of one role are one turn: turns must alternate.
        let same = turns.pop_if(|(role, _)| *role == message.role);
        let mut turn = same.map(|(_, blocks)| blocks).unwrap_or_default();
        for part in &message.parts {
            writer.part(part, &mut turn)?;
        }
        if !turn.is_empty() {
            turns.push((message.role, turn));
        }
    }
    if request.response_format == Some(ResponseFormat::JsonObject) {
        wire.system.push(WireBlock::text(JSON_INSTRUCTION));
    }
    if tools.ask_for_answer {
        wire.system.push(WireBlock::text(ANSWER_INSTRUCTION));
    }
    wire.messages = finish_turns(turns, writer.model);
    if wire.messages.is_empty() && !wire.system.is_empty() {
        let content = std::mem::take(&mut wire.system);
        wire.messages.push(WireMessage { role: "user".to_owned(), content });
    }
    Ok(())
}

fn finish_turns(mut turns: Vec<(Role, Vec<WireBlock>)>, model: Model<'_>) -> Vec<WireMessage> {
    if let Some((Role::Assistant, blocks)) = turns.last_mut()
        && let Some(text) = blocks.last_mut().and_then(|block| block.text.as_mut())
    {
        text.truncate(text.trim_end().len());
    }
    let mut messages = Vec::with_capacity(turns.len() + 1);
    let assistant_first = turns.first().is_some_and(|(role, _)| *role == Role::Assistant);
    if assistant_first && !model.takes_assistant_first() {
        messages.push(message(Role::User, vec![WireBlock::text(FILLER)]));
    }
    for (role, mut blocks) in turns {
        if role == Role::User {
            // Results must come first in their turn; the sort is stable. A point stays behind what
            // it marks.
            sort_results(&mut blocks);
            let rest = split_results(&mut blocks, model);
            if !rest.is_empty() {
                messages.push(message(role, std::mem::replace(&mut blocks, rest)));
                messages.push(message(Role::Assistant, vec![WireBlock::text(FILLER)]));
            }
            explain_documents(&mut blocks);
        }
        messages.push(message(role, blocks));
    }
    messages
}

fn message(role: Role, content: Vec<WireBlock>) -> WireMessage {
    let role = if role == Role::Assistant { "assistant" } else { "user" };
    WireMessage { role: role.to_owned(), content }
}

fn sort_results(blocks: &mut Vec<WireBlock>) {
    let mut after_result = false;
    let mut keyed: Vec<(bool, WireBlock)> = Vec::with_capacity(blocks.len());
    for block in blocks.drain(..) {
        if block.cache_point.is_none() {
            after_result = block.tool_result.is_some();
        }
        keyed.push((!after_result, block));
    }
    keyed.sort_by_key(|(later, _)| *later);
    blocks.extend(keyed.into_iter().map(|(_, block)| block));
}

/// Takes out what may not stand beside tool results; it becomes a turn of its own.
fn split_results(blocks: &mut Vec<WireBlock>, model: Model<'_>) -> Vec<WireBlock> {
    let results = blocks.iter().take_while(|block| is_result(block)).count();
    let barred = match model.beside_results() {
        Beside::Anything => false,
        Beside::NoDocuments => blocks.iter().any(|block| block.document.is_some()),
        Beside::Nothing => true,
    };
    if results == 0 || !barred { Vec::new() } else { blocks.split_off(results) }
}

fn is_result(block: &WireBlock) -> bool {
    block.tool_result.is_some() || block.cache_point.is_some()
}

/// A document needs a text beside it.
fn explain_documents(blocks: &mut Vec<WireBlock>) {
    let document = blocks.iter().find_map(|block| block.document.as_ref());
    let Some(name) = document.map(|document| document.name.clone()) else { return };
    if blocks.iter().all(|block| block.text.is_none()) {
        let at = blocks.iter().take_while(|block| is_result(block)).count();
        blocks.insert(at, WireBlock::text(name));
    }
}

/// Wire to canonical. The model and whether it streams are not in the body.
pub fn decode(body: &[u8], dropped: &mut Dropped) -> Result<ChatRequest, RequestError> {
    let Members(members) = Members::parse(body)?;
    for member in &members {
        let known = [
            "messages",
            "system",
            "inferenceConfig",
            "toolConfig",
            "outputConfig",
            "additionalModelRequestFields",
            "additionalModelResponseFieldPaths",
            "requestMetadata",
        ];
        if !known.contains(&&*member.name) {
            dropped.add(member.name.clone());
        }
    }
    let wire: WireRequest =
        serde_json::from_slice(body).map_err(|error| RequestError::syntax(&error))?;
    let mut request = ChatRequest {
        system: known_parts(wire.system)?,
        max_tokens: wire.inference_config.max_tokens,
        temperature: wire.inference_config.temperature,
        top_p: wire.inference_config.top_p,
        stop: wire.inference_config.stop_sequences,
        response_format: wire.output_config.and_then(decode_format),
        user: wire.request_metadata.get("user").and_then(Value::as_str).map(str::to_owned),
        ..ChatRequest::default()
    };
    for (at, message) in wire.messages.into_iter().enumerate() {
        request.messages.push(decode_message(at, message)?);
    }
    let mut fields = wire.additional_model_request_fields;
    let native = fields.remove("tool_choice");
    decode_tools(wire.tool_config, native.as_ref(), &mut request);
    extra::decode(fields, &mut request, dropped);
    Ok(request)
}

fn decode_message(at: usize, wire: WireMessage) -> Result<Message, RequestError> {
    let role = match wire.role.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        other => {
            let text = format!("messages[{at}].role is \"{other}\": use user or assistant");
            return Err(RequestError::field("messages", text));
        }
    };
    Ok(Message { role, parts: known_parts(wire.content)? })
}

fn known_parts(blocks: Vec<WireBlock>) -> Result<Vec<Part>, RequestError> {
    let parts: Option<Vec<Part>> = decode_blocks(blocks).into_iter().collect();
    parts.ok_or_else(|| {
        let message = "content of this type cannot be given to this model's provider: use text, image, document, toolUse, toolResult or reasoningContent";
        RequestError::field("messages", message)
    })
}

fn decode_tools(config: Option<WireToolConfig>, native: Option<&Value>, request: &mut ChatRequest) {
    let config = config.unwrap_or_default();
    for wire in config.tools {
        if let Some(spec) = wire.tool_spec {
            request.tools.push(Tool {
                name: spec.name,
                description: spec.description,
                parameters: Some(spec.input_schema.json),
                strict: spec.strict,
                cache: None,
            });
        } else if let (Some(point), Some(tool)) = (&wire.cache_point, request.tools.last_mut()) {
            tool.cache = cache_mark(point);
        }
    }
    let single = native.and_then(|native| native.get("disable_parallel_tool_use"));
    request.parallel_tool_calls = single.and_then(Value::as_bool).map(|single| !single);
    request.tool_choice = tool::decode_choice(config.tool_choice, native);
    decode_answer_tool(request);
}

/// The stand-in for a schema is a schema again.
fn decode_answer_tool(request: &mut ChatRequest) {
    let is_answer = |tool: &Tool| tool.name == structured::ANSWER_TOOL;
    let Some(at) = request.tools.iter().position(is_answer) else { return };
    let tool = request.tools.remove(at);
    let schema = tool.parameters.unwrap_or_else(Json::empty_object);
    request.response_format = Some(ResponseFormat::JsonSchema { name: None, schema, strict: None });
    if request.tools.is_empty() || request.tool_choice == Some(ToolChoice::Required) {
        request.tool_choice = None;
    }
}

fn decode_format(output: WireOutput) -> Option<ResponseFormat> {
    let schema = output.text_format?.structure.json_schema;
    let (name, schema) = (schema.name, Json::parse(&schema.schema)?);
    Some(ResponseFormat::JsonSchema { name, schema, strict: None })
}
