//! A roll-up as lines of text: a head, then a line for each combination of an hour or a day with all
//! that it has used so far, of which the last holds. So a journal grows at its end, may be read from
//! its start at any time, and loses its last line at most when a machine stops while it is written.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Combination, Kept, Names, Period, Saved, Sums, combination::NAMES, sums::FIELDS};

/// The form that this program writes. It reads no later one.
pub const VERSION: u32 = 1;
/// What the file says of itself.
const KIND: &str = "sluice usage";

/// The first line.
#[derive(Deserialize, Serialize)]
struct Head<'a> {
    file: &'a str,
    version: u32,
    /// From when on everything was counted.
    since: Timestamp,
}

/// All others: `["h",1767225600,["team/key",...],[12,...]]`.
#[derive(Deserialize, Serialize)]
struct Line<'a>(
    #[serde(borrow)] std::borrow::Cow<'a, str>,
    i64,
    #[serde(borrow)] [std::borrow::Cow<'a, str>; NAMES],
    [u64; FIELDS],
);

/// A text is no journal that this program can read.
#[derive(Debug, thiserror::Error, Eq, PartialEq)]
pub enum JournalError {
    /// It does not begin as a journal does.
    #[error("it is no journal of usage")]
    Other,
    /// It was written by a later version.
    #[error(
        "it was written by a newer version of sluice (form {found}, this one reads {VERSION}): start \
         that version, or move the file away to begin at zero"
    )]
    Newer {
        /// The form.
        found: u32,
    },
}

/// What a text holds.
#[derive(Debug)]
pub struct Journal {
    /// What was kept.
    pub saved: Saved,
    /// Lines, from 1, that cannot be read; what they held is lost.
    pub unread: Vec<usize>,
    /// Whether the last line is one of them: the machine stopped while it was written.
    pub is_torn: bool,
}

/// The first line, with its end.
pub fn head(since: i64) -> String {
    let since = Timestamp::from_second(since).unwrap_or_default();
    line(&Head { file: KIND, version: VERSION, since })
}

/// Appends lines, each with its end.
pub fn write(kept: &[Kept], out: &mut String) {
    for kept in kept {
        let period = match kept.period {
            Period::Hour => "h",
            Period::Day => "d",
        };
        let names = kept.combination.names().to_array().map(Into::into);
        out.push_str(&line(&Line(period.into(), kept.start, names, kept.sums.to_array())));
    }
}

fn line(value: &impl Serialize) -> String {
    // Texts and numbers cannot fail to be JSON.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

/// Reads a journal. An empty one has kept nothing, since `now`.
///
/// # Errors
/// If it is none, or one of a later version.
pub fn read(text: &[u8], now: Timestamp) -> Result<Journal, JournalError> {
    let mut journal = Journal {
        saved: Saved { since: now.as_second(), kept: Vec::new() },
        unread: Vec::new(),
        is_torn: false,
    };
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
    let Some((_, first)) = lines.next() else { return Ok(journal) };
    let head: Head<'_> = match serde_json::from_slice(first) {
        Ok(head) => head,
        Err(_) => return Err(of_newer(first)),
    };
    if head.file != KIND {
        return Err(JournalError::Other);
    }
    if head.version > VERSION {
        return Err(JournalError::Newer { found: head.version });
    }
    journal.saved.since = head.since.as_second();
    for (number, line) in lines {
        let is_whole = line.ends_with(b"\n");
        match serde_json::from_slice::<Line<'_>>(line).ok().and_then(kept).filter(|_| is_whole) {
            Some(kept) => journal.saved.kept.push(kept),
            None => {
                journal.unread.push(number + 1);
                journal.is_torn = !is_whole;
            }
        }
    }
    Ok(journal)
}

/// A head that cannot be read may still say that it is newer.
fn of_newer(first: &[u8]) -> JournalError {
    #[derive(Deserialize)]
    struct Version {
        file: String,
        version: u32,
    }
    match serde_json::from_slice::<Version>(first) {
        Ok(Version { file, version }) if file == KIND && version > VERSION => {
            JournalError::Newer { found: version }
        }
        _ => JournalError::Other,
    }
}

fn kept(Line(period, start, names, sums): Line<'_>) -> Option<Kept> {
    let period = match &*period {
        "h" => Period::Hour,
        "d" => Period::Day,
        _ => return None,
    };
    let names = Names::from_array(names.each_ref().map(|name| &**name));
    let combination = Arc::new(Combination::from(&names));
    Some(Kept { period, start, combination, sums: Sums::from_array(sums) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::NanoUsd;

    fn one(period: Period, start: i64, requests: u64) -> Kept {
        let names = Names { team: "se\"arch\n", model: "m", ..Names::default() };
        let sums = Sums { requests, cost: NanoUsd(u64::MAX), ..Sums::default() };
        Kept { period, start, combination: Arc::new(Combination::from(&names)), sums }
    }

    fn text() -> String {
        let mut text = head(1_767_225_600);
        write(
            &[one(Period::Hour, 1_767_225_600, 1), one(Period::Day, 1_767_139_200, 2)],
            &mut text,
        );
        text
    }

    #[test]
    fn what_is_written_is_read() {
        let journal = read(text().as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(journal.saved.since, 1_767_225_600);
        let all = [one(Period::Hour, 1_767_225_600, 1), one(Period::Day, 1_767_139_200, 2)];
        assert_eq!(journal.saved.kept, all);
        assert_eq!((journal.unread.len(), journal.is_torn), (0, false));
        assert!(text().starts_with(r#"{"file":"sluice usage","version":1,"since":"2026-01-01T"#));
    }

    #[test]
    fn a_journal_cut_at_any_byte_keeps_its_whole_lines() {
        let text = text();
        let first = text.find('\n').unwrap() + 1;
        for end in first..text.len() {
            let cut = text.get(..end).map(str::as_bytes).unwrap();
            let journal = read(cut, Timestamp::UNIX_EPOCH).unwrap();
            let whole = cut.iter().filter(|byte| **byte == b'\n').count() - 1;
            assert_eq!(journal.saved.kept.len(), whole);
            assert_eq!(journal.is_torn, !cut.ends_with(b"\n"));
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_the_others_kept() {
        let text = text().replacen("[\"h\"", "[\"x\"", 1);
        let journal = read(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            (journal.saved.kept.len(), &*journal.unread, journal.is_torn),
            (1, &[2][..], false)
        );
    }

    #[test]
    fn a_newer_form_and_other_files_are_refused() {
        let error = |text: &str| read(text.as_bytes(), Timestamp::UNIX_EPOCH).unwrap_err();
        let newer = text().replacen("\"version\":1", "\"version\":2", 1);
        assert_eq!(error(&newer), JournalError::Newer { found: 2 });
        let unlike = "{\"file\":\"sluice usage\",\"version\":7}\n";
        assert_eq!(error(unlike), JournalError::Newer { found: 7 });
        assert!(error(unlike).to_string().contains("newer version of sluice"));
        assert_eq!(error("hello\n"), JournalError::Other);
        assert!(read(b"", Timestamp::UNIX_EPOCH).unwrap().saved.kept.is_empty());
    }
}
