//! The folder of `--state-dir`: what a gateway keeps over its end, where no cluster keeps it. Owns the
//! files and when they are on the disk; what stands in them is the business of [`usage`](crate::usage).
//!
//! `usage.journal` grows by what has changed, each time followed by `fdatasync`. It is written anew,
//! under another name, synced and renamed, at each start, when hours become days and when it has grown
//! to twice its size: at any moment there is one whole file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::usage::{
    Changes, Rollup, Saved,
    journal::{self, JournalError},
};

/// The file with what was used.
const USAGE: &str = "usage.journal";
/// The same while it is written anew.
const NEXT: &str = "usage.journal.next";
/// Held while a gateway runs.
const LOCK: &str = "lock";
/// A journal that is smaller is not worth writing anew, in bytes.
const SMALL: u64 = 1 << 20;

/// A state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder or a file in it cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another gateway uses it.
    #[error("{} is in use by another gateway: give each a folder of its own", .0.display())]
    InUse(PathBuf),
    /// What stands there was not written by this version or an earlier one.
    #[error("cannot use {}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why.
        source: JournalError,
    },
}

/// The journal of a roll-up.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    file: File,
    /// Bytes of whole lines.
    size: u64,
    /// What it had when it was last written anew.
    compact: u64,
    /// It cannot be relied on until it is written anew.
    is_broken: bool,
    /// Unlocked when it is closed.
    _lock: File,
}

impl Journal {
    /// Takes a folder over, which is made if it is not there, and fills the roll-up with what was kept.
    ///
    /// # Errors
    /// If the folder cannot be used, is in use, or was written by a later version.
    pub fn open(folder: &Path, rollup: &Rollup, now: Timestamp) -> Result<Self, StateError> {
        let lock_path = folder.join(LOCK);
        let of = |path: &Path| {
            let path = path.to_owned();
            move |source| StateError::File { path, source }
        };
        std::fs::create_dir_all(folder).map_err(of(folder))?;
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let lock = options.open(&lock_path).map_err(of(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse(folder.to_owned())),
            Err(TryLockError::Error(source)) => return Err(of(&lock_path)(source)),
        }
        rollup.restore(now, read(folder, now)?);
        let mut text = String::new();
        let Changes { saved, .. } = rollup.changes(now, true);
        let (file, size) = replace(folder, &saved, &mut text).map_err(of(folder))?;
        let folder = folder.to_owned();
        Ok(Self { folder, file, size, compact: size, is_broken: false, _lock: lock })
    }

    /// Writes what has changed, and returns when it is on the disk.
    ///
    /// # Errors
    /// If it cannot be written; the next call writes everything.
    pub fn write(&mut self, rollup: &Rollup, now: Timestamp) -> io::Result<()> {
        let is_long = self.size > SMALL.max(2 * self.compact);
        let Changes { is_whole, saved } = rollup.changes(now, self.is_broken || is_long);
        self.is_broken = true;
        let mut text = String::new();
        if is_whole {
            (self.file, self.size) = replace(&self.folder, &saved, &mut text)?;
            self.compact = self.size;
        } else if !saved.kept.is_empty() {
            journal::write(&saved.kept, &mut text);
            self.file.seek(SeekFrom::Start(self.size))?;
            self.file.write_all(text.as_bytes())?;
            self.file.sync_data()?;
            self.size += text.len() as u64;
        }
        self.is_broken = false;
        Ok(())
    }
}

/// What a folder has kept, without taking it over.
///
/// # Errors
/// If there is a journal that cannot be read. Without one nothing was kept.
pub fn read(folder: &Path, now: Timestamp) -> Result<Saved, StateError> {
    let path = folder.join(USAGE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(StateError::File { path, source }),
    };
    let read = journal::read(&text, now);
    let journal = read.map_err(|source| StateError::Journal { path: path.clone(), source })?;
    if journal.is_torn {
        tracing::warn!(path = %path.display(), "the last line of the journal is not whole: it is left out");
    }
    let unread = journal.unread.len() - usize::from(journal.is_torn);
    if let Some(line) = journal.unread.first().filter(|_| unread > 0) {
        let path = path.display();
        tracing::warn!(%path, line, lines = unread, "lines of the journal cannot be read: they are left out");
    }
    Ok(journal.saved)
}

/// Puts a whole file in the place of what there is.
fn replace(folder: &Path, saved: &Saved, text: &mut String) -> io::Result<(File, u64)> {
    text.push_str(&journal::head(saved.since));
    journal::write(&saved.kept, text);
    let next = folder.join(NEXT);
    let mut file = File::create(&next)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&next, folder.join(USAGE))?;
    // The name is on the disk once the folder is.
    File::open(folder)?.sync_all()?;
    Ok((file, text.len() as u64))
}

#[cfg(test)]
mod tests;
