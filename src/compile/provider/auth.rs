//! Who a provider's requests are sent as: keys and identities out of dereferenced Secrets.

use std::sync::Arc;

use crate::{
    api::{
        AIProviderSpec,
        condition::Reason,
        provider::{self as api, ProviderType},
        reference::SecretRef,
    },
    compile::{Inputs, Meta, Problem, SecretData, Verdict},
    snapshot::{
        AwsIdentity, AwsKeys, AwsRole, AzureIdentity, Credential, Endpoint, GcpIdentity, Identity,
        KeyHeader, ObjectName, SecretString,
    },
};

use super::address;

/// What requests are authenticated with.
#[derive(Default)]
pub(super) struct Authentication {
    pub(super) credentials: Vec<Credential>,
    pub(super) identity: Option<Arc<Identity>>,
}

/// What requests need to find a Secret.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) meta: &'a Meta,
    pub(super) spec: &'a AIProviderSpec,
    pub(super) inputs: &'a Inputs,
}

/// The header in which a type takes an API key.
pub(super) fn key_header(kind: ProviderType) -> KeyHeader {
    match kind {
        ProviderType::Anthropic => KeyHeader::XApiKey,
        ProviderType::AzureOpenAI => KeyHeader::ApiKey,
        ProviderType::Gemini | ProviderType::VertexAI => KeyHeader::XGoogApiKey,
        _ => KeyHeader::Bearer,
    }
}

/// Keys or an identity; `None` where the provider needs one and none resolves. `endpoint`: `None` where
/// it is wrong, of which nothing more is said.
pub(super) fn authentication(
    context: Context<'_>,
    endpoint: Option<&Endpoint>,
    verdict: &mut Verdict,
) -> Option<Authentication> {
    let spec = context.spec;
    let Some(auth) = &spec.auth else {
        return Some(omitted(context, endpoint, verdict));
    };
    if let Some(sources) = &auth.api_keys {
        let credentials = api_keys(context, sources, verdict)?;
        return Some(Authentication { credentials, identity: None });
    }
    if auth.passthrough.is_some() {
        let identity = Some(Arc::new(Identity::Caller));
        return Some(Authentication { credentials: Vec::new(), identity });
    }
    let identity = match identity(context, auth) {
        Ok(Some(identity)) => identity,
        Ok(None) => {
            let message =
                "auth is empty: set apiKeys, aws, gcp, azure or passthrough, or leave auth out";
            verdict.errors.push(Problem::new(Reason::Invalid, message));
            return None;
        }
        Err(problem) => {
            verdict.unresolved.push(problem);
            return None;
        }
    };
    if let Some(endpoint) = endpoint
        && identity.is_own()
        && let Err(why) = may_use_own(context, endpoint)
    {
        let message = format!("{why}: name a Secret under auth");
        verdict.errors.push(Problem::new(Reason::Invalid, message));
        return None;
    }
    Some(Authentication { credentials: Vec::new(), identity: Some(Arc::new(identity)) })
}

/// Without `auth`: the gateway's own identity in a cloud, elsewhere none.
fn omitted(
    context: Context<'_>,
    endpoint: Option<&Endpoint>,
    verdict: &mut Verdict,
) -> Authentication {
    let spec = context.spec;
    let kind = spec.provider_type;
    let own = match kind {
        ProviderType::Bedrock => {
            region(spec).map(|region| Identity::Aws(AwsIdentity { keys: None, role: None, region }))
        }
        ProviderType::VertexAI => Some(Identity::Gcp(GcpIdentity::Own)),
        ProviderType::AzureOpenAI => Some(Identity::Azure(AzureIdentity::Own)),
        _ => None,
    };
    let is_own_address = spec.endpoint.is_none() && spec.service.is_none();
    match (own, endpoint) {
        (_, None) => {}
        (Some(own), Some(endpoint)) => {
            let why = match may_use_own(context, endpoint) {
                Ok(()) => {
                    let identity = Some(Arc::new(own));
                    return Authentication { credentials: Vec::new(), identity };
                }
                Err(why) => why,
            };
            verdict.warnings.push(format!("requests carry no credentials: {why}; set auth"));
        }
        (None, _)
            if is_own_address && !matches!(kind, ProviderType::Mock | ProviderType::Ollama) =>
        {
            verdict.warnings.push(format!("{} needs an API key: set auth.apiKeys", kind.as_str()));
        }
        (None, _) => {}
    }
    Authentication::default()
}

