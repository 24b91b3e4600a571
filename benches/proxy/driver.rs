//! The run itself: starts the targets, measures memory while they are fresh, then goes round by
//! round through all scenarios, target after target, and writes the report.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::runtime::Runtime;

use crate::client::{self, Connection};
use crate::cpu::resident_kb;
use crate::load::{self, Plan, Shape};
use crate::process::Nursery;
use crate::sample::{Findings, Memory, Sample};
use crate::scenario::{self, Scenario};
use crate::target::{self, Kind, Name, Target};
use crate::{report, say};

/// No round begins that would end later than this after the start, and none goes on after it.
const TIME_LIMIT: Duration = Duration::from_secs(285);
/// Between two cells, so that what one left behind is not charged to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// What the command line asked for.
#[derive(Debug)]
pub struct Options {
    /// File for the report; standard output when absent.
    pub output: Option<PathBuf>,
    /// Smoke run.
    pub quick: bool,
    /// Targets; empty means all that are installed.
    pub only: Vec<Kind>,
    /// Rounds; 5, or 1 in a smoke run, when absent.
    pub rounds: Option<u16>,
    /// The Sluice binary.
    pub sluice: PathBuf,
}

/// Measures and reports.
///
/// # Errors
/// A target does not start or does not answer as it should, more than one request in a hundred
/// failed somewhere, or the report cannot be written.
pub fn run(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let nursery = Nursery::new()?;
    let mut run = Run {
        runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        mock: target::start_mock(&nursery)?,
        targets: Vec::new(),
        quick: options.quick,
        findings: Findings { quick: options.quick, ..Findings::default() },
        bad_cells: Vec::new(),
        deadline: begun + TIME_LIMIT,
    };
    run.findings.notes.extend(busy_note());
    run.start_targets(&nursery, options)?;
    run.measure_memory()?;
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 5 });
    run.measure_rounds(rounds)?;
    write_report(&report::render(&run.findings), options.output.as_ref())?;
    say(&format!("done in {} s", begun.elapsed().as_secs()))?;
    if !run.bad_cells.is_empty() {
        bail!("more than 1 % of the requests failed in: {}", run.bad_cells.join("; "));
    }
    Ok(())
}

/// A run in progress.
struct Run {
    runtime: Runtime,
    mock: Target,
    targets: Vec<Target>,
    quick: bool,
    findings: Findings,
    bad_cells: Vec<String>,
    deadline: Instant,
}

impl Run {
    fn start_targets(&mut self, nursery: &Nursery, options: &Options) -> Result<()> {
        let wants = |kind| options.only.is_empty() || options.only.contains(&kind);
        let mock = self.mock.address;
        self.targets.push(self.mock);
        if wants(Kind::Pass) {
            self.targets.push(target::start_pass(nursery, mock)?);
        }
        if wants(Kind::Nginx) {
            match target::start_nginx(nursery, mock)? {
                Some(nginx) => self.targets.push(nginx),
                None => self.findings.notes.push("nginx: not installed.".to_owned()),
            }
        }
        if wants(Kind::Sluice) {
            // The one with a log first: when it fails to start, the log says why.
            for name in [Name::Sluice, Name::SluiceQuiet] {
                self.targets.push(target::start_sluice(nursery, &options.sluice, name, mock)?);
            }
        }
        self.targets.sort_by_key(|target| target.name);
        self.findings.names = self.targets.iter().map(|target| target.name).collect();
        for target in &self.targets {
            self.check(target).with_context(|| format!("checking {}", target.name.title()))?;
        }
        Ok(())
    }

    /// One answer of each kind, so that no figure is taken of a target that answers wrongly.
    fn check(&self, target: &Target) -> Result<()> {
        client::get(self.mock.address, "/ctl?chunks=3&delay_us=0&size=500")?;
        self.runtime.block_on(async {
            let mut connection = Connection::open(target.address).await?;
            let whole = connection.exchange(&scenario::check_request(), |_| ()).await?;
            if !whole.start.contains("\"choices\"") {
                bail!("not a chat completion: {}", whole.start);
            }
            let stream = connection.exchange(&scenario::stream_request(), |_| ()).await?;
            if stream.events < 4 || !stream.start.contains("chat.completion.chunk") {
                bail!("not a streamed chat completion: {}", stream.start);
            }
            Ok(())
        })
    }

