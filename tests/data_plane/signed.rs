//! Bedrock behind signatures, which the upstream checks by itself before it looks at anything else.

use std::sync::Arc;

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::json;
use sluice::{
    budget::Clock,
    credential::Environment,
    llm::Dialect,
    proxy::Limits,
    snapshot::{
        Addressing, AwsIdentity, AwsKeys, AwsRole, Identity, Model, Provider, Route, SecretString,
        TargetModel,
    },
};

use crate::{
    bedrock::{MODEL, answer, hello, messages_of, refusal, stream_in, strictly},
    direct::publish_grant,
    fixture::{
        ASK, Gateway, Reply, STREAM, WHOLE, World, provider, provider_at, route, snapshot,
        targets_of,
    },
    signature::{Signer, fault},
    upstream::{Received, Script, Upstream, json as answering, whole},
};

const FIRST: Signer<'static> =
    Signer { key: "AKIAFIRST", secret: "first/secret", region: "eu-central-1" };
const SECOND: Signer<'static> =
    Signer { key: "AKIASECOND", secret: "second/secret", region: "eu-central-1" };

/// A clock that is moved by hand, from the machine's own time on.
pub struct Moved(pub Mutex<SignedDuration>);

impl Moved {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(SignedDuration::ZERO)))
    }

    pub fn by(&self, seconds: i64) {
        *self.0.lock() += SignedDuration::from_secs(seconds);
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::now() + *self.0.lock()
    }
}

fn identity(signer: Signer<'_>) -> AwsIdentity {
    let secret = |text: &str| SecretString::new(text.to_owned());
    let keys = AwsKeys {
        access_key_id: secret(signer.key),
        secret_access_key: secret(signer.secret),
        session_token: None,
    };
    AwsIdentity { keys: Some(keys), role: None, region: signer.region.into() }
}

fn signed(upstream: &Upstream, identity: AwsIdentity) -> Provider {
    let mut provider = provider_at(upstream.address(), Dialect::Bedrock);
    provider.models = [(MODEL.to_owned(), Model::default())].into();
    provider.addressing = Addressing::Bedrock;
    provider.identity = Some(Arc::new(Identity::Aws(identity)));
    provider
}

fn to(providers: impl IntoIterator<Item = Provider>) -> Route {
    let mut route = route(providers);
    let targets: Vec<_> = route
        .targets()
        .map(|target| {
            let mut target = (**target).clone();
            if target.provider.addressing == Addressing::Bedrock {
                target.model = TargetModel::Fixed(MODEL.into());
            }
            target.into()
        })
        .collect();
    *targets_of(&mut route) = targets;
    route
}

/// What Bedrock answers to a request: it looks at the signature first.
fn checked(received: &Received, signer: Signer<'_>, answer: Script) -> Script {
    match fault(received, signer, Timestamp::now()) {
        Some(kind) => refusal(403, kind, "The request signature we calculated does not match"),
        None => answer,
    }
}

#[tokio::test]
async fn whole_answers_and_streams_of_converse_are_signed() {
    let stream = stream_in(&messages_of(&hello()), 9);
    let upstream = Upstream::answering(move |received| {
        let script = if received.path.ends_with("-stream") { stream.clone() } else { answer() };
        checked(received, FIRST, strictly(received, script))
    })
    .await;
    let gateway = Gateway::start([to([signed(&upstream, identity(FIRST))])]).await;
    let ask = ASK.replace("Hi", "Grüße \u{1f680} \\u0000");
    for ask in [ASK.to_owned(), ask] {
        let reply = gateway.chat(ask).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello");
    }
    let reply = gateway.chat(STREAM).await;
    assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    // The check can fail: the same request with another body is refused.
    let mut forged = upstream.received()[0].clone();
    forged.body.push(b' ');
    let now = Timestamp::now();
    assert_eq!(fault(&forged, FIRST, now), Some("InvalidSignatureException"));
    forged = upstream.received()[0].clone();
    forged.path.push('x');
    assert_eq!(fault(&forged, FIRST, now), Some("InvalidSignatureException"));
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_no_401_and_the_next_target_answers() {
    let upstream = Upstream::answering(|received| checked(received, FIRST, answer())).await;
    let other = Upstream::always(answering(WHOLE)).await;
    let clock = Moved::new();
    clock.by(-900);
    let world = || World { clock: clock.clone(), ..World::default() };
    let alone = Gateway::start_in(world(), [to([signed(&upstream, identity(FIRST))])]).await;
    let reply = alone.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{}", reply.text());
    assert_eq!(reply.code(), "upstream_credential_refused");
    let targets = [signed(&upstream, identity(FIRST)), provider(&other)];
    let reply = Gateway::start_in(world(), [to(targets)]).await.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-attempts")), (WHOLE, "2"));
    clock.by(900);
    assert_eq!(alone.chat(ASK).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rotated_secret_signs_from_the_next_request_on() {
    let current = Arc::new(Mutex::new(FIRST));
    let known = Arc::clone(&current);
    let upstream =
        Upstream::answering(move |received| checked(received, *known.lock(), answer())).await;
    let gateway = Gateway::start([to([signed(&upstream, identity(FIRST))])]).await;
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::OK);
    *current.lock() = SECOND;
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::BAD_GATEWAY);
    let rotated = snapshot([to([signed(&upstream, identity(SECOND))])]);
    gateway.published.publish(Arc::new(rotated));
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::OK);
}

