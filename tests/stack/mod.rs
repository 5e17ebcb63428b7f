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

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaErrorCode;
use serde_json::Value;
use tempfile::TempDir;

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
    Kafka { bootstrap: shared("TIDEGATE_TEST_KAFKA"), process: None }.answering()
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

/// What a test may do to a server's process. On a shared server it panics: other tests are using it.
macro_rules! process_control {
    ($server:ty) => {
        impl $server {
            /// Asks the server to stop (SIGTERM) and waits until it has.
            pub fn stop(&mut self) {
                self.process_mut().stop();
            }

            /// SIGKILL: nothing is flushed, nobody is told.
            pub fn kill(&mut self) {
                self.process_mut().kill();
            }

            /// Starts it again on the same ports and data, killing it first if it still runs.
            pub fn restart(&mut self) {
                let process = self.process_mut();
                process.kill();
                process.spawn();
                self.wait_ready();
            }

            /// SIGSTOP: connections stay open and nobody answers, as on a host that hangs.
            pub fn freeze(&mut self) {
                self.process_mut().signal("STOP");
            }

            /// SIGCONT: the end of `freeze`.
            pub fn thaw(&mut self) {
                self.process_mut().signal("CONT");
            }

            fn process_mut(&mut self) -> &mut Process {
                self.process
                    .as_mut()
                    .expect("a shared server is not this test's to stop: use ::start()")
            }

            fn wait_ready(&mut self) {
                if let Err(log) = self.became_ready() {
                    panic!("{log}");
                }
            }

            /// `Err` carries the end of the server's log.
            fn became_ready(&mut self) -> Result<(), String> {
                let deadline = Instant::now() + READY_WITHIN;
                while !self.is_ready() {
                    let process = self.process_mut();
                    if process.has_exited() || Instant::now() > deadline {
                        return Err(process.report());
                    }
                    thread::sleep(Duration::from_millis(50));
                }
                Ok(())
            }
        }
    };
}
process_control!(Kafka);
process_control!(VictoriaMetrics);
process_control!(Prometheus);
process_control!(InfluxDb2);

// ---------------------------------------------------------------------------------------------------- Kafka

/// One KRaft broker that creates no topic by itself.
pub struct Kafka {
    bootstrap: String,
    process: Option<Process>,
}

