//! How an AIRoute chooses among the targets of one priority, and what keeps requests together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What decides among the targets of one priority.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Balance {
    /// Each gets its share by weight.
    #[default]
    Weighted,
    /// Two are drawn by weight; the one that is expected to give its first token sooner is used.
    LeastLatency,
    /// The one with the lowest price for the request at hand; by weight among equals. Those without a
    /// price come last.
    LeastCost,
    /// The one with the most room: by the concurrentRequests of the providers' limits if each has one,
    /// else by weight.
    LeastBusy,
}

/// Consistent routing: requests with the same key go to the same target of the lowest priority that
/// can answer, on every replica and without a store.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Session {
    /// Where the key is looked for, in order; the first that a request has is used, and one that has
    /// none is balanced. `header:NAME`; `body:MEMBER`, a text, number or boolean of the body by its
    /// path (`body:metadata.session`); `consumer`, the API key's Secret; `user`, the end user;
    /// `consumer+user`, both.
    #[schemars(length(min = 1, max = 8), extend("items" = {"type": "string", "minLength": 1, "maxLength": 256, "x-kubernetes-validations": [
        {"rule": "self.matches('^(header:[A-Za-z0-9!#$%&\\'*+.^_`|~-]+|body:[^.]+([.][^.]+)*|consumer|user|consumer[+]user)$')",
         "message": "a session key is header:NAME, body:MEMBER, consumer, user or consumer+user, for example header:x-session-id"}
    ]}), extend("x-kubernetes-list-type" = "set"))]
    pub key: Vec<String>,
}
