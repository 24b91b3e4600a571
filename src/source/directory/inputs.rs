//! Documents to the inputs of a compilation, with the verdict of an API server on each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::{
    api::consumer::API_KEY_SECRET_TYPE,
    compile::{Inputs, Meta, Object, PriceData, SecretData},
    manifest::{Document, expand_secret},
    schema::{SchemaError, Schemas, Subject},
    snapshot::{ObjectName, selector::Labels},
};

/// The namespace of objects that name none, as for `kubectl`.
const DEFAULT_NAMESPACE: &str = "default";

/// What the documents of a folder amount to.
#[derive(Default)]
pub(super) struct Built {
    /// Everything but the settings.
    pub(super) inputs: Inputs,
    /// Mistakes, with file and line.
    pub(super) messages: BTreeSet<String>,
    secrets: BTreeMap<ObjectName, SecretData>,
    /// File and line of every object, by kind and name.
    pub(super) origins: BTreeMap<(String, ObjectName), String>,
}

/// Turns documents into inputs, and says each message once.
pub(super) struct Reader {
    schemas: Schemas,
    environment: fn(&str) -> Option<String>,
    said: BTreeSet<String>,
    last: Inputs,
}

impl Reader {
    pub(super) fn new(environment: fn(&str) -> Option<String>) -> Result<Self, SchemaError> {
        let (said, last) = (BTreeSet::new(), Inputs::default());
        Ok(Self { schemas: Schemas::new()?, environment, said, last })
    }

    /// What the documents amount to. An object that an API server would refuse stays as it was at the
    /// last reading, as it does there.
    pub(super) fn read<'a>(&mut self, documents: impl Iterator<Item = &'a Document>) -> Built {
        let mut built = Built::default();
        for document in documents {
            self.add(document, &mut built);
        }
        let Inputs { providers, routes, budgets, .. } = &mut built.inputs;
        let kept = [
            ("AIProvider", keep(providers, &self.last.providers)),
            ("AIRoute", keep(routes, &self.last.routes)),
            ("AIBudget", keep(budgets, &self.last.budgets)),
        ];
        self.last = Inputs {
            providers: providers.clone(),
            routes: routes.clone(),
            budgets: budgets.clone(),
            ..Inputs::default()
        };
        for (kind, names) in kept {
            let stays = |name| format!("{kind} {name} stays as it was");
            built.messages.extend(names.into_iter().map(stays));
        }
        for name in built.inputs.referenced_secrets() {
            if let Some(secret) = built.secrets.get(&name) {
                built.inputs.secrets.insert(name, secret.clone());
            }
        }
        built
    }

    /// Logs what is new of these messages.
    pub(super) fn report(&mut self, messages: BTreeSet<String>) {
        for message in messages.difference(&self.said) {
            warn!("{message}");
        }
        if messages.is_empty() && !self.said.is_empty() {
            info!("every manifest is valid again");
        }
        self.said = messages;
    }

    fn add(&self, document: &Document, built: &mut Built) {
        let place = |line: u32| format!("{}:{line}", document.file.display());
        let violations = self.schemas.validate(&document.value);
        let problems: Vec<String> = violations
            .into_iter()
            .map(|found| format!("{}: {}", place(document.position(&found.pointer)), found.message))
            .collect();
        built.messages.extend(problems.iter().cloned());
        let subject = self.schemas.subject(&document.value);
        let Some(name) = name_of(&document.value, &subject) else { return };
        let kind = match &subject {
            Subject::Own(kind) => kind.as_str(),
            Subject::Secret => "Secret",
            Subject::Namespace => "Namespace",
            Subject::PriceList => "ConfigMap",
            Subject::Unknown | Subject::Foreign(..) => return,
        };
        let here = place(document.line);
        let key = (kind.to_owned(), name.clone());
        if let Some(first) = built.origins.get(&key) {
            built.messages.insert(format!(
                "{here}: {kind} {name} already stands at {first}, which is used: remove one"
            ));
            return;
        }
        built.origins.insert(key, here);
        match subject {
            Subject::Own(_) => self.custom(document, name, &problems, built),
            Subject::PriceList if problems.is_empty() => {
                let uid = format!("ConfigMap/{name}").into();
                let data = members(&document.value, "data").collect();
                built.inputs.price_lists.insert(name, PriceData { uid, data });
            }
            Subject::Secret if problems.is_empty() => self.secret(document, name, built),
            Subject::Namespace if problems.is_empty() => {
                built.inputs.namespaces.insert(name.name, labels(&document.value, "labels"));
            }
            _ => {}
        }
    }

    fn custom(
        &self,
        document: &Document,
        name: ObjectName,
        problems: &[String],
        built: &mut Built,
    ) {
        let kind = document.value.get("kind").and_then(Value::as_str).unwrap_or_default();
        let meta = Meta {
            name: name.clone(),
            uid: format!("{kind}/{name}").into(),
            generation: 1,
            created: None,
            labels: labels(&document.value, "labels"),
        };
        let spec = match problems {
            [] => Ok(self.schemas.normalize(document.value.clone())),
            problems => Err(problems.join("; ")),
        };
        let inputs = &mut built.inputs;
        match kind {
            "AIProvider" => drop(inputs.providers.insert(name, object(meta, spec))),
            "AIRoute" => drop(inputs.routes.insert(name, object(meta, spec))),
            "AIBudget" => drop(inputs.budgets.insert(name, object(meta, spec))),
            _ => {}
        }
    }

    fn secret(&self, document: &Document, name: ObjectName, built: &mut Built) {
        let mut value = document.value.clone();
        if let Err(error) = expand_secret(&mut value, &self.environment) {
            let line = document.position("/stringData");
            built.messages.insert(format!("{}:{line}: {error}", document.file.display()));
            return;
        }
        let mut data = BTreeMap::new();
        for (key, value) in members(&value, "data") {
            data.insert(key, Zeroizing::new(STANDARD.decode(value).unwrap_or_default()));
        }
        for (key, value) in members(&value, "stringData") {
            data.insert(key, Zeroizing::new(value.into_bytes()));
        }
        let secret = SecretData {
            created: None,
            labels: labels(&value, "labels"),
            annotations: labels(&value, "annotations"),
            data,
        };
        if value.get("type").is_some_and(|kind| kind == API_KEY_SECRET_TYPE) {
            built.inputs.consumers.insert(name.clone(), secret.clone());
        }
        built.secrets.insert(name, secret);
    }
}

