//! Every flow against a scripted server through real sockets, with a clock that is moved by hand.

mod aws;
mod azure;
mod gcp;
mod keeping;

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::*;
use crate::budget::ManualClock;

/// A request as the server got it.
#[derive(Clone, Debug)]
struct Asked {
    /// `METHOD path?query`.
    line: String,
    headers: ::http::HeaderMap,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn field(&self, name: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(self.body.as_bytes());
        fields.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }
}

type Script = dyn Fn(&Asked, usize) -> Response<Full<Bytes>> + Send + Sync;

/// A server that answers by a script, which is told how many requests came before.
struct Server {
    host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    async fn start(
        script: impl Fn(&Asked, usize) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, script): (_, Arc<Script>) = (Arc::clone(&asked), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, script) = (Arc::clone(&kept), Arc::clone(&script));
                let service = service_fn(move |request| {
                    answer(request, Arc::clone(&kept), Arc::clone(&script))
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { host, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    kept: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Script>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let line = format!("{} {}", head.method, head.uri);
    let asked = Asked { line, headers: head.headers, body };
    let before = {
        let mut kept = kept.lock();
        kept.push(asked.clone());
        kept.len() - 1
    };
    Ok(script(&asked, before))
}

fn text(status: u16, text: impl Into<String>) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::from(text.into())).unwrap()
}

fn token(number: usize, seconds: u64) -> Response<Full<Bytes>> {
    text(
        200,
        format!(
            r#"{{"access_token":"token-{number}","expires_in":{seconds},"token_type":"Bearer"}}"#
        ),
    )
}

const START: &str = "2026-11-22T12:00:00Z";

/// Credentials in an environment of these variables, and their clock.
fn credentials(variables: &[(&str, &str)]) -> (Credentials, Arc<ManualClock>) {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let environment = Environment::new(move |name| variables.get(name).cloned());
    let clock = Arc::new(ManualClock::new(START.parse().unwrap()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    (Credentials::new(tls, environment, clock.clone(), true), clock)
}

/// What a request to a provider carries under `name`.
async fn carried(
    credentials: &Credentials,
    identity: &Arc<Identity>,
    name: &str,
) -> Result<String, Unavailable> {
    let mut request = Request::new(Full::<Bytes>::from("{}"));
    *request.method_mut() = ::http::Method::POST;
    *request.uri_mut() = "https://provider.example/path".parse().unwrap();
    credentials.authorize(identity, &mut request, b"{}").await?;
    let value = request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Ok(value.unwrap_or_default())
}

fn secret(text: &str) -> SecretString {
    SecretString::new(text.to_owned())
}

/// A file with this text, which lives as long as the value.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let unique = format!("sluice-credential-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
