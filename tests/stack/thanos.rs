//! Thanos Receive, and the Thanos Query that reads it.

use std::thread;
use std::time::Duration;

use super::http::{self, escaped, query_result};
use super::process::{Control, Process, free_port, started};
use super::{READY_WITHIN, Series};

/// What Receive adds to every series.
const ADDED: [&str; 2] = ["receive_replica", "tenant_id"];

/// A Receive, and a Query beside it. It is the Receive that is killed and frozen.
pub struct Thanos {
    url: String,
    health: String,
    query_url: String,
    receive: Process,
    query: Process,
}

impl Thanos {
    /// Refuses a sample that is older than its series' newest.
    pub fn start() -> Self {
        Self::start_with("", "")
    }

    /// Takes samples that are older than the newest by up to `window`, such as `30m`.
    pub fn start_with_out_of_order(window: &str) -> Self {
        Self::start_with(window, "")
    }

    /// Takes requests of so many bytes at most.
    pub fn start_with_limit(bytes: &str) -> Self {
        Self::start_with("", bytes)
    }

    fn start_with(window: &str, limit: &str) -> Self {
        started(|| {
            let ports: [u16; 6] = std::array::from_fn(|_| free_port());
            let [port, health, grpc, capnproto, query, query_grpc] =
                ports.map(|port| port.to_string());
            let receive = [port.as_str(), &health, &grpc, &capnproto, window, limit];
            let receive = Process::start("thanos-receive.sh", &receive);
            let asked = Process::start("thanos-query.sh", &[&query, &query_grpc, &grpc]);
            let url = |port: &str| format!("http://127.0.0.1:{port}");
            let (url, health, query_url) = (url(&port), url(&health), url(&query));
            let mut server = Self { url, health, query_url, receive, query: asked };
            server.became_ready().map(|()| server)
        })
    }

    /// Where remote write goes, without its path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it is read.
    pub fn query_url(&self) -> &str {
        &self.query_url
    }

    /// All raw samples of a tenant's series that match `selector` in the `range` (such as `10h`) before `time` (Unix
    /// seconds), without the labels that Receive adds.
    pub fn series(&self, tenant: &str, selector: &str, range: &str, time: f64) -> Vec<Series> {
        let query = escaped(&format!("{selector}[{range}]"));
        let path = format!("/api/v1/query?query={query}&time={time}");
        let mut series = query_result(&self.answer(&path));
        series.retain(|(labels, _)| labels["tenant_id"] == tenant);
        for (labels, _) in &mut series {
            labels.retain(|name, _| !ADDED.contains(&name.as_str()));
        }
        series
    }

    /// Query notices within some seconds that Receive is there again.
    fn answer(&self, path: &str) -> String {
        let deadline = Process::ready_deadline();
        loop {
            match http::request(&self.query_url, "GET", path, &[], "") {
                Ok((200, body)) => return body,
                answer => assert!(
                    std::time::Instant::now() < deadline,
                    "{path}: not within {READY_WITHIN:?}: {answer:?}"
                ),
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn became_ready(&mut self) -> Result<(), String> {
        let deadline = Process::ready_deadline();
        let is_ready = |url: &str| {
            http::request(url, "GET", "/-/ready", &[], "").is_ok_and(|(status, _)| status == 200)
        };
        while !is_ready(&self.health) {
            self.receive.wait_once(deadline)?;
        }
        while !is_ready(&self.query_url) {
            self.query.wait_once(deadline)?;
        }
        Ok(())
    }
}

impl Control for Thanos {
    fn kill(&mut self) {
        self.receive.kill();
    }

    fn restart(&mut self) {
        self.receive.kill();
        self.receive.spawn();
        if let Err(log) = self.became_ready() {
            panic!("{log}");
        }
    }

    fn freeze(&mut self) {
        self.receive.signal("STOP");
    }

    fn thaw(&mut self) {
        self.receive.signal("CONT");
    }
}
