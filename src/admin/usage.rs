//! What requests have used, as JSON: `/api/usage`.

use http::StatusCode;
use jiff::Timestamp;

use crate::usage::{Query, Report, Rollup};

/// What the numbers cover.
const COVERS: &str = "this replica alone: the usage of a gateway is the sum of its replicas'";

/// Answers a question, with the status and the text of the answer.
pub(super) fn answer(
    (usage, replica): (&Rollup, &str),
    query: &str,
    now: Timestamp,
) -> (StatusCode, String) {
    match report(usage, query, now) {
        Ok(report) => {
            let report =
                Report { replica: replica.to_owned(), covers: COVERS.to_owned(), ..report };
            match serde_json::to_string_pretty(&report) {
                Ok(text) => (StatusCode::OK, text + "\n"),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            }
        }
        Err(message) => (StatusCode::BAD_REQUEST, message + "\n"),
    }
}

fn report(usage: &Rollup, query: &str, now: Timestamp) -> Result<Report, String> {
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let parameters = parameters.iter().map(|(name, value)| (&**name, &**value));
    let query = Query::parse(parameters, now).map_err(|error| error.to_string())?;
    usage.report(&query, now).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Names, Sums};

    #[test]
    fn a_question_is_answered_or_told_what_can_be_asked() {
        let now = "2026-01-05T10:20:00Z".parse().unwrap();
        let usage = Rollup::new(now);
        let names = Names { team: "search", ..Names::default() };
        usage.add(now, &names, &Sums { requests: 1, ..Sums::default() });
        let ask = |query| answer((&usage, "sluice-0"), query, now);
        let (status, text) = ask("by=team%2Cmodel&since=1h");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(status, StatusCode::OK);
        assert_eq!((&json["replica"], &json["step"]), (&"sluice-0".into(), &"total".into()));
        assert!(json["covers"].as_str().unwrap().starts_with("this replica alone"));
        assert_eq!(json["rows"][0]["of"]["team"], "search");
        assert_eq!(
            (&json["totals"]["requests"], &json["totals"]["costUsd"]),
            (&1.into(), &"0".into())
        );
        for (query, words) in [
            ("by=user", "there are consumer, app, team"),
            ("bye=team", "there are by, since, until and step"),
            ("since=later", "how long ago"),
        ] {
            let (status, text) = ask(query);
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert!(text.contains(words), "{text}");
        }
    }
}
