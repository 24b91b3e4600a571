//! The built-in mock behind the pipeline.

use http::StatusCode;
use sluice::{
    llm::Dialect,
    snapshot::{Endpoint, Provider, TargetModel},
};

use crate::{
    fixture::{ASK, Gateway, STREAM, provider_at, route, targets_of},
    upstream::closed_address,
};

async fn mock(model: &str) -> Gateway {
    let provider = Provider {
        kind: "Mock",
        endpoint: Endpoint::Mock,
        ..provider_at(closed_address(), Dialect::OpenAi)
    };
    let mut route = route([provider]);
    let mut target = (*route.rules[0].targets[0]).clone();
    target.model = TargetModel::Fixed(model.into());
    *targets_of(&mut route) = vec![target.into()];
    Gateway::start([route]).await
}

#[tokio::test]
async fn it_answers_whole_and_streamed() {
    let gateway = mock("mock-fast").await;
    let whole = gateway.chat(ASK).await;
    assert_eq!(whole.status, StatusCode::OK, "{}", whole.text());
    assert!(whole.json()["usage"]["completion_tokens"].as_u64().unwrap() > 0);
    let stream = gateway.chat(STREAM).await;
    assert!(stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
    assert!(!stream.text().contains("\"usage\":{"));
    assert_eq!(gateway.ended("complete"), 2);
}

#[tokio::test]
async fn it_fails_as_it_is_told() {
    let refused = mock("mock-refuse").await.chat(ASK).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (502, "upstream_unreachable"));
    let limited = mock("mock-rate-limit").await.chat(ASK).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert_ne!(limited.header("retry-after"), "");
    let gateway = mock("mock-fast-cut-after-3").await;
    let cut = gateway.chat(STREAM).await;
    assert!(cut.text().contains("data: {\"error\":"), "{}", cut.text());
    assert_eq!(gateway.ended("incomplete"), 1);
}
