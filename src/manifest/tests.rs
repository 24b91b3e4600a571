//! Manifest text to documents: positions, streams, lists, refusals.

use std::path::Path;

use serde_json::json;

use super::*;

fn yaml(text: &str) -> Result<Vec<Document>, ManifestError> {
    parse(Path::new("a.yaml"), text)
}

fn error(text: &str) -> String {
    yaml(text).unwrap_err().to_string()
}

#[test]
fn fields_know_their_lines_and_missing_ones_their_parents() {
    let documents =
        yaml("# c\n---\nkind: A\nspec:\n  models:\n  - a\n  - b\n  'x/y': {z: 1}\n").unwrap();
    let [document] = documents.as_slice() else { panic!("{documents:?}") };
    assert_eq!(document.line, 3);
    assert_eq!(document.position("/spec"), 4);
    assert_eq!(document.position("/spec/models"), 5);
    assert_eq!(document.position("/spec/models/1"), 7);
    assert_eq!(document.position("/spec/models/7/deep"), 5);
    assert_eq!(document.position("/spec/x~1y/z"), 8);
    assert_eq!(document.position("/nothing"), 3);
}

#[test]
fn streams_skip_empty_documents_and_lists_are_taken_apart() {
    let documents = yaml(
        "---\n---\n# only a comment\n---\nkind: A\n---\napiVersion: v1\nkind: List\nitems:\n\
         - {kind: B}\n-\n  kind: List\n  items: [{kind: C, spec: {a: 1}}]\n...\n",
    )
    .unwrap();
    let kinds: Vec<_> = documents.iter().map(|d| d.value["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["A", "B", "C"]);
    assert_eq!(documents[2].position("/spec/a"), 13);
    assert_eq!(yaml(""), Ok(vec![]));
}

#[test]
fn anchors_aliases_and_merge_keys_are_resolved() {
    let documents =
        yaml("a: &x {k: 1, l: 2}\nb: *x\nc:\n  <<: *x\n  l: 3\nd: {<<: [*x, {k: 5, m: 6}]}\n")
            .unwrap();
    assert_eq!(
        documents[0].value,
        json!({"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 2}, "c": {"k": 1, "l": 3},
               "d": {"k": 1, "l": 2, "m": 6}})
    );
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = String::from("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
    for level in 1..9 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert!(error(&text).contains("more than 250000 values"));
}

#[test]
fn duplicate_keys_are_refused_with_both_lines() {
    assert_eq!(
        error("kind: A\nspec:\n  type: x\n  type: y\n"),
        "a.yaml:4:3: duplicate key \"type\": it already stands on line 3; keep one"
    );
    let json = parse(Path::new("a.json"), "{\"a\": 1,\n \"a\": 2}").unwrap_err();
    assert!(json.to_string().starts_with("a.json:2:2: duplicate key"), "{json}");
}

#[test]
fn syntax_errors_say_where_and_what_to_do() {
    for (text, place, hint) in [
        ("kind: A\nspec: [1, 2\nb: 1\n", "a.yaml:", "brackets"),
        ("kind: A\n\tspec: 1\n", "a.yaml:", "spaces"),
        ("a: b: c\n", "a.yaml:1:", "quotes"),
        ("a: 'x\n", "a.yaml:", "quotes"),
        ("a: *nope\n", "a.yaml:1:4:", "not YAML"),
    ] {
        let error = error(text);
        assert!(error.starts_with(place) && error.contains(hint), "{text:?}: {error}");
    }
}

#[test]
fn keys_that_yaml_reads_as_something_else_are_refused() {
    assert!(error("y: 1\n").contains("put it in quotes"));
    assert!(error("{a: 1}: 2\n").contains("a key is text"));
    assert_eq!(yaml("5: a\n").unwrap()[0].value, json!({"5": "a"}));
}

#[test]
fn documents_that_are_not_objects_and_foreign_tags_are_refused() {
    assert!(error("- apiVersion: v1\n").contains("a manifest is an object"));
    assert!(error("text\n").contains("a manifest is an object"));
    assert_eq!(yaml("- {op: remove, path: /a}\n").unwrap(), []);
    assert!(error("a: !x b\n").contains("tag !x"));
    assert_eq!(yaml("a: !!str 5\n").unwrap()[0].value, json!({"a": "5"}));
}

#[test]
fn json_files_keep_what_yaml_can_not_read() {
    let text = "{\n\t\"a\": \"\\ud83d\\ude00\",\n\t\"b\": 1.0\n}";
    let documents = parse(Path::new("a.json"), text).unwrap();
    assert_eq!(documents[0].value, json!({"a": "😀", "b": 1}));
    let error = parse(Path::new("a.json"), "{\"a\": }").unwrap_err();
    assert!(error.to_string().starts_with("a.json:1:7: is not JSON"), "{error}");
}

#[test]
fn deep_nesting_is_refused_and_never_overflows() {
    let error = error(&format!("a: {}1{}\n", "[".repeat(5000), "]".repeat(5000)));
    assert!(
        error.contains("nest") || error.contains("depth") || error.contains("limit"),
        "{error}"
    );
}

#[test]
fn large_files_are_refused() {
    let file = std::env::temp_dir().join(format!("sluice-large-{}.yaml", std::process::id()));
    std::fs::write(&file, vec![b'#'; 4 * 1024 * 1024 + 1]).unwrap();
    let error = read(&file).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    assert!(error.to_string().ends_with("is larger than 4 MiB: split it into several files"));
}
