//! The balance and the session of an AIRoute.

use crate::{
    api::{condition::Reason, route as api},
    snapshot::{Balance, SessionKey},
};

use super::Problem;

/// What decides among the targets of one priority.
pub fn balance(balance: api::Balance) -> Balance {
    match balance {
        api::Balance::Weighted => Balance::Weighted,
        api::Balance::LeastLatency => Balance::LeastLatency,
        api::Balance::LeastCost => Balance::LeastCost,
        api::Balance::LeastBusy => Balance::LeastBusy,
    }
}

/// Where the key of a session is looked for.
pub fn session(session: Option<&api::Session>) -> Result<Vec<SessionKey>, Problem> {
    let Some(session) = session else { return Ok(Vec::new()) };
    let parse = |text: &String| {
        key(text).ok_or_else(|| {
            let message = format!(
                "session key {text:?} is none: write header:NAME, body:MEMBER, consumer, user or \
                 consumer+user"
            );
            Problem::new(Reason::Invalid, message)
        })
    };
    session.key.iter().map(parse).collect()
}

fn key(text: &str) -> Option<SessionKey> {
    if let Some(name) = text.strip_prefix("header:") {
        return name.parse().ok().map(SessionKey::Header);
    }
    if let Some(path) = text.strip_prefix("body:") {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        let is_named = path.iter().all(|name| !name.is_empty());
        return is_named.then(|| SessionKey::Body(path.into()));
    }
    match text {
        "consumer" => Some(SessionKey::Consumer),
        "user" => Some(SessionKey::User),
        "consumer+user" => Some(SessionKey::ConsumerAndUser),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<SessionKey> {
        let session_of = api::Session { key: vec![text.to_owned()] };
        session(Some(&session_of)).ok()?.pop()
    }

    #[test]
    fn every_form_of_a_key_is_read() {
        let header = http::HeaderName::from_static("x-session-id");
        assert_eq!(parsed("header:X-Session-Id"), Some(SessionKey::Header(header)));
        let path = ["metadata".to_owned(), "session".to_owned()];
        assert_eq!(parsed("body:metadata.session"), Some(SessionKey::Body(path.into())));
        assert_eq!(parsed("consumer"), Some(SessionKey::Consumer));
        assert_eq!(parsed("user"), Some(SessionKey::User));
        assert_eq!(parsed("consumer+user"), Some(SessionKey::ConsumerAndUser));
        for wrong in ["", "header:", "header:a b", "body:", "body:a..b", "model", "Consumer"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
