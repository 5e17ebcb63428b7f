//! Measurements, all on the release build and a real Kafka; bench/README.md says how to run and read them.
//!
//! ```text
//! bench compare                      `make bench`: Tidegate beside a bare consumer and its peers
//! bench scale                        workers, backlog, partitions, series, connectors, sizes, latency, idling
//! bench flame OUTPUT FILE            stacks of a run, for `make flame`
//! bench stages STAGE MESSAGES        decode, map and encode alone; `make guard` counts its instructions
//! bench bare …                       the bare consumer, started by `compare`
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that can't be made can only panic"
)]
#![allow(unreachable_pub, reason = "`pub` marks what other modules use")]

mod account;
mod bare;
mod compare;
mod flame;
mod plot;
mod receiver;
mod report;
mod scale;
#[path = "../tests/stack/mod.rs"]
mod stack;
mod stages;
mod subjects;
mod topic;
mod workload;

fn main() {
    stop_all_on_panic();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] | ["compare"] => compare::run(),
        ["scale"] => scale::run(),
        ["flame", output, file] => flame::run(output, file),
        ["stages", stage, messages] => stages::run(stage, messages.parse().expect("a number")),
        ["bare", bootstrap, topic, group, messages] => {
            bare::consume(bootstrap, topic, group, messages.parse().expect("a number"));
        }
        _ => panic!("see the top of bench/main.rs"),
    }
}

/// The release profile aborts on a panic, so nothing is dropped: a broker or a subject would run on.
fn stop_all_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        let parent = std::process::id().to_string();
        let _ = std::process::Command::new("pkill").args(["-KILL", "-P", &parent]).status();
    }));
}
