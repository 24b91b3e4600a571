//! HTTP/2 as far as a provider that misbehaves needs it: frames by hand, so that any of them can be
//! wrong (RFC 9113, 4.1; header blocks by RFC 7541 without compression).

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Error codes (RFC 9113, 7).
pub const NO_ERROR: u32 = 0;
pub const INTERNAL_ERROR: u32 = 2;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// Length of a frame's head.
pub const HEAD: usize = 9;
/// What a client sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame that a provider sends.
#[derive(Clone)]
pub enum Frame {
    /// A 200 with this media type.
    Head(&'static str),
    /// A piece of the body.
    Data(Vec<u8>),
    /// The end of the body.
    End,
    /// The end of the stream by an error.
    Reset(u32),
    /// The end of the connection; whether the request counts as seen.
    GoAway { seen: bool, code: u32 },
    /// A frame of no known meaning, which is to be ignored (RFC 9113, 4.1).
    Unknown,
    /// A body longer than a frame may be.
    Oversized,
}

impl Frame {
    /// The bytes of it, for an answer on this stream.
    pub fn bytes(&self, stream: u32) -> Vec<u8> {
        match self {
            Self::Head(media_type) => {
                // `:status: 200` is entry 8 of the static table, `content-type` entry 31.
                let mut block = vec![0x88, 0x0f, 31 - 15];
                block.push(u8::try_from(media_type.len()).unwrap());
                block.extend_from_slice(media_type.as_bytes());
                frame(HEADERS, END_HEADERS, stream, &block)
            }
            Self::Data(data) => frame(DATA, 0, stream, data),
            Self::End => frame(DATA, END_STREAM, stream, &[]),
            Self::Reset(code) => frame(RST_STREAM, 0, stream, &code.to_be_bytes()),
            Self::GoAway { seen, code } => {
                let last = if *seen { stream } else { 0 };
                frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
            }
            Self::Unknown => frame(0xbb, 0xff, 0, b"grease"),
            Self::Oversized => frame(DATA, 0, stream, &vec![b'x'; 1 << 20]),
        }
    }
}

/// A provider's first frames.
pub fn settings() -> Vec<u8> {
    [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat()
}

/// What a frame of the client asks of the provider.
pub enum Asked {
    Nothing,
    /// An answer to a ping.
    Reply(Vec<u8>),
    /// A request on this stream is complete.
    Complete(u32),
    /// This stream has been reset.
    Reset,
}

/// Length of the payload that follows this head.
pub fn length(head: &[u8; HEAD]) -> usize {
    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])
}

/// What to do about a frame.
pub fn asked(head: &[u8; HEAD], payload: &[u8]) -> Asked {
    let (kind, flags) = (head[3], head[4]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    match kind {
        HEADERS | DATA if flags & END_STREAM != 0 => Asked::Complete(stream),
        PING if flags & ACK == 0 => Asked::Reply(frame(PING, ACK, 0, payload)),
        RST_STREAM => Asked::Reset,
        _ => Asked::Nothing,
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}
