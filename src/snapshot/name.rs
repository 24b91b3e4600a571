//! Names of objects.

use std::{fmt, sync::Arc};

/// Namespace and name of an object.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectName {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Both, as they are displayed: each record has several.
    path: Arc<str>,
}

impl ObjectName {
    /// Both parts.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        let (namespace, name) = (namespace.into(), name.into());
        let path = format!("{namespace}/{name}").into();
        Self { namespace, name, path }
    }

    /// `namespace/name`.
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}
