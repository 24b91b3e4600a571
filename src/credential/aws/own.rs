//! The gateway's own identity in AWS, found as AWS's SDKs find it: environment, web identity (IRSA),
//! container credentials (EKS Pod Identity, ECS), the instance's metadata service (IMDSv2).

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use zeroize::Zeroizing;

use super::{Temporary, sts};
use crate::credential::{
    Credentials, Grant, Issued, Unavailable,
    http::{Answer, uri},
};
use crate::snapshot::{AwsKeys, SecretString};

const CONTAINER: &str = "the container's credential service";
const INSTANCE: &str = "the instance's metadata service";
/// Hosts that the credential service of a container may have without TLS, besides the machine
/// itself: those of ECS and of EKS Pod Identity.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/// The first source that the environment names; the instance's if it names none.
pub(super) async fn fetch(credentials: &Credentials, region: &str) -> Result<Issued, Unavailable> {
    let environment = &credentials.0.environment;
    if let (Some(id), Some(secret)) =
        (environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY"))
    {
        let keys = AwsKeys {
            access_key_id: SecretString::new(id),
            secret_access_key: SecretString::new(secret),
            session_token: environment.get("AWS_SESSION_TOKEN").map(SecretString::new),
        };
        let fetched = credentials.now();
        return Ok(Issued { grant: Grant::Aws(keys), fetched, expires: None });
    }
    if let (Some(file), Some(role)) =
        (environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"), environment.get("AWS_ROLE_ARN"))
    {
        let token = environment.file(&file).await?;
        let region = environment.get("AWS_REGION").unwrap_or_else(|| region.to_owned());
        return sts::assume_role_with_web_identity(credentials, &role, &token, &region).await;
    }
    let full = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let relative = || {
        let path = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")?;
        Some(format!("http://169.254.170.2{path}"))
    };
    if let Some(address) = full.or_else(relative) {
        return container(credentials, &uri(&address)?).await;
    }
    if environment.get("AWS_EC2_METADATA_DISABLED").is_some_and(|off| off == "true") {
        return Err(Unavailable::NoIdentity("AWS"));
    }
    instance(credentials).await
}

async fn container(credentials: &Credentials, address: &Uri) -> Result<Issued, Unavailable> {
    let host = address.host().unwrap_or_default();
    let is_local =
        CONTAINER_HOSTS.contains(&host) || matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    if address.scheme_str() != Some("https") && !is_local {
        return Err(Unavailable::Unusable("a credential service that is neither local nor https"));
    }
    let environment = &credentials.0.environment;
    let token = match environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => Some(environment.file(&file).await?),
        None => environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Zeroizing::new),
    };
    let mut request = get(address.clone());
    if let Some(token) = token {
        insert(&mut request, header::AUTHORIZATION, &token)?;
    }
    let answer = credentials.0.http.send(CONTAINER, request).await?;
    read(CONTAINER, &answer, credentials)
}

/// IMDSv2: a session's token first, then the role's name, then its keys.
async fn instance(credentials: &Credentials) -> Result<Issued, Unavailable> {
    let base = credentials.0.environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let base = base.as_deref().unwrap_or("http://169.254.169.254").trim_end_matches('/');
    let http = &credentials.0.http;
    let mut request = get(uri(&format!("{base}/latest/api/token"))?);
    *request.method_mut() = Method::PUT;
    let ttl = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
    request.headers_mut().insert(ttl, HeaderValue::from_static("300"));
    let answer = http.send(INSTANCE, request).await?;
    let token = text(INSTANCE, &answer)?.to_owned();
    let token = Zeroizing::new(token);
    let ask = |path: &str| -> Result<Request<Full<Bytes>>, Unavailable> {
        let path = format!("{base}/latest/meta-data/iam/security-credentials/{path}");
        let mut request = get(uri(&path)?);
        insert(&mut request, HeaderName::from_static("x-aws-ec2-metadata-token"), &token)?;
        Ok(request)
    };
    let roles = http.send(INSTANCE, ask("")?).await?;
    let role = text(INSTANCE, &roles)?.lines().next().unwrap_or_default().trim();
    if role.is_empty() || role.contains('/') {
        return Err(Unavailable::NoIdentity("AWS"));
    }
    let answer = http.send(INSTANCE, ask(role)?).await?;
    read(INSTANCE, &answer, credentials)
}

fn get(uri: Uri) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri;
    request
}

fn insert(
    request: &mut Request<Full<Bytes>>,
    name: HeaderName,
    secret: &str,
) -> Result<(), Unavailable> {
    let mut value = HeaderValue::from_str(secret)
        .map_err(|_| Unavailable::Unusable("a token that fits into no header"))?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(())
}

fn text<'a>(server: &'static str, answer: &'a Answer) -> Result<&'a str, Unavailable> {
    if !answer.status.is_success() {
        return Err(Unavailable::refused(server, answer.status.as_u16(), None));
    }
    let text = std::str::from_utf8(&answer.body).map_err(|_| Unavailable::Malformed(server))?;
    Ok(text.trim())
}

fn read(
    server: &'static str,
    answer: &Answer,
    credentials: &Credentials,
) -> Result<Issued, Unavailable> {
    let text = text(server, answer)?;
    let keys: Temporary = serde_json::from_str(text).map_err(|_| Unavailable::Malformed(server))?;
    Ok(keys.issued(credentials.now()))
}
