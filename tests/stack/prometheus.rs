//! Prometheus.

use std::net::TcpStream;
use std::path::Path;

use super::http::{escaped, instant_query, range_query, request, with_login};
use super::process::{Process, free_port, process_control, started};
use super::{Series, shared};

pub fn shared_prometheus() -> Prometheus {
    let url = shared("TIDEGATE_TEST_PROMETHEUS");
    Prometheus { asked: url.clone(), url, process: None }
}

process_control!(Prometheus);

/// Prometheus 2.42, or 3.8, that scrapes nothing and receives remote write (3.8: 2.0 too).
pub struct Prometheus {
    url: String,
    /// The same, with the login if it wants one that is known here.
    asked: String,
    process: Option<Process>,
}

impl Prometheus {
    /// 2.42. Refuses a sample that is older than its series' newest.
    pub fn start() -> Self {
        Self::start_with("prometheus.sh", None, None)
    }

    /// 2.42 behind TLS and logins, as the file (`--web.config.file`) says, which it reads again for every request. May
    /// answer 503 at first.
    pub fn start_secured(web_config: &Path) -> Self {
        Self::start_with("prometheus.sh", None, Some(web_config))
    }

    /// 2.42 that takes samples that are older than the newest by up to `window`, such as `30m`.
    pub fn start_with_out_of_order(window: &str) -> Self {
        Self::start_with("prometheus.sh", Some(window), None)
    }

    /// 3.8, with a window for late samples if one is given.
    pub fn start_version_3(window: Option<&str>) -> Self {
        Self::start_with("prometheus3.sh", window, None)
    }

    /// 2.42 that asks all who write and read for a login: [`super::USER`] and [`super::PASSWORD`].
    pub fn start_with_login() -> Self {
        Self::start_asked("prometheus.sh")
    }

    /// The same, 3.8.
    pub fn start_version_3_with_login() -> Self {
        Self::start_asked("prometheus3.sh")
    }

    fn start_asked(script: &'static str) -> Self {
        started(|| {
            let port = free_port().to_string();
            let login =
                concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/start/prometheus-login.yml");
            let process = Process::start(script, &[&port, "", login]);
            let url = format!("http://127.0.0.1:{port}");
            let mut server = Self { asked: with_login(&url), url, process: Some(process) };
            server.became_ready().map(|()| server)
        })
    }

    fn start_with(script: &'static str, window: Option<&str>, web_config: Option<&Path>) -> Self {
        started(|| {
            let port = free_port().to_string();
            let file = web_config.map(|file| file.display().to_string()).unwrap_or_default();
            let process = Process::start(script, &[&port, window.unwrap_or(""), &file]);
            let scheme = if web_config.is_some() { "https" } else { "http" };
            let url = format!("{scheme}://127.0.0.1:{port}");
            let mut server = Self { asked: url.clone(), url, process: Some(process) };
            server.became_ready().map(|()| server)
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where remote write goes.
    pub fn write_url(&self) -> String {
        format!("{}/api/v1/write", self.url)
    }

    /// An instant query at `time` (Unix seconds): each series with one sample.
    pub fn query(&self, promql: &str, time: f64) -> Vec<Series> {
        instant_query(&self.url, promql, time)
    }

    /// A range query; times are Unix seconds, the step is a duration such as `15s`.
    pub fn query_range(&self, promql: &str, start: f64, end: f64, step: &str) -> Vec<Series> {
        range_query(&self.url, promql, start, end, step)
    }

    /// All raw samples of the series that match `selector` in the `range` (such as `10h`) before `time` (Unix seconds).
    pub fn series(&self, selector: &str, range: &str, time: f64) -> Vec<Series> {
        instant_query(&self.asked, &format!("{selector}[{range}]"), time)
    }

    /// Takes samples out, from and to Unix seconds, both included.
    pub fn delete(&self, selector: &str, from: f64, to: f64) {
        let span = [("start", &*from.to_string()), ("end", &*to.to_string())];
        let query: Vec<String> = [("match[]", selector)]
            .iter()
            .chain(&span)
            .map(|(key, value)| format!("{key}={}", escaped(value)))
            .collect();
        let path = format!("/api/v1/admin/tsdb/delete_series?{}", query.join("&"));
        let (status, body) = request(&self.url, "POST", &path, &[], "").expect("an answer");
        assert_eq!(status, 204, "{path}: {body}");
    }

    fn is_ready(&self) -> bool {
        if let Some(address) = self.url.strip_prefix("https://") {
            // Who it lets in is the test's business; it may answer 503 for a little longer.
            return TcpStream::connect(address).is_ok();
        }
        request(&self.asked, "GET", "/-/ready", &[], "").is_ok_and(|(status, _)| status == 200)
    }
}
