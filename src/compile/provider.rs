//! AIProvider to runtime provider.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Uri, uri::Scheme};

use crate::{
    api::{
        AIProviderSpec,
        condition::Reason,
        provider::{self as api, NamespaceScope, ProviderType},
    },
    budget::{Price, Rate},
    llm::Dialect,
    snapshot::{
        Credential, Endpoint, Model, ObjectName, Provider, SecretString,
        address::{self, Refused},
    },
};

use super::{Inputs, Kind, Meta, ObjectKey, Problem, Verdict, Verdicts, selector};

const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Compiled providers with what decides whether a route may use them.
#[derive(Default)]
pub(super) struct Providers(BTreeMap<ObjectName, Entry>);

struct Entry {
    spec: Option<Arc<AIProviderSpec>>,
    provider: Option<Arc<Provider>>,
}

impl Providers {
    /// The provider that a route of `namespace` refers to.
    pub(super) fn resolve(
        &self,
        name: &ObjectName,
        namespace: &str,
        inputs: &Inputs,
    ) -> Result<Arc<Provider>, Problem> {
        let Some(entry) = self.0.get(name) else {
            let message = format!(
                "AIProvider {name} does not exist: create it, or correct providerRef ({})",
                self.known(namespace)
            );
            return Err(Problem::new(Reason::ProviderNotFound, message));
        };
        if !entry.spec.as_ref().is_none_or(|spec| admits(spec, name, namespace, inputs)) {
            let message = format!(
                "AIProvider {name} does not admit namespace {namespace}: its owner has to extend \
                 spec.allowedNamespaces"
            );
            return Err(Problem::new(Reason::ProviderNotAllowed, message));
        }
        entry.provider.clone().ok_or_else(|| {
            let message = format!("AIProvider {name} can't be used yet: see its status");
            Problem::new(Reason::ProviderNotReady, message)
        })
    }

    fn known(&self, namespace: &str) -> String {
        let names: Vec<_> = self
            .0
            .keys()
            .filter(|name| &*name.namespace == namespace)
            .take(8)
            .map(|name| name.name.as_ref())
            .collect();
        match names.as_slice() {
            [] => format!("namespace {namespace} has no AIProvider"),
            names => format!("namespace {namespace} has {}", names.join(", ")),
        }
    }

    /// Those that requests can be sent to.
    pub(super) fn ready(self) -> BTreeMap<ObjectName, Arc<Provider>> {
        self.0.into_iter().filter_map(|(name, entry)| Some((name, entry.provider?))).collect()
    }
}

fn admits(spec: &AIProviderSpec, name: &ObjectName, namespace: &str, inputs: &Inputs) -> bool {
    let allowed = &spec.allowed_namespaces;
    *name.namespace == *namespace
        || match (allowed.from, &allowed.selector) {
            (NamespaceScope::Same, _) | (NamespaceScope::Selector, None) => false,
            (NamespaceScope::All, _) => true,
            (NamespaceScope::Selector, Some(labels)) => {
                selector::compile(labels).matches(&inputs.namespace_labels(namespace))
            }
        }
}

/// Compiles every AIProvider.
pub(super) fn compile_all(inputs: &Inputs, verdicts: &mut Verdicts) -> Providers {
    let mut providers = Providers::default();
    for (name, object) in &inputs.providers {
        let mut verdict = Verdict::new(object.meta.generation);
        let mut entry = Entry { spec: None, provider: None };
        match &object.spec {
            Err(error) => verdict.errors.push(Problem::new(Reason::Invalid, error)),
            Ok(spec) => {
                verdict.models = Some(spec.models.len());
                let provider = compile(&object.meta, spec, inputs, &mut verdict);
                verdict.programmed = provider.is_some();
                entry = Entry { spec: Some(spec.clone()), provider: provider.map(Arc::new) };
            }
        }
        verdicts.insert(ObjectKey { kind: Kind::Provider, name: name.clone() }, verdict);
        providers.0.insert(name.clone(), entry);
    }
    providers
}

