//! The health of one target as its own answers show it: when it is left out, for how long, and how it
//! comes back. A plain state machine: time comes with each call, and it knows no lock.
//!
//! Ready -> ejected, after failures in a row or too many of the last ten seconds' -> due, when its
//! time is over: one request at a time tries it -> ready again with the first content, on trial until
//! it has answered another request and completed an answer: a failure before that ejects at once.

use std::time::{Duration, Instant};

use crate::snapshot::Ejection;

use super::outcomes::Outcomes;

/// How long a target rests that says it is limited, and not for how long; doubles each time it says so
/// again.
pub const REST: Duration = Duration::from_secs(1);
/// The longest of these.
const MAX_REST: Duration = Duration::from_secs(32);
/// The longest rest that a provider can ask for.
const LONGEST_REST: Duration = Duration::from_secs(3600);
/// The longest time in which a target comes back to its full share.
pub const SLOW_START: Duration = Duration::from_secs(10);
/// A full share. Shares in between are parts of it.
pub const FULL: u64 = 1024;
/// The share that a slow start begins with.
const FIRST_SHARE: u64 = FULL / 10;
/// Tries that were outrun in a row, after which one is given the time to show whether the target is
/// silent.
const OUTRUN: u32 = 10;

/// Whether a target may be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It may.
    Ready,
    /// Its ejection is over, and one request may try it.
    Due,
    /// Only if nothing else is left: it was ejected or wants to rest.
    Away {
        /// When that is over; past where another request is trying it.
        until: Instant,
    },
}

/// One request's leave to ask a target. To be given back by [`Health::released`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pass {
    epoch: u32,
    is_probe: bool,
    /// It is the one by which it is seen whether a target is silent; see [`Health::watch`].
    is_watch: bool,
    has_content: bool,
    /// The second in which its content was counted.
    answered: Option<u64>,
}

/// The health of one target.
#[derive(Clone, Debug)]
pub struct Health {
    /// Failures in a row before any content: contents of others end the row.
    refused: u32,
    /// Failures in a row after it: complete answers end the row. The two are kept apart, for answers
    /// that began long ago go on while a target takes nothing new, and one that begins well may always
    /// break off.
    cut: u32,
    /// Tries in a row that a faster one made needless before anything had come: contents end the row.
    outrun: u32,
    is_watched: bool,
    outcomes: Outcomes,
    ejected: Option<Ejected>,
    /// Ejections that count for the length of the next.
    level: u32,
    /// The last ejection's length.
    length: Duration,
    recovered: Option<Instant>,
    born: Instant,
    resting_until: Option<Instant>,
    /// Times in a row that it was limited without saying for how long.
    limited: u32,
    /// Grows with each ejection and each recovery: what began before says nothing about now.
    epoch: u32,
    trial: Trial,
}

/// What a target that is back has yet to show: until then one failure of the kind ejects it again.
#[derive(Clone, Copy, Debug, Default)]
struct Trial {
    /// That it answers a second request.
    answers: bool,
    /// That an answer comes to its end.
    completes: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ejected {
    until: Instant,
    is_probed: bool,
}

impl Health {
    /// A target of which nothing is known.
    pub fn new(now: Instant) -> Self {
        Self {
            refused: 0,
            cut: 0,
            outrun: 0,
            is_watched: false,
            outcomes: Outcomes::default(),
            ejected: None,
            level: 0,
            length: Duration::ZERO,
            recovered: None,
            born: now,
            resting_until: None,
            limited: 0,
            epoch: 0,
            trial: Trial::default(),
        }
    }

    /// Whether it may be asked.
    pub fn standing(&self, now: Instant) -> Standing {
        match (self.ejected, self.resting_until(now)) {
            (None, None) => Standing::Ready,
            (None, Some(until)) => Standing::Away { until },
            (Some(ejected), Some(until)) => Standing::Away { until: until.max(ejected.until) },
            (Some(Ejected { until, is_probed }), None) if is_probed || until > now => {
                Standing::Away { until }
            }
            (Some(_), None) => Standing::Due,
        }
    }

