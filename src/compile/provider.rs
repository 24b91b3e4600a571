//! AIProvider to runtime provider.

mod address;
mod auth;
mod backends;
mod health;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};

use crate::{
    api::{
        AIProviderSpec,
        condition::Reason,
        provider::{self as api, NamespaceScope, ProviderType},
    },
    llm::{Dialect, Quirks},
    price::{PriceBook, PriceList},
    providers::openai_compatible,
    snapshot::{Backend, ObjectName, Provider},
};

use backends::Located;

use super::{Inputs, Kind, Meta, ObjectKey, Problem, Verdict, Verdicts, price, selector};

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

    /// A provider that requests can be sent to.
    pub(super) fn get(&self, name: &ObjectName) -> Option<Arc<Provider>> {
        self.0.get(name)?.provider.clone()
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
pub(super) fn compile_all(
    inputs: &Inputs,
    prices: &PriceBook,
    verdicts: &mut Verdicts,
) -> Providers {
    let mut providers = Providers::default();
    for (name, object) in &inputs.providers {
        let mut verdict = Verdict::new(object.meta.generation);
        let mut entry = Entry { spec: None, provider: None };
        match &object.spec {
            Err(error) => verdict.errors.push(Problem::new(Reason::Invalid, error)),
            Ok(spec) => {
                verdict.models = Some(spec.models.len());
                let prices = prices.lists(spec.provider_type.as_str(), &name.to_string());
                let provider = compile(&object.meta, spec, (inputs, prices), &mut verdict);
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
    (inputs, prices): (&Inputs, Vec<Arc<PriceList>>),
    verdict: &mut Verdict,
) -> Option<Provider> {
    let endpoint = address::endpoint(meta, spec, inputs.settings.allow_loopback)
        .map_err(|problem| verdict.errors.push(problem))
        .ok();
    // Looked at also where the address is wrong: whoever corrects it learns of both at once.
    let context = auth::Context { meta, spec, inputs };
    let authentication = auth::authentication(context, endpoint.as_ref(), verdict);
    let located = located(meta, spec, inputs, verdict);
    let endpoint = endpoint?;
    let headers = headers(spec).map_err(|problem| verdict.errors.push(problem)).ok()?;
    let models =
        price::catalogue(spec, &prices).map_err(|problem| verdict.errors.push(problem)).ok()?;
    let connect = spec.timeouts.as_ref().and_then(|timeouts| timeouts.connect.as_ref());
    let auth::Authentication { credentials, identity } = authentication?;
    Some(Provider {
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        kind: spec.provider_type.as_str(),
        dialects: dialects(spec),
        endpoint,
        backends: located?,
        quirks: quirks(spec.provider_type),
        addressing: address::addressing(spec),
        key_header: auth::key_header(spec.provider_type),
        credentials,
        identity,
        headers,
        models,
        prices,
        connect_timeout: connect
            .map_or(DEFAULT_CONNECT_TIMEOUT, crate::api::duration::Duration::get),
        limits: health::limits(spec),
        ejection: health::ejection(spec),
        probe: health::probe(spec),
    })
}

/// The addresses behind a Service, if they are known; nothing if the Service cannot be used.
fn located(
    meta: &Meta,
    spec: &AIProviderSpec,
    inputs: &Inputs,
    verdict: &mut Verdict,
) -> Option<Option<Arc<[Backend]>>> {
    let Some(service) = &spec.service else { return Some(None) };
    match backends::locate(service, &meta.name.namespace, inputs) {
        Err(problem) => {
            verdict.unresolved.push(problem);
            None
        }
        Ok(Located::ByName) => Some(None),
        Ok(Located::At(backends)) => {
            if backends.is_empty() {
                let message = format!(
                    "Service {}/{} has no endpoint that is ready on port {}: nothing is sent until \
                     one is; look at its pods",
                    meta.name.namespace, service.name, service.port
                );
                verdict.waiting.push(Problem::new(Reason::NoEndpoints, message));
            }
            Some(Some(backends))
        }
    }
}

/// What a provider speaks, the main dialect first.
fn dialects(spec: &AIProviderSpec) -> &'static [Dialect] {
    match spec.provider_type {
        ProviderType::Anthropic => &[Dialect::Anthropic],
        ProviderType::Gemini => &[Dialect::Gemini],
        ProviderType::AzureOpenAI if !address::addressing(spec).has_responses() => {
            &[Dialect::OpenAi]
        }
        ProviderType::OpenAI | ProviderType::AzureOpenAI | ProviderType::VLLM => {
            &[Dialect::OpenAi, Dialect::Responses]
        }
        // It has OpenAI's dialect too, but for few models.
        ProviderType::Bedrock => &[Dialect::Bedrock],
        // The clouds and Gemini, Cohere and Ollama have OpenAI's dialect beside their own.
        ProviderType::Mistral => &[Dialect::Mistral],
        ProviderType::Cohere => &[Dialect::Cohere],
        // Its own takes more; callers of OpenAI's keep what they send as it is.
        ProviderType::Ollama => &[Dialect::Ollama, Dialect::OpenAi],
        // The clouds have OpenAI's dialect beside their own.
        _ => &[Dialect::OpenAi],
    }
}

macro_rules! quirks {
    ($($name:ident, $doc:literal, $endpoint:literal, [$($quirk:ident),*];)*) => {
        /// In what a type differs from its dialect.
        fn quirks(provider_type: ProviderType) -> Quirks {
            match provider_type {
                $(ProviderType::$name => Quirks::NONE$(.$quirk())*,)*
                _ => Quirks::NONE,
            }
        }
    };
}
openai_compatible!(quirks);

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