    /// First, because memory that a load has freed stays with the process.
    fn measure_memory(&mut self) -> Result<()> {
        let streams: u32 = if self.quick { 200 } else { 1_000 };
        let request = scenario::stream_request();
        for target in self.targets.iter().filter(|target| target.name != Name::Direct) {
            client::get(self.mock.address, "/ctl?chunks=3&delay_us=0&size=500")?;
            let mut warm: Plan = Scenario::ChatSaturated.plan(target, self.quick);
            (warm.connections, warm.shape) = (4, Shape::Closed(Duration::from_millis(100)));
            self.runtime.block_on(load::run(&warm))?;
            std::thread::sleep(PAUSE);
            let idle_kb = resident_kb(target.pid)?;
            client::get(self.mock.address, "/ctl?chunks=60&delay_us=1000000&size=500")?;
            let place = (target.address, target.pid);
            let settle = Duration::from_millis(1_500);
            let held = load::hold_streams(place, &request, streams as usize, settle);
            let streams_kb = self.runtime.block_on(held).context(target.name.title())?;
            let memory = Memory { idle_kb, streams_kb, streams };
            say(&format!(
                "memory, {}: {:.1} kB/stream",
                target.name.title(),
                memory.per_stream_kb()
            ))?;
            self.findings.memory.insert(target.name, memory);
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn measure_rounds(&mut self, rounds: u16) -> Result<()> {
        let mut longest = Duration::ZERO;
        for round in 1..=rounds {
            let begun = Instant::now();
            let complete = begun + longest < self.deadline && self.measure_round()?;
            if !complete {
                let done = self.findings.rounds;
                let note = format!("Time ran out after {done} of {rounds} complete rounds.");
                self.findings.notes.push(note);
                break;
            }
            say(&format!("round {round} of {rounds} done"))?;
            self.findings.rounds = round;
            longest = longest.max(begun.elapsed());
        }
        Ok(())
    }

    /// One round; false when time ran out before its end.
    fn measure_round(&mut self) -> Result<bool> {
        for scenario in Scenario::ALL {
            client::get(self.mock.address, &scenario.control(self.quick))?;
            let mut targets = self.targets.clone();
            // Nobody is always the first after a pause, or always next to the same neighbour.
            if !self.findings.rounds.is_multiple_of(2) {
                targets.reverse();
            }
            for target in targets {
                if Instant::now() > self.deadline {
                    return Ok(false);
                }
                if scenario.includes(target.name) {
                    std::thread::sleep(PAUSE);
                    self.measure_cell(scenario, &target)?;
                }
            }
        }
        Ok(true)
    }

    fn measure_cell(&mut self, scenario: Scenario, target: &Target) -> Result<()> {
        let cell = format!("{scenario:?} on {}", target.name.title());
        let plan = scenario.plan(target, self.quick);
        let outcome = self.runtime.block_on(load::run(&plan)).with_context(|| cell.clone())?;
        if outcome.errors > 0 {
            let (errors, all) = (outcome.errors, outcome.errors + outcome.completed);
            let first = outcome.first_error.as_deref().unwrap_or_default();
            let note = format!("{cell}: {errors} of {all} requests failed ({first})");
            say(&note)?;
            self.findings.notes.push(format!("{cell}: {errors} of {all} requests failed."));
            if errors * 100 > all {
                self.bad_cells.push(note);
            }
        }
        if let Some(sample) = Sample::new(outcome, scenario.units(self.quick)) {
            say(&format!(
                "{cell}: {:.1} us CPU, {:.0}/s, p50 {:.0} us, p99 {:.0} us",
                sample.cpu_us, sample.per_second, sample.p50_us, sample.p99_us
            ))?;
            self.findings.samples.entry((scenario, target.name)).or_default().push(sample);
        }
        Ok(())
    }
}

/// A warning when others kept the machine busy in the minute before the run.
fn busy_note() -> Option<String> {
    let averages = fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = averages.split(' ').next()?.parse().ok()?;
    let text = format!("The machine was busy before the run (load average {load}): expect noise.");
    (load > 0.5).then_some(text)
}

fn write_report(text: &str, output: Option<&PathBuf>) -> Result<()> {
    let Some(path) = output else {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).context("cannot make the report's folder")?;
    }
    fs::write(path, text).context("cannot write the report")
}
