//! Cases from the folders `accept` and `refuse`.

use std::path::{Path, PathBuf};

/// One manifest with its expected verdict.
pub struct Case {
    /// Folder and file name, for messages.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
    /// Whether it is accepted.
    pub accepted: bool,
    /// What a refusal has to say.
    pub expected: Vec<String>,
}

/// Every case, by name.
pub fn all() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crd/cases");
    ["accept", "refuse"].into_iter().flat_map(|folder| read(&root, folder)).collect()
}

fn read(root: &Path, folder: &str) -> Vec<Case> {
    let accepted = folder == "accept";
    let entries = std::fs::read_dir(root.join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let case = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let expected: Vec<String> = text
            .lines()
            .map_while(|line| line.strip_prefix("# expect: "))
            .map(str::to_owned)
            .collect();
        let name = format!("{folder}/{}", file.file_name().unwrap().to_string_lossy());
        assert_eq!(accepted, expected.is_empty(), "{name}: `# expect:` belongs to refusals only");
        Case { name, file, text, accepted, expected }
    };
    files.into_iter().map(case).collect()
}
