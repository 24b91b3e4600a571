//! The environment of the process as the clouds' own SDKs read it: variables, and files that they name.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use super::Unavailable;

/// Longest file that is read, in bytes.
const MAX_FILE: usize = 64 << 10;

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Variables by name; given, so that tests need no global state.
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    /// The process's own.
    pub fn process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// Another.
    pub fn new(variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(variables))
    }

    /// A variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The text of a file, without surrounding white space. Read each time: tokens in files change.
    pub(super) async fn file(&self, path: &str) -> Result<Zeroizing<String>, Unavailable> {
        let unreadable = |cause: String| Unavailable::File { path: path.to_owned(), cause };
        let data = tokio::fs::read(path).await.map_err(|error| unreadable(error.to_string()))?;
        let data = Zeroizing::new(data);
        if data.len() > MAX_FILE {
            return Err(unreadable("it is too large".to_owned()));
        }
        let text =
            std::str::from_utf8(&data).map_err(|_| unreadable("it is no text".to_owned()))?;
        match text.trim() {
            "" => Err(unreadable("it is empty".to_owned())),
            text => Ok(Zeroizing::new(text.to_owned())),
        }
    }
}
