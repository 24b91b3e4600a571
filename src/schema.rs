//! Offline validation of manifests, with the verdict of an API server and strict field validation.
//!
//! Owns the reading of our own CRDs as a schema: structure, bounds, unions, CEL rules, metadata.
//! What lies between objects is the compiler's. Core kinds that Sluice reads (Secret, Namespace,
//! ConfigMaps with prices) get the checks that matter here; every other kind is none of our business.
//!
//! Order as in the API server: explicit nulls are pruned, unknown fields found, the structure
//! checked, then the CEL rules run unless the structure is too broken for them. Unlike the server,
//! which stops at unknown fields, everything is reported at once.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api;

mod core;
mod metadata;
mod nearest;
mod node;
mod path;
mod prune;
mod rule;
mod structure;

use nearest::nearest;
use node::Node;
use path::Path;
use rule::Rules;

/// One mistake in one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// Where and what, in the words of the API server:
    /// `spec.models[0]: Invalid value: "a*b": a model pattern has ...`.
    pub message: String,
}

/// What an object is to Sluice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One of our kinds.
    Own(String),
    /// A core Secret.
    Secret,
    /// A core Namespace.
    Namespace,
    /// A core ConfigMap that is labelled as one with prices.
    PriceList,
    /// Of our group, but no kind or version that exists, or without a kind: an error.
    Unknown,
    /// Somebody else's: `apiVersion` and `kind`, one of them empty where the document is no
    /// object at all. It is not checked.
    Foreign(String, String),
}

/// A CRD that can't be used for validation. Can't happen with the CRDs of this build: a test
/// builds them all.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A pattern is not a regular expression.
    #[error("the pattern {0} is not a regular expression")]
    Pattern(String, #[source] regex::Error),
    /// A rule is not CEL.
    #[error("the rule {0} is not CEL")]
    Rule(String, #[source] cel::ParseErrors),
}

/// The schemas of all our kinds, compiled once.
pub struct Schemas {
    kinds: BTreeMap<String, Node>,
    rules: Rules,
}

impl Schemas {
    /// Compiles the schemas of [`api::definitions`].
    ///
    /// # Errors
    /// A pattern or a CEL rule of a CRD does not compile.
    pub fn new() -> Result<Self, SchemaError> {
        let mut rules = Rules::new();
        let mut kinds = BTreeMap::new();
        for definition in api::definitions() {
            let version = definition.spec.versions.into_iter().next();
            let schema = version.and_then(|version| version.schema?.open_api_v3_schema);
            let node = Node::compile(&schema.unwrap_or_default(), &mut rules)?;
            kinds.insert(definition.spec.names.kind, node);
        }
        Ok(Self { kinds, rules })
    }

    /// What the object is to Sluice, by its `apiVersion` and `kind`.
    pub fn subject(&self, object: &Value) -> Subject {
        let text = |member: &str| object.get(member).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let is_ours = version.split('/').next() == Some(api::GROUP);
        match (version, kind) {
            ("", _) | (_, "")
                if !is_ours && !self.kinds.contains_key(kind) && is_of_another_tool(object) =>
            {
                Subject::Foreign(version.into(), kind.into())
            }
            ("", _) | (_, "") => Subject::Unknown,
            ("v1", "Secret") => Subject::Secret,
            ("v1", "Namespace") => Subject::Namespace,
            ("v1", "ConfigMap") if core::is_price_list(object) => Subject::PriceList,
            (api::API_VERSION, kind) if self.kinds.contains_key(kind) => Subject::Own(kind.into()),
            _ if is_ours => Subject::Unknown,
            _ => Subject::Foreign(version.into(), kind.into()),
        }
    }

    /// Every mistake of the object; none for objects of others.
    pub fn validate(&self, object: &Value) -> Vec<Violation> {
        let mut report = Report::default();
        match self.subject(object) {
            Subject::Own(kind) => {
                if let Some(node) = self.kinds.get(&kind) {
                    self.own(node, object, &mut report);
                }
            }
            Subject::Secret => core::secret(object, &mut report),
            Subject::Namespace => core::namespace(object, &mut report),
            Subject::PriceList => core::config_map(object, &mut report),
            Subject::Unknown => self.unknown(object, &mut report),
            Subject::Foreign(..) => {}
        }
        report.violations
    }

    /// The object of one of our kinds as the API server would store it: without the explicit nulls
    /// that it prunes.
    pub fn normalize(&self, mut object: Value) -> Value {
        if let Subject::Own(kind) = self.subject(&object)
            && let Some(node) = self.kinds.get(&kind)
        {
            prune::nulls(node, &mut object);
        }
        object
    }

    fn own(&self, node: &Node, object: &Value, report: &mut Report) {
        let path = Path::default();
        metadata::check(object, metadata::Naming::Subdomain, report);
        prune::unknown(node, object, &path, report);
        let mut object = object.clone();
        if let Some(members) = object.as_object_mut() {
            // Sent with the main resource, the status subresource is dropped unread.
            members.remove("status");
            members.remove("metadata");
        }
        prune::nulls(node, &mut object);
        structure::check(node, &object, &path, report);
        if !report.blocks_rules {
            prune::all_nulls(node, &mut object);
            self.rules.check(node, &object, &path, report);
        }
    }

    fn unknown(&self, object: &Value, report: &mut Report) {
        let text = |member: &str| object.get(member).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        for (member, value) in [("apiVersion", version), ("kind", kind)] {
            if value.is_empty() {
                let example = if member == "kind" { "AIRoute" } else { api::API_VERSION };
                report.add(
                    &Path::default().member(member),
                    format!("{member} not set: write for example {member}: {example}"),
                );
                return;
            }
        }
        let kinds: Vec<&str> = self.kinds.keys().map(String::as_str).collect();
        let guess = match nearest(kind, kinds.iter().copied()) {
            Some(guess) if guess != kind => format!("did you mean {guess}? "),
            _ => String::new(),
        };
        let at = if version == api::API_VERSION { "kind" } else { "apiVersion" };
        report.add(
            &Path::default().member(at),
            format!(
                "no matches for kind \"{kind}\" in version \"{version}\": {guess}{} has {}",
                api::API_VERSION,
                kinds.join(", ")
            ),
        );
    }
}

/// Whether a document without `apiVersion` or `kind` is no object of Kubernetes at all: a kustomization
/// (both are optional there), a chart or its values, the configuration of another program.
fn is_of_another_tool(object: &Value) -> bool {
    ["metadata", "spec"].iter().all(|member| object.get(member).is_none())
}

/// What was found so far.
#[derive(Default)]
struct Report {
    violations: Vec<Violation>,
    /// Whether a violation is of the sort after which the API server does not run CEL rules.
    blocks_rules: bool,
}

impl Report {
    /// A message that stands alone.
    fn add(&mut self, path: &Path<'_>, message: String) {
        self.violations.push(Violation { pointer: path.pointer(), message });
    }

    /// `path: message`.
    fn at(&mut self, path: &Path<'_>, message: impl AsRef<str>) {
        self.add(path, format!("{}: {}", path.dotted(), message.as_ref()));
    }

    /// [`Report::at`] for what keeps CEL rules from running.
    fn block(&mut self, path: &Path<'_>, message: impl AsRef<str>) {
        self.blocks_rules = true;
        self.at(path, message);
    }
}

#[cfg(test)]
mod tests;
