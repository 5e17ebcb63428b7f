//! What integration tests share besides the servers: the real binary as a process, chance that can be repeated, and
//! the recording proxy.
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

pub mod proxy;

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a stop may take that was asked for.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
const SIGKILL: i32 = 9;

/// `tidegate run --config tidegate.yaml connector.yaml` in a folder that holds both files.
pub struct Tidegate {
    folder: PathBuf,
    child: Child,
}

impl Tidegate {
    pub fn run(folder: &Path) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(log_file(folder))
            .expect("a log file");
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["run", "--config", "tidegate.yaml", "connector.yaml"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log file"))
            .stderr(log)
            .spawn()
            .expect("the binary that this test was built with");
        Self {
            folder: folder.to_owned(),
            child,
        }
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
    pub fn terminate(mut self) -> ExitStatus {
        self.assert_runs();
        let sent = Command::new("bash")
            .arg("-c")
            .arg(format!("kill -TERM {}", self.child.id()))
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM");
        let deadline = Instant::now() + STOPPED_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            let tail = self.log_tail();
            assert!(
                Instant::now() < deadline,
                "not stopped in {STOPPED_WITHIN:?}{tail}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(log_file(&self.folder)).unwrap_or_default();
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

fn log_file(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// Chance that is the same again for the same seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Seeded by `TIDEGATE_SEED`, or else differently each time; says by what.
    pub fn of_this_run() -> Self {
        let seed = match std::env::var("TIDEGATE_SEED") {
            Ok(seed) => seed.parse().expect("TIDEGATE_SEED is a whole number"),
            Err(_) => RandomState::new().hash_one("tidegate"),
        };
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
