//! What a test needs that kills the real binary: the binary as a process, messages that are known beforehand, chance
//! that can be repeated, and a recording proxy.
#![allow(
    unreachable_pub,
    reason = "`pub` marks what a test may use; `pub(crate)` on each would say no more"
)]
#![allow(
    dead_code,
    reason = "each integration test is a crate of its own, and none uses all of this"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose tools fail can only panic"
)]

pub mod produce;
pub mod proxy;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use produce::{Production, ToProduce};
use proxy::Point;

pub const MESSAGES: u32 = 200_000;
const SERIES: u32 = 200;
pub const PARTITIONS: u32 = 4;
/// A second: slower than the connector, so that the last kill, too, finds messages on their way.
const PRODUCED_A_SECOND: u32 = 8_000;
/// The timestamps of all messages lie in the half hour before the test: Prometheus refuses what is more than an hour
/// older than its newest sample, and partitions are not read in step.
const APART_MS: i64 = 9;
/// How long a stop may take that was asked for.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
const SIGKILL: i32 = 9;

/// `tidegate run --config tidegate.yaml …` in a folder that holds these files.
pub struct Tidegate {
    log: PathBuf,
    child: Child,
}

impl Tidegate {
    /// One connector, `connector.yaml`.
    pub fn run(folder: &Path) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_tidegate"));
        Self::run_all(binary, folder, "connector.yaml", &[], &folder.join("log"))
    }

    /// A connector's file or a folder of them; `variables` are what their `${…}` stand for. The log is appended to.
    pub fn run_all(
        binary: &Path,
        folder: &Path,
        connectors: &str,
        variables: &[(&str, String)],
        log: &Path,
    ) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("a log file");
        let child = Command::new(binary)
            .args(["run", "--config", "tidegate.yaml", connectors])
            .current_dir(folder)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle of the log file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        Self { log: log.to_owned(), child }
    }

    /// # Panics
    /// When it has ended by itself, with the end of its log.
    pub fn assert_runs(&mut self) {
        if let Some(status) = self.child.try_wait().expect("its state") {
            panic!("tidegate has ended by itself: {status}{}", self.log_tail());
        }
    }

    /// SIGKILL: nothing is delivered, committed or said.
    pub fn kill(mut self) {
        self.assert_runs();
        self.child.kill().expect("a process that runs");
        let status = self.child.wait().expect("its end");
        let tail = self.log_tail();
        assert_eq!(status.signal(), Some(SIGKILL), "{status}{tail}");
    }

    /// SIGTERM, and how it has ended.
    pub fn terminate(&mut self) -> ExitStatus {
        self.assert_runs();
        self.signal("TERM");
        let deadline = Instant::now() + STOPPED_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            let tail = self.log_tail();
            assert!(Instant::now() < deadline, "not stopped in {STOPPED_WITHIN:?}{tail}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal by its short name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("bash")
            .arg("-c")
            .arg(format!("kill -{name} {}", self.child.id()))
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name}");
    }

    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(30)..];
        format!("; the end of its log:\n{}", tail.join("\n"))
    }
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Chance that is the same again for the same seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeded by `TIDEGATE_SEED`, or else differently each time; says by what.
    pub fn of_this_run() -> Self {
        let seed = seed_of_this_run();
        println!("TIDEGATE_SEED={seed} repeats this run's choices");
        Self(seed)
    }

    /// Another one, so that two threads don't depend on each other's order.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, but not including, 1.
    pub fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or_default()) / 4_294_967_296.0
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit)).unwrap_or_default()
    }
}

pub fn seed_of_this_run() -> u64 {
    match std::env::var("TIDEGATE_SEED") {
        Ok(seed) => seed.parse().expect("TIDEGATE_SEED is a whole number"),
        // Short enough to be typed.
        Err(_) => RandomState::new().hash_one("tidegate") % 1_000_000,
    }
}

// ---------------------------------------------------------------------------------------------------- the messages

/// A series as a database returns it: its labels, and its samples as (milliseconds, value).
type Series = (BTreeMap<String, String>, Vec<(i64, f64)>);

/// What is produced, planned beforehand: so the point at each offset is known before anybody reads it.
pub struct Messages {
    /// The first one's time in milliseconds.
    pub first_at: i64,
    /// In the order of production, which is the order of time.
    all: Vec<Point>,
    /// By partition and offset.
    pub partitions: Vec<Vec<Point>>,
}

impl Messages {
    pub fn new(random: &mut Random) -> Self {
        let first_at = now_ms() - APART_MS * i64::from(MESSAGES);
        let point = |number| Point {
            series: random.below(SERIES),
            at: first_at + APART_MS * i64::from(number),
        };
        let all: Vec<Point> = (0..MESSAGES).map(point).collect();
        let mut partitions = vec![Vec::new(); PARTITIONS as usize];
        for point in &all {
            partitions[partition(*point)].push(*point);
        }
        Self { first_at, all, partitions }
    }

    /// No two messages have the same.
    fn value(&self, point: Point) -> f64 {
        let number =
            u32::try_from((point.at - self.first_at) / APART_MS).expect("a message's time");
        f64::from(number) + 0.5
    }

    pub fn log_ends(&self) -> Vec<usize> {
        self.partitions.iter().map(Vec::len).collect()
    }

    pub fn produce_in_background(self: &Arc<Self>, bootstrap: &str, topic: &str) -> Production {
        let messages = Arc::clone(self);
        let to_produce =
            (0..self.all.len()).map(move |number| messages.to_produce(messages.all[number]));
        Production::start(bootstrap, topic, PRODUCED_A_SECOND, to_produce)
    }

    fn to_produce(&self, point: Point) -> ToProduce {
        let (key, at, value) = (point.series.to_string(), point.at, self.value(point));
        let payload = format!(r#"{{"series":"{key}","at":{at},"reading":{value:?}}}"#);
        ToProduce { partition: partition(point), key, payload: payload.into_bytes() }
    }

    /// Every message once with its value, and nothing else.
    pub fn assert_stored_once(&self, stored: &[Series]) {
        let row = |point: Point, value: f64| (point.series, point.at, value.to_bits());
        let expected = self.all.iter();
        let mut missing: BTreeSet<_> =
            expected.map(|point| row(*point, self.value(*point))).collect();
        let mut too_many = Vec::new();
        for (labels, samples) in stored {
            let series = series(labels);
            for (at, value) in samples {
                if !missing.remove(&row(Point { series, at: *at }, *value)) {
                    too_many.push((series, at, value));
                }
            }
        }
        let examples = (
            missing.iter().take(3).collect::<Vec<_>>(),
            too_many.iter().take(3).collect::<Vec<_>>(),
        );
        let counts = (missing.len(), too_many.len());
        assert_eq!(counts, (0, 0), "(missing, twice or wrong), for example {examples:?}");
    }
}

/// # Panics
/// When it is no series of these messages.
fn series(labels: &BTreeMap<String, String>) -> u32 {
    let names: Vec<&str> = labels.keys().map(String::as_str).collect();
    assert_eq!(names, ["__name__", "series"], "{labels:?}");
    assert_eq!(labels["__name__"], "lose_nothing_reading");
    labels["series"].parse().expect("a number")
}

fn partition(point: Point) -> usize {
    (point.series % PARTITIONS) as usize
}

pub fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "event times must be recent for Prometheus")]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).expect("a clock that is set");
    i64::try_from(since.as_millis()).expect("a clock of this era")
}
