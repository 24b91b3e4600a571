//! Providers of clouds: addresses, identities out of Secrets, and whom the gateway's own is sent to.

use super::*;
use crate::{
    api::provider::ProviderType,
    llm::{Dialect, Quirks},
    snapshot::{
        Addressing, AwsIdentity, AzureIdentity, GcpIdentity, Identity, KeyHeader, Provider,
    },
};

fn compiled(spec: Value, secrets: &[(&str, &[(&str, &str)])]) -> (Option<Arc<Provider>>, Verdict) {
    let mut inputs = Inputs::default();
    provider(&mut inputs, "a/cloud", spec);
    for (at, pairs) in secrets {
        inputs.secrets.insert(name(at), secret(pairs));
    }
    let compiled = compile(&inputs);
    let verdict = verdict(&compiled, Kind::Provider, "a/cloud");
    (compiled.snapshot.providers.get(&name("a/cloud")).cloned(), verdict)
}

fn ready(spec: Value, secrets: &[(&str, &[(&str, &str)])]) -> Arc<Provider> {
    let (provider, verdict) = compiled(spec, secrets);
    assert_eq!((verdict.problems().count(), verdict.warnings.as_slice()), (0, &[][..]));
    provider.unwrap()
}

fn identity(provider: &Provider) -> &Identity {
    provider.identity.as_deref().unwrap()
}

#[test]
fn bedrock_signs_with_the_keys_of_a_secret_and_assumes_a_role_under_its_own_name() {
    let provider = ready(
        json!({
            "type": "Bedrock",
            "bedrock": {"region": "eu-central-1"},
            "auth": {"aws": {"secretRef": {"name": "aws"}, "roleARN": "arn:aws:iam::1:role/r"}},
        }),
        &[(
            "a/aws",
            &[("access-key-id", "AKIA"), ("secret-access-key", "s\n"), ("session-token", "t")],
        )],
    );
    let endpoint = "https://bedrock-runtime.eu-central-1.amazonaws.com";
    assert_eq!(provider.endpoint.to_string(), endpoint);
    assert_eq!(provider.addressing, Addressing::Bedrock);
    let Identity::Aws(AwsIdentity { keys: Some(keys), role: Some(role), region }) =
        identity(&provider)
    else {
        panic!("{provider:?}")
    };
    assert_eq!((keys.access_key_id.expose(), keys.secret_access_key.expose()), ("AKIA", "s"));
    assert_eq!(keys.session_token.as_ref().map(|token| token.expose()), Some("t"));
    assert_eq!((&*role.arn, &*role.external_id), ("arn:aws:iam::1:role/r", "a/cloud"));
    assert_eq!(&**region, "eu-central-1");
}

#[test]
fn what_a_secret_lacks_is_named() {
    let bedrock = json!({
        "type": "Bedrock",
        "bedrock": {"region": "eu-central-1"},
        "auth": {"aws": {"secretRef": {"name": "aws"}}},
    });
    let (provider, verdict) = compiled(bedrock.clone(), &[]);
    let (reason, message) = only_problem(&verdict);
    assert!(provider.is_none());
    assert_eq!(reason, Reason::SecretNotFound);
    assert!(message.contains("--from-literal=access-key-id=<value>"), "{message}");
    let (_, verdict) = compiled(bedrock, &[("a/aws", &[("access-key-id", "AKIA")])]);
    let (reason, message) = only_problem(&verdict);
    assert_eq!(reason, Reason::SecretKeyNotFound);
    assert!(message.contains("\"secret-access-key\" (it has: access-key-id)"), "{message}");
}

#[test]
fn vertex_takes_key_files_that_refer_to_nothing_else() {
    let vertex = json!({
        "type": "VertexAI",
        "vertexAI": {"project": "p", "location": "europe-west4"},
        "auth": {"gcp": {"secretRef": {"name": "gcp"}}},
    });
    let key = "{\n \"type\": \"service_account\"\n}";
    let provider = ready(vertex.clone(), &[("a/gcp", &[("key.json", key)])]);
    assert!(matches!(identity(&provider), Identity::Gcp(GcpIdentity::Key(_))));
    let base =
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4";
    assert_eq!(provider.endpoint.to_string(), base);
    for bad in [r#"{"type":"external_account"}"#, "no JSON", "{}"] {
        let (provider, verdict) = compiled(vertex.clone(), &[("a/gcp", &[("key.json", bad)])]);
        let (reason, message) = only_problem(&verdict);
        assert_eq!((reason, provider), (Reason::SecretKeyNotFound, None));
        assert!(message.contains("service_account or authorized_user"), "{message}");
    }
}

