//! Asks the admin port of a gateway.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::usage::Report;

/// Largest answer, in bytes: it has at most ten thousand rows.
const MAX_ANSWER: usize = 64 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What reaches a gateway in a cluster.
const FORWARD: &str = "kubectl -n sluice-system port-forward deployment/sluice 9090:9090";

/// What a gateway has counted.
pub(super) fn report(
    url: &Uri,
    token: Option<&Path>,
    parameters: &[(&str, &str)],
) -> anyhow::Result<Report> {
    ensure!(
        url.scheme_str() == Some("http") && url.host().is_some(),
        "--url {url}: write the address of an admin port, for example http://127.0.0.1:9090"
    );
    let url = url.to_string();
    let base = url.trim_end_matches('/');
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let mut request = Request::get(format!("{base}/api/usage?{query}"));
    if let Some(path) = token {
        let token = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.trim()));
    }
    let request = request.body(Full::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, send(request)).await });
    let answer = answer.with_context(|| format!("{base} does not answer"))?;
    let (status, body) = answer.with_context(|| {
        format!(
            "no gateway's admin port at {base}: start one, name it by --url, or for one in a cluster \
             run `{FORWARD}`"
        )
    })?;
    let text = String::from_utf8_lossy(&body);
    match status {
        StatusCode::OK => serde_json::from_slice(&body)
            .with_context(|| format!("what answers at {base} is no admin port of sluice")),
        StatusCode::FORBIDDEN => bail!(
            "{base} wants the token of its admin.tokenFile: give it by --token-file, or ask on the \
             gateway's own loopback (`{FORWARD}`)"
        ),
        StatusCode::BAD_REQUEST => bail!("{}", text.trim()),
        StatusCode::NOT_FOUND => bail!(
            "what answers at {base} has no /api/usage: --url names the admin port (9090), not the \
             port that serves requests, of this version or a later one"
        ),
        _ => {
            bail!("{base} answers {status}: {}", text.chars().take(200).collect::<String>().trim())
        }
    }
}

async fn send(request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
    let client =
        Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(HttpConnector::new());
    let (head, body) = client.request(request).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok((head.status, body.to_bytes()))
}
