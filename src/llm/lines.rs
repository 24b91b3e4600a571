//! JSON in lines (NDJSON): where a line ends. Knows no dialect.

use bytes::{Bytes, BytesMut};

use super::sse::{FrameTooLarge, MAX_FRAME};

/// Cuts a byte stream into lines. Whole lines inside one chunk are not copied.
#[derive(Debug, Default)]
pub struct LineCutter {
    tail: BytesMut,
}

impl LineCutter {
    /// Takes a chunk and returns all lines that are now whole, as one run of bytes, with the offset
    /// after each in `ends`.
    ///
    /// # Errors
    /// [`FrameTooLarge`] if more than [`MAX_FRAME`] bytes wait for the end of their line.
    pub fn push(
        &mut self,
        mut chunk: Bytes,
        ends: &mut Vec<usize>,
    ) -> Result<Bytes, FrameTooLarge> {
        ends.clear();
        let held = self.tail.len();
        ends.extend(memchr::memchr_iter(b'\n', &chunk).map(|at| held + at + 1));
        let whole = ends.last().copied().unwrap_or(0);
        let run = if held == 0 {
            let run = chunk.split_to(whole);
            self.tail.extend_from_slice(&chunk);
            run
        } else {
            self.tail.extend_from_slice(&chunk);
            self.tail.split_to(whole).freeze()
        };
        if self.tail.len() > MAX_FRAME { Err(FrameTooLarge) } else { Ok(run) }
    }

    /// The bytes after the last whole line; the stream has ended.
    pub fn finish(&mut self) -> Bytes {
        self.tail.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Bytes) {
        let (mut cutter, mut ends, mut found) = (LineCutter::default(), Vec::new(), Vec::new());
        for piece in pieces {
            let run = cutter.push(Bytes::copy_from_slice(piece), &mut ends).unwrap();
            let mut start = 0;
            for &end in &ends {
                found.push(run[start..end].to_vec());
                start = end;
            }
        }
        (found, cutter.finish())
    }

    #[test]
    fn lines_are_found_at_every_cut() {
        let text = b"{\"a\":1}\r\n\n{\"b\":\"\xc3\xbc\"}\n{\"c\":3}";
        let whole = lines(&[text]);
        assert_eq!((whole.0.len(), &whole.1[..]), (3, &b"{\"c\":3}"[..]));
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            assert_eq!(lines(&[head, tail]), whole, "cut at {cut}");
        }
        assert_eq!(lines(&text.chunks(1).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut cutter = LineCutter::default();
        let chunk = Bytes::from(vec![b'x'; MAX_FRAME + 1]);
        assert_eq!(cutter.push(chunk, &mut Vec::new()), Err(FrameTooLarge));
    }
}