/// Whether the provider may use the gateway's own identity: whoever writes an endpoint must not be
/// handed its tokens, and the operator says which namespaces are trusted with it.
fn may_use_own(context: Context<'_>, endpoint: &Endpoint) -> Result<(), String> {
    let Context { meta, spec, inputs } = context;
    let trusted = &inputs.settings.identity_namespaces;
    if !trusted.is_empty() && !trusted.contains(&meta.name.namespace) {
        return Err(format!(
            "namespace {} is not among those that may use the gateway's own identity \
             (gateway.identityNamespaces in its configuration)",
            meta.name.namespace
        ));
    }
    if address::is_the_clouds(spec.provider_type, endpoint, inputs.settings.allow_loopback) {
        return Ok(());
    }
    let kind = spec.provider_type.as_str();
    Err(format!(
        "the gateway's own identity is not sent to {endpoint}, which is no address of {kind}"
    ))
}

fn region(spec: &AIProviderSpec) -> Option<Arc<str>> {
    spec.bedrock.as_ref().map(|bedrock| bedrock.region.as_str().into())
}

fn identity(context: Context<'_>, auth: &api::ProviderAuth) -> Result<Option<Identity>, Problem> {
    if let Some(aws) = &auth.aws {
        return region(context.spec).map(|region| aws_identity(context, aws, region)).transpose();
    }
    if let Some(gcp) = &auth.gcp {
        let Some(reference) = &gcp.secret_ref else {
            return Ok(Some(Identity::Gcp(GcpIdentity::Own)));
        };
        let key = document(context, reference, "key.json")?;
        check_key_file(context, reference, &key)?;
        return Ok(Some(Identity::Gcp(GcpIdentity::Key(key))));
    }
    let Some(azure) = &auth.azure else { return Ok(None) };
    let secret =
        azure.secret_ref.as_ref().map(|reference| text(context, reference, "client-secret"));
    Ok(Some(Identity::Azure(AzureIdentity::Application {
        tenant: azure.tenant_id.as_str().into(),
        client: azure.client_id.as_str().into(),
        secret: secret.transpose()?,
    })))
}

fn aws_identity(
    context: Context<'_>,
    aws: &api::AwsAuth,
    region: Arc<str>,
) -> Result<Identity, Problem> {
    let keys = aws.secret_ref.as_ref().map(|reference| -> Result<_, Problem> {
        let secret = find(context, reference, "access-key-id")?;
        Ok(AwsKeys {
            access_key_id: text(context, reference, "access-key-id")?,
            secret_access_key: text(context, reference, "secret-access-key")?,
            session_token: match secret.data.contains_key("session-token") {
                true => Some(text(context, reference, "session-token")?),
                false => None,
            },
        })
    });
    let role = aws
        .role_arn
        .as_deref()
        .map(|arn| AwsRole { arn: arn.into(), external_id: context.meta.name.to_string().into() });
    Ok(Identity::Aws(AwsIdentity { keys: keys.transpose()?, role, region }))
}

/// Only files whose meaning ends with themselves: other types name files of the gateway's machine
/// and addresses to send them to, which whoever writes a Secret must not decide.
fn check_key_file(
    context: Context<'_>,
    reference: &SecretRef,
    key: &SecretString,
) -> Result<(), Problem> {
    let file: Option<serde_json::Value> = serde_json::from_str(key.expose()).ok();
    let kind = file.as_ref().and_then(|file| file.get("type")?.as_str());
    if matches!(kind, Some("service_account" | "authorized_user")) {
        return Ok(());
    }
    let name = ObjectName::new(context.meta.name.namespace.clone(), reference.name.as_str());
    let message = format!(
        "Secret {name} has under \"key.json\" no key that can be used here: it must be the JSON of \
         type service_account or authorized_user"
    );
    Err(Problem::new(Reason::SecretKeyNotFound, message))
}

