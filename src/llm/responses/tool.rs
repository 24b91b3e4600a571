//! Tools: freeform ones and those of namespaces become plain functions, which is what every other
//! dialect knows, and their calls become again what the caller declared.

use serde::Deserialize as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::wire::{WireChoice, WireGrammar, WireTool};
use crate::llm::chat::{ChatRequest, Json, Tool, ToolChoice};
use crate::llm::codec::{Dropped, safe_id};
use crate::llm::error::RequestError;

/// The longest tool name that every provider takes.
const MAX_NAME: usize = 64;
/// The one argument of the function that a freeform tool becomes.
pub const FREEFORM_ARGUMENT: &str = "input";
const FREEFORM_SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as plain text."}},"required":["input"],"additionalProperties":false}"#;

/// The name of the function that a tool of a namespace becomes. Names without one stay as they are.
pub fn flat_name(namespace: Option<&str>, name: &str) -> String {
    match namespace.filter(|namespace| !namespace.is_empty()) {
        None => name.to_owned(),
        Some(namespace) => safe_id(&format!("{}{name}", prefix(namespace)), MAX_NAME),
    }
}

fn prefix(namespace: &str) -> String {
    let separator = if namespace.ends_with("__") { "" } else { "__" };
    format!("{namespace}{separator}")
}

/// What the caller declared a function as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The tool's own name.
    pub name: String,
    /// The namespace that it belongs to.
    pub namespace: Option<String>,
    /// Its input is any text, not JSON.
    pub freeform: bool,
}

/// The tools that a caller declared, by the names of the functions that they became.
#[derive(Debug, Default)]
pub struct Origins(Vec<(String, Origin)>);

impl Origins {
    /// Reads the `tools` of a request; what is not understood is left out.
    pub fn read(tools: &RawValue) -> Self {
        let wire: Vec<Value> = serde_json::from_str(tools.get()).unwrap_or_default();
        let mut origins = Self::default();
        for tool in wire.into_iter().filter_map(|tool| WireTool::deserialize(tool).ok()) {
            match tool.kind.as_str() {
                "namespace" => {
                    for inner in tool.tools {
                        origins.add(Some(&tool.name), inner);
                    }
                }
                _ => origins.add(None, tool),
            }
        }
        origins
    }

    fn add(&mut self, namespace: Option<&str>, tool: WireTool) {
        let freeform = tool.kind == "custom";
        if freeform || namespace.is_some() {
            let origin = Origin {
                namespace: namespace.map(str::to_owned),
                freeform,
                name: tool.name.clone(),
            };
            self.0.push((flat_name(namespace, &tool.name), origin));
        }
    }

    /// What a function was declared as; a plain function if nothing else is known.
    pub fn of(&self, function: &str) -> Origin {
        let known = self.0.iter().find(|(flat, _)| flat == function);
        known.map_or_else(
            || Origin { name: function.to_owned(), ..Origin::default() },
            |(_, origin)| origin.clone(),
        )
    }
}

/// The functions that a request's tools become. Tools that OpenAI itself runs are named as dropped: no
/// other provider can run them, and agents offer them whatever the model.
pub fn decode(wire: Vec<WireTool>, dropped: &mut Dropped) -> Vec<Tool> {
    let mut tools = Vec::with_capacity(wire.len());
    for tool in wire {
        if tool.kind == "namespace" {
            let name = Some(tool.name.as_str());
            tools.extend(tool.tools.into_iter().filter_map(|one| decode_one(name, one, dropped)));
        } else {
            tools.extend(decode_one(None, tool, dropped));
        }
    }
    tools
}

fn decode_one(namespace: Option<&str>, wire: WireTool, dropped: &mut Dropped) -> Option<Tool> {
    let (parameters, description) = match wire.kind.as_str() {
        "function" => (wire.parameters, wire.description),
        "custom" => (
            Json::parse(FREEFORM_SCHEMA),
            Some(freeform_description(wire.description, wire.format)),
        ),
        other => {
            dropped.add(format!("tools.{other}"));
            return None;
        }
    };
    let parameters = parameters.filter(|schema| schema.text() != "null");
    let name = flat_name(namespace, &wire.name);
    Some(Tool { name, description, parameters, strict: wire.strict, cache: None })
}

