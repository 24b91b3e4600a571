//! Why there are no credentials. The texts go into logs and must never hold a secret: what a server
//! said is kept only as a short word of its own protocol.

use thiserror::Error;

/// No credentials.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unavailable {
    /// No source of the gateway's own identity is configured or answers.
    #[error("the gateway has no identity of its own in {0}")]
    NoIdentity(&'static str),
    /// A file cannot be read.
    #[error("file {path} cannot be used: {cause}")]
    File {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A server that issues credentials cannot be reached.
    #[error("{server} cannot be reached: {cause}")]
    Unreachable {
        /// Its name for people.
        server: &'static str,
        /// What the machine said.
        cause: String,
    },
    /// It said no.
    #[error("{server} answered HTTP {status} ({code})")]
    Refused {
        /// Its name for people.
        server: &'static str,
        /// The status.
        status: u16,
        /// The protocol's word for why.
        code: String,
    },
    /// It said something that is not of its protocol.
    #[error("{0} gave an answer that cannot be read")]
    Malformed(&'static str),
    /// A credential that is there cannot be used.
    #[error("it has {0}")]
    Unusable(&'static str),
}

impl Unavailable {
    /// A refusal with the protocol's word for it, if the answer has one that looks like a word.
    pub(super) fn refused(server: &'static str, status: u16, code: Option<&str>) -> Self {
        let is_word = |code: &&str| {
            let fits =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
            (1..=48).contains(&code.len()) && code.bytes().all(fits)
        };
        let code = code.filter(is_word).unwrap_or("no reason given").to_owned();
        Self::Refused { server, status, code }
    }
}
