//! Endpoints whose requests are forms: transcriptions, translations, and images that are made of
//! others.

use bytes::Bytes;
use http::StatusCode;
use sluice::{
    budget::{Price, Rate, Rates, Unit},
    llm::{Dialect, Parameters},
    proxy::Limits,
    snapshot::{Addressing, Endpoint, Model, Provider, Route},
};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    fixture::{Gateway, Reply, budget, credential, provider, provider_at, route, targets_of},
    upstream::{Received, Step, Upstream, json, stream, whole},
};

const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
const BOUNDARY: &str = "0a1b2c3d";
const HEARD: &str = r#"{"text":"Hello","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":6,"total_tokens":20}}"#;
/// Bytes that look like much and are nothing.
const SOUND: &[u8] = b"ID3\x00\xff\r\n--0a1b2c3\r\n\r\n--\r\n{\"model\":\"x\"}\r\n";

/// A form of these fields, of which those that are called `file` or `image` are files.
fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let file = match *name {
            "file" | "image" | "mask" => {
                "; filename=\"a.bin\"\r\nContent-Type: application/octet-stream"
            }
            _ => "",
        };
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}");
        body.extend([head.as_bytes(), b"\r\n\r\n", value, b"\r\n"].concat());
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

fn transcribe(model: &str) -> Vec<u8> {
    form(&[("file", SOUND), ("model", model.as_bytes()), ("language", b"de")])
}

async fn send(gateway: &Gateway, path: &str, body: impl Into<Bytes>) -> Reply {
    let media = format!("multipart/form-data; boundary={BOUNDARY}");
    let headers = [("authorization", "Bearer sk-test"), ("content-type", media.as_str())];
    Reply::read(gateway.send_with(path, &headers, body).await).await
}

/// Whether a provider would take the form: every part is whole, and it names this model once.
fn takes(received: &Received, model: &str) -> bool {
    let media = received.header("content-type").unwrap();
    let boundary = sluice::llm::Boundary::read(media.as_bytes()).unwrap();
    let length = received.header("content-length").map(|length| length.parse().unwrap());
    let called = sluice::llm::Called::read(&received.path, None).unwrap();
    let peek = sluice::llm::peek_form(&called, boundary, &received.body).unwrap();
    length == Some(received.body.len()) && peek.model == model
}