fn compile(
    meta: &Meta,
    spec: &AIProviderSpec,
    inputs: &Inputs,
    verdict: &mut Verdict,
) -> Option<Provider> {
    let credentials = credentials(meta, spec, inputs, verdict);
    let endpoint = endpoint(meta, spec, inputs.settings.allow_loopback)
        .map_err(|problem| verdict.errors.push(problem))
        .ok()?;
    let headers = headers(spec).map_err(|problem| verdict.errors.push(problem)).ok()?;
    let models = models(spec).map_err(|problem| verdict.errors.push(problem)).ok()?;
    let connect = spec.timeouts.as_ref().and_then(|timeouts| timeouts.connect.as_ref());
    Some(Provider {
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        kind: spec.provider_type.as_str(),
        dialect: dialect(spec.provider_type),
        endpoint,
        credentials: credentials?,
        headers,
        models,
        connect_timeout: connect
            .map_or(DEFAULT_CONNECT_TIMEOUT, crate::api::duration::Duration::get),
    })
}

fn dialect(provider_type: ProviderType) -> Dialect {
    match provider_type {
        ProviderType::Anthropic => Dialect::Anthropic,
        ProviderType::OpenAI
        | ProviderType::OpenAICompatible
        | ProviderType::Ollama
        | ProviderType::VLLM
        | ProviderType::Mock => Dialect::OpenAi,
    }
}

/// The keys that resolve; `None` where the provider needs one and none does.
fn credentials(
    meta: &Meta,
    spec: &AIProviderSpec,
    inputs: &Inputs,
    verdict: &mut Verdict,
) -> Option<Vec<Credential>> {
    let Some(auth) = &spec.auth else {
        if matches!(spec.provider_type, ProviderType::OpenAI | ProviderType::Anthropic)
            && spec.endpoint.is_none()
            && spec.service.is_none()
        {
            verdict.warnings.push(format!(
                "{} needs an API key: set auth.apiKeys",
                spec.provider_type.as_str()
            ));
        }
        return Some(Vec::new());
    };
    let mut credentials = Vec::new();
    for source in &auth.api_keys {
        match credential(meta, source, inputs) {
            Ok(credential) => credentials.push(credential),
            Err(problem) => verdict.unresolved.push(problem),
        }
    }
    credentials.iter().any(|credential| credential.weight > 0).then_some(credentials)
}

fn credential(
    meta: &Meta,
    source: &api::ApiKeySource,
    inputs: &Inputs,
) -> Result<Credential, Problem> {
    let reference = &source.secret_key_ref;
    let name = ObjectName::new(meta.name.namespace.clone(), reference.name.as_str());
    let Some(secret) = inputs.secrets.get(&name) else {
        let message = format!(
            "Secret {name} does not exist: create it, for example with \"kubectl create secret \
             generic {} --namespace {} --from-literal={}=<API key>\"",
            name.name, name.namespace, reference.key
        );
        return Err(Problem::new(Reason::SecretNotFound, message));
    };
    let Some(key) = secret.text(&reference.key) else {
        let keys: Vec<_> = secret.data.keys().map(String::as_str).collect();
        let message = format!(
            "Secret {name} has no usable API key under {:?} (it has: {}): a key is printable ASCII \
             without spaces",
            reference.key,
            if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") }
        );
        return Err(Problem::new(Reason::SecretKeyNotFound, message));
    };
    if key.starts_with("$(") {
        let message = format!(
            "Secret {name} holds the text {:?} under {:?}, which only \"sluice run --manifests\" \
             expands: store the API key itself",
            key, reference.key
        );
        return Err(Problem::new(Reason::SecretKeyNotFound, message));
    }
    Ok(Credential {
        source: format!("{}/{}", reference.name, reference.key).into(),
        key: SecretString::new(key.to_owned()),
        weight: u32::try_from(source.weight).unwrap_or_default(),
    })
}

