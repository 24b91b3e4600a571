//! What a folder keeps, and what it refuses.

use std::{fs, path::Path};

use jiff::{SignedDuration, Timestamp};

use super::{Journal, NEXT, StateError, USAGE, read};
use crate::{
    budget::NanoUsd,
    usage::{Dimension, Names, Query, Report, Rollup, Sums},
};

/// A folder that goes with the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sluice-state-{name}-{}", std::process::id()));
        // One that an earlier run has left.
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn journal(&self) -> std::path::PathBuf {
        self.0.join(USAGE)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start() -> Timestamp {
    "2026-01-05T10:20:00Z".parse().unwrap()
}

fn add(rollup: &Rollup, now: Timestamp, team: &str) {
    let used = Sums { requests: 1, input_tokens: 7, cost: NanoUsd(3), ..Sums::default() };
    rollup.add(now, &Names { team, ..Names::default() }, &used);
}

/// A gateway that starts with the folder.
fn open(folder: &Path, now: Timestamp) -> (Rollup, Journal) {
    let rollup = Rollup::new(now);
    let journal = Journal::open(folder, &rollup, now).unwrap();
    (rollup, journal)
}

fn by_team(rollup: &Rollup, now: Timestamp) -> Report {
    let parameters = [("by", "team"), ("since", "60d")];
    rollup.report(&Query::parse(parameters, now).unwrap(), now).unwrap()
}

#[test]
fn what_was_written_is_there_after_an_end_without_a_word() {
    let (folder, now) = (Folder::new("kept"), start());
    let (rollup, mut journal) = open(&folder.0, now);
    for team in ["a", "b", "a"] {
        add(&rollup, now, team);
        journal.write(&rollup, now).unwrap();
    }
    let before = by_team(&rollup, now);
    // Not written any more: lost.
    add(&rollup, now, "c");
    drop((rollup, journal));
    let later = now + SignedDuration::from_mins(10);
    let (rollup, _journal) = open(&folder.0, later);
    let after = by_team(&rollup, later);
    assert_eq!((&after.rows, &after.totals), (&before.rows, &before.totals));
    assert_eq!((after.totals.requests, after.totals.input_tokens), (3, 21));
    assert_eq!(after.since, now);
}

#[test]
fn an_hour_goes_on_after_a_restart_and_old_hours_become_days_once() {
    let (folder, mut now) = (Folder::new("days"), start());
    // Every start of a gateway finds what all before it have counted.
    for gone in 0..100 {
        let (rollup, mut journal) = open(&folder.0, now);
        assert_eq!(by_team(&rollup, now).totals.requests, 2 * gone);
        add(&rollup, now, "a");
        journal.write(&rollup, now).unwrap();
        now += SignedDuration::from_hours(1);
        // Written when its hour was over, by way of the hour after it.
        add(&rollup, now, "a");
        now += SignedDuration::from_mins(30);
        journal.write(&rollup, now).unwrap();
    }
}

#[test]
fn a_running_gateways_journal_is_what_it_counts_at_any_moment() {
    let (folder, mut now) = (Folder::new("running"), start());
    let (rollup, mut journal) = open(&folder.0, now);
    for step in 0..300 {
        for team in 0..step % 4 {
            add(&rollup, now, &format!("team-{team}"));
        }
        now += SignedDuration::from_mins(37);
        journal.write(&rollup, now).unwrap();
        let copy = Rollup::new(now);
        copy.restore(now, read(&folder.0, now).unwrap());
        assert_eq!(by_team(&copy, now), by_team(&rollup, now));
    }
}

#[test]
fn a_journal_that_grows_is_written_anew() {
    let (folder, now) = (Folder::new("grows"), start());
    let (rollup, mut journal) = open(&folder.0, now);
    for _ in 0..50 {
        for team in 0..400 {
            add(&rollup, now, &format!("team-{team}"));
        }
        journal.write(&rollup, now).unwrap();
    }
    assert!(fs::metadata(folder.journal()).unwrap().len() < 2 * super::SMALL);
    assert!(!folder.0.join(NEXT).exists());
    drop(journal);
    let (rollup, _journal) = open(&folder.0, now);
    assert_eq!(by_team(&rollup, now).totals.requests, 20_000);
    assert_eq!(by_team(&rollup, now).rows[0].sums.requests, 50);
}

#[test]
fn a_torn_last_line_is_left_out_and_the_journal_goes_on() {
    let (folder, now) = (Folder::new("torn"), start());
    let (rollup, mut journal) = open(&folder.0, now);
    for team in ["a", "b"] {
        add(&rollup, now, team);
        journal.write(&rollup, now).unwrap();
    }
    drop(journal);
    let text = fs::read(folder.journal()).unwrap();
    fs::write(folder.journal(), &text[..text.len() - 5]).unwrap();
    let (rollup, mut journal) = open(&folder.0, now);
    assert_eq!(by_team(&rollup, now).totals.requests, 1);
    add(&rollup, now, "c");
    journal.write(&rollup, now).unwrap();
    drop(journal);
    let (rollup, _journal) = open(&folder.0, now);
    let teams: Vec<_> = by_team(&rollup, now).rows.into_iter().map(|row| row.of).collect();
    let team = |name: &str| [(Dimension::Team.to_string(), name.to_owned())].into();
    assert_eq!(teams, [team("a"), team("c")]);
}

#[test]
fn a_newer_journal_and_a_folder_in_use_are_refused_by_name() {
    let (folder, now) = (Folder::new("refused"), start());
    let first = open(&folder.0, now);
    let error = Journal::open(&folder.0, &Rollup::new(now), now).unwrap_err();
    assert!(matches!(&error, StateError::InUse(path) if *path == folder.0), "{error}");
    drop(first);
    let newer = "{\"file\":\"sluice usage\",\"version\":2,\"since\":\"2026-01-01T00:00:00Z\"}\n";
    fs::write(folder.journal(), newer).unwrap();
    let error = Journal::open(&folder.0, &Rollup::new(now), now).unwrap_err();
    assert!(error.to_string().contains("usage.journal"), "{error}");
    // It is left as it is.
    assert_eq!(fs::read_to_string(folder.journal()).unwrap(), newer);
}

#[test]
fn what_could_not_be_written_is_written_later() {
    let (folder, now) = (Folder::new("later"), start());
    let (rollup, mut journal) = open(&folder.0, now);
    journal.file = fs::File::open(folder.journal()).unwrap();
    add(&rollup, now, "a");
    assert!(journal.write(&rollup, now).is_err());
    journal.write(&rollup, now).unwrap();
    drop(journal);
    let (rollup, _journal) = open(&folder.0, now);
    assert_eq!(by_team(&rollup, now).totals.requests, 1);
}
