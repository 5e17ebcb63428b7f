//! A process that is steered over HTTP, as a test does it.
#![allow(
    unreachable_pub,
    reason = "`pub` marks what a test may use; `pub(crate)` on each would say no more"
)]
#![allow(
    dead_code,
    reason = "each integration test is a crate of its own, and none uses all of this"
)]
#![allow(clippy::expect_used, reason = "a test that can't ask what it tests can only panic")]

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use crate::run::Tidegate;
use crate::stack::{free_port, http_request};

pub const PROCESS: &str = "server: { listen: '${LISTEN}' }\nwatch: false\n";

/// A process and its address.
pub struct Steered {
    pub tidegate: Tidegate,
    pub address: String,
    /// What is sent with each request.
    pub headers: Vec<(&'static str, &'static str)>,
}

impl Steered {
    pub fn run(process: &str, files: &[(&str, &str)], variables: &[(&str, &str)]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let files: Vec<_> = [("../tidegate.yaml", process)].iter().chain(files).copied().collect();
        let variables: Vec<_> =
            [("LISTEN", address.as_str())].iter().chain(variables).copied().collect();
        let mut tidegate = Tidegate::run_all(&files, &variables);
        tidegate.until("it listens", || TcpStream::connect(&address).is_ok());
        Self { tidegate, address, headers: Vec::new() }
    }

    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (code, body) = http_request(&self.address, method, path, &self.headers, body);
        (code, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    pub fn get(&self, path: &str) -> Value {
        let (code, body) = self.ask("GET", path, "");
        assert_eq!(code, 200, "{path}: {body}");
        body
    }

    pub fn until_state(&mut self, connector: &str, state: &str) {
        let (address, path) = (self.address.clone(), format!("/connectors/{connector}/status"));
        let headers = self.headers.clone();
        self.tidegate.until(&format!("{connector} is {state}"), || {
            let status = http_request(&address, "GET", &path, &headers, "").1;
            let status: Value = serde_json::from_str(&status).expect("JSON");
            status["connector"]["state"] == state
        });
    }
}

/// The numbers that a file of lines holds.
pub fn stored(file: &Path) -> BTreeSet<u64> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let number = |line: &str| {
        let (_, rest) = line.split_once("v=").expect("a field");
        rest.split('i').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    text.lines().map(number).collect()
}
