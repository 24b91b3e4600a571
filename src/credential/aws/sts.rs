//! AWS's Security Token Service: roles for web identities and for keys. Its answers are XML
//! (`AssumeRole` and `AssumeRoleWithWebIdentity`, version 2011-06-15).

use http::{HeaderValue, header};
use jiff::Timestamp;
use quick_xml::{Reader, events::Event};
use zeroize::Zeroizing;

use super::{Temporary, sign};
use crate::{
    credential::{
        Credentials, Issued, Unavailable, form,
        http::{Answer, uri},
    },
    snapshot::{AwsKeys, AwsRole},
};

const SERVER: &str = "AWS STS";

/// A role for the holder of a token that the role's trust policy names (IRSA).
pub(super) async fn assume_role_with_web_identity(
    credentials: &Credentials,
    role: &str,
    token: &str,
    region: &str,
) -> Result<Issued, Unavailable> {
    let session = credentials.0.environment.get("AWS_ROLE_SESSION_NAME");
    let fields = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", session.as_deref().unwrap_or("sluice")),
        ("WebIdentityToken", token),
    ];
    let (request, _) = form::post(uri(&endpoint(credentials, region))?, &fields);
    let answer = credentials.0.http.send(SERVER, request).await?;
    read(&answer, credentials.now())
}

/// A role for the holder of keys.
pub(super) async fn assume_role(
    credentials: &Credentials,
    keys: &AwsKeys,
    role: &AwsRole,
    region: &str,
) -> Result<Issued, Unavailable> {
    let session = session_name(&role.external_id);
    let fields = [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", &*role.arn),
        ("RoleSessionName", &session),
        ("ExternalId", &*role.external_id),
    ];
    let (mut request, body) = form::post(uri(&endpoint(credentials, region))?, &fields);
    // The answer may be JSON where nothing is said.
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/xml"));
    sign(&mut request, &body, keys, (region, "sts"), credentials.now())?;
    let answer = credentials.0.http.send(SERVER, request).await?;
    read(&answer, credentials.now())
}

fn endpoint(credentials: &Credentials, region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    credentials
        .0
        .environment
        .get("AWS_ENDPOINT_URL_STS")
        .unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com{suffix}/"))
}

/// What CloudTrail shows: at most 64 of `[\w+=,.@-]`.
fn session_name(provider: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '@' };
    format!("sluice@{provider}").chars().map(fits).take(64).collect()
}

fn read(answer: &Answer, now: Timestamp) -> Result<Issued, Unavailable> {
    let text = std::str::from_utf8(&answer.body).map_err(|_| Unavailable::Malformed(SERVER))?;
    if !answer.status.is_success() {
        let code = element(text, "Code");
        let code = code.as_ref().map(|code| code.as_str());
        return Err(Unavailable::refused(SERVER, answer.status.as_u16(), code));
    }
    let required = |name| element(text, name).ok_or(Unavailable::Malformed(SERVER));
    let expiration = required("Expiration")?.parse::<Timestamp>();
    let keys = Temporary {
        access_key_id: required("AccessKeyId")?.to_string(),
        secret_access_key: required("SecretAccessKey")?.to_string(),
        token: Some(required("SessionToken")?.to_string()),
        expiration: Some(expiration.map_err(|_| Unavailable::Malformed(SERVER))?),
    };
    Ok(keys.issued(now))
}

/// The text of the first element of a name, which holds no others in what STS writes.
fn element(xml: &str, name: &str) -> Option<Zeroizing<String>> {
    let mut reader = Reader::from_str(xml);
    let mut text: Option<Zeroizing<String>> = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == name => {
                text = Some(Zeroizing::default());
            }
            Event::End(end) if end.local_name().as_ref() == name => {
                return text.filter(|text| !text.is_empty());
            }
            Event::Text(part) => {
                if let Some(text) = &mut text {
                    text.push_str(part.xml10_content().trim());
                }
            }
            // None of the values has a character that needs one.
            Event::GeneralRef(_) if text.is_some() => return None,
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_local_name_and_broken_documents_have_none() {
        let xml = "<?xml version=\"1.0\"?><a xmlns=\"x\"><!-- <Code>no</Code> --><b><Code> Acc\
                   </Code></b><Code>2</Code></a>";
        assert_eq!(element(xml, "Code").as_deref().map(String::as_str), Some("Acc"));
        assert!(element(xml, "Message").is_none());
        for broken in ["", "<Code>", "<Code></Code>", "<Code>a", "<Code>a&amp;b</Code>", "{}"] {
            assert!(element(broken, "Code").is_none(), "{broken}");
        }
    }

    #[test]
    fn a_session_is_named_after_the_provider() {
        assert_eq!(session_name("team/bedrock"), "sluice@team@bedrock");
        assert_eq!(session_name(&"x".repeat(99)).len(), 64);
    }
}
