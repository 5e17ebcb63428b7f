//! Nothing is lost, whatever fails: `make chaos SECONDS=300 SEED=7`.
//!
//! Real Kafka (three brokers), InfluxDB 2 and Prometheus, a proxy before each database that does harm, and two or three
//! tidegate processes. Everything is killed, frozen and cut off in any combination while messages flow, bad ones among
//! them. Meanwhile no commit may be ahead of what is durable; at the end each message is stored once or dead-lettered.
//!
//! The runs take minutes and the whole machine, so they are ignored unless they are asked for.
#![allow(
    unreachable_pub,
    reason = "`pub` marks what the other files of a test may use; `pub(crate)` on each would say no more"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose tools fail can only panic"
)]

#[path = "../stack/mod.rs"]
mod stack;
#[path = "../support/mod.rs"]
mod support;

mod account;
#[cfg(test)]
mod account_tests;
mod audit;
mod chronicle;
mod durable;
mod evidence;
mod fleet;
mod lanes;
mod report;
mod run;
mod stream;
mod target;

use std::path::PathBuf;

use report::folder;
use run::{Settings, fresh_folder};
use support::seed_of_this_run;

const SECONDS_OF_THE_TEST_OF_THE_TEST: u64 = 15;

/// The runner's configuration finds these tests by the module's name (.config/nextest.toml).
mod chaos {
    use super::*;

    #[test]
    #[ignore = "takes minutes: make chaos"]
    fn nothing_is_lost_whatever_fails() {
        let report = run::run(&Settings {
            seed: seed_of_this_run(),
            seconds: seconds(),
            binary: PathBuf::from(env!("CARGO_BIN_EXE_tidegate")),
            settle: true,
            folder: fresh_folder(&folder().join("chaos")),
        });
        report.print();
        report.save();
        assert!(report.is_good(), "the promise was broken; the same again: SEED={}", report.seed);
        // Else the run was too easy to mean anything. A slow machine may not come to all of them in time.
        let unstruck = report.unstruck();
        assert!(report.seconds < 60 || unstruck.len() <= 4, "did not strike: {unstruck:?}");
    }

    /// The test's own test: a tidegate that commits before it writes must be found out. Cargo's feature
    /// `commit-before-write` makes it.
    #[test]
    #[ignore = "takes minutes, and a binary that is wrong on purpose: make chaos"]
    fn a_commit_before_the_write_is_found_out() {
        let binary = std::env::var("TIDEGATE_COMMITS_FIRST").expect("the binary that is wrong");
        let report = run::run(&Settings {
            seed: seed_of_this_run(),
            seconds: SECONDS_OF_THE_TEST_OF_THE_TEST,
            binary: PathBuf::from(binary),
            settle: false,
            folder: fresh_folder(&folder().join("chaos-commit-before-write")),
        });
        report.print();
        assert!(!report.is_good(), "a run in which commits came first has passed");
        assert!(report.ahead() > 0, "no commit was seen to be ahead");
    }
}

fn seconds() -> u64 {
    let text = std::env::var("TIDEGATE_CHAOS_SECONDS").unwrap_or_else(|_| "60".to_owned());
    text.parse().unwrap_or_else(|_| panic!("SECONDS is not a whole number: {text}"))
}
