//! A report as a table for people, and as CSV (RFC 4180) for spreadsheets.

use std::fmt::Write as _;

use crate::{
    budget::NanoUsd,
    usage::{Report, Row, Step, Sums},
};

/// Decimals that money has at least.
const CENTS: usize = 2;

/// A table with a line of totals, and what it covers.
pub(super) fn table(report: &Report) -> String {
    let names = names(report);
    let decimals = report.rows.iter().map(|row| decimals(row.sums.cost));
    let decimals = decimals.fold(decimals_of(report), usize::max);
    let mut lines = vec![
        names
            .iter()
            .map(|name| name.to_uppercase())
            .chain(
                ["REQUESTS", "FAILED", "REFUSED", "INPUT", "CACHED", "OUTPUT", "COST USD"]
                    .map(str::to_owned),
            )
            .collect(),
    ];
    let line = |cells: Vec<String>, sums: &Sums| -> Vec<String> {
        cells.into_iter().chain(numbers(sums, decimals)).collect()
    };
    for row in &report.rows {
        let cells = cells(report, row).into_iter().map(|cell| match cell.is_empty() {
            true => "-".to_owned(),
            false => printable(&cell),
        });
        lines.push(line(cells.collect(), &row.sums));
    }
    if !names.is_empty() {
        let mut cells = vec![String::new(); names.len()];
        if let Some(first) = cells.first_mut() {
            "TOTAL".clone_into(first);
        }
        lines.push(line(cells, &report.totals));
    }
    aligned(&lines, names.len()) + &footer(report)
}

/// A head and a line for each row; all numbers.
pub(super) fn csv(report: &Report) -> String {
    let mut text = names(report).join(",");
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(
        "requests,failed,refused,input_tokens,output_tokens,cached_input_tokens,\
         cache_write_tokens,reasoning_tokens,cost_usd,hedge_cost_usd,estimated_cost_usd,\
         estimated_requests,unpriced_requests\r\n",
    );
    for row in &report.rows {
        let Sums { requests, failed, refused, input_tokens, output_tokens, .. } = row.sums;
        let Sums { cached_input_tokens, cache_write_tokens, reasoning_tokens, .. } = row.sums;
        let Sums { cost, hedge_cost, estimated_cost, .. } = row.sums;
        let Sums { estimated_requests, unpriced_requests, .. } = row.sums;
        for cell in cells(report, row) {
            text.push_str(&quoted(&cell));
            text.push(',');
        }
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{requests},{failed},{refused},{input_tokens},{output_tokens},{cached_input_tokens},\
             {cache_write_tokens},{reasoning_tokens},{cost},{hedge_cost},{estimated_cost},\
             {estimated_requests},{unpriced_requests}\r\n"
        );
    }
    text
}

/// Columns before the numbers.
fn names(report: &Report) -> Vec<&'static str> {
    let time = (report.step != Step::Total).then(|| report.step.as_str());
    time.into_iter().chain(report.by.iter().map(|dimension| dimension.as_str())).collect()
}

fn cells(report: &Report, row: &Row) -> Vec<String> {
    let time = row.time.map(|time| match report.step {
        Step::Day => time.strftime("%Y-%m-%d").to_string(),
        Step::Total | Step::Hour => time.to_string(),
    });
    let name = |dimension: &crate::usage::Dimension| {
        row.of.get(dimension.as_str()).cloned().unwrap_or_default()
    };
    time.into_iter().chain(report.by.iter().map(name)).collect()
}

fn numbers(sums: &Sums, decimals: usize) -> [String; 7] {
    let Sums { requests, failed, refused, input_tokens, output_tokens, .. } = *sums;
    [
        requests.to_string(),
        failed.to_string(),
        refused.to_string(),
        input_tokens.to_string(),
        sums.cached_input_tokens.to_string(),
        output_tokens.to_string(),
        money(sums.cost, decimals),
    ]
}

