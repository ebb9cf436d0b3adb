//! What is counted.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Way {
    /// Out.
    Sent,
    /// In.
    Received,
}

/// How a job ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum JobState {
    /// Refused by a policy or a person.
    Refused,
    /// Begun.
    Started,
    /// Come to its end.
    Finished,
    /// Failed or stopped.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWay {
    direction: Way,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: JobState,
}

/// The figures of one program. Counting never fails and never waits long.
pub struct Metrics {
    registry: Registry,
    peers: Gauge,
    refused: Counter,
    messages: Family<ByWay, Counter>,
    bytes: Family<ByWay, Counter>,
    jobs: Family<ByState, Counter>,
    running: Gauge,
    rounds: Counter,
    lost: Counter,
    round_seconds: Histogram,
    certificate: Gauge,
    store_restores: Gauge<u64, AtomicU64>,
}

impl Metrics {
    /// Figures that all stand at zero. `program` is `party` or `coordinator`.
    #[must_use]
    pub fn new(program: &str, version: &str) -> Self {
        let mut this = Self {
            registry: Registry::with_prefix("lepton"),
            peers: Gauge::default(),
            refused: Counter::default(),
            messages: Family::default(),
            bytes: Family::default(),
            jobs: Family::default(),
            running: Gauge::default(),
            rounds: Counter::default(),
            lost: Counter::default(),
            round_seconds: Histogram::new(exponential_buckets(0.005, 2.0, 16)),
            certificate: Gauge::default(),
            store_restores: Gauge::default(),
        };
        let labels = [("program", program), ("version", version)];
        let labels: Vec<(String, String)> = labels
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        this.registry
            .register("build", "The program and its version", Info::new(labels));
        this.register();
        this
    }

    fn register(&mut self) {
        let all = &mut self.registry;
        all.register("peers", "Connections that are open", self.peers.clone());
        let what =
            "Connections refused: wrong, expired or revoked certificates, wrong versions, too many";
        all.register("connections_refused", what, self.refused.clone());
        all.register("messages", "Messages", self.messages.clone());
        let what = "Size of the messages";
        all.register_with_unit("messages_size", what, Unit::Bytes, self.bytes.clone());
        all.register("jobs", "Jobs by what became of them", self.jobs.clone());
        all.register("jobs_running", "Jobs at present", self.running.clone());
        all.register("rounds", "Exchanges that gave a sum", self.rounds.clone());
        let what = "Exchanges that were lost and may be tried again";
        all.register("rounds_lost", what, self.lost.clone());
        let what = "Time of an exchange at the coordinator, from invitation to sum";
        all.register_with_unit(
            "round_duration",
            what,
            Unit::Seconds,
            self.round_seconds.clone(),
        );
        let what = "When the certificate ends, in seconds since 1970; 0 before it is known";
        all.register_with_unit(
            "certificate_end",
            what,
            Unit::Seconds,
            self.certificate.clone(),
        );
        let what = "Times that the store was found restored";
        all.register("store_restores", what, self.store_restores.clone());
    }

    /// How many connections are open now.
    pub fn peers(&self, open: usize) {
        self.peers.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// A connection was refused.
    pub fn connection_refused(&self) {
        self.refused.inc();
    }

    /// A message of so many bytes.
    pub fn message(&self, direction: Way, bytes: u64) {
        let by = ByWay { direction };
        self.messages.get_or_create(&by).inc();
        self.bytes.get_or_create(&by).inc_by(bytes);
    }

    /// A job came to a state.
    pub fn job(&self, state: JobState) {
        self.jobs.get_or_create(&ByState { state }).inc();
        match state {
            JobState::Started => self.running.inc(),
            JobState::Finished | JobState::Failed => self.running.dec(),
            JobState::Refused => 0,
        };
    }

    /// An exchange gave a sum.
    pub fn round(&self) {
        self.rounds.inc();
    }

    /// An exchange was lost.
    pub fn round_lost(&self) {
        self.lost.inc();
    }

    /// How long an exchange took at the coordinator. A party must not call this: how long its work takes depends on how many rows it has.
    pub fn round_took_at_the_coordinator(&self, seconds: f64) {
        self.round_seconds.observe(seconds);
    }

    /// When the certificate ends, in seconds since 1970.
    pub fn certificate_ends(&self, unix: u64) {
        self.certificate
            .set(i64::try_from(unix).unwrap_or(i64::MAX));
    }

    /// How often the store was found restored.
    pub fn store_restores(&self, restores: u64) {
        self.store_restores.set(restores);
    }

    /// All figures in the OpenMetrics text format.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
