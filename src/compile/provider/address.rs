//! Where a provider is: its base URL, and how paths are made of it.

use http::{Uri, uri::Scheme};

use crate::{
    api::{
        AIProviderSpec,
        condition::Reason,
        provider::{self as api, ProviderType},
    },
    compile::{Meta, Problem},
    snapshot::{
        Addressing, Endpoint,
        address::{self, Refused},
    },
};

/// The base URL: the one that is written, or the type's own.
pub(super) fn endpoint(
    meta: &Meta,
    spec: &AIProviderSpec,
    allow_loopback: bool,
) -> Result<Endpoint, Problem> {
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
        (None, None) if spec.provider_type == ProviderType::Mock => return Ok(Endpoint::Mock),
        (None, None) => default(spec)?,
    };
    let mut endpoint = parse(&text, allow_loopback)?;
    if let Endpoint::Http { base_path, .. } = &mut endpoint {
        complete(spec, base_path)?;
    }
    Ok(endpoint)
}

/// The address of a type where none is written.
fn default(spec: &AIProviderSpec) -> Result<String, Problem> {
    let kind = spec.provider_type;
    if let Some(endpoint) = kind.default_endpoint() {
        return Ok(endpoint.to_owned());
    }
    match (kind, &spec.bedrock, &spec.vertex_ai) {
        (ProviderType::Bedrock, Some(bedrock), _) => Ok(bedrock_endpoint(&bedrock.region)),
        (ProviderType::VertexAI, _, Some(vertex)) => Ok(vertex_endpoint(&vertex.location)),
        (ProviderType::Bedrock, None, _) => Err(missing("bedrock: {region: eu-central-1}")),
        (ProviderType::VertexAI, _, None) => Err(no_vertex()),
        _ => {
            let example = match kind {
                ProviderType::AzureOpenAI => "https://my-resource.openai.azure.com",
                _ => "https://llm.example.com/v1",
            };
            let kind = kind.as_str();
            let message = format!(
                "type {kind} has no default address: set endpoint, for example {example}, or service"
            );
            Err(Problem::new(Reason::Invalid, message))
        }
    }
}

/// Regions of China are a partition of their own.
fn bedrock_endpoint(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://bedrock-runtime.{region}.amazonaws.com{suffix}")
}

/// `global` has no prefix, and the multi-regions have hosts of their own (as in Google's SDKs).
fn vertex_endpoint(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com/v1".to_owned(),
        "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com/v1"),
        region => format!("https://{region}-aiplatform.googleapis.com/v1"),
    }
}

fn missing(block: &str) -> Problem {
    Problem::new(Reason::Invalid, format!("this type needs more than an address: set {block}"))
}

fn no_vertex() -> Problem {
    missing("vertexAI: {project: my-project, location: europe-west4}")
}

/// Makes the base path end where the type's paths begin.
fn complete(spec: &AIProviderSpec, base_path: &mut String) -> Result<(), Problem> {
    let mut strip = |ends: &[&str]| {
        for end in ends {
            let kept = base_path.strip_suffix(end).map(str::len);
            base_path.truncate(kept.unwrap_or(base_path.len()));
        }
    };
    match spec.provider_type {
        // What a provider's documents call the base URL ends in any of these.
        ProviderType::AzureOpenAI => strip(&["/v1", "/openai"]),
        ProviderType::Cohere => strip(&["/v2", "/compatibility/v1"]),
        ProviderType::Ollama => strip(&["/v1", "/api"]),
        ProviderType::VertexAI => {
            let vertex = spec.vertex_ai.as_ref().ok_or_else(no_vertex)?;
            *base_path += &format!("/projects/{}/locations/{}", vertex.project, vertex.location);
        }
        _ => {}
    }
    Ok(())
}

/// How paths are made of the base URL.
pub(super) fn addressing(spec: &AIProviderSpec) -> Addressing {
    match spec.provider_type {
        ProviderType::AzureOpenAI => {
            let version = spec.azure_openai.as_ref().and_then(|azure| azure.api_version.as_deref());
            Addressing::Azure { version: version.map(Into::into) }
        }
        ProviderType::Gemini => Addressing::Gemini,
        ProviderType::VertexAI => Addressing::Vertex,
        ProviderType::Bedrock => Addressing::Bedrock,
        ProviderType::Cohere => Addressing::Cohere,
        ProviderType::Ollama => Addressing::Ollama,
        _ => Addressing::Plain,
    }
}