/// Puts what was readable before in the place of what is not; says of which objects.
fn keep<S>(
    now: &mut BTreeMap<ObjectName, Object<S>>,
    before: &BTreeMap<ObjectName, Object<S>>,
) -> Vec<ObjectName> {
    let mut kept = Vec::new();
    for (name, object) in now.iter_mut().filter(|(_, object)| object.spec.is_err()) {
        if let Some(Ok(spec)) = before.get(name).map(|before| &before.spec) {
            object.spec = Ok(Arc::clone(spec));
            kept.push(name.clone());
        }
    }
    kept
}

fn object<S: DeserializeOwned>(meta: Meta, value: Result<Value, String>) -> Object<S> {
    let spec = value.and_then(|mut value| {
        let spec = value.get_mut("spec").map(Value::take).unwrap_or_default();
        serde_json::from_value(spec).map(Arc::new).map_err(|error| error.to_string())
    });
    Object { meta, spec }
}

/// Namespace and name; a Namespace is named by itself.
fn name_of(object: &Value, subject: &Subject) -> Option<ObjectName> {
    let metadata = object.get("metadata")?;
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).filter(|t| !t.is_empty());
    let namespace = match subject {
        Subject::Namespace => "",
        _ => text("namespace").unwrap_or(DEFAULT_NAMESPACE),
    };
    Some(ObjectName::new(namespace, text("name")?))
}

fn labels(object: &Value, field: &str) -> Labels {
    object.get("metadata").map(|metadata| members(metadata, field).collect()).unwrap_or_default()
}

/// The text members of an object's field; a null is the empty text, as for the API server.
fn members(object: &Value, field: &str) -> impl Iterator<Item = (String, String)> {
    let members = object.get(field).and_then(Value::as_object).cloned().unwrap_or_default();
    members.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Null => Some((name, String::new())),
        _ => None,
    })
}
