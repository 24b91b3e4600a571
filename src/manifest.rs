//! Manifest text to documents that know their lines.
//!
//! Owns the reading of YAML and JSON as `kubectl` reads it, with the position of every field, and
//! the expansion of environment variables in Secrets. Knows nothing of what the documents mean.
//!
//! Differences from `kubectl`, all on the strict side: a key that stands twice in one mapping is
//! refused, and so is a key that YAML 1.1 turns into something other than a string or a number
//! (`on:`, `y:`, `~:`).

use std::{
    collections::BTreeMap,
    fmt,
    io::Read as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use serde_json::Value;

mod expand;
mod scalar;
mod tree;

pub use expand::{UnsetVariable, expand_secret};
use tree::{Node, Tree};

/// The largest manifest file that is read: 4 MiB. An object of the API server is at most 1.5 MiB.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// The most values that aliases may expand a file to.
const MAX_VALUES: usize = 250_000;

/// One object of a manifest, with the lines it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file it was read from.
    pub file: PathBuf,
    /// Line of its first field, from 1.
    pub line: u32,
    /// The object.
    pub value: Value,
    positions: BTreeMap<String, u32>,
}

impl Document {
    /// Line of the value at a JSON pointer (RFC 6901), or of the nearest ancestor that exists.
    pub fn position(&self, pointer: &str) -> u32 {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.positions.get(pointer) {
                return *line;
            }
            match pointer.rfind('/') {
                Some(end) => pointer = &pointer[..end],
                None => return self.line,
            }
        }
    }
}

/// Why a file has no documents: where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The file.
    pub file: PathBuf,
    /// Line from 1, or 0 where the whole file is meant.
    pub line: u32,
    /// Column from 1, or 0 where it is not known.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        for number in [self.line, self.column] {
            if number > 0 {
                write!(f, ":{number}")?;
            }
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ManifestError {}

/// Reads one file of at most [`MAX_FILE_BYTES`].
///
/// # Errors
/// The file can't be read, is too large, is not UTF-8, or [`parse`] refuses it.
pub fn read(file: &Path) -> Result<Vec<Document>, ManifestError> {
    let fail = |message: String| ManifestError { file: file.into(), line: 0, column: 0, message };
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| fail(format!("can't be read: {error}")))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(fail("is larger than 4 MiB: split it into several files".into()));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        fail(format!("is not UTF-8 text: the first bad byte is at offset {good}"))
    })?;
    parse(file, &text)
}

/// Reads the text of one file: any number of YAML documents, or JSON where the name ends in `.json`
/// or says nothing and the text starts as JSON does. Empty documents and lists without objects (the
/// patches of kustomize) are skipped; those of objects (`kind: List`) are taken apart.
///
/// # Errors
/// The text is not YAML or JSON, a mapping has a key twice, or a document is not an object.
pub fn parse(file: &Path, text: &str) -> Result<Vec<Document>, ManifestError> {
    let is_json = match file.extension() {
        Some(extension) => extension == "json",
        None => text.trim_start().starts_with('{') && serde_json::from_str::<Value>(text).is_ok(),
    };
    let roots = if is_json { json_roots(text) } else { tree::parse(text) };
    let roots = roots.map_err(|fault| fault.of(file).with_hint(text))?;
    let mut reader = Reader { file, values: 0, documents: Vec::new() };
    for root in &roots {
        reader.root(root).map_err(|fault| fault.of(file))?;
    }
    Ok(reader.documents)
}

impl ManifestError {
    /// Says what to do where the text is not YAML yet.
    fn with_hint(mut self, text: &str) -> Self {
        if text.contains("{{") {
            self.message.push_str(": if this is a template, render it first, for example \"helm template ... | sluice check -\"");
        }
        self
    }
}

/// JSON is read by the YAML parser for its lines. What JSON allows and YAML does not (escaped
/// surrogate pairs, tabs) falls back to a plain reading without them.
fn json_roots(text: &str) -> Result<Vec<Rc<Node>>, Fault> {
    let plain: Value = serde_json::from_str(text).map_err(|error| Fault {
        line: narrow(error.line()),
        column: narrow(error.column()),
        message: format!("is not JSON: {error}"),
    })?;
    match tree::parse(text) {
        Ok(roots) => Ok(roots),
        Err(fault) if fault.message.starts_with(tree::DUPLICATE) => Err(fault),
        Err(_) => Ok(vec![Rc::new(Node::without_lines(plain))]),
    }
}

/// A [`ManifestError`] before the file is known.
#[derive(Debug)]
struct Fault {
    line: u32,
    column: u32,
    message: String,
}

impl Fault {
    fn of(self, file: &Path) -> ManifestError {
        let Self { line, column, message } = self;
        ManifestError { file: file.into(), line, column, message }
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

struct Reader<'a> {
    file: &'a Path,
    values: usize,
    documents: Vec<Document>,
}

impl Reader<'_> {
    fn root(&mut self, node: &Node) -> Result<(), Fault> {
        let members = match &node.tree {
            Tree::Scalar(Value::Null) => return Ok(()),
            Tree::Map(members) => members,
            Tree::Sequence(items) if !items.iter().any(|item| item.has("apiVersion")) => {
                return Ok(());
            }
            Tree::Scalar(_) | Tree::Sequence(_) => {
                return Err(node.fault(
                    "a manifest is an object: start it with apiVersion, kind and metadata".into(),
                ));
            }
        };
        let kind = members.iter().find(|member| member.key == "kind").map(|member| &member.node);
        if kind.is_some_and(|kind| kind.tree == Tree::Scalar("List".into())) {
            return self.list(node);
        }
        let mut positions = BTreeMap::new();
        let value = self.value(node, &mut String::new(), &mut positions)?;
        self.documents.push(Document { file: self.file.into(), line: node.line, value, positions });
        Ok(())
    }

    fn list(&mut self, node: &Node) -> Result<(), Fault> {
        let Tree::Map(members) = &node.tree else { return Ok(()) };
        let Some(items) = members.iter().find(|member| member.key == "items") else {
            return Ok(());
        };
        match &items.node.tree {
            Tree::Sequence(items) => items.iter().try_for_each(|item| self.root(item)),
            Tree::Scalar(Value::Null) => Ok(()),
            Tree::Scalar(_) | Tree::Map(_) => {
                Err(items.node.fault("items of a List is a list of objects".into()))
            }
        }
    }

    fn value(
        &mut self,
        node: &Node,
        pointer: &mut String,
        positions: &mut BTreeMap<String, u32>,
    ) -> Result<Value, Fault> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(node.fault(
                "holds more than 250000 values, aliases counted each time: split the file".into(),
            ));
        }
        let length = pointer.len();
        Ok(match &node.tree {
            Tree::Scalar(value) => value.clone(),
            Tree::Sequence(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    pointer.push_str(&format!("/{index}"));
                    positions.insert(pointer.clone(), item.line);
                    values.push(self.value(item, pointer, positions)?);
                    pointer.truncate(length);
                }
                Value::Array(values)
            }
            Tree::Map(members) => {
                let mut object = serde_json::Map::new();
                for member in members {
                    pointer.push('/');
                    pointer.push_str(&escape(&member.key));
                    positions.insert(pointer.clone(), member.line);
                    let value = self.value(&member.node, pointer, positions)?;
                    object.insert(member.key.clone(), value);
                    pointer.truncate(length);
                }
                Value::Object(object)
            }
        })
    }
}

/// A member name as it stands in a JSON pointer.
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
