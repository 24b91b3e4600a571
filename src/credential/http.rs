//! The client for servers that issue credentials. Unlike the one for providers it may call link-local
//! addresses, for that is where metadata services are; no address of a provider ever comes here.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use zeroize::Zeroizing;

use super::Unavailable;

/// Largest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// How long a connection may take. Metadata services are near, or not there at all.
const CONNECT: Duration = Duration::from_secs(3);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Sends requests; follows no redirect.
pub(super) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// A complete answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Http {
    pub(super) fn new(tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Self(client)
    }

    /// Sends a request to `server`, which is its name for people.
    pub(super) async fn send(
        &self,
        server: &'static str,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Unavailable> {
        let unreachable = |cause: String| Unavailable::Unreachable { server, cause };
        let exchange = async {
            let response =
                self.0.request(request).await.map_err(|error| unreachable(causes(&error)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|_| Unavailable::Malformed(server))?;
            let body = Zeroizing::new(Vec::from(body.to_bytes()));
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        let late = || Err(unreachable("it did not answer in time".to_owned()));
        tokio::time::timeout(ANSWER, exchange).await.unwrap_or_else(|_| late())
    }
}

/// A URL out of the process's environment or out of a file.
pub(super) fn uri(text: &str) -> Result<Uri, Unavailable> {
    let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some() && uri.host().is_some());
    uri.ok_or(Unavailable::Unusable("an address that is no URL"))
}

/// The causes of a client's error, which holds no part of the request.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(cause) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}
