//! What a running process shows of itself: its metrics to a scraper, and its health to a probe.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use run::{Group, Message, Tidegate, Topic, unique};
use serde_json::Value;
use stack::{Kafka, VictoriaMetrics, free_port, http_get, shared_kafka, shared_victoria_metrics};

const PROCESS: (&str, &str) = ("../tidegate.yaml", "server: { listen: '${LISTEN}' }");

fn connector(kafka: &Kafka, topic: &str, url: &str, extra: &str) -> String {
    format!(
        "
name: {topic}
topics: [{topic}]
kafka: {{ bootstrap.servers: '{}', statistics.interval.ms: 200 }}
point:
  measurement: {topic}
  fields: {{ v: {{ path: v, required: true }} }}
sink: {{ influxdb: {{ version: 1, url: '{url}', database: any }} }}
batch: {{ linger: 100ms }}
{extra}
",
        kafka.bootstrap()
    )
}

/// The value of a sample, by its name and labels as they are written.
fn sample(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

#[test]
fn the_metrics_add_up_to_what_was_produced_and_promtool_is_content_with_them() {
    let (kafka, database) = (shared_kafka(), shared_victoria_metrics());
    let topic = Topic::create(&kafka, unique("metrics"), 2);
    let dead = Topic::create(&kafka, format!("{}.dead", topic.name), 1);
    let extra = format!("dead_letter: {{ topic: {} }}", dead.name);
    let text = connector(&kafka, &topic.name, database.url(), &extra);
    let good = (0..100).map(|n| Message::new(format!(r#"{{"v":{n},"w":1}}"#)).in_partition(n % 2));
    topic.produce(good);
    topic.produce([Message::new("no JSON"), Message::new(r#"{"w":1}"#), Message::tombstone()]);
    let address = format!("127.0.0.1:{}", free_port());
    let mut tidegate =
        Tidegate::run_all(&[PROCESS, ("connector.yaml", &text)], &[("LISTEN", &address)]);
    let group = Group::new(&kafka, &format!("tidegate-{}", topic.name));
    tidegate.until_committed(&group, &topic);

    let name = &topic.name;
    let lag = |partition| {
        format!(
            "tidegate_partition_lag_records{{connector=\"{name}\",topic=\"{name}\",\
             partition=\"{partition}\"}}"
        )
    };
    tidegate.until("both partitions show no lag", || {
        let page = http_get(&address, "/metrics").1;
        // The broker shows a commit a moment before its answer is here.
        let age = format!("tidegate_commit_age_seconds{{connector=\"{name}\"}}");
        (0..2).all(|partition| sample(&page, &lag(partition)) == Some(0.0))
            && sample(&page, &age).is_some()
    });
    let page = http_get(&address, "/metrics").1;
    let value = |metric: &str| {
        let series = format!("tidegate_{metric}{{connector=\"{name}\"}}");
        sample(&page, &series).unwrap_or_else(|| panic!("no {series} in\n{page}"))
    };
    let by = |metric: &str, label: &str| {
        let series = format!("tidegate_{metric}{{connector=\"{name}\",{label}}}");
        sample(&page, &series).unwrap_or_else(|| panic!("no {series} in\n{page}"))
    };
    let whole = |metric: &str| format!("{}", value(metric));
    assert_eq!(whole("records_consumed_total"), "103");
    assert_eq!(whole("records_excluded_total"), "1");
    assert_eq!(whole("points_written_total"), "100");
    assert_eq!(whole("dead_letters_total"), "2");
    assert_eq!(
        by("records_rejected_total", "stage=\"decode\",reason=\"malformed\"").to_string(),
        "1"
    );
    assert_eq!(
        by("records_rejected_total", "stage=\"map\",reason=\"missing_value\"").to_string(),
        "1"
    );
    assert_eq!(by("connector_state", "state=\"running\"").to_string(), "1");
    assert_eq!(whole("partitions_assigned"), "2");
    assert_eq!((whole("series").as_str(), whole("unmapped_paths").as_str()), ("1", "1"));
    assert!(by("writes_total", "result=\"written\"") >= 1.0, "{page}");
    assert!(value("write_duration_seconds_count") >= 1.0, "{page}");
    for stage in ["decode", "map", "encode"] {
        let stage = format!("stage=\"{stage}\"");
        assert!(by("record_duration_seconds_count", &stage) >= 1.0, "{page}");
    }
    assert!(by("record_duration_seconds_sum", "stage=\"decode\"") > 0.0, "{page}");
    assert!(by("record_duration_seconds_sum", "stage=\"encode\"") > 0.0, "{page}");
    let (freshness, commit_age) = (value("freshness_seconds"), value("commit_age_seconds"));
    assert!((0.0..120.0).contains(&freshness) && (0.0..120.0).contains(&commit_age), "{page}");
    let memory = sample(&page, "process_resident_memory_bytes").expect("the process's memory");
    let resident = tidegate.resident_kib() * 1024;
    #[expect(clippy::cast_precision_loss, reason = "a process is far below 2^53 bytes")]
    let ratio = memory / resident as f64;
    assert!((0.5..2.0).contains(&ratio), "{memory} is shown, the system says {resident}");
    check_by_promtool(&page);
    tidegate.stop();
}

/// `promtool check metrics` reads the page as Prometheus does, and knows the conventions of names.
fn check_by_promtool(page: &str) {
    let mut promtool = Command::new(stack::promtool())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    promtool.stdin.take().expect("its input").write_all(page.as_bytes()).expect("room in the pipe");
    let output = promtool.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
}

#[test]
fn readiness_stays_in_an_outage_of_the_database_and_falls_with_a_failed_connector() {
    let kafka = shared_kafka();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let waiting = Topic::create(&kafka, unique("waiting"), 1);
    waiting.produce([Message::new(r#"{"v":1}"#)]);
    let failing = Topic::create(&kafka, unique("failing"), 1);
    let files = [
        connector(&kafka, &waiting.name, &nobody, "delivery: { max_backoff: 1s, drain: 1s }"),
        connector(&kafka, &failing.name, &nobody, ""),
    ];
    let address = format!("127.0.0.1:{}", free_port());
    let mut tidegate = Tidegate::run_all(
        &[PROCESS, ("waiting.yaml", &files[0]), ("failing.yaml", &files[1])],
        &[("LISTEN", &address)],
    );
    let probe = |kind: &str| http_get(&address, &format!("/health/{kind}"));
    let page = || http_get(&address, "/metrics").1;
    let retries =
        format!("tidegate_writes_total{{connector=\"{}\",result=\"unavailable\"}}", waiting.name);
    tidegate.until("it listens", || TcpStream::connect(&address).is_ok());
    tidegate.until("a write has failed", || sample(&page(), &retries).unwrap_or(0.0) >= 1.0);
    assert_eq!((probe("live").0, probe("ready").0), (200, 200));
    assert_eq!(health_of(&probe("ready"), &waiting.name)["state"], "running");

    failing.produce([Message::new("no JSON")]);
    tidegate.until("the other connector has failed", || probe("ready").0 == 503);
    let ready = probe("ready");
    assert_eq!(health_of(&ready, &waiting.name)["state"], "running", "{}", ready.1);
    let failed = health_of(&ready, &failing.name);
    assert_eq!(failed["state"], "failed", "{}", ready.1);
    let reason = failed["reason"].as_str().expect("why");
    assert!(reason.contains(&failing.name) && reason.contains("offset 0"), "{reason}");
    assert_eq!(probe("live").0, 200, "a restart would not help");
    let failed =
        format!("tidegate_connector_state{{connector=\"{}\",state=\"failed\"}}", failing.name);
    assert_eq!(sample(&page(), &failed).map(|value| value.to_string()).as_deref(), Some("1"));
}

fn health_of((_, body): &(u16, String), connector: &str) -> Value {
    let body: Value = serde_json::from_str(body).expect("JSON");
    let connectors = body["connectors"].as_array().expect("connectors");
    connectors.iter().find(|one| one["name"] == connector).expect("this one").clone()
}

#[test]
fn an_address_that_is_taken_is_an_error_before_anything_is_consumed() {
    let kafka = shared_kafka();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let text = connector(&kafka, &unique("unread"), "http://127.0.0.1:9", "");
    let mut tidegate =
        Tidegate::run_all(&[PROCESS, ("connector.yaml", &text)], &[("LISTEN", &address)]);
    assert_eq!(tidegate.exit_code(), 1);
    let log = tidegate.log();
    assert!(log.contains(&address) && log.contains("server.listen"), "{log}");
}

#[test]
fn without_a_scraper_its_own_metrics_are_written_to_a_database_through_an_outage_of_it() {
    let kafka = shared_kafka();
    let mut database = VictoriaMetrics::start();
    let instance = unique("instance");
    let process = format!(
        "metrics: {{ every: 1s, labels: {{ instance: {instance} }}, \
         sink: {{ prometheus: {{ url: '{}/api/v1/write' }} }} }}",
        database.url()
    );
    let text = connector(&kafka, &unique("pushed"), database.url(), "");
    let files = [("../tidegate.yaml", process.as_str()), ("connector.yaml", &text)];
    let mut tidegate = Tidegate::run_all(&files, &[]);
    let moments = |database: &VictoriaMetrics, metric: &str| {
        database.flush();
        let series = database.export(&format!("{metric}{{instance=\"{instance}\"}}"));
        series.iter().map(|(_, samples)| samples.len()).max().unwrap_or(0)
    };
    tidegate.until("two moments are stored", || moments(&database, "tidegate_build_info") >= 2);
    assert!(moments(&database, "tidegate_write_duration_seconds_bucket") >= 1, "a histogram");
    assert!(moments(&database, "process_resident_memory_bytes") >= 1, "the process's own");
    database.stop();
    tidegate.until_logged("own metrics can't be written");
    database.restart();
    tidegate.until_logged("own metrics are written again");
    tidegate.stop();
}