    /// Leave to ask it, whatever its standing: whoever is due for a probe is tried by this one.
    pub fn pass(&mut self, now: Instant) -> Pass {
        let is_probe = self.standing(now) == Standing::Due;
        if is_probe && let Some(ejected) = &mut self.ejected {
            ejected.is_probed = true;
        }
        Pass { epoch: self.epoch, is_probe, is_watch: false, has_content: false, answered: None }
    }

    /// The first content of an answer is there, which ends an ejection. Whether it did.
    pub fn first_content(&mut self, pass: &mut Pass, now: Instant) -> bool {
        if std::mem::replace(&mut pass.has_content, true) || pass.epoch != self.epoch {
            return false;
        }
        let recovers = self.ejected.is_some();
        match recovers {
            true => {
                self.recover(now);
                *pass = Pass { epoch: self.epoch, is_probe: false, ..*pass };
            }
            false => self.trial.answers = false,
        }
        self.refused = 0;
        self.outrun = 0;
        self.limited = 0;
        pass.answered = Some(self.outcomes.answered(now));
        recovers
    }

    /// Whether so many tries in a row were outrun that one must show what it is; see [`Self::watch`].
    pub fn is_outrun(&self) -> bool {
        self.outrun >= OUTRUN
    }

    /// Whether this try shows if the target is silent or merely slow, for the last `OUTRUN` were
    /// broken off too early to tell: who has a faster one beside it gives it more time. One at a time.
    pub fn watch(&mut self, pass: &mut Pass) -> bool {
        let is_due = self.is_outrun() && !self.is_watched && self.ejected.is_none();
        if is_due && pass.epoch == self.epoch {
            self.is_watched = true;
            pass.is_watch = true;
        }
        pass.is_watch
    }

    /// A faster try made this one needless before it had any content. Whether the target was ejected
    /// for it: one that was watched had time enough. One that is being tried after an ejection goes
    /// back to it, for as long again: whoever comes next would have to wait for it as well.
    pub fn outrun(&mut self, settings: &Ejection, pass: Pass, now: Instant) -> bool {
        if pass.has_content || pass.epoch != self.epoch {
            return false;
        }
        if pass.is_watch {
            return self.failed(settings, pass, now);
        }
        match &mut self.ejected {
            Some(ejected) if pass.is_probe => ejected.until = now + self.length,
            Some(_) => {}
            None => self.outrun = self.outrun.saturating_add(1),
        }
        false
    }

    /// An answer came to its end.
    pub fn succeeded(&mut self, pass: &mut Pass, now: Instant) {
        self.first_content(pass, now);
        if pass.epoch == self.epoch {
            self.cut = 0;
            self.trial = Trial::default();
        }
    }

    /// An answer failed by the target's fault. Whether the target was ejected for it.
    pub fn failed(&mut self, settings: &Ejection, pass: Pass, now: Instant) -> bool {
        if pass.epoch != self.epoch {
            return false;
        }
        let row = if pass.has_content { &mut self.cut } else { &mut self.refused };
        *row = row.saturating_add(1);
        let is_row = *row >= settings.consecutive_failures;
        self.outcomes.failed(pass.answered, now);
        // An answer can be long: what breaks off later is weighed as ever.
        let is_back = |recovered| now.saturating_duration_since(recovered) < SLOW_START;
        let is_trial = match pass.has_content {
            true => self.trial.completes && self.recovered.is_some_and(is_back),
            false => self.trial.answers,
        };
        // Nothing had come of those before either.
        let is_silent = pass.is_watch && !pass.has_content;
        let is_enough = is_trial || is_row || is_silent || self.outcomes.mostly_failed(now);
        let ejects = match self.ejected {
            // Others were sent here for want of a better: they must not prolong it.
            Some(_) => pass.is_probe,
            None => is_enough,
        };
        if ejects {
            self.eject(settings, now);
        }
        ejects
    }