#[test]
fn azure_is_reached_by_any_form_of_its_address() {
    for (endpoint, host) in [
        ("https://r.openai.azure.com", "https://r.openai.azure.com"),
        ("https://r.openai.azure.com/openai/v1/", "https://r.openai.azure.com"),
        ("https://proxy.example/azure/openai", "https://proxy.example/azure"),
    ] {
        let provider = ready(
            json!({
                "type": "AzureOpenAI",
                "endpoint": endpoint,
                "azureOpenAI": {"apiVersion": "2024-10-21"},
                "auth": {"azure": {"tenantID": "t", "clientID": "c", "secretRef": {"name": "z"}}},
            }),
            &[("a/z", &[("client-secret", "s")])],
        );
        assert_eq!(provider.endpoint.to_string(), host);
        let version = Some("2024-10-21".into());
        assert_eq!(provider.addressing, Addressing::Azure { version });
        assert_eq!(provider.key_header, KeyHeader::ApiKey);
        let Identity::Azure(AzureIdentity::Application { secret, .. }) = identity(&provider) else {
            panic!("{provider:?}")
        };
        assert_eq!(secret.as_ref().map(|secret| secret.expose()), Some("s"));
    }
}

#[test]
fn passthrough_takes_the_callers_own_credential_wherever_the_provider_is() {
    for spec in [
        json!({"type": "Anthropic", "auth": {"passthrough": {}}}),
        json!({"type": "VLLM", "endpoint": "https://vllm.example/v1", "auth": {"passthrough": {}}}),
        json!({"type": "AzureOpenAI", "endpoint": "https://e.example", "auth": {"passthrough": {}}}),
    ] {
        let provider = ready(spec, &[]);
        assert!(provider.is_passthrough() && provider.credentials.is_empty());
    }
}

#[test]
fn responses_are_spoken_where_the_server_has_them() {
    const BOTH: &[Dialect] = &[Dialect::OpenAi, Dialect::Responses];
    const CHAT: &[Dialect] = &[Dialect::OpenAi];
    let auth = json!({"apiKeys": [{"secretKeyRef": {"name": "k", "key": "key"}}]});
    for (azure, dialects) in [
        (json!({}), BOTH),
        (json!({"apiVersion": "preview"}), BOTH),
        (json!({"apiVersion": "2025-03-01-preview"}), BOTH),
        (json!({"apiVersion": "2024-10-21"}), CHAT),
    ] {
        let endpoint = "https://r.openai.azure.com";
        let spec = json!({"type": "AzureOpenAI", "endpoint": endpoint, "azureOpenAI": azure, "auth": auth});
        assert_eq!(ready(spec, &[("a/k", &[("key", "k")])]).dialects, dialects, "{azure}");
    }
    let endpoint = "http://vllm.models.svc:8000/v1";
    assert_eq!(ready(json!({"type": "VLLM", "endpoint": endpoint}), &[]).dialects, BOTH);
    assert_eq!(
        ready(json!({"type": "OpenAICompatible", "endpoint": endpoint}), &[]).dialects,
        CHAT
    );
}

#[test]
fn the_gateways_own_identity_goes_to_the_cloud_and_nowhere_else() {
    let vertex = json!({"project": "p", "location": "global"});
    let own = json!({"type": "VertexAI", "vertexAI": vertex});
    assert_eq!(identity(&ready(own, &[])), &Identity::Gcp(GcpIdentity::Own));
    let elsewhere =
        json!({"type": "VertexAI", "vertexAI": vertex, "endpoint": "https://proxy.example/v1"});
    let (provider, verdict) = compiled(elsewhere.clone(), &[]);
    assert_eq!(provider.unwrap().identity, None);
    assert!(verdict.warnings[0].contains("requests carry no credentials"), "{verdict:?}");
    let mut explicit = elsewhere.clone();
    explicit["auth"] = json!({"gcp": {}});
    let (provider, verdict) = compiled(explicit, &[]);
    let (reason, message) = only_problem(&verdict);
    assert_eq!((provider, reason), (None, Reason::Invalid));
    assert!(message.contains("own identity is not sent to https://proxy.example"), "{message}");
    let role = json!({
        "type": "Bedrock",
        "bedrock": {"region": "eu-central-1"},
        "endpoint": "https://proxy.example",
        "auth": {"aws": {"roleARN": "arn:aws:iam::1:role/r"}},
    });
    assert_eq!(only_problem(&compiled(role, &[]).1).0, Reason::Invalid);
}

