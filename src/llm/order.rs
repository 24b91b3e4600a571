//! Puts the events of a stream into the order that a dialect with one open block at a time needs:
//! what belongs to a later block waits until the call that is open is complete. Writes nothing
//! itself.

use std::collections::VecDeque;

use super::chat::ChatEvent;
use super::codec::EventEncoder;
use super::error::ApiError;
use super::sse::MAX_FRAME;
use super::stream::StreamFault;

/// An encoder behind which blocks come one after the other. Blocks whose call is complete go out at
/// once, so a provider that does not mix them is not held up.
pub struct Ordered<E> {
    inner: E,
    /// The choice that events belong to; only the first is put in order.
    choice: u32,
    /// The call that has gone out and is not complete.
    open: Option<Arguments>,
    /// Later blocks.
    held: VecDeque<Block>,
    /// Bytes of them, at most [`MAX_FRAME`].
    bytes: usize,
    /// The call that the last event was about.
    last: Option<usize>,
}

/// Events that belong together: a call's, or words.
#[derive(Default)]
struct Block {
    call: Option<usize>,
    ended: bool,
    events: Vec<ChatEvent>,
}

/// How far the arguments of a call have come.
#[derive(Default)]
struct Arguments {
    index: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    complete: bool,
}

impl Arguments {
    fn of(index: usize) -> Self {
        Self { index, ..Self::default() }
    }

    /// Complete is an object whose last brace has come.
    fn read(&mut self, json: &str) {
        for byte in json.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.complete |= self.depth == 0;
                }
                _ => {}
            }
        }
    }
}

impl<E: EventEncoder> Ordered<E> {
    /// Puts in order what `inner` writes.
    pub fn new(inner: E) -> Self {
        Self { inner, choice: 0, open: None, held: VecDeque::new(), bytes: 0, last: None }
    }

    /// Appends what may be written now.
    fn take(&mut self, event: &ChatEvent, ready: &mut Vec<ChatEvent>) -> Result<(), StreamFault> {
        match event {
            ChatEvent::Start { .. } | ChatEvent::Usage(_) => {}
            ChatEvent::Choice(choice) => self.choice = *choice,
            ChatEvent::End => self.release_all(ready),
            _ if self.choice != 0 => {}
            ChatEvent::Finish { .. } => self.release_all(ready),
            _ => return self.content(event, ready),
        }
        ready.push(event.clone());
        Ok(())
    }

    fn content(
        &mut self,
        event: &ChatEvent,
        ready: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let call = match event {
            ChatEvent::ToolCall { index, .. }
            | ChatEvent::Arguments { index, .. }
            | ChatEvent::CallEnd(index) => Some(*index),
            ChatEvent::PartSignature(_) => self.last,
            _ => None,
        };
        self.last = call;
        match &mut self.open {
            Some(open) if call != Some(open.index) => return self.hold(call, event, ready),
            Some(open) => match event {
                ChatEvent::Arguments { json, .. } => open.read(json),
                ChatEvent::CallEnd(_) => open.complete = true,
                _ => {}
            },
            None => {
                if let ChatEvent::ToolCall { index, .. } = event {
                    self.open = Some(Arguments::of(*index));
                }
            }
        }
        ready.push(event.clone());
        self.release(ready);
        Ok(())
    }

    fn hold(
        &mut self,
        call: Option<usize>,
        event: &ChatEvent,
        ready: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let begins = matches!(event, ChatEvent::ToolCall { .. });
        let found = match call {
            Some(_) => self.held.iter_mut().rev().find(|block| block.call == call),
            None => self.held.back_mut().filter(|block| block.call.is_none()),
        };
        let block = match found {
            Some(block) => block,
            // A call that was complete before: the dialect says what it makes of that.
            None if call.is_some() && !begins => {
                ready.push(event.clone());
                return Ok(());
            }
            // Words from before the call, which ended them.
            None if matches!(event, ChatEvent::BlockEnd) => return Ok(()),
            None => {
                self.held.push_back(Block { call, ..Block::default() });
                let Some(block) = self.held.back_mut() else { return Ok(()) };
                block
            }
        };
        block.ended |= matches!(event, ChatEvent::CallEnd(_));
        block.events.push(event.clone());
        self.bytes += size(event);
        if self.bytes <= MAX_FRAME {
            return Ok(());
        }
        let text = format!(
            "arguments of two tool calls are interleaved, and more than {MAX_FRAME} bytes wait for the end of the first"
        );
        Err(StreamFault::Malformed(text))
    }

    /// Lets blocks go as far as calls are complete.
    fn release(&mut self, ready: &mut Vec<ChatEvent>) {
        while self.open.as_ref().is_none_or(|open| open.complete) {
            self.open = None;
            let Some(block) = self.held.pop_front() else { return };
            if let Some(index) = block.call {
                let mut arguments = Arguments::of(index);
                for event in &block.events {
                    if let ChatEvent::Arguments { json, .. } = event {
                        arguments.read(json);
                    }
                }
                arguments.complete |= block.ended;
                self.open = Some(arguments);
            }
            self.bytes -= block.events.iter().map(size).sum::<usize>();
            ready.extend(block.events);
        }
    }

