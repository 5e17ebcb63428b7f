//! VictoriaMetrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::http::{
    array, escaped, get, instant_query, json, labels, number, range_query, request, with_login,
};
use super::process::{Process, free_port, process_control, started};
use super::{PASSWORD, Series, USER, shared};

pub fn shared_victoria_metrics() -> VictoriaMetrics {
    let url = shared("TIDEGATE_TEST_VICTORIA_METRICS");
    VictoriaMetrics { asked: url.clone(), url, process: None }
}

process_control!(VictoriaMetrics);

/// VictoriaMetrics that keeps 100 years, and counts a sample that was written twice once.
///
/// Its 204 means "in memory": `kill` loses what it acknowledged within about the last 5 seconds, `flush` or not (seen
/// here; `stop` loses nothing). A test that kills the database itself and counts points wants Prometheus or InfluxDB.
pub struct VictoriaMetrics {
    url: String,
    /// The same, with the login if it wants one.
    asked: String,
    process: Option<Process>,
}

impl VictoriaMetrics {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more options of its command line.
    pub fn start_with(options: &[&str]) -> Self {
        Self::start_asked(options, str::to_owned)
    }

    /// Asks all who write and read for a login: [`super::USER`] and [`super::PASSWORD`].
    pub fn start_with_login() -> Self {
        let user = format!("-httpAuth.username={USER}");
        let password = format!("-httpAuth.password={PASSWORD}");
        Self::start_asked(&[&user, &password], with_login)
    }

    fn start_asked(options: &[&str], asked: fn(&str) -> String) -> Self {
        started(|| {
            let port = free_port();
            let port = port.to_string();
            let process =
                Process::start("victoria-metrics.sh", &[&[port.as_str()], options].concat());
            let url = format!("http://127.0.0.1:{port}");
            let mut server = Self { asked: asked(&url), url, process: Some(process) };
            server.became_ready().map(|()| server)
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes what was written so far visible to queries.
    pub fn flush(&self) {
        get(&self.asked, "/internal/force_flush", &[]);
    }

    /// An instant query at `time` (Unix seconds): each series with one sample.
    pub fn query(&self, promql: &str, time: f64) -> Vec<Series> {
        instant_query(&self.url, promql, time)
    }

    /// A range query; times are Unix seconds, the step is a duration such as `15s`.
    pub fn query_range(&self, promql: &str, start: f64, end: f64, step: &str) -> Vec<Series> {
        range_query(&self.url, promql, start, end, step)
    }

    /// All raw samples of the series that match `selector`, as stored: the call to compare with what was written.
    pub fn export(&self, selector: &str) -> Vec<Series> {
        // It keeps which series a selector has for ten seconds, and a flush only ends that where it finds something to do
        // (`startFlushCallbackWorker` in `lib/mergeset/table.go`): so no two calls have the same.
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let call = format!("{{call!=\"{}\"}}", CALLS.fetch_add(1, Ordering::Relaxed));
        // Without start, VictoriaMetrics exports from 1970 on.
        let asked = [("match[]", selector), ("extra_filters[]", call.as_str())];
        let lines = get(&self.asked, "/api/v1/export", &asked);
        // A series comes as several lines when it has many samples.
        let mut all: BTreeMap<BTreeMap<String, String>, Vec<(i64, f64)>> = BTreeMap::new();
        for line in lines.lines() {
            let series = json(line);
            let times = array(&series["timestamps"]).iter().map(|time| time.as_i64().unwrap());
            let values = array(&series["values"]).iter().map(number);
            all.entry(labels(&series["metric"])).or_default().extend(times.zip(values));
        }
        for samples in all.values_mut() {
            samples.sort_by_key(|(time, _)| *time);
        }
        all.into_iter().collect()
    }

    /// Takes whole series out.
    pub fn delete(&self, selector: &str) {
        let selector = escaped(selector);
        let path = format!("/api/v1/admin/tsdb/delete_series?match[]={selector}");
        let (status, body) = request(&self.url, "POST", &path, &[], "").expect("an answer");
        assert_eq!(status, 204, "{path}: {body}");
    }

    /// Writes lines of line protocol, with times in milliseconds.
    pub fn write_lines(&self, lines: &str) {
        let path = "/api/v2/write?precision=ms";
        let (status, body) = request(&self.url, "POST", path, &[], lines).expect("an answer");
        assert_eq!(status, 204, "{lines}: {body}");
    }

    fn is_ready(&self) -> bool {
        request(&self.asked, "GET", "/health", &[], "").is_ok_and(|(status, _)| status == 200)
    }
}