/// A grammar can only be told to the model: no other dialect enforces one.
fn freeform_description(description: Option<String>, format: Option<WireGrammar>) -> String {
    let mut text = description.unwrap_or_default();
    let format = format.unwrap_or_default();
    if let Some(definition) = format.definition {
        let syntax = format.syntax.unwrap_or_else(|| "given".to_owned());
        let gap = if text.is_empty() { "" } else { "\n\n" };
        text.push_str(&format!("{gap}The input must match this {syntax} grammar:\n{definition}"));
    }
    text
}

/// A call that must be made cannot be left out.
fn hosted(kind: &str) -> RequestError {
    let message = format!(
        "a tool of type \"{kind}\" is run by OpenAI and does not exist at this model's provider: \
         choose another, or use a route to a provider that speaks Responses; \"function\", \"custom\" \
         and \"namespace\" work everywhere"
    );
    RequestError::unsupported("tool_choice", "unsupported_tool", message)
}

/// Puts a `tool_choice` into the request, whose tools are there already.
///
/// # Errors
/// [`RequestError`] if it asks for a tool that OpenAI itself runs.
pub fn decode_choice(value: &RawValue, request: &mut ChatRequest) -> Result<(), RequestError> {
    let wrong = || {
        let text = "\"tool_choice\" must be auto, none, required or an object such as {\"type\": \"function\", \"name\": \"...\"}";
        RequestError::field("tool_choice", text)
    };
    request.tool_choice = match serde_json::from_str(value.get()).map_err(|_| wrong())? {
        Value::Null => None,
        Value::String(word) => Some(mode(&word).ok_or_else(wrong)?),
        object => {
            let choice = WireChoice::deserialize(object).map_err(|_| wrong())?;
            Some(match choice.kind.as_str() {
                "function" | "custom" => ToolChoice::Named(choice.flat()),
                "allowed_tools" => {
                    let kept = |tool: &Tool| choice.tools.iter().any(|one| one.allows(&tool.name));
                    request.tools.retain(kept);
                    mode(choice.mode.as_deref().unwrap_or("auto")).ok_or_else(wrong)?
                }
                other => return Err(hosted(other)),
            })
        }
    };
    Ok(())
}

fn mode(word: &str) -> Option<ToolChoice> {
    Some(match word {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "required" => ToolChoice::Required,
        _ => return None,
    })
}

impl WireChoice {
    fn flat(&self) -> String {
        flat_name(self.namespace.as_deref(), self.name.as_deref().unwrap_or_default())
    }

    /// Whether one of the allowed tools is this function.
    fn allows(&self, function: &str) -> bool {
        match (self.kind.as_str(), self.name.as_deref()) {
            ("namespace", Some(namespace)) => function.starts_with(&prefix(namespace)),
            _ => self.flat() == function,
        }
    }
}

