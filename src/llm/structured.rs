//! The tool that stands in for a JSON schema where a model has no structured output: its input is the
//! answer. Callers never see it. Knows no wire format.

use super::chat::{ChatRequest, Content, FinishReason, Json, Part, ResponseFormat, ToolChoice};

/// The tool whose input is the answer. Its calls are text to the caller.
pub const ANSWER_TOOL: &str = "sluice_structured_answer";
/// What the model is told of it.
pub const DESCRIPTION: &str = "Give the final answer with this tool.";

/// The schema that a request's answer must follow.
pub fn schema(request: &ChatRequest) -> Option<&Json> {
    match &request.response_format {
        Some(ResponseFormat::JsonSchema { schema, .. }) => Some(schema),
        _ => None,
    }
}

/// What must be called of a request whose answer is a tool: that tool, unless the caller's own may be
/// called too or must.
pub fn choice(request: &ChatRequest) -> ToolChoice {
    match &request.tool_choice {
        Some(named @ ToolChoice::Named(_)) => named.clone(),
        Some(ToolChoice::None) => ToolChoice::Named(ANSWER_TOOL.to_owned()),
        _ if request.tools.is_empty() => ToolChoice::Named(ANSWER_TOOL.to_owned()),
        _ => ToolChoice::Required,
    }
}

/// Makes the calls of the tool the text that they are; whether there were any.
pub fn unwrap(parts: &mut [Part]) -> bool {
    let mut answered = false;
    for part in parts {
        if let Content::ToolCall { name, arguments, .. } = &mut part.content
            && name == ANSWER_TOOL
        {
            part.content = Content::Text(std::mem::take(arguments));
            answered = true;
        }
    }
    answered
}

/// Why an answer ended: who only answered waits for no results.
pub fn finish(reason: FinishReason, answered: bool, has_calls: bool) -> FinishReason {
    match reason {
        FinishReason::ToolCalls if answered && !has_calls => FinishReason::Stop,
        reason => reason,
    }
}