fn parse(text: &str, allow_loopback: bool) -> Result<Endpoint, Problem> {
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
    if authority.as_str().contains('@') {
        let message = "endpoint holds a user or a password: put the credential into a Secret and \
                       name it in auth";
        return Err(Problem::new(Reason::Invalid, message));
    }
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

/// Whether the address is the cloud's own, so that the gateway's own token may be sent there: whoever
/// writes an endpoint must not be handed it. In tests that is also the machine itself.
pub(super) fn is_the_clouds(kind: ProviderType, endpoint: &Endpoint, allow_loopback: bool) -> bool {
    let Endpoint::Http { scheme, authority, .. } = endpoint else { return false };
    let host = authority.host();
    if allow_loopback && address::check_host(host, false) == Err(Refused::Loopback) {
        return true;
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let ends = |ends: &[&str]| ends.iter().any(|end| host.ends_with(end));
    let fits = match kind {
        ProviderType::Bedrock => {
            let aws = ends(&[".amazonaws.com", ".amazonaws.com.cn", ".api.aws"]);
            aws && host.split('.').any(|label| label.starts_with("bedrock-runtime"))
        }
        ProviderType::VertexAI => {
            let first = host.split('.').next().unwrap_or_default();
            ends(&[".googleapis.com"]) && (first == "aiplatform" || first.ends_with("-aiplatform"))
        }
        ProviderType::AzureOpenAI => ["openai", "cognitiveservices", "services.ai"]
            .iter()
            .flat_map(|service| ["com", "us", "cn"].map(|top| format!(".{service}.azure.{top}")))
            .any(|end| host.ends_with(&end)),
        _ => false,
    };
    fits && *scheme == Scheme::HTTPS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(kind: ProviderType, endpoint: &str, allow_loopback: bool) -> bool {
        is_the_clouds(kind, &parse(endpoint, allow_loopback).unwrap(), allow_loopback)
    }

    #[test]
    fn credentials_do_not_belong_into_an_endpoint() {
        let problem = parse("https://me:secret@api.example.com/v1", false).unwrap_err();
        assert!(problem.message.contains("into a Secret"), "{}", problem.message);
        assert!(!problem.message.contains("secret@"), "{}", problem.message);
    }

    #[test]
    fn the_gateways_own_identity_is_for_the_clouds_own_hosts() {
        use ProviderType::{AzureOpenAI, Bedrock, OpenAI, VertexAI};
        for (kind, endpoint) in [
            (Bedrock, "https://bedrock-runtime.eu-central-1.amazonaws.com"),
            (Bedrock, "https://bedrock-runtime-fips.us-east-1.amazonaws.com"),
            (Bedrock, "https://vpce-1-2.bedrock-runtime.us-east-1.vpce.amazonaws.com"),
            (VertexAI, "https://europe-west4-aiplatform.googleapis.com/v1"),
            (VertexAI, "https://aiplatform.eu.rep.googleapis.com/v1"),
            (AzureOpenAI, "https://r.openai.azure.com"),
            (AzureOpenAI, "https://r.services.ai.azure.com"),
            (AzureOpenAI, "https://r.openai.azure.us"),
        ] {
            assert!(sent(kind, endpoint, false), "{endpoint}");
        }
        for (kind, endpoint) in [
            (VertexAI, "https://evil.example"),
            (VertexAI, "https://aiplatform.googleapis.com.evil.example"),
            (VertexAI, "http://aiplatform.googleapis.com/v1"),
            (VertexAI, "https://evil-aiplatform.example"),
            (VertexAI, "https://storage.googleapis.com"),
            (AzureOpenAI, "https://openai.azure.com.evil.example"),
            (AzureOpenAI, "https://evilopenai.azure.com"),
            (Bedrock, "https://x.execute-api.us-east-1.amazonaws.com"),
            (OpenAI, "https://api.openai.com/v1"),
        ] {
            assert!(!sent(kind, endpoint, false), "{endpoint}");
        }
        assert!(sent(VertexAI, "http://127.0.0.1:1/v1", true));
    }

    #[test]
    fn hosts_of_regions_are_found() {
        assert_eq!(
            bedrock_endpoint("cn-north-1"),
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"
        );
        assert_eq!(vertex_endpoint("global"), "https://aiplatform.googleapis.com/v1");
        assert_eq!(vertex_endpoint("us"), "https://aiplatform.us.rep.googleapis.com/v1");
    }
}
