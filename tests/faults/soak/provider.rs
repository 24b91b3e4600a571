//! A provider of the soak: what it does with a request is decided when the request has come.

use std::{sync::Arc, time::Duration};

use crate::{
    answer::{self, DONE, ERROR, ROLE, STOP, TOKEN, USAGE, WHOLE},
    peer::{Peer, Running, Step},
};

use super::schedule::{Mode, Weather};

/// Between the tokens of a stream.
const GAP: Step = Step::Pause(Duration::from_millis(20));

/// Starts one.
pub async fn start(index: usize, weather: &Weather) -> Running {
    let weather = weather.clone();
    let choice = Arc::new(move |stream| answer(weather.now(index), stream));
    Peer::Plain(vec![vec![Step::Request, Step::Choose(choice), Step::Again]]).start().await
}

fn answer(mode: Mode, stream: bool) -> Vec<Step> {
    match mode {
        Mode::Good => good(stream),
        Mode::Slow => {
            let late = Step::Pause(Duration::from_millis(500));
            std::iter::once(late).chain(good(stream)).collect()
        }
        Mode::Failing => vec![Step::Send(answer::sized("503 Service Unavailable", "", ERROR))],
        Mode::Limiting => {
            let headers = "retry-after: 1\r\n";
            vec![Step::Send(answer::sized("429 Too Many Requests", headers, ERROR))]
        }
        Mode::Silent => vec![Step::Stall],
        Mode::Closing => vec![Step::Reset],
        Mode::Cutting => {
            let begun = match stream {
                true => answer::begun(&[ROLE, TOKEN]),
                false => [answer::json_head(WHOLE.len()), WHOLE.as_bytes()[..50].to_vec()].concat(),
            };
            vec![Step::Send(begun), GAP, Step::Reset]
        }
    }
}

fn good(stream: bool) -> Vec<Step> {
    if !stream {
        return vec![Step::Send(answer::json(WHOLE))];
    }
    let event = |data: &str| Step::Send(answer::chunk(answer::events(&[data]).as_bytes()));
    let mut steps = vec![Step::Send(answer::begun(&[ROLE]))];
    for _ in 0..4 {
        steps.extend([event(TOKEN), GAP]);
    }
    steps.extend([event(STOP), event(USAGE), event(DONE), Step::Send(answer::END.to_vec())]);
    steps
}
