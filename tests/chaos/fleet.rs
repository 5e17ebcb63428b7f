//! The tidegate processes: two at first, up to three.

use std::path::PathBuf;

use crate::support::{Random, Tidegate};

/// All run both connectors, so they are members of the same two groups.
pub struct Fleet {
    pub binary: PathBuf,
    pub folder: PathBuf,
    /// The proxies' addresses, by the names that the configuration has for them.
    pub addresses: [(&'static str, String); 2],
    pub running: Vec<Tidegate>,
    /// Processes started so far.
    pub started: usize,
}

impl Fleet {
    pub const FEWEST: usize = 2;
    pub const MOST: usize = 3;

    pub fn new(binary: PathBuf, folder: PathBuf, addresses: [(&'static str, String); 2]) -> Self {
        let mut fleet = Self { binary, folder, addresses, running: Vec::new(), started: 0 };
        for _ in 0..Self::FEWEST {
            fleet.start();
        }
        fleet
    }

    pub fn start(&mut self) {
        self.started += 1;
        let log = self.folder.join(format!("tidegate-{}.log", self.started));
        let tidegate =
            Tidegate::run_all(&self.binary, &self.folder, "connectors", &self.addresses, &log);
        self.running.push(tidegate);
    }

    /// Takes one out of the fleet; it runs on.
    pub fn take_any(&mut self, random: &mut Random) -> Tidegate {
        self.assert_run();
        let count = u32::try_from(self.running.len()).expect("a few");
        self.running.remove(random.below(count) as usize)
    }

    /// # Panics
    /// When one has ended by itself.
    pub fn assert_run(&mut self) {
        for tidegate in &mut self.running {
            tidegate.assert_runs();
        }
    }

    /// SIGTERM to all, one after the other.
    pub fn stop(&mut self) {
        for mut tidegate in self.running.drain(..) {
            leave(&mut tidegate);
        }
    }

    pub fn log_tails(&self) -> String {
        self.running.iter().map(Tidegate::log_tail).collect::<Vec<_>>().join("\n")
    }
}

/// # Panics
/// When it does not end in time, or not with success.
pub fn leave(tidegate: &mut Tidegate) {
    let status = tidegate.terminate();
    assert!(status.success(), "after SIGTERM: {status}{}", tidegate.log_tail());
}
