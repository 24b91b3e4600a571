//! Requests that the gateway signs for AWS, signed again by botocore: the same signature or a failure.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::{Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use sluice::{
    budget::SystemClock,
    credential::{Credentials, Environment},
    snapshot::{AwsIdentity, AwsKeys, AwsRole, Identity, SecretString},
};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, channel};

const HOST: &str = "https://bedrock-runtime.eu-central-1.amazonaws.com";
const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// What STS answers.
const ROLE: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>temporary\
    </SecretAccessKey><SessionToken>session/token+==</SessionToken><Expiration>\
    2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

fn credentials(sts: String) -> Credentials {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let environment =
        Environment::new(move |name| (name == "AWS_ENDPOINT_URL_STS").then(|| sts.clone()));
    Credentials::new(tls, environment, Arc::new(SystemClock), true)
}

fn identity(session: Option<&str>, role: bool) -> Arc<Identity> {
    let secret = |text: &str| SecretString::new(text.to_owned());
    let keys = AwsKeys {
        access_key_id: secret(KEY),
        secret_access_key: secret(SECRET),
        session_token: session.map(secret),
    };
    let role = role.then(|| AwsRole {
        arn: "arn:aws:iam::123456789012:role/a b+c/bedrock".into(),
        external_id: "team/bedrock".into(),
    });
    Arc::new(Identity::Aws(AwsIdentity { keys: Some(keys), role, region: "eu-central-1".into() }))
}

/// A request as it was signed, and with what.
fn signed(
    (method, url, body): (&str, &str, &[u8]),
    headers: &HeaderMap,
    (service, key, secret): (&str, &str, &str),
) -> Value {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    json!({
        "method": method,
        "url": url,
        "body": String::from_utf8(body.to_vec()).unwrap(),
        "content_type": text("content-type"),
        "date": text("x-amz-date"),
        "token": text("x-amz-security-token"),
        "authorization": text("authorization"),
        "service": service,
        "region": "eu-central-1",
        "key": key,
        "secret": secret,
    })
}

/// Signs a request of the data plane.
async fn bedrock(credentials: &Credentials, path: &str, identity: &Arc<Identity>) -> Value {
    let body = "{\"messages\":[{\"content\":\"Gr\u{fc}\u{df}e \u{1f680}\"}]}".as_bytes();
    let url = format!("{HOST}{path}");
    let mut request = Request::post(&url)
        .header("content-type", "application/json")
        .header("user-agent", "changes on the way")
        .header("accept", "text/event-stream")
        .body(Full::new(Bytes::from_static(body)))
        .unwrap();
    credentials.authorize(identity, &mut request, body).await.unwrap();
    let headers = request.headers();
    let by = match &**identity {
        Identity::Aws(AwsIdentity { role: Some(_), .. }) => ("bedrock", "ASIAROLE", "temporary"),
        _ => ("bedrock", KEY, SECRET),
    };
    // As the client sends it.
    signed(("POST", &request.uri().to_string(), body), headers, by)
}

/// A stand-in for STS, and what it is sent.
async fn sts() -> (String, Receiver<(HeaderMap, String, Bytes)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, receiver) = channel(4);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let sender = sender.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    sender.send((head.headers, head.uri.to_string(), body)).await.unwrap();
                    Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::from(ROLE)))
                }
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    (url, receiver)
}

#[tokio::test]
async fn botocore_signs_the_same_requests_alike() {
    let Some(python) = super::python("signature_checks.py") else { return };
    let (url, mut asked) = sts().await;
    let credentials = credentials(url.clone());
    let keys = identity(None, false);
    let mut requests = Vec::new();
    for path in [
        "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse",
        "/model/anthropic.claude-3-5-sonnet-20241022-v2:0/converse-stream",
        "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A1%3Ainference-profile%2Feu.m-v1%3A0/converse",
        "/model/arn:aws:bedrock:eu-central-1:1:inference-profile%2Feu.m-v1:0/converse",
        "/model/with%20space%7E~-._/converse",
        "/openai/v1/chat/completions",
        "/some/path?b=2&a=1&a=0",
    ] {
        requests.push(bedrock(&credentials, path, &keys).await);
    }
    let temporary = identity(Some("token/with+signs=="), false);
    requests.push(bedrock(&credentials, "/model/m/converse", &temporary).await);
    requests.push(bedrock(&credentials, "/model/m/converse", &identity(None, true)).await);
    let (headers, path, body) = asked.recv().await.unwrap();
    let url = format!("{}{path}", url.trim_end_matches('/'));
    requests.push(signed(("POST", &url, &body), &headers, ("sts", KEY, SECRET)));
    let mut child = Command::new(python)
        .arg(format!("{}/signature_checks.py", super::SUITE))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(json!(requests).to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "botocore signs otherwise");
}
