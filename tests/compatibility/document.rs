//! docs/compatibility.md, made of what was found.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::data::{FEATURES, Feature, INGRESSES, Ingress, Probes, UPSTREAMS, VARIANTS};
use crate::{answered, asked};

const HEAD: &str = "# Compatibility

What becomes of each feature of a chat between the dialect that a caller speaks and the one that a provider speaks. This page is
generated: `make test-compatibility` sends every cell through the gateway's translators, looks for the feature in the native bytes that the other
side gets, and fails where this page says something else or where anything is lost without being named.

| | in a request | in an answer |
|---|---|---|
| `=` | the same dialect: the bytes pass as they are but for the model's name | the same |
| ● | carried | carried, in whole answers and in streams |
| ◐ | carried, but for what the footnote names | |
| ○ | left out or brought to the nearest value, and named in `x-sluice-dropped` and the record; 400 `unsupported_parameters` under `fidelity: Strict` | |
| ✕ | refused with a 400 that says what to do instead | |
| – | | the provider's dialect has no such thing |

An answer's stream and the whole answer say the same, however the stream is cut. Errors keep their status and the provider's message, and one inside a
stream becomes an error event of the caller's dialect.
";

type Mark = (&'static str, Option<String>);

/// The document.
pub fn write(
    asked: &[asked::Cell],
    answered: &[answered::Cell],
    variants: &[asked::Cell],
) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\nModels differ in what they take. The columns show these:\n\n");
    for upstream in UPSTREAMS.iter() {
        writeln!(text, "- {}: `{}`", upstream.probes.title, upstream.probes.model).unwrap();
    }
    for ingress in INGRESSES.iter() {
        writeln!(text, "\n## {}\n", ingress.requests.title).unwrap();
        let mut notes = Notes::default();
        let rows = FEATURES.asked.iter().map(|feature| {
            let cells =
                asked.iter().filter(|cell| is(cell.ingress, cell.feature, ingress, feature));
            (feature, cells.map(mark_asked).collect())
        });
        let unsayable = table("asked", rows.collect(), &mut notes, &mut text);
        list("Callers of this dialect cannot ask for", &unsayable, &mut text);
        let rows = FEATURES.answered.iter().map(|feature| {
            let cells =
                answered.iter().filter(|cell| is(cell.ingress, cell.feature, ingress, feature));
            (feature, cells.map(mark_answered).collect())
        });
        let nowhere = table("answered", rows.collect(), &mut notes, &mut text);
        list("Answers of this dialect have no place for", &nowhere, &mut text);
        for (number, note) in notes.0.iter().enumerate() {
            writeln!(text, "{}. {note}", number + 1).unwrap();
        }
    }
    write_variants(asked, variants, &mut text);
    text
}

/// In what other models differ from the column of their dialect.
fn write_variants(asked: &[asked::Cell], variants: &[asked::Cell], text: &mut String) {
    text.push_str("\n## Other models\n\nThese take requests as their column says, but for:\n\n");
    text.push_str("| model | |\n|---|---|\n");
    for variant in VARIANTS.iter() {
        let mut differences: Vec<String> = Vec::new();
        for cell in variants.iter().filter(|cell| std::ptr::eq(cell.upstream, variant)) {
            let like = asked.iter().find(|like| {
                like.upstream.dialect == variant.dialect
                    && is(like.ingress, like.feature, cell.ingress, cell.feature)
            });
            let (mark, note) = mark_asked(cell);
            if like.is_some_and(|like| mark_asked(like).0 != mark) {
                let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
                let said = format!("{} {mark}", cell.feature.title);
                if !differences.iter().any(|known| known.starts_with(&said)) {
                    differences.push(format!("{said}{note}"));
                }
            }
        }
        let Probes { title, model, .. } = &variant.probes;
        writeln!(text, "| {title}: `{model}` | {} |", differences.join("; ")).unwrap();
    }
}

fn is(found: &Ingress, its: &Feature, ingress: &Ingress, feature: &Feature) -> bool {
    std::ptr::eq(found, ingress) && std::ptr::eq(its, feature)
}

/// Footnotes, each text once.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn number(&mut self, note: String) -> usize {
        let known = self.0.iter().position(|known| *known == note);
        1 + known.unwrap_or_else(|| {
            self.0.push(note);
            self.0.len() - 1
        })
    }
}

/// A table; the features that no column has go into the list that comes back.
fn table(
    corner: &str,
    rows: Vec<(&Feature, Vec<Mark>)>,
    notes: &mut Notes,
    text: &mut String,
) -> Vec<String> {
    let mut left_out = Vec::new();
    write!(text, "| {corner} |").unwrap();
    for upstream in UPSTREAMS.iter() {
        write!(text, " {} |", upstream.probes.title).unwrap();
    }
    writeln!(text, "\n|---|{}", ":-:|".repeat(UPSTREAMS.len())).unwrap();
    for (feature, marks) in rows {
        assert_eq!(marks.len(), UPSTREAMS.len(), "{}", feature.id);
        if let Some((_, reason)) = marks.iter().find(|(mark, _)| mark.is_empty()) {
            let reason = reason.as_deref().unwrap_or_default();
            left_out.push(format!("{} (the dialect {reason})", lower(&feature.title)));
            continue;
        }
        write!(text, "| {} |", feature.title).unwrap();
        for (mark, note) in marks {
            let number = note.map(|note| format!(" [{}]", notes.number(note))).unwrap_or_default();
            write!(text, " {mark}{number} |").unwrap();
        }
        text.push('\n');
    }
    text.push('\n');
    left_out
}

/// A title within a sentence: names keep their capitals.
fn lower(title: &str) -> String {
    let is_name = title.chars().nth(1).is_some_and(char::is_uppercase);
    let (first, rest) = title.split_at(1);
    if is_name { title.to_owned() } else { format!("{}{rest}", first.to_lowercase()) }
}

fn list(words: &str, left_out: &[String], text: &mut String) {
    if !left_out.is_empty() {
        writeln!(text, "{words}: {}.\n", left_out.join("; ")).unwrap();
    }
}

fn mark_asked(cell: &asked::Cell) -> Mark {
    let named = |names: &[String]| format!("named: `{}`", names.join("`, `"));
    match &cell.outcome {
        asked::Outcome::Same => ("=", None),
        asked::Outcome::Carried => ("●", None),
        asked::Outcome::InPart(names) => ("◐", Some(named(names))),
        asked::Outcome::Dropped(names) => ("○", Some(named(names))),
        asked::Outcome::Refused(message) => ("✕", Some(message.clone())),
        asked::Outcome::Unsayable(reason) => ("", Some(reason.clone())),
    }
}

fn mark_answered(cell: &answered::Cell) -> Mark {
    match &cell.outcome {
        answered::Outcome::Same => ("=", None),
        answered::Outcome::Carried => ("●", None),
        answered::Outcome::Missing(_) => ("–", None),
        answered::Outcome::Nowhere(reason) => ("", Some(reason.clone())),
    }
}

/// Compares the document with its file, or writes it there.
pub fn check(text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    if std::env::var_os("UPDATE_COMPATIBILITY").is_some() {
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).find(|(found, text)| found != text);
    assert!(
        found == text,
        "docs/compatibility.md does not say what was found; UPDATE_COMPATIBILITY=1 make test-compatibility \
         writes it again: {differs:?}"
    );
}
