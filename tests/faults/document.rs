//! docs/faults.md, made of what was found.

use std::{fmt::Write as _, fs, path::Path};

use crate::{
    caller::Caller,
    case::{Fault, Form, Row},
    run::Found,
};

const HEAD: &str = include_str!("head.md");

/// The document.
pub fn write(found: &[Found]) -> String {
    let mut text = HEAD.to_owned();
    let mut group = "";
    let mut rows: Vec<Line> = Vec::new();
    for found in found {
        if found.fault.group != group {
            end(&mut rows, &mut text);
            group = found.fault.group;
            writeln!(text, "\n## {group}\n").unwrap();
        }
        match rows.last_mut().filter(|line| line.takes(found)) {
            Some(line) => line.forms.push(found.form),
            None => rows.push(Line { found, forms: vec![found.form] }),
        }
    }
    end(&mut rows, &mut text);
    text
}

/// Forms of one fault that end alike.
struct Line<'a> {
    found: &'a Found,
    forms: Vec<Form>,
}

impl Line<'_> {
    fn takes(&self, other: &Found) -> bool {
        std::ptr::eq(self.found.fault, other.fault)
            && alike(&self.found.alone, &other.alone)
            && alike(&self.found.paired, &other.paired)
    }
}

/// The end of a complete answer has another name in each form.
fn alike(row: &Row, other: &Row) -> bool {
    brief(&row.caller) == brief(&other.caller)
        && (&row.tries, &row.charged, &row.outcome)
            == (&other.tries, &other.charged, &other.outcome)
}

fn end(lines: &mut Vec<Line<'_>>, text: &mut String) {
    if lines.is_empty() {
        return;
    }
    text.push_str("| fault | asked for | caller, one target | tries | charged | record | caller, two targets | tries | charged | record |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    for Line { found, forms } in lines.drain(..) {
        let forms: Vec<_> = forms.iter().map(|form| form.word()).collect();
        let title = title(found.fault);
        writeln!(
            text,
            "| {title} | {} | {} | {} |",
            forms.join(", "),
            cells(&found.alone),
            cells(&found.paired)
        )
        .unwrap();
    }
}

fn title(fault: &Fault) -> String {
    match (fault.caller, fault.provider) {
        (Caller::Chat, "OpenAICompatible") => fault.title.to_owned(),
        (caller, provider) => format!("{} on {provider}: {}", caller.title(), fault.title),
    }
}

fn cells(row: &Row) -> String {
    let charged = if row.charged == "0 + 0" { "–" } else { &row.charged };
    format!(
        "{} | {} | {charged} | {}",
        brief(&row.caller),
        row.tries.replace("first ", "1 ").replace("second ", "2 "),
        row.outcome
    )
}

fn brief(caller: &str) -> String {
    match caller.split_once(", then ") {
        Some((status, code)) => format!("{status}, then `{code}`"),
        None => match caller.split_once(' ') {
            None | Some((_, "to its end")) => "200".to_owned(),
            Some((status, code)) => format!("{status} `{code}`"),
        },
    }
}

/// Compares the document with its file, or writes it there.
pub fn check(text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    if std::env::var_os("UPDATE_FAULTS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).find(|(found, text)| found != text);
    assert!(
        found == text,
        "docs/faults.md does not say what was found; UPDATE_FAULTS=1 make test-faults writes it again: \
         {differs:?}"
    );
}
