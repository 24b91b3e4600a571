//! What a soak found, and whether it may be so.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::Instant,
};

use serde_json::Value;

use crate::case::Form;

use super::schedule::Weather;

/// How a request ended for its caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    Answered,
    /// A stream that ended with an error event after content.
    Broken,
    Failed,
}

/// One request as its caller saw it.
pub struct Asked {
    pub id: String,
    pub form: Form,
    pub from: Instant,
    pub to: Instant,
    pub end: End,
    /// Status and code, or how the stream ended.
    pub said: String,
}

/// A report.
pub struct Report {
    text: String,
    complaints: Vec<String>,
    failed: usize,
    outages: usize,
}

impl Report {
    pub fn new(asked: &[Asked], records: &[Value], weather: &Weather, grown: u64) -> Self {
        let by_id: HashMap<_, _> =
            records.iter().map(|record| (record["request_id"].as_str().unwrap(), record)).collect();
        let mut complaints = Vec::new();
        if by_id.len() != asked.len() || records.len() != asked.len() {
            complaints.push(format!("{} requests, {} records", asked.len(), records.len()));
        }
        for request in asked {
            match by_id.get(&*request.id) {
                Some(record) => complaints.extend(complaint(request, record, weather)),
                None => complaints.push(format!("{} has no record", request.id)),
            }
        }
        let failed = count(asked, End::Failed);
        let outages = weather.outages();
        let text = describe(asked, records, weather, grown);
        Self { text, complaints, failed, outages }
    }

    /// Fails the test where anything is not as it may be.
    pub fn check(&self) {
        let first: Vec<_> = self.complaints.iter().take(20).map(|text| text.as_str()).collect();
        assert!(first.is_empty(), "{} complaints:\n{}", self.complaints.len(), first.join("\n"));
        // Or else the soak would show nothing.
        assert!(self.outages > 0 && self.failed > 0, "no outage came to be seen");
    }
}

/// What is wrong with how a request ended.
fn complaint(request: &Asked, record: &Value, weather: &Weather) -> Option<String> {
    let during = (request.from, request.to);
    let (outcome, may_be) = match request.end {
        End::Answered => ("complete", true),
        End::Broken => ("incomplete", request.form == Form::Stream && weather.any_cut(during)),
        End::Failed => ("failed", weather.all_down(during)),
    };
    let attempts = record["attempts"].as_str().unwrap_or_default();
    let said = &request.said;
    if record["outcome"] != outcome {
        return Some(format!("{}: {said}, but the record says {record}", request.id));
    }
    if request.end == End::Failed && (attempts.is_empty() || attempts.contains(" ok ")) {
        return Some(format!("{}: {said} is not explained by {attempts:?}", request.id));
    }
    (!may_be).then(|| format!("{}: {said} though a provider was up: {attempts}", request.id))
}

fn count(asked: &[Asked], end: End) -> usize {
    asked.iter().filter(|request| request.end == end).count()
}

fn describe(asked: &[Asked], records: &[Value], weather: &Weather, grown: u64) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut helped = 0;
    for record in records {
        let attempts = record["attempts"].as_str().unwrap_or_default();
        let words = attempts.split("ms, ").filter_map(|attempt| attempt.split(' ').nth(1));
        for word in words {
            *reasons.entry(word).or_default() += 1;
        }
        helped += usize::from(record["outcome"] == "complete" && !first_is_ok(attempts));
    }
    let reasons: Vec<_> = reasons.iter().map(|(word, times)| format!("{word} {times}")).collect();
    format!(
        "soak: {} requests, {} of them streams; {} phases, all providers down in {}\n\
         answered {}, of these {helped} by another try; broken after content {}; failed {}\n\
         tries: {}\n\
         memory: {} kB more than after the first quarter",
        asked.len(),
        asked.iter().filter(|request| request.form == Form::Stream).count(),
        weather.phases(),
        weather.outages(),
        count(asked, End::Answered),
        count(asked, End::Broken),
        count(asked, End::Failed),
        reasons.join(", "),
        grown / 1024,
    )
}

fn first_is_ok(attempts: &str) -> bool {
    attempts.split(' ').nth(1) == Some("ok")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