    /// Nothing more comes: all calls are as complete as they will be.
    fn release_all(&mut self, ready: &mut Vec<ChatEvent>) {
        if self.choice != 0 && !self.held.is_empty() {
            ready.push(ChatEvent::Choice(0));
        }
        self.open = None;
        self.bytes = 0;
        ready.extend(self.held.drain(..).flat_map(|block| block.events));
    }
}

/// Bytes that an event takes while it waits.
fn size(event: &ChatEvent) -> usize {
    let text = match event {
        ChatEvent::Text(text)
        | ChatEvent::Refusal(text)
        | ChatEvent::Thinking(text)
        | ChatEvent::RedactedThinking(text)
        | ChatEvent::Arguments { json: text, .. } => text.len(),
        ChatEvent::ToolCall { id, name, .. } => id.len() + name.len(),
        ChatEvent::Signature(signature) | ChatEvent::PartSignature(signature) => {
            signature.value.len()
        }
        _ => 0,
    };
    size_of::<ChatEvent>() + text
}

impl<E: EventEncoder> EventEncoder for Ordered<E> {
    fn encode(&mut self, event: &ChatEvent, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.encode_all(std::slice::from_ref(event), out)
    }

    /// What was ready before a fault is good.
    fn encode_all(&mut self, events: &[ChatEvent], out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let matters =
            |event: &ChatEvent| matches!(event, ChatEvent::ToolCall { .. } | ChatEvent::Choice(_));
        if self.open.is_none() && !events.iter().any(matters) {
            return self.inner.encode_all(events, out);
        }
        let mut ready = Vec::with_capacity(events.len());
        let taken = events.iter().try_for_each(|event| self.take(event, &mut ready));
        self.inner.encode_all(&ready, out)?;
        taken
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.inner.fail(error, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers what it is given.
    #[derive(Default)]
    struct Seen(Vec<ChatEvent>);

    impl EventEncoder for Seen {
        fn encode(&mut self, event: &ChatEvent, _: &mut Vec<u8>) -> Result<(), StreamFault> {
            self.0.push(event.clone());
            Ok(())
        }

        fn fail(&mut self, _: &ApiError, _: &mut Vec<u8>) {}
    }

    fn begun(index: usize) -> ChatEvent {
        ChatEvent::ToolCall { index, id: format!("c{index}"), name: "f".to_owned() }
    }

    fn arguments(index: usize, json: &str) -> ChatEvent {
        ChatEvent::Arguments { index, json: json.to_owned() }
    }

    fn said(text: &str) -> ChatEvent {
        ChatEvent::Text(text.to_owned())
    }

    fn ordered(events: &[ChatEvent]) -> Vec<ChatEvent> {
        let mut order = Ordered::new(Seen::default());
        order.encode_all(events, &mut Vec::new()).unwrap();
        order.inner.0
    }

    #[test]
    fn a_later_call_waits_for_the_arguments_of_the_one_before() {
        let events = [
            begun(0),
            begun(1),
            arguments(1, "{}"),
            arguments(0, r#"{"a":"}"#),
            said("b"),
            arguments(0, r#"\"}"}"#),
        ];
        let wanted = [
            begun(0),
            arguments(0, r#"{"a":"}"#),
            arguments(0, r#"\"}"}"#),
            begun(1),
            arguments(1, "{}"),
            said("b"),
        ];
        assert_eq!(ordered(&events), wanted);
    }

    #[test]
    fn nothing_waits_for_a_call_that_is_complete() {
        let events = [begun(0), arguments(0, "{}"), begun(1), arguments(1, "{"), said("a")];
        assert_eq!(ordered(&events), events[..4]);
        let ended = [begun(0), begun(1), ChatEvent::CallEnd(1), ChatEvent::CallEnd(0), said("a")];
        let wanted = [begun(0), ChatEvent::CallEnd(0), begun(1), ChatEvent::CallEnd(1), said("a")];
        assert_eq!(ordered(&ended), wanted);
    }

    #[test]
    fn what_waits_goes_out_at_the_end_and_is_bounded() {
        let other = [ChatEvent::Choice(1), said("other"), ChatEvent::End];
        let events = [&[begun(0), begun(1)], &other[..]].concat();
        let wanted =
            [&[begun(0)], &other[..2], &[ChatEvent::Choice(0), begun(1)], &[ChatEvent::End]];
        assert_eq!(ordered(&events), wanted.concat());
        let mut order = Ordered::new(Seen::default());
        let flood = [begun(0), said(&"x".repeat(MAX_FRAME))];
        assert!(order.encode_all(&flood, &mut Vec::new()).is_err());
        assert_eq!(order.inner.0, flood[..1]);
    }
}
