//! The real servers that integration tests run against.
//!
//! `Kafka::start()`, `VictoriaMetrics::start()` … give a test its own server, to kill, freeze and restart as it likes.
//! `shared_kafka()` … give the one that `tests/stack/run.sh` started for the whole run: use topics and metric names
//! of your own there. A server's command line stands in `tests/stack/start/`, its installation in
//! `tests/stack/install.sh`.
//!
//! Everything blocks, and none of it needs an async runtime: it may be called from a `#[test]` and from inside one
//! (where it holds up the thread that calls it).
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
    reason = "a test that has no server can only panic"
)]

pub mod cluster;
pub mod http;
mod influxdb;
mod influxdb3;
mod kafka;
mod mimir;
mod process;
mod prometheus;
mod questdb;
pub mod secured;
mod thanos;
mod victoria_metrics;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[allow(unused_imports, reason = "each integration test is a crate of its own")]
pub use self::{
    influxdb::{InfluxDb1, InfluxDb2, shared_influxdb1, shared_influxdb2},
    influxdb3::InfluxDb3,
    kafka::{Kafka, shared_kafka},
    mimir::{Mimir, shared_cortex, shared_mimir},
    process::{Control, free_port},
    prometheus::{Prometheus, shared_prometheus},
    questdb::{QuestDb, shared_questdb},
    thanos::Thanos,
    victoria_metrics::{VictoriaMetrics, shared_victoria_metrics},
};
use process::start_script;

/// Who may write to those that ask for a login.
pub const USER: &str = "tidegate";
pub const PASSWORD: &str = "correct horse";

/// How long a server may take to answer its first request.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long a server may take to stop when asked to, before it is killed.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// One time series as a database returns it: its labels (with `__name__`), and its samples as (milliseconds, value).
pub type Series = (BTreeMap<String, String>, Vec<(i64, f64)>);

/// The address of a server that `tests/stack/run.sh` started.
fn shared(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: this test shares the servers of the run. Use `make test`, or \
             `tests/stack/run.sh cargo nextest run` (or `make conformance`)"
        )
    })
}

/// Whether `tests/stack/install.sh` has installed it.
pub fn is_installed(name: &str) -> bool {
    let installer = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/install.sh");
    let answer = Command::new(installer).args(["--have", name]).status();
    answer.is_ok_and(|status| status.success())
}

/// Makes the certificates that `tests/stack/start/certificates.sh` names.
pub fn make_certificates(folder: &Path) {
    let made = start_script("certificates.sh").arg(folder).output().expect("bash is needed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A GET: its status and its body.
pub fn http_get(url: &str, path: &str) -> (u16, String) {
    http::request(url, "GET", path, &[], "").unwrap_or_else(|error| panic!("{url}{path}: {error}"))
}

/// A request with a method, headers and a body: its status and its body.
pub fn http_request(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    http::request(url, method, path, headers, body)
        .unwrap_or_else(|error| panic!("{method} {url}{path}: {error}"))
}

/// Prometheus's own tool, of the Prometheus that the tests run.
pub fn promtool() -> PathBuf {
    let installer = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/install.sh");
    let output = Command::new(installer).args(["--where", "prometheus"]).output();
    let folder = output.expect("tests/stack/install.sh").stdout;
    Path::new(String::from_utf8(folder).expect("a path").trim()).join("bin/promtool")
}