fn endpoint(meta: &Meta, spec: &AIProviderSpec, allow_loopback: bool) -> Result<Endpoint, Problem> {
    let text = match (&spec.endpoint, &spec.service) {
        // The CRD refuses this; objects that are older than it come here.
        (Some(_), Some(_)) => {
            let message = "endpoint and service are both set: keep one of them";
            return Err(Problem::new(Reason::Invalid, message));
        }
        (Some(endpoint), None) => endpoint.clone(),
        (None, Some(service)) => {
            let scheme = match service.scheme {
                api::Scheme::Http => "http",
                api::Scheme::Https => "https",
            };
            let (name, namespace, port) = (&service.name, &meta.name.namespace, service.port);
            format!("{scheme}://{name}.{namespace}.svc:{port}{}", service.path)
        }
        (None, None) => match spec.provider_type {
            ProviderType::Mock => return Ok(Endpoint::Mock),
            ProviderType::OpenAI => "https://api.openai.com/v1".into(),
            ProviderType::Anthropic => "https://api.anthropic.com/v1".into(),
            ProviderType::Ollama => "http://localhost:11434/v1".into(),
            ProviderType::OpenAICompatible | ProviderType::VLLM => {
                let message = format!(
                    "type {} has no default address: set endpoint, for example \
                     https://llm.example.com/v1, or service",
                    spec.provider_type.as_str()
                );
                return Err(Problem::new(Reason::Invalid, message));
            }
        },
    };
    parse_endpoint(&text, allow_loopback)
}

fn parse_endpoint(text: &str, allow_loopback: bool) -> Result<Endpoint, Problem> {
    let invalid = || {
        Problem::new(
            Reason::Invalid,
            format!(
                "endpoint {text:?} is not an absolute URL: write for example https://api.openai.com/v1"
            ),
        )
    };
    let parts = text.parse::<Uri>().map_err(|_| invalid())?.into_parts();
    let scheme = parts.scheme.filter(|s| [Scheme::HTTP, Scheme::HTTPS].contains(s));
    let (Some(scheme), Some(authority)) = (scheme, parts.authority) else { return Err(invalid()) };
    host(text, authority.host(), allow_loopback)?;
    let path = parts.path_and_query.map(|path| path.path().trim_end_matches('/').to_owned());
    Ok(Endpoint::Http { scheme, authority, base_path: path.unwrap_or_default() })
}

/// Whether requests may go there, as far as the endpoint shows it: what can never be called must
/// not look ready.
fn host(text: &str, host: &str, allow_loopback: bool) -> Result<(), Problem> {
    let advice = if address::is_odd_number(host) {
        "has a number for a host: write an IPv4 address as four numbers, or a name"
    } else {
        match address::check_host(host, allow_loopback) {
            Ok(()) => return Ok(()),
            Err(Refused::Loopback) => {
                "is on the gateway's own machine, which only \"sluice run --manifests\" or \
                 --allow-loopback-upstreams may call: name a host of the network, or a service"
            }
            Err(Refused::LinkLocal) => {
                "is link-local or a metadata service, which is never called: name the host that \
                 serves the models"
            }
        }
    };
    Err(Problem::new(Reason::Invalid, format!("endpoint {text:?} {advice}")))
}

fn headers(spec: &AIProviderSpec) -> Result<Vec<(HeaderName, HeaderValue)>, Problem> {
    let parse = |header: &api::Header| {
        Some((header.name.parse::<HeaderName>().ok()?, HeaderValue::from_str(&header.value).ok()?))
    };
    spec.headers
        .iter()
        .map(|header| {
            parse(header).ok_or_else(|| {
                let message = format!("header {:?} has an invalid name or value", header.name);
                Problem::new(Reason::Invalid, message)
            })
        })
        .collect()
}

fn models(spec: &AIProviderSpec) -> Result<std::collections::HashMap<String, Model>, Problem> {
    spec.models
        .iter()
        .map(|model| {
            let price = model.pricing.as_ref().map(price).transpose().map_err(|problem| {
                let message = format!("price of model {}: {}", model.name, problem);
                Problem::new(Reason::Invalid, message)
            })?;
            let max_output_tokens = model.max_output_tokens.and_then(|max| max.try_into().ok());
            Ok((model.name.clone(), Model { price, max_output_tokens }))
        })
        .collect()
}

fn price(pricing: &api::Pricing) -> Result<Price, String> {
    let rate = |text: &str| Rate::from_usd_per_million(text).map_err(|error| error.to_string());
    let optional = |text: &Option<String>| text.as_deref().map(rate).transpose();
    Ok(Price {
        input: rate(&pricing.input)?,
        output: rate(&pricing.output)?,
        cached_input: optional(&pricing.cached_input)?,
        cache_write: optional(&pricing.cache_write)?,
        reasoning: optional(&pricing.reasoning)?,
    })
}
