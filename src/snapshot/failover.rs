//! What a route does about targets that fail: which failures are tried again, which go to another
//! target, and when a second try starts beside a slow one.

use std::time::Duration;

/// A group of failures that routes tell apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FailureClass {
    /// No connection.
    Connect,
    /// The first content did not come in time.
    FirstTokenTimeout,
    /// 429.
    RateLimited,
    /// The provider failed: a transient status, an answer that broke off, was empty or is none.
    ServerError,
    /// The gateway's credential was refused, or there is none.
    Auth,
    /// The request is longer than the model takes.
    ContextLength,
    /// The provider's filter blocked the request or the answer.
    ContentFilter,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::FirstTokenTimeout,
        Self::RateLimited,
        Self::ServerError,
        Self::Auth,
        Self::ContextLength,
        Self::ContentFilter,
    ];
}

/// A set of [`FailureClass`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FailureClasses(u8);

impl FailureClasses {
    /// What is tried again where a route does not say.
    pub const RETRIED: Self = Self::of(&[
        FailureClass::Connect,
        FailureClass::FirstTokenTimeout,
        FailureClass::RateLimited,
        FailureClass::ServerError,
    ]);
    /// What goes to another target where a route does not say.
    pub const FALLING_BACK: Self = Self(Self::RETRIED.0 | Self::of(&[FailureClass::Auth]).0);

    const fn of(classes: &[FailureClass]) -> Self {
        let (mut bits, mut rest) = (0, classes);
        while let [first, others @ ..] = rest {
            bits |= 1 << *first as u8;
            rest = others;
        }
        Self(bits)
    }

    /// The classes in the set.
    pub fn iter(self) -> impl Iterator<Item = FailureClass> {
        FailureClass::ALL.into_iter().filter(move |class| self.contains(*class))
    }

    /// Whether no class is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the class is in the set.
    pub fn contains(self, class: FailureClass) -> bool {
        self.0 & Self::of(&[class]).0 != 0
    }
}

impl FromIterator<FailureClass> for FailureClasses {
    fn from_iter<T: IntoIterator<Item = FailureClass>>(classes: T) -> Self {
        Self(classes.into_iter().fold(0, |bits, class| bits | Self::of(&[class]).0))
    }
}

/// Further tries of the same target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// Tries of one target, the first included; at least 1.
    pub attempts: u32,
    /// Failures that are tried again.
    pub on: FailureClasses,
    /// The pause before the first round of further tries; each round doubles it.
    pub base: Duration,
    /// The longest pause.
    pub max: Duration,
    /// From the request's start: a later failure is not tried again, nor does a further try begin
    /// later.
    pub within: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 2,
            on: FailureClasses::RETRIED,
            base: Duration::from_millis(200),
            max: Duration::from_secs(5),
            within: Duration::from_secs(20),
        }
    }
}

/// Going to another target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fallback {
    /// Failures after which another target is tried.
    pub on: FailureClasses,
}

impl Default for Fallback {
    fn default() -> Self {
        Self { on: FailureClasses::FALLING_BACK }
    }
}

/// A second try beside one that is slow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hedge {
    /// How long the first try has for its first content (stream) or its answer (whole).
    pub delay: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_another_sort_of_target_is_opted_into() {
        let default = Fallback::default().on;
        for class in [FailureClass::ContextLength, FailureClass::ContentFilter] {
            assert!(!default.contains(class));
            assert!(FailureClasses::from_iter([class]).contains(class));
        }
        assert!(default.contains(FailureClass::Auth));
        assert_eq!(default.iter().count(), 5);
        assert_eq!(FailureClasses::from_iter(FailureClass::ALL).iter().count(), 7);
        assert!(!Retry::default().on.contains(FailureClass::Auth));
        assert!(Retry::default().on.contains(FailureClass::ServerError));
    }
}