/// A function as Responses writes it. `strict` is always written: absent means true there.
pub fn encode(tool: &Tool) -> WireTool {
    WireTool {
        kind: "function".to_owned(),
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool
            .parameters
            .clone()
            .or_else(|| Json::parse(r#"{"type":"object","properties":{}}"#)),
        strict: Some(tool.strict.unwrap_or(false)),
        ..WireTool::default()
    }
}

/// A choice as Responses writes it.
pub fn encode_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "name": name}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(tools: &str) -> Origins {
        Origins::read(&serde_json::from_str::<Box<RawValue>>(tools).unwrap())
    }

    #[test]
    fn names_of_namespaces_are_joined_and_found_again() {
        let long = "n".repeat(60);
        let tools = format!(
            r#"[{{"type":"namespace","name":"crm","tools":[{{"type":"function","name":"get"}},{{"type":"custom","name":"note"}}]}},
               {{"type":"namespace","name":"mcp__mail__","tools":[{{"type":"function","name":"send"}}]}},
               {{"type":"namespace","name":"{long}","tools":[{{"type":"function","name":"long_name"}}]}},
               {{"type":"custom","name":"patch"}},{{"type":"web_search"}},{{"type":"function","name":"f"}}]"#
        );
        let origins = origins(&tools);
        let of = |name: &str| {
            let Origin { name, namespace, freeform } = origins.of(name);
            (namespace.unwrap_or_default(), name, freeform)
        };
        assert_eq!(of("crm__get"), ("crm".to_owned(), "get".to_owned(), false));
        assert_eq!(of("crm__note"), ("crm".to_owned(), "note".to_owned(), true));
        assert_eq!(of("mcp__mail__send"), ("mcp__mail__".to_owned(), "send".to_owned(), false));
        assert_eq!(of("patch"), (String::new(), "patch".to_owned(), true));
        assert_eq!(of("f"), (String::new(), "f".to_owned(), false));
        assert_eq!(of("unheard_of"), (String::new(), "unheard_of".to_owned(), false));
        let flat = flat_name(Some(&long), "long_name");
        assert!(flat.len() <= MAX_NAME);
        assert_eq!(of(&flat), (long.clone(), "long_name".to_owned(), false));
    }

    #[test]
    fn a_grammar_is_told_to_the_model() {
        let wire = serde_json::from_str(
            r#"[{"type":"custom","name":"sql","description":"Asks.","format":{"type":"grammar","syntax":"regex","definition":"SELECT .+"}}]"#,
        );
        let tools = decode(wire.unwrap(), &mut Dropped::default());
        let text = "Asks.\n\nThe input must match this regex grammar:\nSELECT .+";
        assert_eq!(tools[0].description.as_deref(), Some(text));
        assert_eq!(tools[0].parameters.as_ref().unwrap().text(), FREEFORM_SCHEMA);
    }

    #[test]
    fn allowed_tools_leave_only_those() {
        let tools = r#"[{"type":"function","name":"a"},{"type":"custom","name":"b"},
            {"type":"namespace","name":"n","tools":[{"type":"function","name":"c"},{"type":"function","name":"d"}]},
            {"type":"namespace","name":"m","tools":[{"type":"function","name":"e"}]}]"#;
        let mut request = ChatRequest {
            tools: decode(serde_json::from_str(tools).unwrap(), &mut Dropped::default()),
            ..ChatRequest::default()
        };
        let choice = r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"custom","name":"b"},{"type":"function","name":"c","namespace":"n"},{"type":"namespace","name":"m"}]}"#;
        decode_choice(&serde_json::from_str::<Box<RawValue>>(choice).unwrap(), &mut request)
            .unwrap();
        let left: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(left, ["b", "n__c", "m__e"]);
        assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    }

    #[test]
    fn what_only_openai_runs_is_named_where_it_is_offered_and_refused_where_it_must_run() {
        let wire = r#"[{"type":"web_search"},{"type":"function","name":"f"},{"type":"mcp"}]"#;
        let mut dropped = Dropped::default();
        let tools = decode(serde_json::from_str(wire).unwrap(), &mut dropped);
        assert_eq!(tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["f"]);
        assert_eq!(dropped.into_names(), ["tools.mcp", "tools.web_search"]);
        let mut request = ChatRequest::default();
        let choice = serde_json::from_str::<Box<RawValue>>(r#"{"type":"file_search"}"#).unwrap();
        let error: crate::llm::ApiError = decode_choice(&choice, &mut request).unwrap_err().into();
        assert_eq!(
            (error.code.as_ref(), error.param.as_deref()),
            ("unsupported_tool", Some("tool_choice"))
        );
        assert!(error.message.contains("\"file_search\" is run by OpenAI"), "{}", error.message);
    }
}
