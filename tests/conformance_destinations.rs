//! Records that say where they go, places that are made when they are missing, and what VictoriaMetrics takes beside
//! what InfluxDB takes. Everything here is real but the receivers of tenants: the binary, Kafka, and the databases.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use rdkafka::message::{Headers as _, Message as _};
use run::{Group, Message, Tidegate, Topic, unique};
use stack::{InfluxDb1, InfluxDb2, Kafka, shared_influxdb2, shared_kafka, shared_victoria_metrics};

const START: i64 = 1_700_000_000_000;

/// A topic of two partitions, its dead letters, and a connector whose records have `site` and `v`.
struct Pipeline<'k> {
    topic: Topic<'k>,
    dead: Topic<'k>,
    group: Group,
    connector: String,
}

impl<'k> Pipeline<'k> {
    /// `NAME` in the sink is the topic's name.
    fn new(kafka: &'k Kafka, sink: &str) -> Self {
        let topic = Topic::create(kafka, unique("destinations"), 2);
        let dead = Topic::create(kafka, format!("{}.dead", topic.name), 1);
        let (name, bootstrap) = (&topic.name, kafka.bootstrap());
        let connector = format!(
            "
name: {name}
topics: [{name}]
kafka: {{ bootstrap.servers: '{bootstrap}' }}
point:
  measurement: {name}
  tags: {{ key: {{ record: key }} }}
  fields: {{ v: {{ path: v, required: true }} }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ {} }}
dead_letter: {{ topic: {name}.dead }}
batch: {{ max_points: 40, linger: 50ms }}
",
            sink.replace("NAME", name)
        );
        let group = Group::new(kafka, &format!("tidegate-{name}"));
        Self { topic, dead, group, connector }
    }

    /// One message for each site in turn, `rounds` times, each with a value of its own.
    fn produce(&self, sites: &[&str], rounds: i64) {
        let mut number = -1;
        let messages = (0..rounds).flat_map(|_| sites).map(|site| {
            number += 1;
            let at = START + number * 1000;
            let value = format!(r#"{{"site":"{site}","v":{number},"at":{at}}}"#);
            let partition = i32::try_from(number % 2).expect("0 or 1");
            let message = Message::new(value).key(*site).in_partition(partition);
            message.header("tenant", Some(site.as_bytes()))
        });
        self.topic.produce(messages);
    }

    fn deliver(&self) {
        let mut tidegate = Tidegate::run(&self.connector, &[]);
        tidegate.until_committed(&self.group, &self.topic);
        tidegate.stop();
    }

    /// Why each dead letter is one.
    fn reasons(&self) -> Vec<String> {
        let letters = self.dead.read();
        let mut reasons: Vec<_> = letters
            .iter()
            .map(|letter| {
                let headers = letter.headers().expect("headers");
                let header = headers
                    .iter()
                    .find(|header| header.key == "__connect.errors.exception.message")
                    .and_then(|header| header.value)
                    .expect("a reason");
                String::from_utf8_lossy(header).into_owned()
            })
            .collect();
        reasons.sort();
        reasons
    }

    /// Runs a command on the connector's file.
    fn command(&self, arguments: &[&str]) -> Output {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("connector.yaml");
        fs::write(&file, &self.connector).expect("the connector's file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.current_dir(folder.path()).args(arguments).arg(file);
        command.output().expect("tidegate")
    }
}

/// Keys and values of a measurement in a bucket.
fn in_bucket(influxdb: &InfluxDb2, bucket: &str, measurement: &str) -> Vec<(String, String)> {
    let rows = influxdb.query_flux(&format!(
        "from(bucket: \"{bucket}\") |> range(start: 0) \
         |> filter(fn: (r) => r._measurement == \"{measurement}\")"
    ));
    rows.into_iter().map(|row| (row["key"].clone(), row["_value"].clone())).collect()
}

/// The values that [`Pipeline::produce`] gives the site at this place of so many.
fn values(place: usize, sites: usize, rounds: usize) -> Vec<String> {
    let mut values: Vec<_> = (0..rounds).map(|round| (round * sites + place).to_string()).collect();
    values.sort();
    values
}

#[test]
fn records_go_to_the_buckets_that_they_name_which_are_made_with_their_retention() {
    let (kafka, influxdb) = (shared_kafka(), shared_influxdb2());
    let pipeline = Pipeline::new(
        &kafka,
        &format!(
            "influxdb: {{ url: '{}', org: {}, token: {}, bucket: 'NAME-{{{{ value.site }}}}', \
             create: {{ retention: 10000d }}, \
             destinations: {{ allowed: ['NAME-north', 'NAME-s*'], max_open: 10 }} }}",
            influxdb.url(),
            InfluxDb2::ORG,
            InfluxDb2::TOKEN
        ),
    );
    let name = pipeline.topic.name.clone();
    let check = pipeline.command(&["check"]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    let would = format!("bucket {name}-north of tidegate");
    let line = said.lines().find(|line| line.contains(&would)).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("unknown") && line.contains("would be created"), "{said}");
    assert!(check.status.success(), "{said}");

    let sites = ["north", "south", "east", "_system"];
    pipeline.produce(&sites, 50);
    pipeline.deliver();
    for (place, site) in ["north", "south"].into_iter().enumerate() {
        let stored = in_bucket(&influxdb, &format!("{name}-{site}"), &name);
        assert!(stored.iter().all(|(key, _)| key == site), "{stored:?}");
        let mut found: Vec<_> = stored.into_iter().map(|(_, value)| value).collect();
        found.sort();
        assert_eq!(found, values(place, sites.len(), 50), "{site}");
    }
    let not_allowed = |site: &str| {
        format!("the bucket \"{name}-{site}\" is not allowed by `destinations.allowed`")
    };
    let expected = [vec![not_allowed("_system"); 50], vec![not_allowed("east"); 50]].concat();
    assert_eq!(pipeline.reasons(), expected);
    let buckets = influxdb.query_flux("buckets()");
    let of_ours = buckets.iter().filter(|row| row["name"].starts_with(&name));
    let kept: BTreeMap<_, _> =
        of_ours.map(|row| (row["name"].as_str(), row["retentionPeriod"].as_str())).collect();
    let nanoseconds = "864000000000000000";
    let expected = ["north", "south"].map(|site| format!("{name}-{site}"));
    assert_eq!(kept, expected.iter().map(|name| (name.as_str(), nanoseconds)).collect());

    // The audit asks each bucket for its own.
    let audit = pipeline.command(&["audit", "--strict", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&audit.stdout).expect("a report");
    assert_eq!(audit.status.code(), Some(0), "{report:#}");
    let counts = ["found", "dead_lettered", "missing"].map(|count| &report["totals"][count]);
    assert_eq!(counts, [&100.into(), &serde_json::json!(0), &0.into()], "{report:#}");
    let start = "1970-01-01T00:00:00Z";
    let predicate = format!("_measurement=\"{name}\"");
    influxdb.delete_in(&format!("{name}-south"), start, "2100-01-01T00:00:00Z", &predicate);
    let audit = pipeline.command(&["audit", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&audit.stdout).expect("a report");
    assert_eq!(audit.status.code(), Some(1), "{report:#}");
    assert_eq!(report["totals"]["missing"], 50, "{report:#}");
}

#[test]
fn a_bucket_that_is_missing_holds_its_connector_and_a_person_can_mend_it() {
    let (kafka, influxdb) = (shared_kafka(), shared_influxdb2());
    let pipeline = Pipeline::new(
        &kafka,
        &format!(
            "influxdb: {{ url: '{}', org: {}, token: {}, bucket: '{{{{ value.site }}}}' }}",
            influxdb.url(),
            InfluxDb2::ORG,
            InfluxDb2::TOKEN
        ),
    );
    let missing = format!("{}-later", pipeline.topic.name);
    pipeline.produce(&[InfluxDb2::BUCKET, &missing], 30);
    let mut tidegate = Tidegate::run(&pipeline.connector, &[]);
    tidegate.until_logged(&format!("destination=\"{missing}\""));
    assert!(pipeline.group.committed(&pipeline.topic).iter().all(|offset| *offset <= 0));
    influxdb.create_bucket(&missing, None);
    tidegate.until_committed(&pipeline.group, &pipeline.topic);
    tidegate.stop();
    for bucket in [InfluxDb2::BUCKET, &missing] {
        let stored = in_bucket(&influxdb, bucket, &pipeline.topic.name);
        assert_eq!(stored.len(), 30, "{bucket}: {stored:?}");
    }
    assert!(pipeline.reasons().is_empty());
}

#[test]
fn databases_and_policies_of_influxdb1_are_made_and_a_login_that_may_not_is_told() {
    let (kafka, influxdb) = (shared_kafka(), InfluxDb1::start());
    influxdb.query("CREATE USER writer WITH PASSWORD 'hunter2'");
    let pipeline = Pipeline::new(
        &kafka,
        &format!(
            "influxdb: {{ version: 1, url: '{}', database: 'NAME \"1\"', \
             retention_policy: '{{{{ value.site }}}}', create: {{ retention: 10000d }}, \
             destinations: {{ allowed: ['w1', 'w 2'] }}, \
             basic_auth: {{ username: writer, password: hunter2 }} }}",
            influxdb.url()
        ),
    );
    pipeline.produce(&["w1", "w 2", "w3"], 20);
    let mut tidegate = Tidegate::run(&pipeline.connector, &[]);
    tidegate.until_logged("can't be created");
    influxdb.query("GRANT ALL PRIVILEGES TO writer");
    tidegate.until_committed(&pipeline.group, &pipeline.topic);
    tidegate.stop();
    let (name, database) = (&pipeline.topic.name, format!("{} \\\"1\\\"", pipeline.topic.name));
    for policy in ["w1", "w 2"] {
        let query = format!("SELECT * FROM \"{database}\".\"{policy}\".\"{name}\"");
        let answer = influxdb.query(&query);
        let rows = answer["results"][0]["series"][0]["values"].as_array();
        assert_eq!(rows.map(Vec::len), Some(20), "{policy}: {answer}");
    }
    let policies = influxdb.query(&format!("SHOW RETENTION POLICIES ON \"{database}\""));
    let policies = policies["results"][0]["series"][0]["values"].clone();
    let kept: Vec<_> = policies.as_array().expect("policies").iter().map(|row| &row[1]).collect();
    assert_eq!(kept, ["240000h0m0s"; 2], "{policies}");
    assert_eq!(
        pipeline.reasons(),
        vec!["the retention policy \"w3\" is not allowed by `destinations.allowed`"; 20]
    );
}

/// What a receiver was sent: the path, the tenant's header, and the body.
type Received = Arc<Mutex<Vec<(String, Option<String>, Vec<u8>)>>>;

/// A receiver of remote write that takes everything.
fn receiver() -> (String, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let received = Received::default();
    let taken = Arc::clone(&received);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let taken = Arc::clone(&taken);
            thread::spawn(move || serve(stream, &taken));
        }
    });
    (url, received)
}

