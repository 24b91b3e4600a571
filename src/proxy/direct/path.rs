//! The path and the query of a direct call: whose provider, which endpoint, and nothing that another
//! hop could read as another place.

use http::{Method, StatusCode};

use crate::{
    llm::{ErrorKind, endpoint::decoded},
    telemetry::brief,
};

use super::super::respond::Rejection;

/// What the paths of direct calls start with.
pub const PREFIX: &str = "/providers/";

/// Query parameters that carry a credential, or another method than the request's own (Google's
/// system parameters). They are left out; all others are kept.
const NOT_FORWARDED: [&str; 10] = [
    "key",
    "api_key",
    "api-key",
    "apikey",
    "access_token",
    "oauth_token",
    "$httpmethod",
    "$httpheaders",
    "$req",
    "_method",
];

/// Last segments of endpoints that call a model: these have a route, a price and a budget, and are
/// called through it. Of the providers' own references; lower case.
const MODEL_CALLS: [&str; 27] = [
    "chat",
    "complete",
    "completions",
    "responses",
    "compact",
    "embed",
    "embeddings",
    "generate",
    "moderations",
    "rerank",
    "generations",
    "speech",
    "transcriptions",
    "translations",
    "edits",
    "variations",
    "messages",
    "count_tokens",
    "count-tokens",
    "converse",
    "converse-stream",
    "invoke",
    "invoke-with-response-stream",
    "invoke-with-bidirectional-stream",
    "realtime",
    "predict",
    "ocr",
];
/// The same behind the colon of Google's custom methods.
const MODEL_METHODS: [&str; 15] = [
    "generatecontent",
    "streamgeneratecontent",
    "counttokens",
    "embedcontent",
    "batchembedcontents",
    "predict",
    "rawpredict",
    "streamrawpredict",
    "directpredict",
    "directrawpredict",
    "streamingpredict",
    "streamingrawpredict",
    "serverstreamingpredict",
    "predictlongrunning",
    "computetokens",
];

/// A path in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectPath<'a> {
    /// The provider's namespace.
    pub namespace: &'a str,
    /// The provider's name.
    pub name: &'a str,
    /// What follows its base path: empty, or with a slash at its start.
    pub rest: &'a str,
}

impl<'a> DirectPath<'a> {
    /// Reads `/providers/{namespace}/{name}...`; empty parts name no provider.
    pub fn split(path: &'a str) -> Self {
        let path = path.strip_prefix(PREFIX).unwrap_or_default();
        let (namespace, path) = path.split_once('/').unwrap_or((path, ""));
        let (name, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        Self { namespace, name, rest }
    }

    /// Makes sure that every server reads the path alike: no dot segments, no empty ones, nothing
    /// encoded that would be a separator, a dot or an encoding again.
    ///
    /// # Errors
    /// 400 `invalid_path`.
    pub fn check(&self) -> Result<(), Rejection> {
        let segments = self.rest.trim_start_matches('/').split('/');
        let begins_well = !self.rest.starts_with("//");
        let count = segments.clone().count();
        let is_last = |index: usize| index + 1 == count;
        let mut indexed = segments.enumerate();
        if begins_well && indexed.all(|(index, s)| (is_last(index) && s.is_empty()) || is_plain(s))
        {
            return Ok(());
        }
        let status = StatusCode::BAD_REQUEST;
        let message = format!(
            "the path {:?} is not forwarded: send it without empty and dot segments, backslashes, and \
             encoded slashes, dots and percent signs",
            brief(self.rest)
        );
        Err(Rejection::refuse(status, ErrorKind::InvalidRequest, "invalid_path", message))
    }

    /// Whether the endpoint calls a model by itself.
    pub fn calls_model(&self) -> bool {
        let segments = self.segments();
        let Some(last) = segments.last() else { return false };
        let (_, method) = last.rsplit_once(':').unwrap_or_default();
        // Whoever may make sessions or their secrets could go to the provider past the gateway.
        let is_session = segments.iter().any(|segment| segment == "realtime");
        // A thread's messages are stored; a run of the thread calls the model.
        let is_stored = last == "messages" && segments.iter().any(|segment| segment == "threads");
        is_session
            || MODEL_METHODS.contains(&method)
            || (MODEL_CALLS.contains(&last.as_str()) && !is_stored)
    }

    /// Whether the call may make the provider work for money that its answer need not tell: anything
    /// but looking, deleting, storing files and cancelling.
    pub fn may_start_work(&self, method: &Method) -> bool {
        if [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE].contains(method) {
            return false;
        }
        let segments = self.segments();
        let last = segments.last().map(String::as_str).unwrap_or_default();
        let stores = last == "files" || segments.iter().any(|segment| segment == "uploads");
        !(stores || last == "cancel")
    }

    /// The segments as a provider reads them, in lower case.
    fn segments(&self) -> Vec<String> {
        let segments = self.rest.split('/').filter(|segment| !segment.is_empty());
        segments.map(|segment| decoded(segment).to_ascii_lowercase()).collect()
    }
}

fn is_plain(segment: &str) -> bool {
    // Some servers cut a segment at its semicolon before they look for dots.
    let name = segment.split(';').next().unwrap_or_default();
    if segment.is_empty() || name == "." || name == ".." || segment.contains('\\') {
        return false;
    }
    segment.split('%').skip(1).all(|after| {
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_some_and(|byte| !b"/\\.%;".contains(&byte) && !byte.is_ascii_control())
    })
}

/// The query as it is forwarded, without its question mark.
pub fn query(query: &str) -> String {
    let kept = query.split('&').filter(|pair| {
        let name = decoded(pair.split('=').next().unwrap_or_default()).to_ascii_lowercase();
        !NOT_FORWARDED.contains(&name.trim_matches([' ', '+']))
    });
    kept.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(rest: &str) -> DirectPath<'_> {
        DirectPath { namespace: "team", name: "openai", rest }
    }

