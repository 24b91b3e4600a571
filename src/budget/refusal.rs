//! Why a call was refused, as data and as a sentence for the caller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::plan::Unit;

/// The limit that refused: of several the one that holds longest, so that whoever waits for
/// `retry_after` is not refused by another one then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `namespace/name` of the budget.
    pub budget: Arc<str>,
    /// Name of the limit.
    pub limit: Arc<str>,
    /// Whose counter: the value of `per`, or empty for the one pool.
    pub subject: Arc<str>,
    /// What the limit counts; the amounts below are in it (money in nano-dollars).
    pub unit: Unit,
    /// What was used in the present window; of [`Unit::Concurrent`] the calls under way.
    pub used: u64,
    /// What calls in flight have reserved on top.
    pub reserved: u64,
    /// What this call asked for.
    pub demanded: u64,
    /// The limit.
    pub amount: u64,
    /// Time to wait before a call of this size can fit, whole seconds, at least one. Of a calendar
    /// window the time to its end. A second where calls under way stand in the way: any of them may
    /// end at any moment.
    pub retry_after: Duration,
    /// When the window is empty again: its end, or of a sliding one the time when all that
    /// counts now has left it. `None` of [`Unit::Concurrent`].
    pub resets_at: Option<Timestamp>,
}

impl Refusal {
    /// Whether the call asked for more than the limit allows in a whole window: waiting is no use.
    pub fn never_fits(&self) -> bool {
        self.demanded > self.amount
    }
}

/// A sentence for the caller: which budget and limit, how much of what is used, and when it ends.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, limit, unit, .. } = self;
        let demanded = unit.describe(self.demanded);
        let amount = unit.describe(self.amount);
        if self.never_fits() {
            return write!(
                f,
                "budget {budget}: this request may use up to {demanded} and can never fit limit \
                 {limit} of {amount}; ask for less output or raise the limit"
            );
        }
        let seconds = self.retry_after.as_secs();
        let used = unit.quantity(self.used);
        let Some(resets_at) = self.resets_at else {
            return write!(
                f,
                "budget {budget}: limit {limit} of {amount} has {used} under way; retry in \
                 {seconds} s"
            );
        };
        write!(f, "budget {budget}: limit {limit} has {used} of {amount} used")?;
        if self.reserved > 0 {
            let reserved = unit.quantity(self.reserved);
            write!(f, " and {reserved} reserved by requests in flight")?;
        }
        let resets_at = resets_at.strftime("%Y-%m-%dT%H:%M:%SZ");
        write!(
            f,
            "; this request may use up to {demanded}; retry in {seconds} s, resets at {resets_at}"
        )
    }
}
