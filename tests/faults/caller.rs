//! Who asks the gateway, in which dialect, and how what came back reads.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use crate::{case::Form, fixture::Gateway};

/// A caller by the dialect it speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caller {
    Chat,
    Messages,
    Responses,
    Gemini,
}

/// What came back.
pub struct Seen {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// The body did not come to its end.
    pub is_cut: bool,
}

/// Bytes of a large question.
const LARGE: usize = 8 << 20;

impl Caller {
    pub fn title(self) -> &'static str {
        match self {
            Self::Chat => "Chat Completions",
            Self::Messages => "Messages",
            Self::Responses => "Responses",
            Self::Gemini => "GenerateContent",
        }
    }

    /// Path and body of a request.
    pub fn ask(self, form: Form, large: bool) -> (&'static str, String) {
        let words = if large { "x".repeat(LARGE) } else { "Hi".to_owned() };
        let stream = form == Form::Stream;
        let flag = if stream { r#","stream":true"# } else { "" };
        let message = format!(r#"[{{"role":"user","content":"{words}"}}]"#);
        match self {
            Self::Chat => (
                "/v1/chat/completions",
                format!(r#"{{"model":"chat","messages":{message}{flag}}}"#),
            ),
            Self::Messages => (
                "/v1/messages",
                format!(r#"{{"model":"chat","max_tokens":9,"messages":{message}{flag}}}"#),
            ),
            Self::Responses => {
                ("/v1/responses", format!(r#"{{"model":"chat","input":"{words}"{flag}}}"#))
            }
            Self::Gemini => (
                match stream {
                    true => "/v1beta/models/chat:streamGenerateContent?alt=sse",
                    false => "/v1beta/models/chat:generateContent",
                },
                format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{words}"}}]}}]}}"#),
            ),
        }
    }

    /// Asks, and reads what comes to its end.
    pub async fn send(self, gateway: &Gateway, form: Form, large: bool) -> Seen {
        let (path, body) = self.ask(form, large);
        Seen::read(gateway.send(path, body).await).await
    }

    /// What the caller makes of it: status and code, or how the stream ended.
    pub fn reads(self, form: Form, seen: &Seen) -> String {
        let status = seen.status.as_u16();
        if status != 200 {
            return format!("{status} {}", self.code(&seen.json()));
        }
        if seen.is_cut {
            return "200, cut off".to_owned();
        }
        if form == Form::Whole {
            return "200".to_owned();
        }
        let events = seen.events();
        match events.last() {
            Some(last) if self.is_error(last) => format!("200, then {}", self.code(last)),
            _ if self.is_complete(seen, &events) => "200, to its end".to_owned(),
            _ => "200, without an end".to_owned(),
        }
    }

    fn is_error(self, event: &Value) -> bool {
        match self {
            Self::Chat | Self::Gemini => !event["error"].is_null(),
            Self::Messages => event["type"] == "error",
            Self::Responses => event["type"] == "response.failed",
        }
    }

    fn is_complete(self, seen: &Seen, events: &[Value]) -> bool {
        let last = events.last().unwrap_or(&Value::Null);
        match self {
            Self::Chat => seen.text.ends_with("data: [DONE]\n\n"),
            Self::Messages => last["type"] == "message_stop",
            Self::Responses => last["type"] == "response.completed",
            Self::Gemini => last["candidates"][0]["finishReason"] == "STOP",
        }
    }

    fn code(self, error: &Value) -> String {
        let code = match self {
            Self::Chat => &error["error"]["code"],
            Self::Messages => &error["error"]["type"],
            Self::Responses if error["type"] == "response.failed" => {
                &error["response"]["error"]["code"]
            }
            Self::Responses => &error["error"]["code"],
            Self::Gemini => &error["error"]["status"],
        };
        code.as_str().unwrap_or("without a code").to_owned()
    }
}

impl Seen {
    async fn read(response: Response<Incoming>) -> Self {
        let (head, mut body) = response.into_parts();
        let (mut bytes, mut is_cut) = (Vec::new(), false);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    bytes.extend_from_slice(&frame.into_data().unwrap_or_else(|_| Bytes::new()))
                }
                Err(_) => {
                    is_cut = true;
                    break;
                }
            }
        }
        let text = String::from_utf8(bytes).unwrap();
        Self { status: head.status, headers: head.headers, text, is_cut }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The events of a stream that are JSON.
    fn events(&self) -> Vec<Value> {
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }
}
