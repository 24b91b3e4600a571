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
    /// Input tokens.
    InputTokens,
    /// Output tokens.
    OutputTokens,
    /// Calls.
    Requests,
    /// Calls under way. Nothing of it outlives the calls.
    Concurrent,
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
            Self::Tokens
            | Self::InputTokens
            | Self::OutputTokens
            | Self::Requests
            | Self::Concurrent => amount.to_string(),
        }
    }

    /// What follows a quantity.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Tokens => "tokens",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Requests => "requests",
            Self::Concurrent => "requests at a time",
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
    /// The time over which it is counted: [`Window::Present`] for [`Unit::Concurrent`], and for no
    /// other unit.
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
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Calls; one, unless a caller counts several at once.
    pub requests: u64,
    /// Places among the calls under way: held until the end, never used up.
    pub concurrent: u64,
}

impl Amounts {
    /// What one call uses that has this cost and these tokens.
    pub fn one_call(cost: NanoUsd, input_tokens: u64, output_tokens: u64) -> Self {
        let tokens = input_tokens.saturating_add(output_tokens);
        Self { cost, tokens, input_tokens, output_tokens, requests: 1, concurrent: 1 }
    }

    /// The larger of both in every unit.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            cost: self.cost.max(other.cost),
            tokens: self.tokens.max(other.tokens),
            input_tokens: self.input_tokens.max(other.input_tokens),
            output_tokens: self.output_tokens.max(other.output_tokens),
            requests: self.requests.max(other.requests),
            concurrent: self.concurrent.max(other.concurrent),
        }
    }

    /// The part that a limit in `unit` counts.
    pub fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Usd => self.cost.0,
            Unit::Tokens => self.tokens,
            Unit::InputTokens => self.input_tokens,
            Unit::OutputTokens => self.output_tokens,
            Unit::Requests => self.requests,
            Unit::Concurrent => self.concurrent,
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
