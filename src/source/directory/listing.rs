//! Manifests read once, for whoever wants their verdict rather than to serve them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::{
    api::GROUP,
    compile::Inputs,
    manifest::{self, Document, MAX_FILE_BYTES},
    schema::SchemaError,
    snapshot::ObjectName,
};

use super::{inputs::Reader, scan};

/// The path that stands for the standard input.
pub const STDIN: &str = "-";

/// What a set of manifests amounts to.
#[derive(Debug, Default)]
pub struct Listing {
    /// The objects, those that their schema refuses included.
    pub inputs: Inputs,
    /// What is wrong with files and with single objects, with file and line.
    pub mistakes: BTreeSet<String>,
    /// Those of the mistakes that are about a whole file: nobody knows what it holds.
    pub unread: BTreeSet<String>,
    /// Files of a folder that can't be read and that do not speak of Sluice.
    pub skipped: BTreeSet<String>,
    origins: BTreeMap<(String, ObjectName), String>,
}

impl Listing {
    /// File and line of an object, by kind and name.
    pub fn origin(&self, kind: &str, name: &ObjectName) -> Option<&str> {
        self.origins.get(&(kind.to_owned(), name.clone())).map(String::as_str)
    }

    /// How many objects were read.
    pub fn objects(&self) -> usize {
        self.origins.len()
    }
}

/// Reads files, folders with everything below them, and for `-` the standard input. `environment`
/// gives the values of `$(NAME)` in Secrets.
///
/// # Errors
/// If the schemas of this build can't be used.
pub fn list(
    paths: &[PathBuf],
    environment: fn(&str) -> Option<String>,
) -> Result<Listing, SchemaError> {
    let mut read = Read::default();
    for path in paths {
        if path.as_os_str() == STDIN {
            read.stdin();
        } else if path.is_dir() {
            scan::files(path).into_iter().for_each(|file| read.file(&file, true));
        } else {
            read.file(path, false);
        }
    }
    let Read { documents, unread, skipped, .. } = read;
    let built = Reader::new(environment)?.read(documents.iter());
    let mistakes = unread.iter().cloned().chain(built.messages).collect();
    Ok(Listing { inputs: built.inputs, mistakes, unread, skipped, origins: built.origins })
}

/// What has been read of files so far.
#[derive(Default)]
struct Read {
    /// Real paths: a file that is named twice is read once.
    known: BTreeSet<PathBuf>,
    documents: Vec<Document>,
    unread: BTreeSet<String>,
    skipped: BTreeSet<String>,
}

impl Read {
    /// `found`: nobody named the file, it stands in a folder.
    fn file(&mut self, file: &Path, found: bool) {
        let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        if !self.known.insert(real) {
            return;
        }
        match manifest::read(file) {
            Ok(documents) => self.documents.extend(documents),
            Err(error) if found && !is_ours(file) => drop(self.skipped.insert(error.to_string())),
            Err(error) => drop(self.unread.insert(error.to_string())),
        }
    }

    fn stdin(&mut self) {
        let mut text = String::new();
        let stdin = std::io::stdin().lock().take(MAX_FILE_BYTES).read_to_string(&mut text);
        let parsed = match stdin {
            Ok(_) => manifest::parse(Path::new("stdin"), &text).map_err(|error| error.to_string()),
            Err(error) => Err(format!("stdin: can't be read: {error}")),
        };
        match parsed {
            Ok(documents) => self.documents.extend(documents),
            Err(message) => drop(self.unread.insert(message)),
        }
    }
}

/// Whether a file that can't be understood speaks of our kinds; one that can't be read may.
fn is_ours(file: &Path) -> bool {
    std::fs::read(file).map_or(true, |bytes| String::from_utf8_lossy(&bytes).contains(GROUP))
}
