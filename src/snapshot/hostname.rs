//! Hosts that a route answers on.

use std::{cmp::Reverse, fmt};

/// A host's name, or all below one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Hostname {
    /// The name itself, in lower case.
    Exact(String),
    /// `*.example.com`: names that end with this, dot included, and have something before it.
    Below(String),
}

/// How many hosts are covered; the order is from few to many.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Breadth {
    /// One.
    One,
    /// All below a name, by its length.
    Below(Reverse<usize>),
    /// All.
    Every,
}

impl Hostname {
    /// Reads a name, or `*.` and a name.
    pub fn parse(text: &str) -> Option<Self> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let is_label = |label: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !label.is_empty() && label.bytes().all(fits)
        };
        name.split('.').all(is_label).then(|| {
            let name = name.to_ascii_lowercase();
            if below { Self::Below(format!(".{name}")) } else { Self::Exact(name) }
        })
    }

    /// Whether it covers a host that is in lower case and without a port.
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(end) => {
                host.strip_suffix(end.as_str()).is_some_and(|rest| !rest.is_empty())
            }
        }
    }

    /// How narrow it is: of two that cover a host the lesser one is meant for it.
    pub fn breadth(&self) -> Breadth {
        match self {
            Self::Exact(_) => Breadth::One,
            Self::Below(end) => Breadth::Below(Reverse(end.len())),
        }
    }

    /// Whether it covers every host that the other one does.
    pub fn includes(&self, other: &Self) -> bool {
        match other {
            Self::Exact(name) => self.covers(name),
            Self::Below(end) => matches!(self, Self::Below(own) if end.ends_with(own.as_str())),
        }
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(end) => write!(f, "*{end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_or_more_labels() {
        let below = Hostname::parse("*.Example.com").unwrap();
        assert!(below.covers("a.example.com") && below.covers("a.b.example.com"));
        assert!(!below.covers("example.com") && !below.covers("notexample.com"));
        assert!(!below.covers(".example.com"));
        assert_eq!(below.to_string(), "*.example.com");
        let exact = Hostname::parse("api.example.com").unwrap();
        assert!(exact.covers("api.example.com") && !exact.covers("x.api.example.com"));
        assert!(below.includes(&exact) && !exact.includes(&below));
        assert!(below.includes(&Hostname::parse("*.eu.example.com").unwrap()));
        for wrong in ["", "*", "*.", "a..b", "a.*.b", "a b", "a:80"] {
            assert_eq!(Hostname::parse(wrong), None, "{wrong}");
        }
    }
}
