//! CEL rules of CRDs (`x-kubernetes-validations`): compiled once, evaluated with `self`.
//!
//! Rules about changes (`oldSelf`) are not evaluated: offline there is no former object. Our CRDs
//! have none.

use std::{collections::HashMap, sync::Arc};

use cel::{Context, Env, Program, Value as CelValue};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;
use serde_json::Value;

use super::{Report, SchemaError, node::Node, path::Path};

/// A compiled rule.
pub(super) struct Rule {
    program: Program,
    message: String,
}

/// The environment that all rules share.
pub(super) struct Rules {
    env: Arc<Env>,
}

impl Rules {
    pub(super) fn new() -> Self {
        let mut env = Env::stdlib();
        // Registers each name once on a fresh environment, so there is nothing to fail.
        let registered = env.add_extension(cel::extensions::strings);
        debug_assert!(registered.is_ok(), "{registered:?}");
        Self { env: Arc::new(env) }
    }

    pub(super) fn compile(&self, rule: &ValidationRule) -> Result<Rule, SchemaError> {
        let program = self
            .env
            .compile(&rule.rule)
            .map_err(|errors| SchemaError::Rule(rule.rule.clone(), errors))?;
        let message = rule.message.clone().unwrap_or_else(|| format!("failed rule: {}", rule.rule));
        Ok(Rule { program, message })
    }

    /// Runs the rules of the value and of everything in it.
    pub(super) fn check(&self, node: &Node, value: &Value, path: &Path<'_>, report: &mut Report) {
        if !node.rules.is_empty() {
            self.run(node, value, path, report);
        }
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    if let Some(node) = node.member(name) {
                        self.check(node, value, &path.member(name), report);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(node) = &node.items {
                    for (index, item) in items.iter().enumerate() {
                        self.check(node, item, &path.index(index), report);
                    }
                }
            }
            _ => {}
        }
    }

    fn run(&self, node: &Node, value: &Value, path: &Path<'_>, report: &mut Report) {
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.add_variable_from_value("self", convert(value));
        let shown = match value {
            Value::Object(_) | Value::Array(_) => String::new(),
            scalar => format!("{scalar}: "),
        };
        for rule in &node.rules {
            let message = &rule.message;
            match rule.program.execute(&context) {
                Ok(CelValue::Bool(true)) => {}
                Ok(_) => report.at(path, format!("Invalid value: {shown}{message}")),
                Err(error) => report
                    .at(path, format!("Invalid value: {shown}{error} evaluating rule: {message}")),
            }
        }
    }
}

/// JSON as CEL sees it. Integers are `int`, as in the API server.
fn convert(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => CelValue::Int(value),
            (None, Some(value)) => CelValue::Float(value),
            (None, None) => CelValue::Null,
        },
        Value::String(text) => CelValue::from(text.as_str()),
        Value::Array(items) => CelValue::from(items.iter().map(convert).collect::<Vec<_>>()),
        Value::Object(members) => {
            let members: HashMap<String, CelValue> =
                members.iter().map(|(name, value)| (name.clone(), convert(value))).collect();
            CelValue::from(members)
        }
    }
}
