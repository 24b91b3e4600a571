//! The files of the folder and what each of them last held. Time is passed in.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::manifest::{self, Document, MAX_FILE_BYTES, ManifestError};

/// How long a file must stand still before its new content counts.
const SETTLE: Duration = Duration::from_millis(100);
/// The same, where the file has gone, can't be parsed or is shorter than before: editors and copies
/// empty or remove a file for a moment.
const SETTLE_LOSS: Duration = Duration::from_secs(1);
/// The deepest folder that is looked into.
const MAX_DEPTH: usize = 16;

/// What a scan found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Objects or messages differ from those of the scan before.
    pub(super) changed: bool,
    /// A file has changed so lately that it has to be looked at again.
    pub(super) unsettled: bool,
}

/// A folder with what was last read of it.
pub(super) struct Folder {
    root: PathBuf,
    files: BTreeMap<PathBuf, File>,
    first: bool,
}

#[derive(Default)]
struct File {
    /// Of the content that counts.
    digest: Option<u64>,
    /// Bytes of the content that counts.
    length: usize,
    documents: Vec<Document>,
    /// Why the content that counts has no documents of its own.
    error: Option<ManifestError>,
    /// Newer content, and since when it has been there.
    pending: Option<(Option<u64>, Instant)>,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, files: BTreeMap::new(), first: true }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Looks at every file. The first look takes everything as it is.
    pub(super) fn scan(&mut self, now: Instant) -> Outcome {
        let mut outcome = Outcome { changed: self.first, unsettled: false };
        let found = files(&self.root);
        let known: Vec<PathBuf> = self.files.keys().cloned().collect();
        for path in found.iter().chain(known.iter().filter(|path| !found.contains(*path))) {
            let file = self.files.entry(path.clone()).or_default();
            let part = file.look(path, now, self.first);
            outcome.changed |= part.changed;
            outcome.unsettled |= part.unsettled;
        }
        self.files.retain(|_, file| file.digest.is_some() || file.pending.is_some());
        self.first = false;
        outcome
    }

    /// Everything that the files hold, in the order of their paths.
    pub(super) fn documents(&self) -> impl Iterator<Item = &Document> {
        self.files.values().flat_map(|file| &file.documents)
    }

    /// Files that can't be used as they are.
    pub(super) fn messages(&self) -> BTreeSet<String> {
        let broken = self.files.values().filter_map(|file| Some((file.error.as_ref()?, file)));
        broken
            .map(|(error, file)| match file.documents.len() {
                0 => error.to_string(),
                kept => format!("{error}; its {kept} objects stay as they were"),
            })
            .collect()
    }
}

impl File {
    fn look(&mut self, path: &Path, now: Instant, first: bool) -> Outcome {
        let content = read(path);
        let digest = content.as_ref().map(digest);
        if digest == self.digest {
            self.pending = None;
            return Outcome::default();
        }
        let parsed = match &content {
            None => Ok(Vec::new()),
            Some(Ok(text)) => manifest::parse(path, text),
            Some(Err(error)) => Err(error.clone()),
        };
        let length = content.and_then(Result::ok).map_or(0, |text| text.len());
        // A file that is being rewritten is shorter than it was, whatever its text means so far.
        let loses = parsed.is_err() || length < self.length;
        let needed = if loses { SETTLE_LOSS } else { SETTLE };
        let since = match self.pending {
            Some((pending, since)) if pending == digest => since,
            _ => now,
        };
        if !first && now.duration_since(since) < needed {
            self.pending = Some((digest, since));
            return Outcome { changed: false, unsettled: true };
        }
        (self.digest, self.length, self.pending) = (digest, length, None);
        match parsed {
            Ok(documents) => (self.documents, self.error) = (documents, None),
            Err(error) => self.error = Some(error),
        }
        Outcome { changed: true, unsettled: false }
    }
}

/// The text of a file, `None` where there is none.
fn read(path: &Path) -> Option<Result<String, ManifestError>> {
    let fail = |message: String| ManifestError { file: path.into(), line: 0, column: 0, message };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
            return Some(Err(fail("is larger than 4 MiB: split it into several files".into())));
        }
        _ => {}
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Some(Ok(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(fail(format!("can't be read: {error}")))),
    }
}

fn digest(content: &Result<String, ManifestError>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match content {
        Ok(text) => text.hash(&mut hasher),
        Err(error) => (1_u8, &error.message).hash(&mut hasher),
    }
    hasher.finish()
}

/// Manifests under a folder.
pub(super) fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    list(root, 0, &mut BTreeSet::new(), &mut found);
    found
}

/// Adds the manifests of one folder and of those in it. Hidden names are skipped, links followed: a mounted ConfigMap is a set
/// of links into a hidden folder that is swapped.
fn list(
    folder: &Path,
    depth: usize,
    visited: &mut BTreeSet<PathBuf>,
    found: &mut BTreeSet<PathBuf>,
) {
    let new = std::fs::canonicalize(folder).is_ok_and(|real| visited.insert(real));
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    if !new || depth > MAX_DEPTH {
        return;
    }
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if hidden {
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        if metadata.is_dir() {
            list(&path, depth + 1, visited, found);
        } else if matches!(extension, Some("yaml" | "yml" | "json")) {
            found.insert(path);
        }
    }
}
