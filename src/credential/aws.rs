//! AWS: who signs, and the signature. Base credentials come from `own`, roles from `sts`.

mod own;
mod sts;

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as SigningKeys;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign as signature},
    sign::v4,
};
use http::{Request, header};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Credentials, Grant, Issued, Unavailable};
use crate::snapshot::{AwsIdentity, AwsKeys, Identity, SecretString};

/// The name that requests to Bedrock's runtime are signed for: not the host's `bedrock-runtime`
/// (`signingName` of botocore's service model).
pub(super) const BEDROCK: &str = "bedrock";

/// Credentials of an identity: its own keys or the gateway's, exchanged for a role's where one is
/// named.
pub(super) async fn fetch(
    credentials: &Credentials,
    identity: &AwsIdentity,
) -> Result<Issued, Unavailable> {
    let Some(role) = &identity.role else {
        return own::fetch(credentials, &identity.region).await;
    };
    if let Some(keys) = &identity.keys {
        return sts::assume_role(credentials, keys, role, &identity.region).await;
    }
    let base = AwsIdentity { role: None, ..identity.clone() };
    let issued = Box::pin(credentials.issued(&Identity::Aws(base).into())).await?;
    match &issued.grant {
        Grant::Aws(keys) => sts::assume_role(credentials, keys, role, &identity.region).await,
        Grant::Bearer(_) => Err(Unavailable::NoIdentity("AWS")),
    }
}

/// Temporary keys as AWS's metadata services write them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Temporary {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<Timestamp>,
}

impl Temporary {
    fn issued(self, fetched: Timestamp) -> Issued {
        let keys = AwsKeys {
            access_key_id: SecretString::new(self.access_key_id),
            secret_access_key: SecretString::new(self.secret_access_key),
            session_token: self.token.map(SecretString::new),
        };
        Issued { grant: Grant::Aws(keys), fetched, expires: self.expiration }
    }
}

/// Signs a request (Signature Version 4) over its method, path, query, host, media type and body.
/// Other headers may change on the way, so they are not signed.
pub(super) fn sign<B>(
    request: &mut Request<B>,
    body: &[u8],
    keys: &AwsKeys,
    (region, service): (&str, &str),
    now: Timestamp,
) -> Result<(), Unavailable> {
    let unusable = Unavailable::Unusable("keys that cannot sign a request");
    let session = keys.session_token.as_ref().map(|token| token.expose().to_owned());
    let (id, secret) = (keys.access_key_id.expose(), keys.secret_access_key.expose());
    let identity = SigningKeys::new(id, secret, session, None, "sluice").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(system_time(now))
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| unusable.clone())?
        .into();
    let uri = request.uri().to_string();
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let headers = media.map(|media| ("content-type", media)).into_iter();
    let body = SignableBody::Bytes(body);
    let signable = SignableRequest::new(request.method().as_str(), uri.as_str(), headers, body)
        .map_err(|_| unusable.clone())?;
    let (instructions, _) = signature(signable, &params).map_err(|_| unusable)?.into_parts();
    request.headers_mut().remove(header::AUTHORIZATION);
    instructions.apply_to_request_http1x(request);
    Ok(())
}

fn system_time(now: Timestamp) -> SystemTime {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