/// Names to the left, numbers to the right.
fn aligned(lines: &[Vec<String>], names: usize) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate();
        let padded: Vec<_> = cells
            .map(|(column, (cell, width))| match column < names {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// What the numbers cover, and how far they can be relied on.
fn footer(report: &Report) -> String {
    let Report { since, from, until, replica, covers, totals, .. } = report;
    let mut text =
        format!("\n{from} to {until}, counted since {since} by {}\n", printable(replica));
    let _ = writeln!(text, "covers {}", printable(covers));
    if totals.estimated_requests > 0 {
        let Sums { estimated_requests, estimated_cost, .. } = totals;
        let _ = writeln!(text, "estimated: {estimated_requests} requests, USD {estimated_cost}");
    }
    if totals.unpriced_requests > 0 {
        let unpriced = totals.unpriced_requests;
        let _ = writeln!(text, "not in the cost: {unpriced} requests to models without a price");
    }
    text
}

/// Digits after the point.
fn decimals(cost: NanoUsd) -> usize {
    cost.to_string().split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

fn decimals_of(report: &Report) -> usize {
    decimals(report.totals.cost).max(CENTS)
}

/// The same number of decimals in every line, so that they stand below each other.
fn money(cost: NanoUsd, decimals: usize) -> String {
    let text = cost.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}.{fraction:0<decimals$}")
}

/// What others named, without what would move a terminal.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A field of CSV. What a spreadsheet would take for a formula is marked as text.
fn quoted(cell: &str) -> String {
    let formula = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if formula.is_empty() && !cell.contains([',', '"', '\r', '\n']) {
        return cell.to_owned();
    }
    format!("\"{formula}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::usage::{Names, Query, Rollup};

    fn report(parameters: &[(&str, &str)]) -> Report {
        let now: Timestamp = "2026-01-05T10:20:00Z".parse().unwrap();
        let rollup = Rollup::new(now);
        for (team, model, cost) in [("search", "gpt", 1_500_000_000), ("", "=a,\"b\"\n", 20_000)] {
            let names = Names { team, model, ..Names::default() };
            let sums = Sums { requests: 1234, cost: NanoUsd(cost), ..Sums::default() };
            rollup.add(now, &names, &sums);
        }
        let query = Query::parse(parameters.iter().copied(), now).unwrap();
        Report { replica: "r-0".into(), covers: "it".into(), ..rollup.report(&query, now).unwrap() }
    }

    #[test]
    fn numbers_stand_below_each_other_above_their_totals() {
        let text = table(&report(&[("by", "team,model"), ("since", "1h")]));
        let expected = "\
TEAM    MODEL    REQUESTS  FAILED  REFUSED  INPUT  CACHED  OUTPUT  COST USD
search  gpt          1234       0        0      0       0       0   1.50000
-       =a,\"b\"?      1234       0        0      0       0       0   0.00002
TOTAL                2468       0        0      0       0       0   1.50002

2026-01-05T09:00:00Z to 2026-01-05T11:00:00Z, counted since 2026-01-05T10:20:00Z by r-0
covers it
";
        assert_eq!(text, expected);
        let text = table(&report(&[]));
        assert_eq!(text.lines().nth(1).unwrap().split_whitespace().next(), Some("2468"), "{text}");
    }

    #[test]
    fn csv_is_quoted_and_holds_no_formula() {
        let text = csv(&report(&[("by", "model"), ("step", "day")]));
        let mut lines = text.split("\r\n");
        assert!(lines.next().unwrap().starts_with("day,model,requests,failed"));
        let numbers = "1234,0,0,0,0,0,0,0";
        assert_eq!(lines.next().unwrap(), format!("2026-01-05,gpt,{numbers},1.5,0,0,0,0"));
        let quoted = "\"'=a,\"\"b\"\"\n\"";
        assert_eq!(lines.next().unwrap(), format!("2026-01-05,{quoted},{numbers},0.00002,0,0,0,0"));
    }
}
