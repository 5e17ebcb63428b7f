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
mod http;
mod process;
pub mod secured;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaErrorCode;
use serde_json::Value;

use http::{array, escaped, get, instant_query, json, labels, number, range_query, request};
use process::{Process, block_on, free_port, process_control, start_script, started};

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
             `tests/stack/run.sh cargo nextest run` (for InfluxDB 2: `make conformance`)"
        )
    })
}

pub fn shared_kafka() -> Kafka {
    Kafka { bootstrap: shared("TIDEGATE_TEST_KAFKA"), replicas: 1, process: None }.answering()
}

pub fn shared_victoria_metrics() -> VictoriaMetrics {
    VictoriaMetrics { url: shared("TIDEGATE_TEST_VICTORIA_METRICS"), process: None }
}

pub fn shared_prometheus() -> Prometheus {
    Prometheus { url: shared("TIDEGATE_TEST_PROMETHEUS"), process: None }
}

pub fn shared_influxdb2() -> InfluxDb2 {
    InfluxDb2 { url: shared("TIDEGATE_TEST_INFLUXDB2"), process: None }
}

process_control!(Kafka);
process_control!(VictoriaMetrics);
process_control!(Prometheus);
process_control!(InfluxDb1);
process_control!(InfluxDb2);

// ---------------------------------------------------------------------------------------------------- Kafka

/// One KRaft broker that creates no topic by itself (or the brokers of a [`Cluster`], seen from outside).
pub struct Kafka {
    bootstrap: String,
    /// Of each topic that is created.
    replicas: i32,
    process: Option<Process>,
}

impl Kafka {
    pub fn start() -> Self {
        started(|| {
            let (port, controller) = (free_port(), free_port());
            let process = Process::start("kafka.sh", &[&port.to_string(), &controller.to_string()]);
            let bootstrap = format!("127.0.0.1:{port}");
            let mut kafka = Self { bootstrap, replicas: 1, process: Some(process) };
            kafka.became_ready().map(|()| kafka)
        })
    }

    /// `host:port`, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.create_topic_with(name, partitions, &[]);
    }

    /// Creates a topic with configurations such as `("cleanup.policy", "compact")`, and returns when it has leaders.
    pub fn create_topic_with(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(self.replicas));
        for (key, value) in configs {
            topic = topic.set(key, value);
        }
        let admin = self.admin();
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let answer = block_on(admin.create_topics([&topic], &options))
            .unwrap_or_else(|error| panic!("topic {name}: {error}"));
        for result in answer {
            if let Err((_, code)) = result {
                panic!("topic {name}: {code}");
            }
        }
        let expected = usize::try_from(partitions).expect("a positive number of partitions");
        let deadline = Instant::now() + Duration::from_secs(10);
        while partitions_with_leader(&admin, name) < expected {
            assert!(Instant::now() < deadline, "topic {name} got no leaders within 10 s");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn delete_topic(&self, name: &str) {
        let answer = block_on(self.admin().delete_topics(&[name], &AdminOptions::new()))
            .unwrap_or_else(|error| panic!("topic {name}: {error}"));
        for result in answer {
            if let Err((_, code)) = result {
                assert_eq!(code, RDKafkaErrorCode::UnknownTopicOrPartition, "topic {name}");
            }
        }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        admin(&self.bootstrap)
    }

    /// The id of the broker that leads a partition, if one does.
    fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let admin = self.admin();
        let metadata = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        let mut partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        let leader = partitions.find(|p| p.id() == partition)?.leader();
        (leader >= 0).then_some(leader)
    }

    /// Every replica of the topic has what its leader has.
    fn is_in_sync(&self, topic: &str) -> bool {
        let admin = self.admin();
        admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5)).is_ok_and(|metadata| {
            let mut partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            partitions.all(|partition| partition.isr().len() == partition.replicas().len())
        })
    }

    fn wait_brokers(&self, count: usize) {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let metadata = self.admin().inner().fetch_metadata(None, Duration::from_secs(2));
            if metadata.is_ok_and(|metadata| metadata.brokers().len() == count) {
                return;
            }
            assert!(Instant::now() < deadline, "{} has not {count} brokers", self.bootstrap);
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn is_ready(&self) -> bool {
        // Asking the port first is cheap; a client of librdkafka waits longer between its attempts.
        TcpStream::connect(&self.bootstrap).is_ok()
            && self
                .admin()
                .inner()
                .fetch_metadata(None, Duration::from_secs(2))
                .is_ok_and(|metadata| !metadata.brokers().is_empty())
    }

    fn answering(self) -> Self {
        assert!(self.is_ready(), "TIDEGATE_TEST_KAFKA={} does not answer", self.bootstrap);
        self
    }
}

fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("log_level", "2") // a broker that is down on purpose is no news
        .create()
        .expect("an admin client needs no more than the address")
}

fn partitions_with_leader(admin: &AdminClient<DefaultClientContext>, topic: &str) -> usize {
    let Ok(metadata) = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5)) else {
        return 0;
    };
    metadata
        .topics()
        .iter()
        .flat_map(MetadataTopic::partitions)
        .filter(|partition| partition.error().is_none() && partition.leader() >= 0)
        .count()
}