impl Kafka {
    pub fn start() -> Self {
        started(|| {
            let (port, controller) = (free_port(), free_port());
            let process = Process::start("kafka.sh", &[&port.to_string(), &controller.to_string()]);
            let mut kafka = Self { bootstrap: format!("127.0.0.1:{port}"), process: Some(process) };
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
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
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
        ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("log_level", "2") // a broker that is down on purpose is no news
            .create()
            .expect("an admin client needs no more than the address")
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

    fn is_ready(&self) -> bool {
        request(&self.url, "GET", "/health", &[], "").is_ok_and(|(status, _)| status == 200)
    }
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
        Self::start_with(None)
    }

    /// Takes samples that are older than the newest by up to `window`, such as `30m`.
    pub fn start_with_out_of_order(window: &str) -> Self {
        Self::start_with(Some(window))
    }

    fn start_with(window: Option<&str>) -> Self {
        started(|| {
            let port = free_port().to_string();
            let process = Process::start("prometheus.sh", &[&port, window.unwrap_or("")]);
            let mut server =
                Self { url: format!("http://127.0.0.1:{port}"), process: Some(process) };
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

    fn is_ready(&self) -> bool {
        request(&self.url, "GET", "/-/ready", &[], "").is_ok_and(|(status, _)| status == 200)
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

    /// Runs a Flux query: one map from column to text for each row of each table.
    pub fn query_flux(&self, flux: &str) -> Vec<BTreeMap<String, String>> {
        let path = format!("/api/v2/query?org={}", Self::ORG);
        let authorization = format!("Token {}", Self::TOKEN);
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/vnd.flux"),
            ("Accept", "text/csv"),
        ];
        let (status, body) = request(&self.url, "POST", &path, &headers, flux)
            .unwrap_or_else(|error| panic!("{}{path}: {error}", self.url));
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

// -------------------------------------------------------------------------------- the Prometheus query API

fn instant_query(url: &str, promql: &str, time: f64) -> Vec<Series> {
    query_result(&get(url, "/api/v1/query", &[("query", promql), ("time", &time.to_string())]))
}

fn range_query(url: &str, promql: &str, start: f64, end: f64, step: &str) -> Vec<Series> {
    let (start, end) = (start.to_string(), end.to_string());
    query_result(&get(
        url,
        "/api/v1/query_range",
        &[("query", promql), ("start", &start), ("end", &end), ("step", step)],
    ))
}

fn query_result(body: &str) -> Vec<Series> {
    let answer = json(body);
    let mut all: Vec<Series> = array(&answer["data"]["result"])
        .iter()
        .map(|series| {
            // A vector has `value`, a matrix `values`.
            let samples = match &series["values"] {
                Value::Null => vec![sample(&series["value"])],
                values => array(values).iter().map(sample).collect(),
            };
            (labels(&series["metric"]), samples)
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// `[seconds, "value"]`
fn sample(pair: &Value) -> (i64, f64) {
    let seconds = pair[0].as_f64().unwrap_or_else(|| panic!("not a sample: {pair}"));
    #[expect(clippy::cast_possible_truncation, reason = "rounded, and far within i64")]
    let milliseconds = (seconds * 1000.0).round() as i64;
    (milliseconds, number(&pair[1]))
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Null => f64::NAN, // VictoriaMetrics' export has no other way to write it
        Value::String(text) => match text.as_str() {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            other => other.parse().unwrap_or_else(|_| panic!("not a number: {other}")),
        },
        other => other.as_f64().unwrap_or_else(|| panic!("not a number: {other}")),
    }
}

fn labels(metric: &Value) -> BTreeMap<String, String> {
    let metric = metric.as_object().unwrap_or_else(|| panic!("not a set of labels: {metric}"));
    metric.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("not an array: {value}"))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in: {text}"))
}

// ------------------------------------------------------------------------------------------------------ HTTP

/// A GET that must succeed; the pairs become the query string.
fn get(url: &str, path: &str, query: &[(&str, &str)]) -> String {
    let query: Vec<String> =
        query.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value))).collect();
    let path = format!("{path}?{}", query.join("&"));
    let (status, body) =
        request(url, "GET", &path, &[], "").unwrap_or_else(|error| panic!("{url}{path}: {error}"));
    assert!((200..300).contains(&status), "{url}{path}: {status}: {body}");
    body
}

/// One request, its status and its body. By hand and HTTP/1.0 (no keep-alive, no chunks), because reqwest's blocking
/// client panics inside an async test, and its async client would force one on every test.
fn request(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<(u16, String)> {
    let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let headers =
        headers.iter().fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
    let length = body.len();
    stream.write_all(
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
            .as_bytes(),
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or(std::io::ErrorKind::InvalidData)?, body.to_owned()))
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(escape).collect::<Vec<_>>().concat()
}

// ------------------------------------------------------------------------------------------------- processes

/// A server's process, with its data and its log in a folder that goes when it goes.
struct Process {
    script: &'static str,
    arguments: Vec<String>,
    child: Option<Child>,
    folder: TempDir,
}

impl Process {
    fn start(script: &'static str, arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("tidegate-test-")
            .tempdir()
            .expect("a temporary folder");
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut process = Self { script, arguments, child: None, folder };
        process.spawn();
        process
    }

    fn spawn(&mut self) {
        let log =
            File::options().create(true).append(true).open(self.log_file()).expect("a log file");
        // Not a process group of its own: what ends the test run by signal must reach the servers too.
        let child = start_script(self.script)
            .arg(self.folder.path().join("data"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.script));
        self.child = Some(child);
    }

    fn stop(&mut self) {
        self.signal("TERM");
        let deadline = Instant::now() + STOPPED_WITHIN;
        while !self.has_exited() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    /// The start scripts `exec` the server, so that the child's pid is the server's own.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have exited by itself, and then there is nothing to do.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("the server is down already");
        let sent =
            Command::new("bash").arg("-c").arg(format!("kill -{name} {}", child.id())).status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "SIG{name} for {} could not be sent",
            self.script
        );
    }

    fn has_exited(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn report(&self) -> String {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(30)..];
        format!("{} did not become ready; the end of its log:\n{}", self.script, tail.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start_script(name: &str) -> Command {
    Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stack/start").join(name))
}

/// Tries three times, each with new ports: between our looking and the server's binding, somebody may take one.
fn started<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let mut last = String::new();
    for _ in 0..3 {
        match attempt() {
            Ok(server) => return server,
            Err(log) if log.contains("ddress already in use") => last = log,
            Err(log) => panic!("{log}"),
        }
    }
    panic!("{last}")
}

/// A free port below 32768, where Linux' range for outgoing connections begins. A port of that range would do until
/// the server is killed: then another connection may be given it, and a client that reconnects again and again to a
/// dead port of that range ends up connected to itself.
fn free_port() -> u16 {
    loop {
        let port = 10_240 + (RandomState::new().hash_one(std::process::id()) % 22_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits for a future on this thread, with or without a runtime around it.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