#[tokio::test]
async fn keys_of_a_role_that_were_withdrawn_are_asked_for_again() {
    let current = Arc::new(Mutex::new(FIRST));
    let (issued, known) = (Arc::clone(&current), Arc::clone(&current));
    let sts = Upstream::answering(move |_| {
        let Signer { key, secret, .. } = *issued.lock();
        whole(
            200,
            &[("content-type", "text/xml")],
            format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <AssumeRoleResult><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>\
                 {secret}</SecretAccessKey><SessionToken>t</SessionToken><Expiration>\
                 2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>\
                 </AssumeRoleResponse>"
            ),
        )
    })
    .await;
    let upstream =
        Upstream::answering(move |received| checked(received, *known.lock(), answer())).await;
    let (clock, url) = (Moved::new(), sts.url("/"));
    let environment =
        Environment::new(move |name| (name == "AWS_ENDPOINT_URL_STS").then(|| url.clone()));
    let role = AwsRole { arn: "arn:aws:iam::1:role/r".into(), external_id: "team/x".into() };
    let identity = AwsIdentity { role: Some(role), ..identity(FIRST) };
    let world = World { environment, clock: clock.clone(), ..World::default() };
    let gateway = Gateway::start_in(world, [to([signed(&upstream, identity)])]).await;
    for _ in 0..2 {
        assert_eq!(gateway.chat(ASK).await.status, StatusCode::OK);
    }
    assert_eq!(sts.received().len(), 1);
    *current.lock() = SECOND;
    clock.by(120);
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::BAD_GATEWAY);
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status, sts.received().len()), (StatusCode::OK, 2), "{}", reply.text());
}

/// A gateway with direct access to a provider behind signatures.
async fn direct(upstream: &Upstream, limits: Limits) -> Gateway {
    let gateway = Gateway::start_with([], limits).await;
    publish_grant(&gateway, signed(upstream, identity(FIRST)));
    gateway
}

#[tokio::test]
async fn direct_calls_are_signed_with_their_body_and_query() {
    let upstream = Upstream::answering(|received| {
        let body = json!({"invocationArn": "arn:aws:bedrock:x"}).to_string();
        checked(received, FIRST, whole(200, &[("content-type", "application/json")], body))
    })
    .await;
    let gateway = direct(&upstream, Limits::default()).await;
    let path = "/providers/team/openai/batches";
    let body = json!({"modelId": "amazon.nova-reel-v1:0", "modelInput": {"prompt": "Größe"}});
    let reply = gateway.ask(path, body.to_string()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let sent = &upstream.received()[0];
    assert_eq!((sent.json(), sent.header("transfer-encoding")), (body, None));
    let query = "/providers/team/openai/batches/a%3Ab/c?statusEquals=Completed&maxResults=2";
    for method in [Method::GET, Method::DELETE] {
        let reply = gateway.call(method, query).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
    assert_eq!(gateway.ended("complete"), 3);
}

#[tokio::test]
async fn a_direct_callers_error_does_not_tell_whose_identity_was_refused() {
    let told = "User: arn:aws:sts::123456789012:assumed-role/gateway is not authorized";
    let upstream = Upstream::always(refusal(403, "AccessDeniedException", told)).await;
    let gateway = direct(&upstream, Limits::default()).await;
    let reply = gateway.ask("/providers/team/openai/files", "data").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert!(!reply.text().contains("arn:"), "{}", reply.text());
}

#[tokio::test]
async fn a_direct_call_whose_body_cannot_be_held_to_be_signed_is_refused() {
    let upstream = Upstream::answering(|received| checked(received, FIRST, answer())).await;
    let gateway = direct(&upstream, Limits { max_body: 10, ..Limits::default() }).await;
    let response = gateway.send("/providers/team/openai/files", "more than ten bytes").await;
    let reply = Reply::read(response).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", reply.text());
    assert!(upstream.received().is_empty());
    assert_eq!(gateway.ended("refused"), 1);
}