#[test]
fn a_type_of_the_family_needs_a_key_only() {
    let groq = json!({
        "type": "Groq",
        "auth": {"apiKeys": [{"secretKeyRef": {"name": "groq", "key": "k"}}]},
    });
    let provider = ready(groq, &[("a/groq", &[("k", "gsk")])]);
    assert_eq!(provider.endpoint.to_string(), "https://api.groq.com/openai/v1");
    assert_eq!((provider.kind, provider.key_header), ("Groq", KeyHeader::Bearer));
    let (_, verdict) = compiled(json!({"type": "Mistral"}), &[]);
    assert_eq!(verdict.warnings, ["Mistral needs an API key: set auth.apiKeys"]);
}

#[test]
fn the_table_gives_quirks_to_its_types_and_none_to_others() {
    for kind in ProviderType::ALL {
        let mut spec = json!({"type": kind, "endpoint": "https://x.example/v1"});
        match kind {
            ProviderType::Bedrock => spec["bedrock"] = json!({"region": "eu-central-1"}),
            ProviderType::VertexAI => spec["vertexAI"] = json!({"project": "p", "location": "eu"}),
            _ => {}
        }
        let provider = compiled(spec, &[]).0.unwrap();
        assert_eq!(provider.kind, kind.as_str());
        let expected = match kind {
            ProviderType::DeepSeek | ProviderType::Fireworks | ProviderType::Together => {
                Quirks::NONE.max_tokens().system_only()
            }
            ProviderType::Perplexity => Quirks::NONE.max_tokens().system_only().usage_unasked(),
            ProviderType::XAI => Quirks::NONE.reasoning_beside_output(),
            _ => Quirks::NONE,
        };
        assert_eq!(provider.quirks, expected, "{kind:?}");
        let main = match kind {
            ProviderType::Mistral => Dialect::Mistral,
            ProviderType::Cohere => Dialect::Cohere,
            ProviderType::Ollama => Dialect::Ollama,
            _ => continue,
        };
        assert_eq!(provider.dialects.first(), Some(&main), "{kind:?}");
    }
}

#[test]
fn secrets_of_every_kind_of_auth_are_fetched() {
    let mut inputs = Inputs::default();
    for (at, auth) in [
        ("a/1", json!({"aws": {"secretRef": {"name": "aws"}}})),
        ("a/2", json!({"gcp": {"secretRef": {"name": "gcp"}}})),
        ("b/3", json!({"azure": {"tenantID": "t", "clientID": "c", "secretRef": {"name": "z"}}})),
        ("b/4", json!({"apiKeys": [{"secretKeyRef": {"name": "k", "key": "k"}}]})),
        ("b/5", json!({"aws": {}})),
    ] {
        provider(&mut inputs, at, json!({"type": "OpenAI", "auth": auth}));
    }
    let names: Vec<_> = inputs.referenced_secrets().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a/aws", "a/gcp", "b/k", "b/z"]);
}

#[test]
fn the_operator_says_which_namespaces_may_use_the_gateways_own_identity() {
    let own = json!({"type": "Bedrock", "bedrock": {"region": "eu-central-1"}});
    let mut inputs = Inputs::default();
    for at in ["trusted/own", "other/own"] {
        provider(&mut inputs, at, own.clone());
    }
    inputs.settings.identity_namespaces = vec!["trusted".into()];
    let compiled = compile(&inputs);
    let has_identity = |at| compiled.snapshot.providers[&name(at)].identity.is_some();
    assert!(has_identity("trusted/own") && !has_identity("other/own"));
    let verdict = verdict(&compiled, Kind::Provider, "other/own");
    assert!(verdict.warnings[0].contains("gateway.identityNamespaces"), "{verdict:?}");
}
