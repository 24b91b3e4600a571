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

    /// The head of a whole answer is there. Later calls do nothing.
    pub fn head(&mut self, now: Instant) {
        if let Some(visit) = &mut self.visit {
            self.state.head(visit, now);
        }
    }

    /// The first content of a stream is there. Later calls do nothing.
    pub fn first_content(&mut self, now: Instant) {
        if let Some(visit) = &mut self.visit {
            self.state.first_content(visit, now);
        }
    }

    /// All of a whole answer is there, which its end will say to the target's state.
    pub fn whole_content(&mut self) {
        if let Some(visit) = &mut self.visit {
            visit.has_content = true;
        }
    }

    /// Whether a faster try beside this one has to wait longer than usual, for this one shows whether
    /// its target is silent or merely slow.
    pub fn is_watched(&mut self) -> bool {
        self.visit.as_mut().is_some_and(|visit| self.state.watch(visit))
    }

    /// The try is over. Later calls do nothing. One that got no answer has used no tokens of the
    /// account.
    pub fn end(&mut self, end: End, now: Instant) {
        let Some(visit) = self.visit.take() else { return };
        if !visit.has_content && end != End::Answered {
            self.used(0);
        }
        self.state.leave(visit, end, &self.settings, now);
        if let Some(hold) = self.hold.take()
            && end == End::Unsent
        {
            hold.undo();
        }
    }

    /// The provider is called once more, with another key; whether its account has room for that.
    pub fn again(&mut self, now: Instant) -> bool {
        self.hold.as_ref().is_none_or(|hold| hold.again(now))
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
        for end in [End::Failed(None), End::Left, End::Outrun, End::Unjudged, End::Limited(None)] {
            let mut flight = take();
            flight.head(now);
            flight.end(end, now);
            assert!(left(100), "{end:?}");
        }
        let mut answered = take();
        answered.first_content(now);
        answered.used(40);
        answered.end(End::Answered, now);
        assert!(left(60) && !left(61));
    }

    #[test]
    fn a_head_says_how_fast_a_target_is_and_does_not_let_it_back() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let state = state(now);
        for _ in 0..5 {
            begin(&state, None, now).end(End::Failed(None), now);
        }
        let mut flight = begin(&state, None, later(10));
        flight.head(later(12));
        assert_eq!(state.view(later(12)).first_token, Some(Duration::from_secs(2)));
        assert_ne!(state.standing(later(12)), Standing::Ready);
        flight.end(End::Failed(None), later(13));
        assert_ne!(state.standing(later(13)), Standing::Ready);
        let mut flight = begin(&state, None, later(40));
        flight.head(later(43));
        flight.whole_content();
        flight.end(End::Answered, later(50));
        assert_eq!(state.standing(later(50)), Standing::Ready);
        assert_eq!(state.view(later(50)).first_token, Some(Duration::from_secs(3)));
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