    #[test]
    fn a_path_is_split_at_its_parts() {
        let split = |path| {
            let DirectPath { namespace, name, rest } = DirectPath::split(path);
            (namespace, name, rest)
        };
        assert_eq!(split("/providers/a/b/files/f"), ("a", "b", "/files/f"));
        assert_eq!(split("/providers/a/b"), ("a", "b", ""));
        assert_eq!(split("/providers/a"), ("a", "", ""));
        assert_eq!(split("/providers//b/c"), ("", "b", "/c"));
    }

    #[test]
    fn paths_that_two_servers_could_read_differently_are_refused() {
        for rest in [
            "/files/../chat",
            "/..",
            "/./files",
            "/files/%2e%2e/x",
            "/files/%2E%2E",
            "/files%2fx",
            "/files%5cx",
            "/files\\..\\x",
            "//files",
            "/files//x",
            "/files/..;/x",
            "/files/%252e%252e",
            "/files/%",
            "/files/%zz",
            "/files/%00",
            "/files/%0d%0a",
        ] {
            let refused = below(rest).check().unwrap_err();
            assert_eq!(
                (refused.error.status.as_u16(), &*refused.error.code),
                (400, "invalid_path")
            );
        }
        for rest in ["", "/", "/files", "/files/", "/files/a.b..c", "/m:x/%F0%9F%98%80/a%20b"] {
            assert!(below(rest).check().is_ok(), "{rest}");
        }
    }

    #[test]
    fn calls_of_models_are_known_however_they_are_written() {
        for rest in [
            "/chat/completions",
            "/v1/Chat/Completions/",
            "/chat/%63ompletions",
            "/models/g:streamGenerateContent",
            "/models/g%3AgenerateContent",
            "/messages",
            "/v1/messages/count_tokens",
            "/realtime/client_secrets",
            "/openai/deployments/x/images/generations",
            "/publishers/google/models/veo:predictLongRunning",
            "/model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream",
        ] {
            assert!(below(rest).calls_model(), "{rest}");
        }
        for rest in
            ["/files", "/batches", "/messages/batches", "/threads/t/messages", "/responses/r", ""]
        {
            assert!(!below(rest).calls_model(), "{rest}");
        }
    }

    #[test]
    fn only_what_looks_deletes_stores_or_cancels_surely_starts_no_work() {
        for (method, rest, may) in [
            (Method::GET, "/batches", false),
            (Method::DELETE, "/files/f", false),
            (Method::POST, "/files", false),
            (Method::POST, "/uploads/u/parts", false),
            (Method::POST, "/batches/b/cancel", false),
            (Method::POST, "/batches", true),
            (Method::POST, "/fine_tuning/jobs", true),
            (Method::POST, "/threads/t/runs", true),
            (Method::PUT, "/anything", true),
        ] {
            assert_eq!(below(rest).may_start_work(&method), may, "{method} {rest}");
        }
    }

    #[test]
    fn credentials_and_other_methods_leave_the_query() {
        assert_eq!(query("limit=2&key=sk-1&after=a%26b&KEY=x&%6bey=y"), "limit=2&after=a%26b");
        assert_eq!(query("$httpMethod=POST&%24httpMethod=POST&purpose=batch"), "purpose=batch");
        assert_eq!(query(""), "");
    }
}
