//! The simulated world: replicas of a gateway, targets, and a queue of events.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::{Duration, Instant},
};

use crate::{
    route::{Criteria, Draws, End, Flight, Order, Seat, Seats, Targets, Turns},
    snapshot::{Balance, Ejection},
};

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What becomes of one request at a target.
pub enum Answer {
    /// First content after this, and the end 700 ms later.
    After(Duration),
    /// A failure after this.
    FailAfter(Duration),
}

type Behaviour = Box<dyn Fn(Duration, u32) -> Answer>;

struct Site {
    name: String,
    weight: u32,
    answers: Behaviour,
    busy: u32,
    sent: Vec<Duration>,
    failed: u32,
    is_drained: bool,
}

struct Replica {
    targets: Targets,
    turns: Turns,
}

/// A request under way, and the targets that have failed it.
struct Running {
    replica: usize,
    site: usize,
    tried: Vec<usize>,
    flight: Flight,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    Arrival,
    Content(u64),
    Done(u64),
    Failure(u64),
}

/// Gateways, targets and time.
pub struct World {
    balance: Balance,
    start: Instant,
    sites: Vec<Site>,
    replicas: Vec<Replica>,
    draws: Draws,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    running: HashMap<u64, Running>,
    next: u64,
    unanswered: u32,
}

impl World {
    /// A world of so many replicas.
    pub fn new(replicas: usize, balance: Balance) -> Self {
        let start = Instant::now();
        let replica = |_| Replica { targets: Targets::new(start), turns: Turns::default() };
        Self {
            balance,
            start,
            sites: Vec::new(),
            replicas: (0..replicas).map(replica).collect(),
            draws: Draws::new(7),
            events: BinaryHeap::new(),
            running: HashMap::new(),
            next: 0,
            unanswered: 0,
        }
    }

    /// One target more: how it answers, by the time and the requests under way there.
    pub fn target(&mut self, weight: u32, answers: impl Fn(Duration, u32) -> Answer + 'static) {
        let (name, answers) = (format!("t{}", self.sites.len()), Box::new(answers));
        let site =
            Site { name, weight, answers, busy: 0, sent: Vec::new(), failed: 0, is_drained: false };
        self.sites.push(site);
    }

    /// A target with weight 0, which is no candidate.
    pub fn seatless(&mut self, site: usize) {
        self.sites[site].is_drained = true;
    }

    /// So many requests a second for so long, at regular times, each to a random replica.
    pub fn run(&mut self, length: Duration, rate: u32) {
        let count = rate * u32::try_from(length.as_secs()).unwrap();
        for index in 0..count {
            let at = length * index / count;
            self.events.push(Reverse((at, Event::Arrival)));
        }
        while let Some(Reverse((at, event))) = self.events.pop() {
            self.handle(at, event);
        }
    }

    /// Requests that began in a time, by target.
    pub fn sent(&self, from: Duration, to: Duration) -> Vec<u32> {
        let within = |site: &Site| site.sent.iter().filter(|at| (from..to).contains(*at)).count();
        self.sites.iter().map(|site| u32::try_from(within(site)).unwrap()).collect()
    }

    /// The part of them that came to one target.
    pub fn share(&self, site: usize, from: Duration, to: Duration) -> f64 {
        let sent = self.sent(from, to);
        f64::from(sent[site]) / f64::from(sent.iter().sum::<u32>().max(1))
    }

    /// The second after `from` in which a target gets this part of the requests.
    pub fn first_second(&self, site: usize, from: Duration, part: f64) -> Option<u64> {
        (0..60).find(|second| {
            let at = from + secs(*second);
            self.share(site, at, at + secs(1)) >= part
        })
    }

    /// When the first request after a time came to a target.
    pub fn first_sent_after(&self, site: usize, from: Duration) -> Duration {
        *self.sites[site].sent.iter().find(|at| **at >= from).unwrap()
    }

    /// Tries that a target failed.
    pub fn failed(&self, site: usize) -> u32 {
        self.sites[site].failed
    }

    /// Requests that no target answered.
    pub fn unanswered(&self) -> u32 {
        self.unanswered
    }

    fn handle(&mut self, at: Duration, event: Event) {
        let now = self.start + at;
        match event {
            Event::Arrival => {
                let replicas = self.replicas.len() as u64;
                let replica = usize::try_from(self.draws.draw() % replicas).unwrap();
                self.send(at, replica, Vec::new());
            }
            Event::Content(id) => {
                self.running.get_mut(&id).unwrap().flight.first_content(now);
                self.events.push(Reverse((at + Duration::from_millis(700), Event::Done(id))));
            }
            Event::Done(id) => {
                let mut running = self.running.remove(&id).unwrap();
                running.flight.end(End::Answered, now);
                self.sites[running.site].busy -= 1;
            }
            Event::Failure(id) => {
                let Running { replica, site, mut tried, mut flight } =
                    self.running.remove(&id).unwrap();
                flight.end(End::Failed(None), now);
                self.sites[site].busy -= 1;
                self.sites[site].failed += 1;
                tried.push(site);
                self.send(at, replica, tried);
            }
        }
    }

    /// Sends a request to the next target, if there is one that has not failed it.
    fn send(&mut self, at: Duration, replica: usize, tried: Vec<usize>) {
        let now = self.start + at;
        let places: Vec<usize> = (0..self.sites.len())
            .filter(|site| !tried.contains(site) && !self.sites[*site].is_drained)
            .collect();
        let Replica { targets, turns } = &self.replicas[replica];
        let seats = places.iter().map(|site| {
            let site = &self.sites[*site];
            Seat {
                name: site.name.as_str().into(),
                weight: site.weight,
                priority: 0,
                cost: None,
                tokens: 0,
                state: targets.target(&site.name.as_str().into(), &"m".into(), now),
                ejection: Ejection::default(),
                account: None,
            }
        });
        let seats = Seats::Many(seats.collect());
        let (balance, seed) = (self.balance, self.draws.draw());
        let criteria = Criteria {
            balance,
            session: None,
            preferred: None,
            turns,
            key: ("route", "rule"),
            seed,
        };
        let Some(turn) = Order::new(seats, criteria).next(now) else {
            self.unanswered += 1;
            return;
        };
        let (id, site) = (self.next, places[turn.index]);
        self.next += 1;
        let place = &mut self.sites[site];
        place.sent.push(at);
        let event = match (place.answers)(at, place.busy) {
            Answer::After(wait) => (at + wait, Event::Content(id)),
            Answer::FailAfter(wait) => (at + wait, Event::Failure(id)),
        };
        place.busy += 1;
        self.events.push(Reverse(event));
        self.running.insert(id, Running { replica, site, tried, flight: turn.flight });
    }
}
