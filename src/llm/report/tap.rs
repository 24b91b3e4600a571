//! Picks single members out of a JSON document while its bytes pass, however long it is. Does not
//! validate: what it picks is parsed by others.

/// The longest value that is picked, in bytes.
const MAX_VALUE: usize = 64 << 10;
/// Members that are picked.
const WANTED: [&str; 4] = ["usage", "usageMetadata", "model", "modelVersion"];
/// More of a name than any wanted one has.
const MAX_NAME: usize = 16;

/// Where the document is.
#[derive(Debug, Default)]
pub struct Tap {
    depth: usize,
    /// The depth of the members that count: 1, or 2 in a list of objects; 0 before the first bracket.
    base: usize,
    in_string: bool,
    is_escaped: bool,
    /// Behind the colon of a member of `base`.
    in_value: bool,
    name: Vec<u8>,
    picked: Option<Vec<u8>>,
}

impl Tap {
    /// Reads on. `found` gets the name and the value of each wanted member that is now whole.
    pub fn push(&mut self, mut bytes: &[u8], mut found: impl FnMut(&str, &[u8])) {
        while let Some((&first, rest)) = bytes.split_first() {
            if !self.in_string {
                self.outside(first, &mut found);
                bytes = rest;
                continue;
            }
            if std::mem::take(&mut self.is_escaped) {
                self.keep(&[first]);
                bytes = rest;
                continue;
            }
            let end = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
            let (text, after) = bytes.split_at(end);
            self.keep(text);
            let Some((&mark, after)) = after.split_first() else { return };
            self.is_escaped = mark == b'\\';
            self.in_string = self.is_escaped;
            if self.is_escaped || self.picked.is_some() {
                self.keep(&[mark]);
            }
            bytes = after;
        }
    }

    fn outside(&mut self, byte: u8, found: &mut impl FnMut(&str, &[u8])) {
        let at_base = self.depth == self.base && self.base > 0;
        match byte {
            b'"' => {
                self.in_string = true;
                if at_base && !self.in_value {
                    self.name.clear();
                }
                self.pick(byte);
            }
            b'{' | b'[' => {
                if self.base == 0 {
                    self.base = if byte == b'{' { 1 } else { 2 };
                }
                self.pick(byte);
                self.depth += 1;
                if self.depth == self.base {
                    self.in_value = false;
                }
            }
            b'}' | b']' => {
                match at_base {
                    true => self.end(found),
                    false => self.pick(byte),
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if at_base && !self.in_value => {
                self.in_value = true;
                if WANTED.iter().any(|name| name.as_bytes() == self.name) {
                    self.picked = Some(Vec::new());
                }
            }
            b',' if at_base => self.end(found),
            _ => self.pick(byte),
        }
    }

    /// A member of the base is over.
    fn end(&mut self, found: &mut impl FnMut(&str, &[u8])) {
        self.in_value = false;
        if let Some(value) = self.picked.take()
            && let Ok(name) = std::str::from_utf8(&self.name)
        {
            found(name, &value);
        }
    }

    fn pick(&mut self, byte: u8) {
        if self.picked.is_some() {
            self.keep(&[byte]);
        }
    }

    /// Keeps bytes of a value that is picked, or of a name.
    fn keep(&mut self, bytes: &[u8]) {
        match &mut self.picked {
            Some(value) if value.len() + bytes.len() > MAX_VALUE => self.picked = None,
            Some(value) => value.extend_from_slice(bytes),
            None if self.depth == self.base && !self.in_value => {
                let room = MAX_NAME.saturating_sub(self.name.len());
                self.name.extend(bytes.iter().take(room));
            }
            None => {}
        }
    }
}