fn find<'a>(
    context: Context<'a>,
    reference: &SecretRef,
    key: &str,
) -> Result<&'a SecretData, Problem> {
    let name = ObjectName::new(context.meta.name.namespace.clone(), reference.name.as_str());
    context.inputs.secrets.get(&name).ok_or_else(|| missing(&name, key))
}

fn missing(name: &ObjectName, key: &str) -> Problem {
    let source = match key {
        "key.json" => "--from-file=key.json=KEY_FILE".to_owned(),
        key => format!("--from-literal={key}=<value>"),
    };
    let message = format!(
        "Secret {name} does not exist: create it, for example with \"kubectl create secret generic \
         {} --namespace {} {source}\"",
        name.name, name.namespace
    );
    Problem::new(Reason::SecretNotFound, message)
}

/// A value of one line.
fn text(context: Context<'_>, reference: &SecretRef, key: &str) -> Result<SecretString, Problem> {
    let secret = find(context, reference, key)?;
    let name = ObjectName::new(context.meta.name.namespace.clone(), reference.name.as_str());
    usable(&name, secret, key, "value").map(|value| SecretString::new(value.to_owned()))
}

/// A value of any text.
fn document(
    context: Context<'_>,
    reference: &SecretRef,
    key: &str,
) -> Result<SecretString, Problem> {
    let secret = find(context, reference, key)?;
    let text = secret.data.get(key).and_then(|data| std::str::from_utf8(data).ok());
    if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
        return Ok(SecretString::new(text.to_owned()));
    }
    let name = ObjectName::new(context.meta.name.namespace.clone(), reference.name.as_str());
    let message = format!("Secret {name} has no text under {key:?} (it has: {})", keys_of(secret));
    Err(Problem::new(Reason::SecretKeyNotFound, message))
}

fn keys_of(secret: &SecretData) -> String {
    let keys: Vec<_> = secret.data.keys().map(String::as_str).collect();
    if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") }
}

/// The text under a key; `what` names it for people.
fn usable<'a>(
    name: &ObjectName,
    secret: &'a SecretData,
    key: &str,
    what: &str,
) -> Result<&'a str, Problem> {
    let Some(text) = secret.text(key) else {
        let message = format!(
            "Secret {name} has no usable {what} under {key:?} (it has: {}): a {} is printable \
             ASCII without spaces",
            keys_of(secret),
            what.trim_start_matches("API ")
        );
        return Err(Problem::new(Reason::SecretKeyNotFound, message));
    };
    if text.starts_with("$(") {
        let message = format!(
            "Secret {name} holds the text {text:?} under {key:?}, which only \"sluice run \
             --manifests\" expands: store the {what} itself"
        );
        return Err(Problem::new(Reason::SecretKeyNotFound, message));
    }
    Ok(text)
}

/// The keys that resolve; `None` where none does.
fn api_keys(
    context: Context<'_>,
    sources: &[api::ApiKeySource],
    verdict: &mut Verdict,
) -> Option<Vec<Credential>> {
    let mut credentials = Vec::new();
    for source in sources {
        match credential(context, source) {
            Ok(credential) => credentials.push(credential),
            Err(problem) => verdict.unresolved.push(problem),
        }
    }
    credentials.iter().any(|credential| credential.weight > 0).then_some(credentials)
}

fn credential(context: Context<'_>, source: &api::ApiKeySource) -> Result<Credential, Problem> {
    let reference = &source.secret_key_ref;
    let name = ObjectName::new(context.meta.name.namespace.clone(), reference.name.as_str());
    let Some(secret) = context.inputs.secrets.get(&name) else {
        let message = format!(
            "Secret {name} does not exist: create it, for example with \"kubectl create secret \
             generic {} --namespace {} --from-literal={}=<API key>\"",
            name.name, name.namespace, reference.key
        );
        return Err(Problem::new(Reason::SecretNotFound, message));
    };
    let key = usable(&name, secret, &reference.key, "API key")?;
    Ok(Credential {
        source: format!("{}/{}", reference.name, reference.key).into(),
        key: SecretString::new(key.to_owned()),
        weight: u32::try_from(source.weight).unwrap_or_default(),
    })
}