#[tokio::test]
async fn the_model_is_rewritten_wherever_it_stands_and_all_else_passes_untouched() {
    let upstream = Upstream::always(json(HEARD)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let (model, file, prompt) =
        (("model", &b"chat"[..]), ("file", SOUND), ("prompt", &b"chat"[..]));
    for path in [TRANSCRIPTIONS, "/v1/audio/translations"] {
        for fields in [[model, file, prompt], [file, model, prompt], [prompt, file, model]] {
            let reply = send(&gateway, path, form(&fields)).await;
            assert_eq!((reply.status, reply.text()), (StatusCode::OK, HEARD));
            assert_eq!(reply.header("x-sluice-target"), "target-0");
            let sent = upstream.received().last().unwrap().clone();
            let expected =
                fields.map(|field| if field == model { ("model", &b"m"[..]) } else { field });
            assert_eq!((sent.path.as_str(), &sent.body), (path, &form(&expected)));
            assert!(takes(&sent, "m"));
        }
    }
    assert_eq!(gateway.ended("complete"), 6);
}

#[tokio::test]
async fn a_form_is_the_same_however_its_bytes_arrive() {
    let upstream = Upstream::always(json(HEARD)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let body = transcribe("chat");
    let head = format!(
        "POST {TRANSCRIPTIONS} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-test\r\n\
         content-type: multipart/form-data; boundary=\"{BOUNDARY}\"\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    for cut in 1..body.len() {
        // A chunked request is the last of its connection.
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        client.set_nodelay(true).unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        for piece in [&body[..cut], &body[cut..]] {
            let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            client.write_all(&framed).await.unwrap();
        }
        client.write_all(b"0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(HEARD), "cut at {cut}: {answer}");
        let sent = upstream.received().last().unwrap().clone();
        assert_eq!(sent.body, transcribe("m"), "cut at {cut}");
    }
    assert_eq!(upstream.received().len(), body.len() - 1);
}

#[tokio::test]
async fn who_leaves_while_sending_asks_nobody() {
    let upstream = Upstream::always(json(HEARD)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let body = transcribe("chat");
    for kept in [0, 1, body.len() / 2, body.len() - 1] {
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        let head = format!(
            "POST {TRANSCRIPTIONS} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-test\r\n\
             content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(&[head.as_bytes(), &body[..kept]].concat()).await.unwrap();
        // The request is known to have come before its sender leaves.
        let before = gateway.metrics.inflight.get();
        crate::fixture::eventually(|| gateway.metrics.inflight.get() >= before.max(1)).await;
        drop(client);
        crate::fixture::eventually(|| gateway.metrics.inflight.get() == 0).await;
    }
    assert_eq!(gateway.ended("client_gone"), 4);
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn malformed_forms_are_refused_and_say_what_is_wrong() {
    let upstream = Upstream::always(json(HEARD)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let whole = transcribe("chat");
    let cut = |at: usize| whole[..at].to_vec();
    let twice = form(&[("model", b"chat"), ("model", b"other"), ("file", SOUND)]);
    for (body, code, what) in [
        (Vec::new(), "invalid_form", "malformed at byte 0: it does not begin with the boundary"),
        (b"{\"model\":\"chat\"}".to_vec(), "invalid_form", "it does not begin with the boundary"),
        (cut(whole.len() - 4), "invalid_form", "a boundary is not followed by a line end"),
        (cut(whole.len() / 2), "invalid_form", "it ends before its last boundary"),
        (twice, "invalid_request", "\"model\" is given more than once"),
        (form(&[("file", SOUND)]), "invalid_request", "\"model\" is missing"),
        (form(&[("model", b""), ("file", SOUND)]), "invalid_request", "\"model\" is empty"),
    ] {
        let reply = send(&gateway, TRANSCRIPTIONS, body).await;
        assert_eq!((reply.status, &*reply.code()), (StatusCode::BAD_REQUEST, code));
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(what), "{message}");
    }
    for (media, status, code) in [
        ("application/json", 415, "unsupported_media_type"),
        ("multipart/form-data", 400, "invalid_form"),
        ("multipart/form-data; boundary=a; boundary=0a1b2c3d", 400, "invalid_form"),
    ] {
        let headers = [("authorization", "Bearer sk-test"), ("content-type", media)];
        let reply = gateway.send_with(TRANSCRIPTIONS, &headers, transcribe("chat")).await;
        let reply = Reply::read(reply).await;
        assert_eq!((reply.status.as_u16(), &*reply.code()), (status, code), "{}", reply.text());
    }
    let unknown = send(&gateway, TRANSCRIPTIONS, transcribe("other")).await;
    assert_eq!((unknown.status.as_u16(), &*unknown.code()), (404, "model_not_found"));
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn forms_have_the_bound_of_all_bodies() {
    let upstream = Upstream::always(json(HEARD)).await;
    let limits = Limits { max_body: 1000, ..Limits::default() };
    let gateway = Gateway::start_with([route([provider(&upstream)])], limits).await;
    let reply =
        send(&gateway, TRANSCRIPTIONS, form(&[("model", b"chat"), ("file", &[0; 2000])])).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (413, "request_too_large"));
    assert_eq!(send(&gateway, TRANSCRIPTIONS, transcribe("chat")).await.status, StatusCode::OK);
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn a_form_is_sent_again_whole_to_the_next_target_and_the_next_key() {
    let error = r#"{"error":{"message":"no","type":"server_error"}}"#;
    let first = Upstream::always(whole(503, &[("content-type", "application/json")], error)).await;
    let second = Upstream::answering(move |received| match received.header("authorization") {
        Some("Bearer sk-2") => json(HEARD),
        _ => whole(429, &[("content-type", "application/json")], error),
    })
    .await;
    let mut other = provider(&second);
    other.credentials = vec![credential("sk-1"), credential("sk-2")];
    other.credentials[0].weight = 1000;
    let gateway = Gateway::start([route([provider(&first), other])]).await;
    let reply = send(&gateway, TRANSCRIPTIONS, transcribe("chat")).await;
    assert_eq!((reply.text(), reply.header("x-sluice-target")), (HEARD, "target-1"));
    let received = [first.received(), second.received()].concat();
    assert!(received.len() >= 2 && received.iter().all(|sent| sent.body == transcribe("m")));
    assert!(received.iter().all(|sent| takes(sent, "m")));
}

#[tokio::test]
async fn a_lone_target_is_tried_again_with_the_same_form() {
    let broken = vec![Step::Reset];
    let upstream = Upstream::scripted([broken, json(HEARD)]).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = send(&gateway, TRANSCRIPTIONS, transcribe("chat")).await;
    assert_eq!(reply.text(), HEARD);
    let bodies: Vec<_> = upstream.received().into_iter().map(|sent| sent.body).collect();
    assert_eq!(bodies, [transcribe("m"), transcribe("m")]);
}

/// A route that is charged by these rates, and its budget in nano-dollars.
fn priced(mut provider: Provider, rates: Rates) -> (Arc<sluice::snapshot::Budget>, Route) {
    let model = Model { price: Some(Price::flat(rates).into()), ..Model::default() };
    provider.models = [("m".to_owned(), model)].into();
    let (budget, mut route) = (budget(Unit::Usd, 1_000_000_000), route([provider]));
    route.budgets = vec![budget.clone()];
    (budget, route)
}

#[tokio::test]
async fn a_streamed_transcript_passes_and_is_charged_by_its_tokens() {
    let delta = r#"{"type":"transcript.text.delta","delta":"Hel"}"#;
    let done = r#"{"type":"transcript.text.done","text":"Hello","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":6,"total_tokens":20}}"#;
    let upstream = Upstream::always(stream([delta, done])).await;
    let million = |usd| Rate::from_usd_per_million(usd).unwrap();
    let rates = Rates {
        input: million("1"),
        output: million("10"),
        audio_input: Some(million("100")),
        ..Rates::default()
    };
    let (budget, route) = priced(provider(&upstream), rates);
    let gateway = Gateway::start([route]).await;
    let body = form(&[("file", SOUND), ("model", b"chat"), ("stream", b"true")]);
    let reply = send(&gateway, TRANSCRIPTIONS, body).await;
    assert_eq!(reply.text(), format!("data: {delta}\n\ndata: {done}\n\n"));
    assert!(reply.header("content-type").starts_with("text/event-stream"));
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (4_000 + 10 * 100_000 + 6 * 10_000, 0));
}

#[tokio::test]
async fn a_streamed_transcript_that_breaks_off_is_an_error_and_is_charged() {
    let delta = r#"{"type":"transcript.text.delta","delta":"Hello Hello"}"#;
    let upstream = Upstream::always(stream([delta])).await;
    let (budget, mut route) = (budget(Unit::Tokens, 1_000_000), route([provider(&upstream)]));
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let body = form(&[("file", SOUND), ("model", b"chat"), ("stream", b"true")]);
    let reply = send(&gateway, TRANSCRIPTIONS, body).await;
    assert!(
        reply.text().starts_with(&format!("data: {delta}\n\ndata: {{\"error\":")),
        "{}",
        reply.text()
    );
    gateway.until_ended("incomplete").await;
    let (sound, fields, words) = (10, 2 + 2, 4);
    assert_eq!(gateway.used(&budget), (sound + fields + words, 0));
}

#[tokio::test]
async fn sound_is_charged_by_the_second_where_that_is_its_price() {
    let rates = Rates { audio_second: Some(Rate::from_usd("0.0001").unwrap()), ..Rates::default() };
    let upstream = Upstream::answering(|received| {
        let body = String::from_utf8_lossy(&received.body).into_owned();
        match () {
            () if body.contains("verbose_json") => json(r#"{"duration":61.2,"text":"Hello"}"#),
            () if body.contains("srt") => whole(
                200,
                &[("content-type", "text/plain; charset=utf-8")],
                "1\n00:00 --> 00:01\nHi\n",
            ),
            () => json(r#"{"text":"Hello","usage":{"type":"duration","seconds":30}}"#),
        }
    })
    .await;
    for (format, seconds) in [("json", 30), ("verbose_json", 62), ("srt", 3)] {
        let (budget, route) = priced(provider(&upstream), rates);
        let gateway = Gateway::start([route]).await;
        let sound = [0; 10_000];
        let fields =
            [("file", &sound[..]), ("model", b"chat"), ("response_format", format.as_bytes())];
        let reply = send(&gateway, TRANSCRIPTIONS, form(&fields)).await;
        assert_eq!(reply.status, StatusCode::OK);
        gateway.until_ended("complete").await;
        assert_eq!(gateway.used(&budget), (seconds * 100_000, 0), "{format}");
    }
}

#[tokio::test]
async fn sound_that_a_budget_cannot_pay_is_not_sent() {
    let upstream = Upstream::always(json(HEARD)).await;
    let rates = Rates { audio_second: Some(Rate::from_usd("0.5").unwrap()), ..Rates::default() };
    let (budget, route) = priced(provider(&upstream), rates);
    let gateway = Gateway::start([route]).await;
    let long = form(&[("file", &[0; 10_000]), ("model", b"chat")]);
    let reply = send(&gateway, TRANSCRIPTIONS, long).await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.code()),
        (429, "budget_exceeded"),
        "3 s for a dollar"
    );
    assert!(upstream.received().is_empty());
    assert_eq!(send(&gateway, TRANSCRIPTIONS, transcribe("chat")).await.status, StatusCode::OK);
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (0, 0), "tokens have no price");
}

#[tokio::test]
async fn plain_text_and_subtitles_pass_unchanged_also_where_nothing_was_said() {
    for (format, media, text) in [
        ("text", "text/plain; charset=utf-8", "Grüß Gott\n"),
        ("srt", "text/plain", "1\n00:00:00,000 --> 00:00:01,000\nHi\n\n"),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nHi\n"),
        ("text", "text/plain", ""),
    ] {
        let upstream = Upstream::always(whole(200, &[("content-type", media)], text)).await;
        let gateway = Gateway::start([route([provider(&upstream)])]).await;
        let fields = [("file", SOUND), ("model", b"chat"), ("response_format", format.as_bytes())];
        let reply = send(&gateway, TRANSCRIPTIONS, form(&fields)).await;
        assert_eq!((reply.text(), reply.header("content-type")), (text, media));
        gateway.until_ended("complete").await;
    }
    // Where JSON was asked for, nothing is no answer.
    let empty = Upstream::always(json("")).await;
    let other = Upstream::always(json(HEARD)).await;
    let gateway = Gateway::start([route([provider(&empty), provider(&other)])]).await;
    assert_eq!(send(&gateway, TRANSCRIPTIONS, transcribe("chat")).await.text(), HEARD);
}

#[tokio::test]
async fn a_model_that_does_not_stream_answers_whole() {
    let upstream = Upstream::always(json(HEARD)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let body = form(&[("file", SOUND), ("model", b"chat"), ("stream", b"true")]);
    assert_eq!(send(&gateway, TRANSCRIPTIONS, body).await.text(), HEARD);
}

#[tokio::test]
async fn images_are_made_of_others_and_charged_by_what_they_report() {
    let image = r#"{"created":1,"data":[{"b64_json":"AAAA"}],"usage":{"input_tokens":320,"input_tokens_details":{"text_tokens":20,"image_tokens":300},"output_tokens":1056,"total_tokens":1376}}"#;
    let upstream = Upstream::always(json(image)).await;
    let million = |usd| Rate::from_usd_per_million(usd).unwrap();
    let rates = Rates {
        input: million("1"),
        image_input: Some(million("10")),
        image_output: Some(million("100")),
        ..Rates::default()
    };
    let (budget, route) = priced(provider(&upstream), rates);
    let gateway = Gateway::start([route]).await;
    let fields: [(&str, &[u8]); 4] =
        [("image", SOUND), ("mask", SOUND), ("model", b"chat"), ("prompt", b"a cat")];
    let reply = send(&gateway, "/v1/images/edits", form(&fields)).await;
    assert_eq!(reply.text(), image);
    let sent = &upstream.received()[0];
    assert_eq!(sent.path, "/v1/images/edits");
    assert!(takes(sent, "m"));
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (20_000 + 300 * 10_000 + 1056 * 100_000, 0));
}

#[tokio::test]
async fn a_variation_without_a_model_means_openais_only_one_and_is_charged_by_piece() {
    let images = r#"{"created":1,"data":[{"url":"https://images.invalid/1"}]}"#;
    let upstream = Upstream::always(json(images)).await;
    let rates = Rates { image: Some(Rate::from_usd("0.02").unwrap()), ..Rates::default() };
    let (budget, mut route) = priced(provider(&upstream), rates);
    route.models = vec![sluice::snapshot::Pattern::Exact("dall-e-2".into())];
    let gateway = Gateway::start([route]).await;
    let body = form(&[("image", SOUND), ("n", b"3")]);
    let reply = send(&gateway, "/v1/images/variations", body).await;
    assert_eq!(reply.text(), images);
    let sent = &upstream.received()[0];
    assert_eq!(sent.body, form(&[("model", b"m"), ("image", SOUND), ("n", b"3")]));
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (60_000_000, 0));
}

#[tokio::test]
async fn a_routes_parameters_are_fields_of_the_form() {
    let upstream = Upstream::always(json(HEARD)).await;
    let mut route = route([provider(&upstream)]);
    let target = Arc::make_mut(&mut targets_of(&mut route)[0]);
    let set = serde_json::json!({"temperature": 0, "language": "en"});
    let set = set.as_object().unwrap().clone();
    target.parameters = Some(Parameters { set, ..Parameters::default() });
    let gateway = Gateway::start([route]).await;
    assert_eq!(send(&gateway, TRANSCRIPTIONS, transcribe("chat")).await.status, StatusCode::OK);
    let expected: [(&str, &[u8]); 4] =
        [("language", b"en"), ("temperature", b"0"), ("file", SOUND), ("model", b"m")];
    assert_eq!(upstream.received()[0].body, form(&expected));
}

#[tokio::test]
async fn azure_has_the_deployment_in_the_path() {
    let upstream = Upstream::always(json(HEARD)).await;
    let mut azure = provider(&upstream);
    azure.addressing = Addressing::Azure { version: Some("2025-04-01-preview".into()) };
    if let Endpoint::Http { base_path, .. } = &mut azure.endpoint {
        base_path.clear();
    }
    let gateway = Gateway::start([route([azure])]).await;
    assert_eq!(send(&gateway, TRANSCRIPTIONS, transcribe("chat")).await.text(), HEARD);
    assert_eq!(
        upstream.received()[0].path,
        "/openai/deployments/m/audio/transcriptions?api-version=2025-04-01-preview"
    );
}

#[tokio::test]
async fn a_provider_without_the_endpoint_is_not_asked() {
    let upstream = Upstream::always(json("{}")).await;
    let provider = provider_at(upstream.address(), Dialect::Anthropic);
    let gateway = Gateway::start([route([provider])]).await;
    let reply = send(&gateway, TRANSCRIPTIONS, transcribe("chat")).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (400, "unsupported_endpoint"));
    let refusal = r#"{"error":{"message":"bad audio","type":"invalid_request_error","code":"a"}}"#;
    let refusing =
        Upstream::always(whole(400, &[("content-type", "application/json")], refusal)).await;
    let gateway = Gateway::start([route([crate::fixture::provider(&refusing)])]).await;
    let reply = send(&gateway, TRANSCRIPTIONS, transcribe("chat")).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (400, "a"));
}
