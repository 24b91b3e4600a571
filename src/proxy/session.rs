//! Which session a request belongs to: the first key of the route that it has.

use http::HeaderMap;

use crate::{
    llm::{Peek, scalar},
    route::Session,
    snapshot::{Consumer, SessionKey},
};

/// The key of routes that name none: who sends it wants the same cache of prompts again (OpenAI's
/// `prompt_cache_key`).
const PROMPT_CACHE_KEY: &str = "prompt_cache_key";

/// What keys are looked for in.
pub struct Source<'a> {
    /// Who calls.
    pub consumer: Option<&'a Consumer>,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// What it asks for.
    pub peek: &'a Peek,
    /// Its body.
    pub body: &'a [u8],
}

/// The session of a request; `None` where it has none of the keys.
pub fn session(keys: &[SessionKey], request: &Source<'_>) -> Option<Session> {
    if keys.is_empty() {
        return prompt_cache(request);
    }
    keys.iter().find_map(|key| request.of(key))
}

/// A key in a body that is JSON.
fn prompt_cache(request: &Source<'_>) -> Option<Session> {
    memchr::memmem::find(request.body, PROMPT_CACHE_KEY.as_bytes())?;
    request.member(&[PROMPT_CACHE_KEY])
}

impl Source<'_> {
    fn of(&self, key: &SessionKey) -> Option<Session> {
        let consumer = || self.consumer.map(|consumer| consumer.name.to_string());
        let user = || self.peek.user.as_deref().filter(|user| !user.is_empty());
        match key {
            SessionKey::Header(name) => {
                let value = self.headers.get(name)?.as_bytes();
                (!value.is_empty()).then(|| named(value))
            }
            SessionKey::Body(path) => self.member(path),
            SessionKey::Consumer => Some(Session::new("consumer", consumer()?.as_bytes())),
            SessionKey::User => Some(Session::new("user", user()?.as_bytes())),
            SessionKey::ConsumerAndUser => {
                // Names of objects have no such byte.
                let both = [consumer()?.as_str(), user()?].join("\0");
                Some(Session::new("consumer+user", both.as_bytes()))
            }
        }
    }

    fn member<T: AsRef<str>>(&self, path: &[T]) -> Option<Session> {
        if self.peek.form.is_some() {
            return None;
        }
        scalar(self.body, path).map(|value| named(value.as_bytes()))
    }
}

/// The same word is the same session, whether a header or the body brings it.
fn named(value: &[u8]) -> Session {
    Session::new("named", value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        llm::{Endpoint, peek},
        snapshot::ObjectName,
    };

    const BODY: &str =
        r#"{"model":"m","messages":[],"user":"ann","metadata":{"s":"x"},"prompt_cache_key":"p"}"#;

    fn consumer() -> Consumer {
        Consumer {
            name: ObjectName::new("team", "key"),
            labels: Default::default(),
            app: None,
            team: None,
            environment: None,
            expires: None,
        }
    }

    fn of(keys: &[SessionKey], header: Option<&'static str>, body: &str) -> Option<Session> {
        let peek = peek(&Endpoint::ChatCompletions.into(), body.as_bytes()).unwrap();
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert("x-session", value.parse().unwrap());
        }
        let (consumer, body) = (consumer(), body.as_bytes());
        let consumer = Some(&consumer);
        session(keys, &Source { consumer, headers: &headers, peek: &peek, body })
    }

    fn header() -> SessionKey {
        SessionKey::Header(http::HeaderName::from_static("x-session"))
    }

    fn member(path: &[&str]) -> SessionKey {
        SessionKey::Body(path.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn the_first_key_that_is_there_decides() {
        let keys = [header(), member(&["metadata", "s"]), SessionKey::Consumer];
        assert_eq!(of(&keys, Some("a"), BODY), Some(named(b"a")));
        assert_eq!(of(&keys, None, BODY), Some(named(b"x")));
        let bare = r#"{"model":"m","messages":[]}"#;
        assert_eq!(of(&keys, Some(""), bare), Some(Session::new("consumer", b"team/key")));
        assert_eq!(of(&keys[..2], None, bare), None);
    }

    #[test]
    fn consumer_and_user_are_together_or_not_at_all() {
        let both = Some(Session::new("consumer+user", b"team/key\0ann"));
        assert_eq!(of(&[SessionKey::ConsumerAndUser], None, BODY), both);
        assert_eq!(of(&[SessionKey::User], None, BODY), Some(Session::new("user", b"ann")));
        let bare = r#"{"model":"m","messages":[]}"#;
        assert_eq!(of(&[SessionKey::ConsumerAndUser, SessionKey::User], None, bare), None);
    }

    #[test]
    fn the_key_of_the_prompt_cache_counts_where_the_route_names_none() {
        assert_eq!(of(&[], None, BODY), Some(named(b"p")));
        assert_eq!(of(&[header()], None, BODY), None);
        let quoted = r#"{"model":"m","messages":[{"role":"user","content":"prompt_cache_key"}]}"#;
        assert_eq!(of(&[], None, quoted), None);
    }
}
