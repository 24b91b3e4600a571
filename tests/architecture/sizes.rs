//! The size guide: files at most 600 lines, functions at most 100.

use super::rust_files;

const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 100;

#[test]
fn no_file_is_longer_than_the_guide_allows() {
    for directory in ["src", "tests", "benches"] {
        for (path, text) in rust_files(directory) {
            let lines = text.lines().count();
            assert!(lines <= MAX_FILE_LINES, "{} has {lines} lines: split it", path.display());
        }
    }
}

#[test]
fn no_function_is_longer_than_the_guide_allows() {
    for directory in ["src", "tests", "benches"] {
        for (path, text) in rust_files(directory) {
            for (name, lines) in functions(&text) {
                let place = path.display();
                assert!(lines <= MAX_FUNCTION_LINES, "{place}: {name} has {lines} lines: split it");
            }
        }
    }
}

#[test]
fn the_scan_measures_functions() {
    let text = "fn a() {\n    1\n}\n\n    pub async fn b(\n    ) {\n        2\n    }\n";
    assert_eq!(functions(text), [("a".to_owned(), 3), ("b".to_owned(), 4)]);
}

/// Name and length of every function, by the indentation that rustfmt gives its closing brace.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = function_name(line.trim_start()) else { continue };
        let close = format!("{}}}", " ".repeat(indent));
        let end = lines[start..].iter().position(|line| **line == close);
        if let Some(end) = end {
            functions.push((name, end + 1));
        }
    }
    functions
}

fn function_name(line: &str) -> Option<String> {
    let (before, after) = line.split_once("fn ")?;
    let modifiers = before.split_whitespace().all(|word| {
        ["pub", "async", "const", "unsafe", "extern"].contains(&word) || word.starts_with("pub(")
    });
    let is_definition = modifiers && !line.ends_with(';') && !line.ends_with('}');
    let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (is_definition && !name.is_empty()).then_some(name)
}
