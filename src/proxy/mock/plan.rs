//! The order and the rhythm of an answer's parts, bad ends included. Pure: [`super::Body`] plays it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::answer::Answer;
use super::behaviour::{Behaviour, Ending};

/// One thing that a body does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Wait, if it is not zero.
    Wait(Duration),
    /// Send bytes.
    Data(Bytes),
    /// Encode and send an event of a stream.
    Event(Event),
    /// Be silent for ever.
    Stall,
    /// Break the connection.
    Cut,
}

/// One event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A choice begins.
    Role(usize),
    /// A token of a choice.
    Token(usize, usize),
    /// A choice ends.
    Finish(usize),
    /// The usage.
    Usage,
    /// An error.
    Error,
    /// The terminator.
    Done,
}

/// The steps of a stream.
pub fn stream(answer: &Answer, behaviour: &Behaviour, usage: bool) -> VecDeque<Step> {
    let mut steps = VecDeque::from([Step::Wait(behaviour.first_token)]);
    let mut tokens = 0;
    for event in events(answer, behaviour, usage) {
        if let Some((ending, after)) = behaviour.ending
            && tokens == after
        {
            steps.push_back(bad_end(ending));
            return steps;
        }
        if matches!(event, Event::Token(..)) {
            if tokens > 0 {
                steps.push_back(Step::Wait(behaviour.interval));
            }
            tokens += 1;
        }
        steps.push_back(Step::Event(event));
    }
    steps
}

/// The events of a stream that ends well, but for what the behaviour leaves out.
fn events(answer: &Answer, behaviour: &Behaviour, usage: bool) -> Vec<Event> {
    let choices = answer.choices.iter().enumerate();
    let mut events: Vec<Event> = choices.clone().map(|(index, _)| Event::Role(index)).collect();
    let longest = answer.choices.iter().map(|choice| choice.tokens.len()).max().unwrap_or(0);
    for token in 0..longest {
        let having = choices.clone().filter(|(_, choice)| token < choice.tokens.len());
        events.extend(having.map(|(index, _)| Event::Token(index, token)));
    }
    if behaviour.truncate {
        return events;
    }
    let finished = choices.filter(|(_, choice)| choice.finish.is_some());
    events.extend(finished.map(|(index, _)| Event::Finish(index)));
    if usage && !behaviour.without_usage {
        events.push(Event::Usage);
    }
    events.push(Event::Done);
    events
}

/// The steps of a whole answer, whose head has already been sent.
pub fn whole(body: Bytes, behaviour: &Behaviour) -> VecDeque<Step> {
    let half = body.slice(..body.len() / 2);
    match behaviour.ending {
        Some((ending, 0)) => VecDeque::from([bad_end(ending)]),
        Some((ending, _)) => VecDeque::from([Step::Data(half), bad_end(ending)]),
        None if behaviour.truncate => VecDeque::from([Step::Data(half)]),
        None => VecDeque::from([Step::Data(body)]),
    }
}

fn bad_end(ending: Ending) -> Step {
    match ending {
        Ending::Stall => Step::Stall,
        Ending::Cut => Step::Cut,
        Ending::Error => Step::Event(Event::Error),
    }
}
