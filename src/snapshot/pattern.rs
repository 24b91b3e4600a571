//! Model patterns: an exact name, or one `*` at the start or the end.

use std::fmt;

/// A model pattern.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Pattern {
    /// The name itself.
    Exact(String),
    /// Names that start with this (`gpt-*`); empty for `*`.
    Prefix(String),
    /// Names that end with this (`*-mini`).
    Suffix(String),
}

impl Pattern {
    /// Reads a pattern; `None` where a `*` stands anywhere but once at the start or the end.
    pub fn parse(text: &str) -> Option<Self> {
        let pattern = if let Some(prefix) = text.strip_suffix('*') {
            Self::Prefix(prefix.to_owned())
        } else if let Some(suffix) = text.strip_prefix('*') {
            Self::Suffix(suffix.to_owned())
        } else {
            Self::Exact(text.to_owned())
        };
        let fixed = match &pattern {
            Self::Exact(text) if text.is_empty() => return None,
            Self::Exact(text) | Self::Prefix(text) | Self::Suffix(text) => text,
        };
        (!fixed.contains('*')).then_some(pattern)
    }

    /// What the `*` stands for in `model`, or the whole name for an exact pattern; `None` where the
    /// pattern does not fit.
    pub fn capture<'a>(&self, model: &'a str) -> Option<&'a str> {
        match self {
            Self::Exact(name) => (name == model).then_some(model),
            Self::Prefix(prefix) => model.strip_prefix(prefix.as_str()),
            Self::Suffix(suffix) => model.strip_suffix(suffix.as_str()),
        }
    }

    /// Whether the pattern fits.
    pub fn matches(&self, model: &str) -> bool {
        self.capture(model).is_some()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_once_at_an_end() {
        assert_eq!(Pattern::parse("gpt-*"), Some(Pattern::Prefix("gpt-".into())));
        assert_eq!(Pattern::parse("*-mini"), Some(Pattern::Suffix("-mini".into())));
        assert_eq!(Pattern::parse("*"), Some(Pattern::Prefix(String::new())));
        for bad in ["", "a*b", "*a*", "**"] {
            assert_eq!(Pattern::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn capture_is_what_the_star_stands_for() {
        let pattern = Pattern::Prefix("team/".into());
        assert_eq!(pattern.capture("team/gpt-5"), Some("gpt-5"));
        assert_eq!(pattern.capture("gpt-5"), None);
        assert_eq!(Pattern::Suffix("-eu".into()).capture("gpt-eu"), Some("gpt"));
    }
}
