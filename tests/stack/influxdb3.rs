//! What stands for an InfluxDB 3: its routes, and its SQL by the engine that it is built on
//! (`tests/stack/start/influxdb3.py`).

use super::http;
use super::process::{Process, free_port, process_control, started};

process_control!(InfluxDb3);

/// One that keeps what is written in its memory.
pub struct InfluxDb3 {
    url: String,
    process: Option<Process>,
}

impl InfluxDb3 {
    pub const DATABASE: &'static str = "tests";
    pub const TOKEN: &'static str = "tidegate-tests-token";

    pub fn start() -> Self {
        started(|| {
            let port = free_port().to_string();
            let process = Process::start("influxdb3.sh", &[&port, Self::TOKEN]);
            let url = format!("http://127.0.0.1:{port}");
            let mut server = Self { url, process: Some(process) };
            server.became_ready().map(|()| server)
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Takes the rows out for which a condition of SQL is so.
    pub fn forget(&self, table: &str, condition: &str) {
        self.post("/forget", &serde_json::json!({ "table": table, "where": condition }));
    }

    /// Gives a field of such rows another value.
    pub fn change(&self, table: &str, condition: &str, field: &str, value: &serde_json::Value) {
        let change =
            serde_json::json!({ "table": table, "where": condition, "set": field, "to": value });
        self.post("/change", &change);
    }

    fn post(&self, path: &str, body: &serde_json::Value) {
        let login = format!("Bearer {}", Self::TOKEN);
        let login = [("Authorization", login.as_str())];
        let (status, answer) =
            http::request(&self.url, "POST", path, &login, &body.to_string()).expect("an answer");
        assert_eq!(status, 204, "{path} {body}: {answer}");
    }

    fn is_ready(&self) -> bool {
        let answer = http::request(&self.url, "POST", "/ready", &[], "");
        answer.is_ok_and(|(status, _)| status == 401)
    }
}
