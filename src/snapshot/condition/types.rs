//! Types of values, as far as they are known without a request.

use std::fmt;

/// The type of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Type {
    /// Whatever it turns out to be.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Timestamp,
    Duration,
    List(Box<Type>),
    /// Keys are texts.
    Map(Box<Type>),
    Optional(Box<Type>),
}

impl Type {
    pub(super) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    pub(super) fn map(of: Self) -> Self {
        Self::Map(Box::new(of))
    }

    pub(super) fn optional(of: Self) -> Self {
        Self::Optional(Box::new(of))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    /// Whether a value of this type may stand where one of `wanted` is expected.
    pub(super) fn fits(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b))
            | (Self::Map(a), Self::Map(b))
            | (Self::Optional(a), Self::Optional(b)) => a.fits(b),
            (a, b) => a == b,
        }
    }

    /// Whether values of both types can be equal.
    pub(super) fn compares(&self, other: &Self) -> bool {
        let is_null = |kind: &Self| *kind == Self::Null;
        self.fits(other)
            || (self.is_number() && other.is_number())
            || (is_null(self) && is_null(other))
    }

    /// The type of a value that is of one type or of another.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::List(a), Self::List(b)) => Self::list(a.join(*b)),
            (Self::Map(a), Self::Map(b)) => Self::map(a.join(*b)),
            (Self::Optional(a), Self::Optional(b)) => Self::optional(a.join(*b)),
            (a, b) if a == b => a,
            _ => Self::Dyn,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dyn => "value",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Optional(_) => "optional value",
        })
    }
}
