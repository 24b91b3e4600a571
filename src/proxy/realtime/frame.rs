//! Frames of a WebSocket (RFC 6455, 5.2) as they pass: where each begins and ends, and what is in those
//! of a server. Nothing is encoded again, for the bytes go on as they came; hence no library, which
//! would take every frame apart, mask it anew and hold whole messages.

/// The longest header: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;

/// Continues a message.
pub const CONTINUATION: u8 = 0x0;
/// Begins a text message.
pub const TEXT: u8 = 0x1;
/// Begins a message of other bytes.
const BINARY: u8 = 0x2;
/// Ends the connection.
pub const CLOSE: u8 = 0x8;
/// Asks for a sign of life.
pub const PING: u8 = 0x9;
/// Gives one.
pub const PONG: u8 = 0xa;

/// A place in a stream of frames.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    header: [u8; MAX_HEADER],
    /// Bytes of the header that are there.
    known: usize,
    is_inside: bool,
    /// Bytes of the payload that are still to come.
    left: u64,
    /// Bytes of the payload that have passed.
    passed: usize,
    has_closed: bool,
}

/// A piece of a frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// What the frame is.
    pub opcode: u8,
    /// Payload, masked as it came.
    pub payload: &'a [u8],
    /// The mask as it applies from the first of these bytes on; zeros if there is none.
    pub mask: [u8; 4],
    /// Whether the frame ends with it.
    pub ends_frame: bool,
    /// Whether the frame is the last of its message.
    pub is_final: bool,
}

impl Part<'_> {
    /// The payload without its mask.
    pub fn plain(&self) -> impl Iterator<Item = u8> {
        self.payload.iter().zip(self.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask)
    }
}

impl Cursor {
    /// Whether a frame may begin here.
    pub fn is_between(&self) -> bool {
        !self.is_inside && self.known == 0
    }

    /// Whether a close frame has passed: nothing may follow it.
    pub fn has_closed(&self) -> bool {
        self.has_closed
    }

    /// Reads on: the next piece, and `bytes` without it; `None` when they are used up.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Part<'a>> {
        while !self.is_inside {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            if let Some(slot) = self.header.get_mut(self.known) {
                *slot = byte;
            }
            self.known += 1;
            self.is_inside = self.known >= self.header_length();
            if self.is_inside {
                self.left = self.payload_length();
                self.passed = 0;
            }
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        if length == 0 && self.left > 0 {
            return None;
        }
        let (payload, rest) = bytes.split_at(length);
        *bytes = rest;
        self.left -= length as u64;
        let mut mask = self.mask();
        mask.rotate_left(self.passed % 4);
        self.passed = self.passed.wrapping_add(length);
        let ends_frame = self.left == 0;
        let (opcode, is_final) = (self.header[0] & 0x0f, self.header[0] & 0x80 != 0);
        if ends_frame {
            self.is_inside = false;
            self.known = 0;
            self.has_closed |= opcode == CLOSE;
        }
        Some(Part { opcode, payload, mask, ends_frame, is_final })
    }

    /// Moves over bytes.
    pub fn skip(&mut self, mut bytes: &[u8]) {
        while self.next(&mut bytes).is_some() {}
    }

    /// How many of these bytes there are up to the last place where a frame may begin.
    pub fn last_boundary(&self, bytes: &[u8]) -> Option<usize> {
        let mut cursor = self.clone();
        let mut rest = bytes;
        let mut boundary = cursor.is_between().then_some(0);
        while let Some(part) = cursor.next(&mut rest) {
            if part.ends_frame {
                boundary = Some(bytes.len() - rest.len());
            }
        }
        boundary
    }

    fn header_length(&self) -> usize {
        if self.known < 2 {
            return 2;
        }
        let mask = if self.header[1] & 0x80 != 0 { 4 } else { 0 };
        2 + self.length_bytes() + mask
    }

    fn mask(&self) -> [u8; 4] {
        let at = 2 + self.length_bytes();
        let mask = self.header.get(at..at + 4).and_then(|mask| mask.try_into().ok());
        mask.filter(|_| self.header[1] & 0x80 != 0).unwrap_or_default()
    }

