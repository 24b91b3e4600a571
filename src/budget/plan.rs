//! What a budget asks for: limits, mode and the demand of one call. Plain values without state.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::money::NanoUsd;
use super::window::Window;

/// Subjects (values of `per`) of one budget that have counters of their own. Beyond it, and until
/// its counters are empty again, new subjects share one counter: memory stays bounded and nobody
/// gains by inventing names, because no counter that holds something is ever dropped.
pub const MAX_SUBJECTS: usize = 100_000;

/// Bytes of a subject that tell it from others; longer subjects with the same beginning share.
pub const MAX_SUBJECT_BYTES: usize = 256;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Money, in nano-dollars.
    #[serde(rename = "USD")]
    Usd,
    /// Input plus output tokens.
    Tokens,
    /// Calls.
    Requests,
}

impl Unit {
    /// `amount` with its unit, for people: `12.5 USD`, `300 tokens`.
    pub fn describe(self, amount: u64) -> String {
        format!("{} {}", self.quantity(amount), self.noun())
    }

    /// `amount` alone, for people and status: decimal dollars, or a count.
    pub fn quantity(self, amount: u64) -> String {
        match self {
            Self::Usd => NanoUsd(amount).to_string(),
            Self::Tokens | Self::Requests => amount.to_string(),
        }
    }

    /// What follows a quantity.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }
}

/// One cap of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Name within the budget; what was used follows the name when the rest is edited.
    pub name: Arc<str>,
    /// What is counted.
    pub unit: Unit,
    /// The most that one subject may use in a window: nano-dollars, tokens or requests.
    pub amount: u64,
    /// The time over which it is counted.
    pub window: Window,
}

/// Whether a budget refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Calls that do not fit are refused.
    #[default]
    Enforce,
    /// Everything is counted and nothing refused.
    Shadow,
}

/// The limits of one AIBudget, as compiled. The ledger keeps no plan: each call brings its own,
/// so an edit counts from the next call on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetPlan {
    /// UID of the object: the key of its counters.
    pub uid: Arc<str>,
    /// Namespace of the object.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Arc<str>,
    /// Caps, each with a name of its own.
    pub limits: Vec<Limit>,
    /// Whether it refuses.
    pub mode: Mode,
}

/// What one call uses, in every unit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// Money.
    pub cost: NanoUsd,
    /// Input plus output tokens.
    pub tokens: u64,
    /// Calls; one, unless a caller counts several at once.
    pub requests: u64,
}

impl Amounts {
    /// The larger of both in every unit.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            cost: self.cost.max(other.cost),
            tokens: self.tokens.max(other.tokens),
            requests: self.requests.max(other.requests),
        }
    }

    /// The part that a limit in `unit` counts.
    pub fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Usd => self.cost.0,
            Unit::Tokens => self.tokens,
            Unit::Requests => self.requests,
        }
    }
}

/// What one call wants from one budget.
#[derive(Debug, Clone)]
pub struct Demand {
    /// The budget.
    pub plan: Arc<BudgetPlan>,
    /// Whose counters: the value of `per`, or empty for the one pool.
    pub subject: Arc<str>,
    /// The worst case of the call.
    pub amounts: Amounts,
}
