//! Providers that quote the credential they were sent: it reaches neither the caller nor the record.

use crate::{
    fixture::{ASK, Gateway, ROLE, STREAM, World, chunk, credential, provider, route},
    upstream::{Upstream, stream, whole},
};

const QUOTING: &str = r#"{"error":{"message":"bad key sk-upstream","type":"invalid_request_error",
    "code":"no-sk-upstream","param":"p.sk-upstream"}}"#;

async fn gateway(upstream: &Upstream) -> Gateway {
    let mut provider = provider(upstream);
    provider.credentials = vec![credential("sk-upstream")];
    Gateway::start([route([provider])]).await
}

#[tokio::test]
async fn an_error_answer_is_told_without_the_key_in_any_of_its_parts() {
    for status in [400, 422, 500] {
        let upstream = Upstream::always(whole(status, &[], QUOTING)).await;
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let reply = gateway(&upstream).await.ask(path, with_bound(ASK)).await;
            assert!(reply.text().contains("bad key [key]"), "{}", reply.text());
            assert!(!reply.text().contains("sk-upstream"), "{}", reply.text());
        }
    }
}

#[tokio::test]
async fn an_error_after_the_first_content_is_told_without_the_key() {
    let events = [ROLE.to_owned(), chunk("Hello"), QUOTING.replace('\n', "")];
    let upstream = Upstream::always(stream(events)).await;
    let reply = gateway(&upstream).await.chat(STREAM).await;
    assert!(reply.text().contains("Hello") && reply.text().contains("[key]"), "{}", reply.text());
    assert!(!reply.text().contains("sk-upstream"), "{}", reply.text());
}

#[tokio::test]
async fn nobody_is_refused_before_the_configuration_is_known() {
    let gateway = Gateway::start_in(World { is_live: false, ..World::default() }, []).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (503, "gateway_starting"));
    assert_eq!(reply.header("retry-after"), "1");
}

/// Messages wants a bound.
fn with_bound(ask: &str) -> String {
    ask.replacen('{', r#"{"max_tokens":9,"#, 1)
}
