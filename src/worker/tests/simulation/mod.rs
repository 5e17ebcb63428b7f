//! A simulation of whole lives: workers in a group, Kafka, a database and a dead-letter topic, all
//! in virtual time, under faults that a seed throws.
//!
//! Nothing in it waits for real time or depends on the order of threads, so a seed is a run. What
//! the [`world`] checks at every step: no offset is committed before all up to it is durable, nor
//! for a partition that was let go; no good record is dead-lettered; memory stays within its limits,
//! and polls within the interval. And when the faults have ended: everything is stored or
//! dead-lettered, and committed to the end, before long. Where the worker makes windows, each is what the
//! topic says, whatever was written how often.
//!
//! `make simulate SCHEDULES=100000 SEED=1` looks longer. docs/testing.md tells how to read it.

mod database;
mod group;
mod log;
mod process;
mod schedule;
mod turns;
mod windows;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use process::Shared;
use schedule::{Answers, Schedule};
use turns::Turns;
use world::World;

/// Schedules of each test, unless `TIDEGATE_SCHEDULES` says how many all are to run together.
const FEW: u64 = 150;
const TESTS: u64 = 4;
/// Runs that the search for a simpler failing schedule may take.
const MOST_SHRINKS: usize = 300;

#[test]
fn nothing_is_lost_where_the_last_write_wins() {
    simulate(&[Answers::Whole, Answers::Partly]);
}

#[test]
fn nothing_is_lost_where_refused_points_are_named() {
    let named = &[Answers::Named { rest_written: true }, Answers::Named { rest_written: false }];
    simulate(named);
}

#[test]
fn nothing_is_lost_where_one_sample_out_of_order_rolls_a_request_back() {
    simulate(&[Answers::Ordered]);
}

#[test]
fn nothing_is_lost_where_the_rest_of_a_request_out_of_order_is_written() {
    simulate(&[Answers::OrderedPartly]);
}

/// Runs schedules, each from a seed of its own, and says which.
fn simulate(answers: &'static [Answers]) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
    };
    let first = number("TIDEGATE_SEED").unwrap_or(1);
    let schedules = number("TIDEGATE_SCHEDULES").map_or(FEW, |all| all.div_ceil(TESTS));
    let mut counts = BTreeMap::new();
    for seed in first..first + schedules {
        let mut drawn = draw(answers, seed);
        let schedule = drawn.current();
        let world = run(schedule, false);
        if !world.violations.is_empty() {
            fail(drawn.as_mut(), seed, seed - first + 1);
        }
        for (what, count) in world.counts {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    println!(
        "{schedules} schedules with {answers:?}, seeds {first} to {}: {}",
        first + schedules - 1,
        counts.join(", ")
    );
}

fn draw(answers: &'static [Answers], seed: u64) -> Box<dyn ValueTree<Value = Schedule>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    Box::new(schedule::schedules(answers).new_tree(&mut runner).unwrap())
}

/// One schedule, from its beginning to the end of all that it has begun.
fn run(schedule: Schedule, traced: bool) -> World {
    let processes = schedule.limits.processes;
    let world = Mutex::new(World::new(schedule, traced));
    let shared = Arc::new(Shared { turns: Turns::new(processes), world });
    std::thread::scope(|scope| {
        for process in 1..processes {
            let shared = &shared;
            scope.spawn(move || process::run(shared, process));
        }
        process::run(&shared, 0);
    });
    let mut world = Arc::into_inner(shared).unwrap().world.into_inner().unwrap();
    world.check_end();
    world
}

/// Looks for a simpler schedule that fails as well, and tells what happens in it.
fn fail(drawn: &mut dyn ValueTree<Value = Schedule>, seed: u64, after: u64) -> ! {
    let mut simplest = drawn.current();
    for _ in 0..MOST_SHRINKS {
        let failed = !run(drawn.current(), false).violations.is_empty();
        if failed {
            simplest = drawn.current();
        }
        if !(if failed { drawn.simplify() } else { drawn.complicate() }) {
            break;
        }
    }
    let world = run(simplest.clone(), true);
    let trace = world.trace.unwrap_or_default();
    let shown = trace.len().saturating_sub(150);
    panic!(
        "after {after} schedules, with seed {seed}: {}\n\
         To repeat it: make simulate SCHEDULES=1 SEED={seed}\n\
         A simpler one: {simplest:?}\n\
         What happens in it (the end of {} lines):\n{}",
        world.violations.join("; "),
        trace.len(),
        trace[shown..].join("\n"),
    );
}
