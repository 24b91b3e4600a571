//! What is known of a request, as conditions ask for it.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header, uri::Authority};
use jiff::Timestamp;

use crate::{
    llm::{self, Endpoint},
    snapshot::{
        CREDENTIAL_HEADERS, Consumer,
        condition::{Fact, FactValue, Facts},
    },
};

/// What decides where a request goes. Values of the moment: whoever asks again gives a new time.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The model as the caller named it.
    pub model: &'a str,
    /// Who calls.
    pub consumer: Option<&'a Consumer>,
    /// What is called.
    pub endpoint: Endpoint,
    /// The host that was asked for, in lower case and without a port; empty if unknown.
    pub hostname: &'a str,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The request's body; conditions look into JSON only.
    pub body: &'a [u8],
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The estimate of its input.
    pub input_tokens: u64,
    /// The bound on generated tokens that it names.
    pub max_output_tokens: Option<u64>,
    /// The end user that it names.
    pub user: Option<&'a str>,
    /// When.
    pub now: Timestamp,
}

impl Facts for Asked<'_> {
    fn fact(&self, fact: Fact) -> FactValue<'_> {
        match fact {
            Fact::Model => text(self.model),
            Fact::Endpoint => text(self.endpoint.group()),
            Fact::Headers => headers(self.headers),
            Fact::InputTokens => number(self.input_tokens),
            Fact::Stream => FactValue::Flag(self.stream),
            Fact::Tools => FactValue::Texts(llm::tool_names(self.body)),
            Fact::Metadata => match llm::metadata(self.body) {
                Some(members) => FactValue::Members(members),
                None => FactValue::Unusable("is larger than 64 KiB or has more than 256 entries"),
            },
            Fact::MaxOutputTokens => number(self.max_output_tokens.unwrap_or_default()),
            Fact::Hostname => text(self.hostname),
            Fact::User => text(self.user.unwrap_or_default()),
            Fact::Now => FactValue::Int(self.now.as_second()),
            Fact::ConsumerName
            | Fact::ConsumerNamespace
            | Fact::ConsumerLabels
            | Fact::App
            | Fact::Team
            | Fact::Environment => consumer(self.consumer, fact),
        }
    }
}

/// The host that was asked for, in lower case and without a port: of the address (HTTP/2), else of the
/// header. It is whatever the caller wrote, so it tells tenants apart only as far as DNS does.
pub fn hostname<'a>(authority: Option<&'a Authority>, headers: &'a HeaderMap) -> Cow<'a, str> {
    let in_header = || {
        let host = headers.get(header::HOST)?.to_str().ok()?;
        // A port follows the last colon, unless that is inside an address in brackets.
        let end = host.rfind(':').filter(|at| !host.get(*at..).unwrap_or_default().contains(']'));
        host.get(..end.unwrap_or(host.len()))
    };
    let host = authority.map(Authority::host).or_else(in_header).unwrap_or_default();
    // The absolute form of a name (RFC 1034, 3.1).
    let host = host.strip_suffix('.').unwrap_or(host);
    match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => host.to_ascii_lowercase().into(),
        false => host.into(),
    }
}

const X_SLUICE_USER: HeaderName = HeaderName::from_static("x-sluice-user");

/// The end user where the body names none.
pub fn named_user(headers: &HeaderMap) -> Option<String> {
    let user = headers.get(X_SLUICE_USER)?.to_str().ok()?;
    (!user.is_empty()).then(|| user.to_owned())
}

/// Nobody has empty attributes.
fn consumer(consumer: Option<&Consumer>, fact: Fact) -> FactValue<'_> {
    let Some(consumer) = consumer else {
        return match fact {
            Fact::ConsumerLabels => FactValue::Map(Vec::new()),
            _ => text(""),
        };
    };
    let Consumer { name, labels, app, team, environment, .. } = consumer;
    match fact {
        Fact::ConsumerLabels => {
            let entries = labels.iter();
            FactValue::Map(entries.map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect())
        }
        Fact::ConsumerName => text(&name.name),
        Fact::ConsumerNamespace => text(&name.namespace),
        Fact::App => text(app.as_deref().unwrap_or_default()),
        Fact::Team => text(team.as_deref().unwrap_or_default()),
        _ => text(environment.as_deref().unwrap_or_default()),
    }
}

fn text(text: &str) -> FactValue<'_> {
    FactValue::Text(Cow::Borrowed(text))
}

fn number(number: u64) -> FactValue<'static> {
    FactValue::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// By name; several values of one are joined. What is not text is left out, and so are credentials:
/// nothing that a condition sees may tell one key from another. So is the host, which HTTP/2 has
/// elsewhere: conditions have it by itself.
fn headers(headers: &HeaderMap) -> FactValue<'_> {
    let is_hidden =
        |name: &HeaderName| name == header::HOST || CREDENTIAL_HEADERS.contains(&name.as_str());
    let names = headers.keys().filter(|name| !is_hidden(name));
    let entries = names.filter_map(|name| {
        let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut joined = Cow::Borrowed(values.next()?);
        for value in values {
            joined.to_mut().push_str(", ");
            joined.to_mut().push_str(value);
        }
        Some((Cow::Borrowed(name.as_str()), joined))
    });
    FactValue::Map(entries.collect())
}