    fn length_bytes(&self) -> usize {
        match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    fn payload_length(&self) -> u64 {
        let extended = self.header.get(2..2 + self.length_bytes()).unwrap_or_default();
        match extended {
            [] => u64::from(self.header[1] & 0x7f),
            bytes => bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        }
    }
}

/// Collects messages, without their mask.
#[derive(Debug, Default)]
pub struct Messages {
    cursor: Cursor,
    message: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No message is under way.
    #[default]
    Between,
    Message,
    /// A message that is longer than what is looked at.
    TooLong,
}

impl Messages {
    /// Reads on. `found` gets each whole message of at most `max` bytes; of a longer one its
    /// beginning, and `false`.
    pub fn push(&mut self, mut bytes: &[u8], max: usize, mut found: impl FnMut(&[u8], bool)) {
        while let Some(part) = self.cursor.next(&mut bytes) {
            let begins = matches!(part.opcode, TEXT | BINARY) && self.state == State::Between;
            if begins {
                self.message = Vec::new();
                self.state = State::Message;
            }
            // Control frames may stand between the frames of a message.
            let belongs = matches!(part.opcode, TEXT | BINARY | CONTINUATION);
            if !belongs || self.state == State::Between {
                continue;
            }
            let room = max.saturating_sub(self.message.len());
            if part.payload.len() > room {
                self.state = State::TooLong;
            }
            self.message.extend(part.plain().take(room));
            if part.ends_frame && part.is_final {
                found(&self.message, self.state == State::Message);
                self.state = State::Between;
            }
        }
    }
}

/// A frame of a server, whole and final. `payload` is at most 65,535 bytes; what is more is cut off.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..usize::from(u16::MAX)).unwrap_or(payload);
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(length),
        _ => {
            frame.push(126);
            frame.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A close frame's payload: a code, and a reason of at most 123 bytes.
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    [&code.to_be_bytes(), &reason.as_bytes()[..end]].concat()
}

/// A close frame of a client. The mask is no secret to anybody who could make use of it: the reason is
/// the gateway's own.
pub fn masked_close(code: u16) -> Vec<u8> {
    let mask = fastrand::u32(..).to_be_bytes();
    let payload = code.to_be_bytes();
    let masked = payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask);
    [0x80 | CLOSE, 0x80 | 2].into_iter().chain(mask).chain(masked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with a length of any size.
    fn any(first: u8, payload: &[u8], mask: bool) -> Vec<u8> {
        let masked = if mask { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(masked | u8::try_from(length).unwrap()),
            length @ 126..=0xffff => {
                frame.push(masked | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                frame.push(masked | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if mask {
            frame.extend([1, 2, 3, 4]);
        }
        let masks = if mask { [1, 2, 3, 4] } else { [0; 4] };
        frame.extend(payload.iter().zip(masks.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn messages(bytes: &[u8], size: usize) -> Vec<(String, bool)> {
        let (mut messages, mut found) = (Messages::default(), Vec::new());
        for piece in bytes.chunks(size) {
            messages.push(piece, 200, |text, whole| {
                found.push((String::from_utf8(text.to_vec()).unwrap(), whole));
            });
        }
        found
    }

    #[test]
    fn messages_are_found_in_pieces_of_every_size() {
        let long = "x".repeat(70_000);
        let bytes = [
            any(0x81, b"one", false),
            any(0x82, b"binary", false),
            any(0x01, b"tw", false),
            any(0x89, b"ping", false),
            any(0x80, b"o", false),
            any(0x01, b"mas", true),
            any(0x80, b"ked and long", true),
            any(0x81, b"", false),
            any(0x81, "y".repeat(150).as_bytes(), false),
            any(0x81, long.as_bytes(), false),
            any(0x81, b"last", false),
        ]
        .concat();
        let whole = messages(&bytes, usize::MAX);
        let texts: Vec<_> = whole.iter().map(|(text, whole)| (text.len(), *whole)).collect();
        assert_eq!(
            texts,
            [
                (3, true),
                (6, true),
                (3, true),
                (15, true),
                (0, true),
                (150, true),
                (200, false),
                (4, true)
            ]
        );
        assert_eq!(whole[3].0, "masked and long");
        for size in [1, 2, 3, 5, 64, 1000] {
            assert_eq!(messages(&bytes, size), whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_frame_may_begin_only_where_one_ends() {
        let bytes = [any(0x81, b"abc", true), any(0x82, &[0; 300], true)].concat();
        let mut cursor = Cursor::default();
        let mut between = Vec::new();
        for (at, byte) in bytes.iter().enumerate() {
            if cursor.is_between() {
                between.push(at);
            }
            cursor.skip(&[*byte]);
        }
        assert_eq!(between, [0, 9]);
        assert!(cursor.is_between());
        let boundary = |bytes: &[u8]| Cursor::default().last_boundary(bytes);
        assert_eq!((boundary(&bytes[..8]), boundary(&bytes[..20])), (Some(0), Some(9)));
        let mut inside = Cursor::default();
        inside.skip(&bytes[..3]);
        assert_eq!(inside.last_boundary(&bytes[3..8]), None);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let close = frame(CLOSE, &close_payload(1008, &"é".repeat(100)));
        assert_eq!(close.len(), 2 + 2 + 122);
        let masked = masked_close(1001);
        for bytes in [&close, &masked, &frame(TEXT, &[b'x'; 300])] {
            let mut cursor = Cursor::default();
            cursor.skip(bytes);
            assert!(cursor.is_between());
            assert_eq!(cursor.has_closed(), bytes[0] == 0x88);
        }
        let payload: Vec<_> = masked[6..].iter().zip(&masked[2..6]).map(|(a, b)| a ^ b).collect();
        assert_eq!(payload, 1001_u16.to_be_bytes());
    }
}
