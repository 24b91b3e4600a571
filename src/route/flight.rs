//! One try while it is under way. Whatever becomes of it, dropping it gives back what it holds: its
//! place at the target, a probe's turn, its place in the account.

use std::{sync::Arc, time::Instant};

use crate::snapshot::Ejection;

use super::{
    limits::Hold,
    target::{End, TargetState, Visit},
};

/// A try under way.
#[derive(Debug)]
pub struct Flight {
    state: Arc<TargetState>,
    settings: Ejection,
    hold: Option<Hold>,
    /// `None` once it is over.
    visit: Option<Visit>,
}

impl Flight {
    /// A try begins, whether the target is ready or not.
    pub fn begin(
        state: Arc<TargetState>,
        settings: Ejection,
        hold: Option<Hold>,
        now: Instant,
    ) -> Self {
        let visit = state.enter(true, now);
        Self { state, settings, hold, visit }
    }

    /// The same if the target is ready or due; else what was held is given back.
    pub fn begin_if_ready(
        state: Arc<TargetState>,
        settings: Ejection,
        hold: Option<Hold>,
        now: Instant,
    ) -> Option<Self> {
        match state.enter(false, now) {
            Some(visit) => Some(Self { state, settings, hold, visit: Some(visit) }),
            None => {
                if let Some(hold) = hold {
                    hold.undo();
                }
                None
            }
        }
    }

    /// It is the first try that its request makes of the target; see [`TargetState::first_try`].
    pub fn count_first(&self, now: Instant) {
        self.state.first_try(now);
    }

    /// The first content of a stream is there, or the head of a whole answer. Later calls do nothing.
    pub fn first_content(&mut self, now: Instant) {
        if let Some(visit) = &mut self.visit {
            self.state.first_content(visit, now);
        }
    }

    /// The try is over. Later calls do nothing. One that got no answer has used no tokens of the
    /// account.
    pub fn end(&mut self, end: End, now: Instant) {
        let Some(visit) = self.visit.take() else { return };
        if visit.is_waiting && matches!(end, End::Failed(_) | End::Limited(_)) {
            self.used(0);
        }
        self.state.leave(visit, end, &self.settings, now);
        if let Some(hold) = self.hold.take()
            && end == End::Unsent
        {
            hold.undo();
        }
    }

    /// The tokens that it has used. To be said before its end.
    pub fn used(&mut self, tokens: u64) {
        if let Some(hold) = &mut self.hold {
            hold.correct(tokens);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(visit) = self.visit.take() {
            self.state.leave(visit, End::Unjudged, &self.settings, visit.began);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        route::{Account, Standing},
        snapshot::AccountLimits,
    };

    fn state(now: Instant) -> Arc<TargetState> {
        Arc::new(TargetState::new("p".into(), "m".into(), now))
    }

    fn begin(state: &Arc<TargetState>, hold: Option<Hold>, now: Instant) -> Flight {
        Flight::begin(Arc::clone(state), Ejection::default(), hold, now)
    }

    #[test]
    fn of_two_that_saw_a_target_due_one_tries_it_and_the_other_gives_all_back() {
        let now = Instant::now();
        let state = state(now);
        for _ in 0..5 {
            begin(&state, None, now).end(End::Failed(None), now);
        }
        let due = now + Duration::from_secs(10);
        assert_eq!(state.standing(due), Standing::Due);
        let account = Arc::new(Account::new(now));
        let hold = || account.take(&AccountLimits::default(), 10, due).unwrap();
        let try_it = || {
            let settings = Ejection::default();
            Flight::begin_if_ready(Arc::clone(&state), settings, Some(hold()), due)
        };
        let probe = try_it().unwrap();
        assert!(try_it().is_none());
        assert_eq!((state.in_flight(), account.in_flight()), (1, 1));
        drop(probe);
        assert!(account.in_flight() == 0 && !account.is_idle(due), "it was made, and counts");
        assert!(try_it().is_some(), "a probe whose caller left is no judgement");
    }

    #[test]
    fn a_try_that_ends_in_any_way_leaves_nothing_behind() {
        let now = Instant::now();
        let state = state(now);
        let ends =
            [End::Answered, End::Failed(None), End::Limited(None), End::Unjudged, End::Unsent];
        for end in ends {
            let mut flight = begin(&state, None, now);
            flight.first_content(now);
            flight.end(end, now);
            flight.end(End::Failed(None), now);
            drop(begin(&state, None, now));
        }
        let view = state.view(now);
        assert_eq!((view.in_flight, view.healthy, view.consecutive_failures), (0, true, 1));
    }

    #[test]
    fn an_unanswered_try_gives_its_tokens_back_and_an_answered_one_keeps_what_it_used() {
        let now = Instant::now();
        let (state, account) = (state(now), Arc::new(Account::new(now)));
        let limits = AccountLimits { tokens_per_minute: Some(100), ..AccountLimits::default() };
        let take = || begin(&state, Some(account.take(&limits, 90, now).unwrap()), now);
        let left = |tokens| account.room(&limits, tokens, now).is_ok();
        take().end(End::Failed(None), now);
        assert!(left(100));
        let mut answered = take();
        answered.first_content(now);
        answered.used(40);
        answered.end(End::Answered, now);
        assert!(left(60) && !left(61));
    }

    #[test]
    fn a_try_that_nobody_waits_for_any_longer_took_longer_than_that() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let state = state(now);
        begin(&state, None, now).end(End::Left, later(3));
        assert_eq!(state.view(later(3)).first_token, Some(Duration::from_secs(3)));
        begin(&state, None, later(3)).end(End::Left, later(4));
        assert!(state.estimate(later(4)).unwrap() > 2.5, "a shorter wait proves nothing");
        let mut answering = begin(&state, None, later(5));
        answering.first_content(later(6));
        let known = state.estimate(later(60));
        answering.end(End::Left, later(60));
        assert_eq!(state.estimate(later(60)), known, "it had begun");
        assert_eq!((state.in_flight(), state.view(later(60)).healthy), (0, true));
    }
}
