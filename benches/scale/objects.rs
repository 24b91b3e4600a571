//! Objects by the thousand, as a large organisation would have them: each namespace its routes, its
//! keys and its budget, on providers that all share.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice::{
    compile::{Inputs, Meta, Object, SecretData},
    snapshot::ObjectName,
};
use zeroize::Zeroizing;

/// Providers of every configuration.
pub const PROVIDERS: usize = 200;
/// Namespaces that the routes are spread over.
pub const NAMESPACES: usize = 100;

/// The API key of a namespace.
pub fn key(namespace: usize) -> String {
    format!("sk-{namespace}")
}

/// A configuration with so many routes.
///
/// # Errors
/// If a spec here is none.
pub fn inputs(routes: usize) -> anyhow::Result<Inputs> {
    let mut inputs = Inputs::default();
    for number in 0..PROVIDERS {
        let name = ObjectName::new("platform", format!("provider-{number}"));
        let spec = json!({
            "type": "OpenAICompatible",
            "endpoint": format!("https://llm-{number}.example.com/v1"),
            "auth": {"apiKeys": [{"secretKeyRef": {"name": "keys", "key": "api-key"}}]},
            "models": [{"name": "m", "pricing": {"input": "1", "output": "2"}}],
            "allowedNamespaces": {"from": "All"},
        });
        inputs.providers.insert(name.clone(), object("AIProvider", &name, spec)?);
    }
    inputs.secrets.insert(ObjectName::new("platform", "keys"), secret("api-key", "sk-upstream"));
    for number in 0..NAMESPACES {
        let namespace = format!("team-{number}");
        let name = ObjectName::new(namespace.clone(), "caller");
        inputs.consumers.insert(name, secret("key", &key(number)));
        let name = ObjectName::new(namespace, "day");
        let window = json!({"calendar": "Day"});
        let limit = json!({"name": "day", "amount": "100", "unit": "USD", "window": window});
        let budget = object("AIBudget", &name, json!({"limits": [limit]}))?;
        inputs.budgets.insert(name, budget);
    }
    for number in 0..routes {
        let name = ObjectName::new(format!("team-{}", number % NAMESPACES), format!("r-{number}"));
        inputs.routes.insert(name.clone(), object("AIRoute", &name, route(number))?);
    }
    Ok(inputs)
}

/// Two targets, a name and a prefix of its own; the first of a namespace also has a name that the first
/// of every other has.
fn route(number: usize) -> Value {
    let target = |shift: usize, priority: u32| {
        let provider = format!("provider-{}", (number + shift) % PROVIDERS);
        let reference = json!({"name": provider, "namespace": "platform"});
        json!({"name": shift.to_string(), "providerRef": reference, "model": "m", "priority": priority})
    };
    let mut models = vec![format!("model-{number}"), format!("family-{number}-*")];
    if number < NAMESPACES {
        models.push("chat".to_owned());
    }
    json!({
        "models": models,
        "rules": [{"targets": [target(0, 0), target(7, 1)]}],
    })
}

fn object<S: DeserializeOwned>(
    kind: &str,
    name: &ObjectName,
    spec: Value,
) -> anyhow::Result<Object<S>> {
    let meta = Meta {
        name: name.clone(),
        uid: format!("{kind}/{name}").into(),
        generation: 1,
        created: None,
        labels: Default::default(),
    };
    Ok(Object { meta, spec: Ok(Arc::new(serde_json::from_value(spec)?)) })
}

fn secret(key: &str, value: &str) -> SecretData {
    let data = [(key.to_owned(), Zeroizing::new(value.as_bytes().to_vec()))];
    SecretData { data: data.into(), ..SecretData::default() }
}
