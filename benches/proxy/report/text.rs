//! The prose of the report: what was run on what, how it is measured, how to repeat it.

use std::fs;
use std::thread;

use crate::sample::Findings;

/// Title, kind of machine, kind of run.
pub fn introduction(findings: &Findings) -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The numeric part only: the rest of a release may name a machine's owner.
    let kernel: String = kernel.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let rounds = findings.rounds;
    let rounds = if rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds") };
    let date = jiff::Zoned::now().date();
    let warning = if findings.quick {
        "\n**A smoke run (`--quick`): the figures show that the benchmark works, nothing else.**\n"
    } else {
        ""
    };
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "# Benchmarks

What Sluice costs next to nginx and to a bare hyper pass-through, the least that a proxy in this
language and on this HTTP library can cost. Written by `make bench`; do not edit.

Sluice {version}, {date}; {cores} cores, Linux {kernel}; {rounds}, interleaved, medians. Trust the
ratios, not the absolute figures: they move with the machine.
{warning}"
    )
}

/// How it is measured and how to repeat it.
pub const METHOD: &str = "
## How it is measured

- One run; in every round each scenario visits all targets in turn, every other round in the other
  direction, so that what disturbs the machine disturbs all of them. A ratio is the median over the
  rounds of the ratio within a round; it need not be that of the two medians. Load generator, targets and mock upstream share the cores:
  requests/s compare the targets here, they do not say what a machine of its own would do.
- CPU is user and system time of the target's process, all threads, while the load runs; connections
  are open and warm before and closed after. It includes the kernel's share of both TCP legs, which
  is most of it. At low rates wake-ups dominate, so the load is stated with each figure.
- Saturated: 64 connections in closed loop. 300 requests/s: evenly spaced on 16 connections; an
  answer to a request that could not be sent in time counts from its scheduled time. Added latency is the
  target's median or 99th percentile minus the mock's own, without any proxy.
- 100 kB prompt: 50 messages, 8 connections in closed loop. Streams 20 ms apart: 100 at once, 100
  chunks each. Burst: 16 connections, 200 chunks a stream, all ready at once. Figures per chunk
  include the request that opened the stream.
- Memory is resident memory of the fresh process, first after a few requests, then with streams open
  that send a chunk a second. It is taken once, not in rounds.
- Bare hyper: one client, HTTP/1.1, two worker threads, nothing parsed or checked. nginx: one worker
  process, no access log, no buffering, upstream connections kept. Sluice: key check, route
  with a rewritten model, prices, a budget in USD and one in tokens, metrics and one log record a
  request - discarded (`/dev/null`) or, as shipped, written to a file.

## How to repeat it

```sh
make bench                                             # about four minutes, writes this file
cargo bench --bench proxy -- --quick                   # half a minute, to standard output
cargo bench --bench proxy -- --only pass,nginx         # without Sluice
```

Linux only. nginx takes part when it is installed (`apt-get install nginx-light`). Keep the machine
quiet meanwhile.
";