fn serve(mut stream: TcpStream, received: &Received) {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8_lossy(&bytes[..end]).into_owned();
            }
            if !read_more(&mut stream, &mut bytes) {
                return;
            }
        };
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut of_name = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
            of_name.next().map(|(_, value)| value.to_owned())
        };
        let length: usize = header("content-length").expect("a length").parse().expect("a number");
        let start = head.len() + 4;
        while bytes.len() < start + length {
            if !read_more(&mut stream, &mut bytes) {
                return;
            }
        }
        let body: Vec<_> = bytes.drain(..start + length).skip(start).collect();
        let path = head.split(' ').nth(1).expect("a path").to_owned();
        let body = snap::raw::Decoder::new().decompress_vec(&body).expect("snappy");
        received.lock().expect("no panic").push((path, header("x-scope-orgid"), body));
        if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
            return;
        }
    }
}

fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 8192];
    let count = stream.read(&mut buffer).unwrap_or(0);
    bytes.extend_from_slice(&buffer[..count]);
    count > 0
}

#[test]
fn each_tenant_gets_its_own_samples_under_its_own_header_and_path() {
    let kafka = shared_kafka();
    let (url, received) = receiver();
    let pipeline = Pipeline::new(
        &kafka,
        &format!(
            "prometheus: {{ url: '{url}/insert/{{{{ header.tenant }}}}/prometheus/api/v1/write', \
             headers: {{ X-Scope-OrgID: 'team-{{{{ key }}}}' }} }}"
        ),
    );
    let tenants = ["acme", "zeta:7", "../x", "a|b", "acme\r\nX-Evil: 1"];
    let values = tenants.iter().enumerate().map(|(number, tenant)| {
        // Before those of the others.
        let value = format!(r#"{{"v":{number},"at":{}}}"#, START - 1000);
        Message::new(value).key(*tenant).header("tenant", Some(tenant.as_bytes()))
    });
    pipeline.topic.produce(values);
    pipeline.produce(&["acme", "zeta:7"], 30);
    pipeline.deliver();
    let mut tenants = BTreeMap::new();
    for (path, header, body) in received.lock().expect("no panic").iter() {
        let tenant =
            path.strip_prefix("/insert/").and_then(|p| p.strip_suffix("/prometheus/api/v1/write"));
        let tenant = tenant.unwrap_or_else(|| panic!("{path}"));
        assert_eq!(header.as_deref(), Some(format!("team-{tenant}").as_str()));
        let body = String::from_utf8_lossy(body).into_owned();
        for other in ["acme", "zeta:7"].into_iter().filter(|other| *other != tenant) {
            assert!(!body.contains(other), "samples of {other} for {tenant}");
        }
        *tenants.entry(tenant.to_owned()).or_insert(0) += body.matches(tenant).count();
    }
    assert_eq!(tenants, BTreeMap::from([("acme".to_owned(), 31), ("zeta:7".to_owned(), 31)]));
    let reasons = pipeline.reasons();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(
        reasons.iter().all(|reason| reason.starts_with("the tenant in the path ")),
        "{reasons:?}"
    );
}

/// A database's name, labels for all, zstd, and nanoseconds by version 1's route: its times are not guessed.
#[test]
fn victoria_metrics_takes_its_own_options_by_line_protocol() {
    let (kafka, victoria) = (shared_kafka(), shared_victoria_metrics());
    for (version, place) in [(1, "database: plant"), (2, "org: unused, bucket: unused")] {
        let pipeline = Pipeline::new(
            &kafka,
            &format!(
                "influxdb: {{ version: {version}, url: '{}/?extra_label=region%3Dnorth', {place}, \
                 compression: zstd }}",
                victoria.url()
            ),
        );
        // In 1970, which is within its retention here, and small for nanoseconds.
        let at = 30 * 24 * 3600 * 1000;
        pipeline.topic.produce([Message::new(format!(r#"{{"v":7,"at":{at}}}"#)).key("k")]);
        pipeline.deliver();
        victoria.flush();
        let series = victoria.export(&format!("{}_v", pipeline.topic.name));
        let [(labels, samples)] = series.as_slice() else { panic!("{series:?}") };
        assert_eq!(samples, &[(at, 7.0)]);
        assert_eq!(labels.get("region").map(String::as_str), Some("north"));
        let database = (version == 1).then_some("plant");
        assert_eq!(labels.get("db").map(String::as_str), database);
    }
}
