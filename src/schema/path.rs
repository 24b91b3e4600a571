//! Where in an object: as JSON pointer, and as the API server writes it.

use crate::manifest::escape;

/// A place in an object, as a chain to its root.
#[derive(Clone, Copy, Default)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Default)]
enum Step<'a> {
    #[default]
    Root,
    Member(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(super) fn member(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Member(name) }
    }

    pub(super) fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }

    /// `/spec/models/0`
    pub(super) fn pointer(&self) -> String {
        let mut text = self.parent.map(Path::pointer).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Member(name) => text.push_str(&format!("/{}", escape(name))),
            Step::Index(index) => text.push_str(&format!("/{index}")),
        }
        text
    }

    /// `spec.models[0]`
    pub(super) fn dotted(&self) -> String {
        let mut text = self.parent.map(Path::dotted).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Member(name) if text.is_empty() => text.push_str(name),
            Step::Member(name) => text.push_str(&format!(".{name}")),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
        text
    }
}