// ------------------------------------------------------------------------------------------- VictoriaMetrics

/// VictoriaMetrics that keeps 100 years, and counts a sample that was written twice once.
///
/// Its 204 means "in memory": `kill` loses what it acknowledged within about the last 5 seconds, `flush` or not (seen
/// here; `stop` loses nothing). A test that kills the database itself and counts points wants Prometheus or InfluxDB.
pub struct VictoriaMetrics {
    url: String,
    process: Option<Process>,
}

impl VictoriaMetrics {
    pub fn start() -> Self {
        started(|| {
            let port = free_port();
            let process = Process::start("victoria-metrics.sh", &[&port.to_string()]);
            let mut server =
                Self { url: format!("http://127.0.0.1:{port}"), process: Some(process) };
            server.became_ready().map(|()| server)
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes what was written so far visible to queries.
    pub fn flush(&self) {
        get(&self.url, "/internal/force_flush", &[]);
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
        // Without start, VictoriaMetrics exports from 1970 on.
        let lines = get(&self.url, "/api/v1/export", &[("match[]", selector)]);
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
        let selector = http::escaped(selector);
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
        request(&self.url, "GET", "/health", &[], "").is_ok_and(|(status, _)| status == 200)
    }
}

/// Makes the certificates that `tests/stack/start/certificates.sh` names.
pub fn make_certificates(folder: &Path) {
    let made = start_script("certificates.sh").arg(folder).output().expect("bash is needed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

// ------------------------------------------------------------------------------------------------ Prometheus

/// Prometheus 2.42 that scrapes nothing and receives remote write 1.0.
pub struct Prometheus {
    url: String,
    process: Option<Process>,
}

impl Prometheus {
    /// Refuses a sample that is older than its series' newest.
    pub fn start() -> Self {
        Self::start_with(None, None)
    }

    /// Behind TLS and logins, as the file (`--web.config.file`) says, which it reads again for every request. May
    /// answer 503 at first.
    pub fn start_secured(web_config: &Path) -> Self {
        Self::start_with(None, Some(web_config))
    }

    /// Takes samples that are older than the newest by up to `window`, such as `30m`.
    pub fn start_with_out_of_order(window: &str) -> Self {
        Self::start_with(Some(window), None)
    }

    fn start_with(window: Option<&str>, web_config: Option<&Path>) -> Self {
        started(|| {
            let port = free_port().to_string();
            let file = web_config.map(|file| file.display().to_string()).unwrap_or_default();
            let process = Process::start("prometheus.sh", &[&port, window.unwrap_or(""), &file]);
            let scheme = if web_config.is_some() { "https" } else { "http" };
            let mut server =
                Self { url: format!("{scheme}://127.0.0.1:{port}"), process: Some(process) };
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
        instant_query(&self.url, &format!("{selector}[{range}]"), time)
    }

    /// Takes samples out, from and to Unix seconds, both included.
    pub fn delete(&self, selector: &str, from: f64, to: f64) {
        let span = [("start", &*from.to_string()), ("end", &*to.to_string())];
        let query: Vec<String> = [("match[]", selector)]
            .iter()
            .chain(&span)
            .map(|(key, value)| format!("{key}={}", http::escaped(value)))
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
        request(&self.url, "GET", "/-/ready", &[], "").is_ok_and(|(status, _)| status == 200)
    }
}

// ---------------------------------------------------------------------------------------------------- InfluxDB 1

/// InfluxDB 1 with a user and a database.
pub struct InfluxDb1 {
    url: String,
    process: Option<Process>,
}

impl InfluxDb1 {
    pub const USER: &'static str = "tidegate";
    pub const PASSWORD: &'static str = "tidegate-tests";
    pub const DATABASE: &'static str = "tests";

    pub fn start() -> Self {
        let server = started(|| {
            let port = free_port();
            let process = Process::start("influxdb1.sh", &[&port.to_string()]);
            let mut server =
                Self { url: format!("http://127.0.0.1:{port}"), process: Some(process) };
            server.became_ready().map(|()| server)
        });
        let (user, password) = (Self::USER, Self::PASSWORD);
        server.query(&format!("CREATE USER {user} WITH PASSWORD '{password}' WITH ALL PRIVILEGES"));
        server.query(&format!("CREATE DATABASE {}", Self::DATABASE));
        server
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The answer to a query in JSON, times in nanoseconds.
    pub fn query(&self, influxql: &str) -> Value {
        json(&self.answer(Self::DATABASE, influxql, "application/json"))
    }

    /// The series of a SELECT with GROUP BY *: name, tags, columns, and rows of texts as InfluxDB prints them.
    pub fn select(&self, database: &str, influxql: &str) -> Vec<(Value, Vec<Vec<String>>)> {
        let answer = json(&self.answer(database, influxql, "application/json"));
        // Numbers in JSON lose digits in a parser of f64s.
        let texts = csv(&self.answer(database, influxql, "application/csv"));
        let is_row = |row: &Vec<String>| row.len() > 2 && row[..2] != ["name", "tags"];
        let mut texts = texts.into_iter().filter(is_row).map(|row| row[2..].to_vec());
        let series = answer["results"][0]["series"].as_array().cloned().unwrap_or_default();
        series
            .into_iter()
            .map(|series| {
                let rows = array(&series["values"]).len();
                let texts = texts.by_ref().take(rows).collect();
                (series, texts)
            })
            .collect()
    }

    fn answer(&self, database: &str, influxql: &str, accept: &str) -> String {
        let (user, password, influxql) = (Self::USER, Self::PASSWORD, escaped(influxql));
        let path = format!("/query?u={user}&p={password}&db={database}&epoch=ns&q={influxql}");
        let (status, body) = request(&self.url, "POST", &path, &[("Accept", accept)], "")
            .unwrap_or_else(|error| panic!("{}: {error}", self.url));
        assert!(status == 200 && !body.contains("\"error\""), "{influxql}: {status} {body}");
        body
    }

    fn is_ready(&self) -> bool {
        request(&self.url, "GET", "/ping", &[], "").is_ok_and(|(status, _)| status == 204)
    }
}

// --------------------------------------------------------------------------------------------------- InfluxDB

/// InfluxDB 2.7 with one organisation, bucket and token (made by `tests/stack/start/influxdb2-setup.sh`).
pub struct InfluxDb2 {
    url: String,
    process: Option<Process>,
}

impl InfluxDb2 {
    pub const ORG: &'static str = "tidegate";
    pub const BUCKET: &'static str = "tests";
    pub const TOKEN: &'static str = "tidegate-tests-token";

    pub fn start() -> Self {
        let server = started(|| {
            let port = free_port();
            let process = Process::start("influxdb2.sh", &[&port.to_string()]);
            let mut server =
                Self { url: format!("http://127.0.0.1:{port}"), process: Some(process) };
            server.became_ready().map(|()| server)
        });
        let setup = start_script("influxdb2-setup.sh")
            .arg(&server.url)
            .output()
            .expect("bash and curl are needed");
        assert!(
            setup.status.success(),
            "setup of InfluxDB failed: {}{}",
            String::from_utf8_lossy(&setup.stdout),
            String::from_utf8_lossy(&setup.stderr)
        );
        server
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes lines, past Tidegate; timestamps are nanoseconds.
    pub fn write(&self, lines: &str) {
        let path = format!("/api/v2/write?org={}&bucket={}&precision=ns", Self::ORG, Self::BUCKET);
        let (status, body) = self.request("POST", &path, &[], lines);
        assert_eq!(status, 204, "{lines}: {body}");
    }

    /// Takes points out, by RFC 3339 times and a predicate such as `_measurement="m" AND "t"="a"`.
    pub fn delete(&self, start: &str, stop: &str, predicate: &str) {
        let path = format!("/api/v2/delete?org={}&bucket={}", Self::ORG, Self::BUCKET);
        let predicate = predicate.replace('"', "\\\"");
        let body = format!(r#"{{"start":"{start}","stop":"{stop}","predicate":"{predicate}"}}"#);
        let kind = [("Content-Type", "application/json")];
        let (status, answer) = self.request("POST", &path, &kind, &body);
        assert_eq!(status, 204, "{body}: {answer}");
    }

    /// Runs a query of InfluxDB's other language: CSV with a line for each row, after one with the columns' names.
    pub fn influxql(&self, query: &str) -> String {
        let path = format!("/query?db={}&q={}", Self::BUCKET, escaped(query));
        let (status, body) = self.request("GET", &path, &[("Accept", "application/csv")], "");
        assert_eq!(status, 200, "{query}: {body}");
        body
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let authorization = format!("Token {}", Self::TOKEN);
        let headers = [headers, &[("Authorization", authorization.as_str())]].concat();
        request(&self.url, method, path, &headers, body)
            .unwrap_or_else(|error| panic!("{}{path}: {error}", self.url))
    }

    /// Runs a Flux query: one map from column to text for each row of each table.
    pub fn query_flux(&self, flux: &str) -> Vec<BTreeMap<String, String>> {
        let path = format!("/api/v2/query?org={}", Self::ORG);
        let headers = [("Content-Type", "application/vnd.flux"), ("Accept", "text/csv")];
        let (status, body) = self.request("POST", &path, &headers, flux);
        assert_eq!(status, 200, "{flux}: {body}");
        // Tables are separated by an empty line, and each begins with the names of its columns.
        let mut rows = Vec::new();
        let mut columns: Vec<String> = Vec::new();
        for row in csv(&body) {
            if row.iter().all(String::is_empty) {
                columns.clear();
            } else if columns.is_empty() {
                columns = row;
            } else {
                rows.push(
                    columns
                        .iter()
                        .cloned()
                        .zip(row)
                        .filter(|(column, _)| !column.is_empty())
                        .collect(),
                );
            }
        }
        rows
    }

    fn is_ready(&self) -> bool {
        request(&self.url, "GET", "/health", &[], "").is_ok_and(|(status, _)| status == 200)
    }
}

/// RFC 4180, with an empty line as a row of one empty field.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    rows
}
