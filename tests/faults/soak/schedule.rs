//! When which provider is how: written beforehand, and kept as it came to be.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How many providers there are.
pub const PROVIDERS: usize = 3;
/// What a 429 here asks for: so long its provider counts as down after the last of them.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How a provider is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    Good,
    /// Answers, half a second late.
    Slow,
    /// 503.
    Failing,
    /// 429 with `retry-after: 1`.
    Limiting,
    /// Reads requests and says nothing.
    Silent,
    /// Resets connections after the request.
    Closing,
    /// Resets connections within answers: of streams after their first content.
    Cutting,
}

impl Mode {
    /// What providers go through, in turn.
    const BAD: [Self; 6] =
        [Self::Failing, Self::Limiting, Self::Silent, Self::Closing, Self::Cutting, Self::Slow];

    /// Whether requests fail here.
    fn is_down(self) -> bool {
        !matches!(self, Self::Good | Self::Slow)
    }
}

type Modes = [Mode; PROVIDERS];

/// The modes of a phase: one provider after the other is down, sometimes two, sometimes all.
fn modes(phase: usize) -> Modes {
    let bad = |shift: usize| Mode::BAD[(phase / PROVIDERS + shift) % Mode::BAD.len()];
    let mut modes = [Mode::Good; PROVIDERS];
    modes[phase % PROVIDERS] = bad(0);
    if phase % 5 == 3 {
        modes[(phase + 1) % PROVIDERS] = bad(1);
    }
    if phase % 8 == 7 {
        modes = [Mode::Failing, Mode::Closing, Mode::Limiting];
    }
    modes
}

/// The modes of now, and all that have been.
#[derive(Clone)]
pub struct Weather {
    phase: Duration,
    past: Arc<Mutex<Vec<(Instant, Modes)>>>,
}

impl Weather {
    pub fn new(phase: Duration) -> Self {
        Self { phase, past: Arc::new(Mutex::new(vec![(Instant::now(), modes(0))])) }
    }

    /// Goes from phase to phase.
    pub async fn change(self) {
        let mut ticks = tokio::time::interval(self.phase);
        ticks.tick().await;
        for phase in 1.. {
            ticks.tick().await;
            self.past.lock().push((Instant::now(), modes(phase)));
        }
    }

    /// How a provider is now.
    pub fn now(&self, provider: usize) -> Mode {
        self.past.lock().last().unwrap().1[provider]
    }

    /// Whether a provider was so at some moment between two.
    pub fn was(
        &self,
        provider: usize,
        (from, to): (Instant, Instant),
        is: impl Fn(Mode) -> bool,
    ) -> bool {
        let past = self.past.lock();
        let ends = past.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        past.iter().zip(ends).any(|((began, modes), ended)| {
            let mode = modes[provider];
            let rests = if mode == Mode::Limiting { RETRY_AFTER } else { Duration::ZERO };
            is(mode) && *began <= to && ended.is_none_or(|ended| ended + rests >= from)
        })
    }

    /// Whether every provider was down at some moment between two.
    pub fn all_down(&self, during: (Instant, Instant)) -> bool {
        (0..PROVIDERS).all(|provider| self.was(provider, during, Mode::is_down))
    }

    /// Whether a provider cut its streams at some moment between two.
    pub fn any_cut(&self, during: (Instant, Instant)) -> bool {
        (0..PROVIDERS).any(|provider| self.was(provider, during, |mode| mode == Mode::Cutting))
    }

    /// Phases in which all providers were down.
    pub fn outages(&self) -> usize {
        self.past.lock().iter().filter(|(_, modes)| modes.iter().all(|mode| mode.is_down())).count()
    }

    /// Phases so far.
    pub fn phases(&self) -> usize {
        self.past.lock().len()
    }
}

#[test]
fn every_provider_goes_through_every_mode_and_sometimes_all_are_down() {
    let all: Vec<_> = (0..60).map(modes).collect();
    for provider in 0..PROVIDERS {
        for mode in Mode::BAD {
            assert!(all.iter().any(|modes| modes[provider] == mode), "{provider} {mode:?}");
        }
    }
    assert!(all.iter().any(|modes| modes.iter().all(|mode| mode.is_down())));
    assert!(all.iter().filter(|modes| modes.contains(&Mode::Good)).count() > 40);
}
