//! Takes the record of every request: adds up what it used, and writes it as a line, gathered in memory
//! and written by a thread of its own.
//!
//! A request pays for formatting its line and for nothing else: no system call, no wake-up. Lines wait
//! at most [`FLUSH_EVERY`]; if standard error takes nothing for so long that [`MAX_WAITING`] bytes wait,
//! further records are dropped and counted rather than kept or waited for.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::IntCounter;

use crate::usage::Rollup;

use super::{Record, Spend, log::Format};

/// How long a line waits at most.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// Bytes that may wait.
const MAX_WAITING: usize = 16 << 20;
/// Memory kept after a rush.
const MAX_KEPT: usize = 1 << 20;
/// Lines whose events no filter wants are not formatted.
const TARGET: &str = "sluice::access";

/// Takes records.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    is_wanted: bool,
    waiting: Mutex<Vec<u8>>,
    dropped: IntCounter,
    usage: Arc<Rollup>,
    spend: Option<Spend>,
}

/// The thread that writes what an [`AccessLog`] has gathered.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl AccessLog {
    /// A log that writes in this form. `RUST_LOG=sluice::access=off` silences it.
    ///
    /// # Errors
    /// If its metric is registered already.
    pub fn new(format: Format, registry: &prometheus::Registry) -> prometheus::Result<Arc<Self>> {
        Self::counting(format, registry, None)
    }

    /// The same, which also counts what is used into series of their own.
    ///
    /// # Errors
    /// If its metric is registered already.
    pub fn counting(
        format: Format,
        registry: &prometheus::Registry,
        spend: Option<Spend>,
    ) -> prometheus::Result<Arc<Self>> {
        let help = "Access records dropped because standard error did not take them";
        let dropped = IntCounter::new("sluice_access_records_dropped_total", help)?;
        registry.register(Box::new(dropped.clone()))?;
        let is_wanted = tracing::enabled!(target: TARGET, tracing::Level::INFO);
        let usage = Arc::new(Rollup::new(Timestamp::now()));
        Ok(Arc::new(Self { format, is_wanted, waiting: Mutex::default(), dropped, usage, spend }))
    }

    /// What the records taken so far add up to.
    pub fn usage(&self) -> &Arc<Rollup> {
        &self.usage
    }

    /// Takes a record.
    pub fn write(&self, record: &Record) {
        let (names, sums) = (record.names(), record.sums());
        self.usage.add(Timestamp::now(), &names, &sums);
        if let Some(spend) = &self.spend {
            spend.count(&names, &sums);
        }
        if !self.is_wanted {
            return;
        }
        let mut line = Vec::with_capacity(1024);
        match self.format {
            Format::Json => record.write_json(&mut line),
            Format::Text => record.write_text(&mut line),
        }
        line.push(b'\n');
        let mut waiting = self.waiting.lock();
        if waiting.len() + line.len() > MAX_WAITING {
            self.dropped.inc();
        } else {
            waiting.extend_from_slice(&line);
        }
    }

    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(self: &Arc<Self>, out: impl Write + Send + 'static) -> std::io::Result<Writer> {
        let stop = Arc::new(AtomicBool::new(false));
        let (log, stopping, mut out) = (Arc::clone(self), Arc::clone(&stop), out);
        let thread = std::thread::Builder::new().name("records".into()).spawn(move || {
            let mut lines = Vec::new();
            loop {
                let is_last = stopping.load(Ordering::Acquire);
                log.flush(&mut lines, &mut out);
                if is_last {
                    return;
                }
                std::thread::park_timeout(FLUSH_EVERY);
            }
        })?;
        Ok(Writer { thread, stop })
    }

    /// Writes what waits, which changes places with `lines`: both keep their memory.
    fn flush(&self, lines: &mut Vec<u8>, out: &mut impl Write) {
        std::mem::swap(&mut *self.waiting.lock(), lines);
        if !lines.is_empty() {
            // Nobody is left to be told that standard error is gone.
            let _ = out.write_all(lines).and_then(|()| out.flush());
        }
        lines.clear();
        lines.shrink_to(MAX_KEPT);
    }
}

impl Writer {
    /// Writes what waits and ends the thread.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        // A panic there has been reported by its hook.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Outcome;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn log(format: Format) -> Arc<AccessLog> {
        let mut log = AccessLog::new(format, &prometheus::Registry::new()).unwrap();
        Arc::get_mut(&mut log).unwrap().is_wanted = true;
        log
    }

    fn record() -> Record {
        Record {
            route: "team/chat".into(),
            model_asked: "a\"b\n".into(),
            status: 200,
            outcome: Outcome::Complete,
            ..Record::default()
        }
    }

    #[test]
    fn everything_is_written_before_the_writer_ends() {
        let (log, out) = (log(Format::Json), Shared::default());
        let writer = log.start(out.clone()).unwrap();
        for _ in 0..100 {
            log.write(&record());
        }
        writer.stop();
        let text = String::from_utf8(out.0.lock().clone()).unwrap();
        assert_eq!(text.lines().count(), 100);
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["message"], "request");
            assert_eq!(value["model"], "a\"b\n");
            assert_eq!(value.get("user"), None);
        }
    }

    #[test]
    fn a_text_record_is_one_line_whatever_its_values_hold() {
        let (log, out) = (log(Format::Text), Shared::default());
        log.write(&record());
        log.flush(&mut Vec::new(), &mut out.clone());
        let text = String::from_utf8(out.0.lock().clone()).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("route=team/chat") && text.contains("outcome=complete"), "{text}");
    }

    #[test]
    fn records_are_dropped_and_counted_when_nothing_takes_them() {
        let log = log(Format::Json);
        log.waiting.lock().resize(MAX_WAITING, b' ');
        log.write(&record());
        assert_eq!(log.waiting.lock().len(), MAX_WAITING);
        assert_eq!(log.dropped.get(), 1);
    }
}