    /// The target has had enough for the moment: it rests for as long as it says. A later end is never
    /// brought forward.
    pub fn limited(&mut self, wait: Option<Duration>, now: Instant) {
        let wait = match wait {
            Some(wait) => wait.min(LONGEST_REST),
            // Those that were under way together are one sign.
            None if self.resting_until(now).is_some() => return,
            None => {
                let rest = REST.saturating_mul(1 << self.limited.min(8)).min(MAX_REST);
                self.limited = self.limited.saturating_add(1);
                rest
            }
        };
        self.resting_until = self.resting_until.max(Some(now + wait));
    }

    /// A request is over, however it went.
    pub fn released(&mut self, pass: Pass) {
        if pass.is_watch && pass.epoch == self.epoch {
            self.is_watched = false;
        }
        if pass.is_probe
            && pass.epoch == self.epoch
            && let Some(ejected) = &mut self.ejected
        {
            ejected.is_probed = false;
        }
    }

    /// The part of [`FULL`] that it is given while it comes back, over as long as it was away and
    /// [`SLOW_START`] at most. `is_adaptive`: it grows into its share when it is new, too.
    pub fn share(&self, is_adaptive: bool, now: Instant) -> u64 {
        let (since, over) = match self.recovered {
            Some(recovered) => (recovered, self.length.min(SLOW_START)),
            None if is_adaptive => (self.born, SLOW_START),
            None => return FULL,
        };
        let (passed, over) = (now.saturating_duration_since(since).as_micros(), over.as_micros());
        if passed >= over {
            return FULL;
        }
        let grown = u128::from(FULL - FIRST_SHARE) * passed / over;
        FIRST_SHARE + u64::try_from(grown).unwrap_or(FULL)
    }

    /// Until when it is ejected at least; past where only a request can tell.
    pub fn ejected_until(&self) -> Option<Instant> {
        self.ejected.map(|ejected| ejected.until)
    }

    /// Until when it rests.
    pub fn resting_until(&self, now: Instant) -> Option<Instant> {
        self.resting_until.filter(|until| *until > now)
    }

    /// Failures in a row, of the longer row.
    pub fn consecutive_failures(&self) -> u32 {
        self.refused.max(self.cut)
    }

    /// An active check found it alive: a request may try it at once.
    pub fn found_alive(&mut self, now: Instant) {
        if let Some(ejected) = &mut self.ejected {
            ejected.until = ejected.until.min(now);
        }
    }

    fn eject(&mut self, settings: &Ejection, now: Instant) {
        self.forget_old_ejections(settings, now);
        self.length = length(settings, self.level);
        self.level = self.level.saturating_add(1).min(64);
        self.ejected = Some(Ejected { until: now + self.length, is_probed: false });
        self.epoch = self.epoch.wrapping_add(1);
        self.recovered = None;
        (self.outrun, self.is_watched) = (0, false);
    }

    /// For every time that it was well for as long as an ejection had lasted, that one is forgotten.
    fn forget_old_ejections(&mut self, settings: &Ejection, now: Instant) {
        let Some(recovered) = self.recovered.filter(|_| self.ejected.is_none()) else { return };
        let mut well = now.saturating_duration_since(recovered);
        while let Some(level) = self.level.checked_sub(1)
            && let Some(left) = well.checked_sub(length(settings, level))
        {
            (self.level, well) = (level, left);
        }
    }

    fn recover(&mut self, now: Instant) {
        self.ejected = None;
        self.recovered = Some(now);
        self.epoch = self.epoch.wrapping_add(1);
        (self.refused, self.cut, self.outrun) = (0, 0, 0);
        self.outcomes = Outcomes::default();
        self.trial = Trial { answers: true, completes: true };
    }
}

/// Length of the ejection after so many others.
fn length(settings: &Ejection, level: u32) -> Duration {
    let factor = 1_u32.checked_shl(level).unwrap_or(u32::MAX);
    settings.base.saturating_mul(factor).min(settings.max)
}

#[cfg(test)]
mod tests;
