//! QuestDB.

use super::http::{csv, escaped, request};
use super::process::{Process, free_port, process_control, started};
use super::shared;

pub fn shared_questdb() -> QuestDb {
    QuestDb { url: shared("TIDEGATE_TEST_QUESTDB"), process: None }
}

process_control!(QuestDb);

/// QuestDB over HTTP, asking for a login.
pub struct QuestDb {
    url: String,
    process: Option<Process>,
}

impl QuestDb {
    pub const USER: &'static str = "tidegate";
    pub const PASSWORD: &'static str = "tidegate-tests";

    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With a limit on the bytes of a request, if one is given.
    pub fn start_with(options: &[&str]) -> Self {
        started(|| {
            let port = free_port();
            let port = port.to_string();
            let process = Process::start("questdb.sh", &[&[port.as_str()], options].concat());
            let mut server =
                Self { url: format!("http://127.0.0.1:{port}"), process: Some(process) };
            server.became_ready().map(|()| server)
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a statement.
    pub fn exec(&self, sql: &str) {
        self.get("/exec", sql);
    }

    /// The rows of an answer as texts, after one of the columns' names.
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        csv(&self.get("/exp", sql))
    }

    fn get(&self, route: &str, sql: &str) -> String {
        let path = format!("{route}?query={}", escaped(sql));
        let login = format!("Basic {}", Self::LOGIN);
        let (status, body) = request(&self.url, "GET", &path, &[("Authorization", &login)], "")
            .unwrap_or_else(|error| panic!("{}: {error}", self.url));
        assert_eq!(status, 200, "{sql}: {body}");
        body
    }

    /// [`QuestDb::USER`] and [`QuestDb::PASSWORD`] in base64.
    const LOGIN: &str = "dGlkZWdhdGU6dGlkZWdhdGUtdGVzdHM=";

    fn is_ready(&self) -> bool {
        request(&self.url, "GET", "/ping", &[], "").is_ok_and(|(status, _)| status == 204)
    }
}
