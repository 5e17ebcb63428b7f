//! Records that say where they go, places that are made when they are missing, and what VictoriaMetrics takes beside
//! what InfluxDB takes. Everything here is real but the receivers of tenants: the binary, Kafka, and the databases.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/pipeline.rs"]
mod pipeline;
#[path = "support/run.rs"]
mod run;
mod stack;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use pipeline::Pipeline;
use run::{Message, Topic};
use stack::{
    InfluxDb1, InfluxDb2, Kafka, Prometheus, Series, shared_influxdb2, shared_kafka,
    shared_victoria_metrics,
};

const START: i64 = 1_700_000_000_000;

/// A connector whose records have `site` and `v`, of a topic of two partitions.
fn pipeline<'k>(kafka: &'k Kafka, sink: &str) -> Pipeline<'k> {
    let connector = format!(
        "
point:
  measurement: NAME
  tags: {{ key: {{ record: key }} }}
  fields: {{ v: {{ path: v, required: true }} }}
  timestamp: {{ path: at, unit: ms }}
sink: {{ {sink} }}
batch: {{ max_points: 40, linger: 50ms }}
"
    );
    Pipeline::new(kafka, "destinations", 2, &connector)
}

/// One message for each site in turn, `rounds` times, each with a value of its own.
fn produce(topic: &Topic<'_>, sites: &[&str], rounds: i64) {
    let mut number = -1;
    let messages = (0..rounds).flat_map(|_| sites).map(|site| {
        number += 1;
        let at = START + number * 1000;
        let value = format!(r#"{{"site":"{site}","v":{number},"at":{at}}}"#);
        let partition = i32::try_from(number % 2).expect("0 or 1");
        let message = Message::new(value).key(*site).in_partition(partition);
        message.header("tenant", Some(site.as_bytes()))
    });
    topic.produce(messages);
}

/// Keys and values of a measurement in a bucket.
fn in_bucket(influxdb: &InfluxDb2, bucket: &str, measurement: &str) -> Vec<(String, String)> {
    let rows = influxdb.query_flux(&format!(
        "from(bucket: \"{bucket}\") |> range(start: 0) \
         |> filter(fn: (r) => r._measurement == \"{measurement}\")"
    ));
    rows.into_iter().map(|row| (row["key"].clone(), row["_value"].clone())).collect()
}

/// The values that [`produce`] gives the site at this place of so many.
fn values(place: usize, sites: usize, rounds: usize) -> Vec<String> {
    let mut values: Vec<_> = (0..rounds).map(|round| (round * sites + place).to_string()).collect();
    values.sort();
    values
}

#[test]
fn records_go_to_the_buckets_that_they_name_which_are_made_with_their_retention() {
    let (kafka, influxdb) = (shared_kafka(), shared_influxdb2());
    let pipeline = pipeline(
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
    produce(&pipeline.topic, &sites, 50);
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
fn windows_go_to_the_bucket_that_their_own_values_choose_also_after_a_kill() {
    let (kafka, influxdb) = (shared_kafka(), shared_influxdb2());
    let mut pipeline = Pipeline::new(
        &kafka,
        "routes",
        2,
        &format!(
            "
point:
  measurement: NAME
  tags: {{ key: site }}
  fields: {{ v: v }}
  timestamp: {{ path: at, unit: ms }}
process:
  - window: {{ size: 10s, fields: {{ v: [sum] }} }}
  - route: [{{ when: v_sum > 100, to: high }}, {{ to: low }}]
sink: {{ influxdb: {{ url: '{}', org: {}, token: {}, bucket: 'NAME-{{{{ route }}}}', \
         create: {{ retention: 10000d }} }} }}
batch: {{ max_points: 3, linger: 50ms }}
delivery: {{ drain: 2s }}
",
            influxdb.url(),
            InfluxDb2::ORG,
            InfluxDb2::TOKEN
        ),
    );
    // So that the killed one's partitions are soon another's.
    pipeline.set_kafka("session.timeout.ms: 3000, heartbeat.interval.ms: 500");
    let name = &pipeline.topic.name;
    // The names of the rules are all there are: they are known before the first record.
    let said = String::from_utf8_lossy(&pipeline.command(&["check"]).stdout).into_owned();
    for route in ["high", "low"] {
        let would = format!("bucket {name}-{route} of tidegate");
        assert!(said.lines().any(|line| line.contains(&would)), "{said}");
    }
    // Five values of each site in each window, one a second from both sites in turn.
    let produce = |numbers: std::ops::Range<i64>| {
        let messages = numbers.map(|number| {
            let (place, at) = (number % 2, START + number * 1000);
            let value = format!(r#"{{"site":"s{place}","v":{number},"at":{at}}}"#);
            Message::new(value).in_partition(i32::try_from(place).expect("0 or 1"))
        });
        pipeline.topic.produce(messages);
    };
    let stored = || {
        let in_bucket = |route: &str| in_bucket(&influxdb, &format!("{name}-{route}"), name);
        // A bucket that is not made yet can't be asked.
        let buckets = influxdb.query_flux("buckets()");
        let is_there =
            |route: &&str| buckets.iter().any(|row| row["name"] == format!("{name}-{route}"));
        let mut all: Vec<_> = ["high", "low"]
            .into_iter()
            .filter(is_there)
            .flat_map(|route| in_bucket(route).into_iter().map(move |row| (route, row)))
            .collect();
        all.sort();
        all
    };
    // The windows of both sites up to this one, each in its bucket.
    let expected = |windows: i64| {
        let of = |window: i64, place: i64| {
            let sum = 50 * window + 20 + 5 * place;
            let route = if sum > 100 { "high" } else { "low" };
            (route, (format!("s{place}"), sum.to_string()))
        };
        let mut all: Vec<_> = (0..windows).flat_map(|w| [of(w, 0), of(w, 1)]).collect();
        all.sort();
        all
    };
    produce(0..66);
    let mut first = pipeline.run();
    first.until("six windows", || stored() == expected(6));
    // Killed in the midst of a window.
    drop(first);
    produce(66..120);
    let mut second = pipeline.run();
    second.until("eleven windows", || stored() == expected(11));
    second.stop();
    assert_eq!(pipeline.reasons(), [""; 0]);
}

#[test]
fn a_bucket_that_is_missing_holds_its_connector_and_a_person_can_mend_it() {
    let (kafka, influxdb) = (shared_kafka(), shared_influxdb2());
    let pipeline = pipeline(
        &kafka,
        &format!(
            "influxdb: {{ url: '{}', org: {}, token: {}, bucket: '{{{{ value.site }}}}' }}",
            influxdb.url(),
            InfluxDb2::ORG,
            InfluxDb2::TOKEN
        ),
    );
    let missing = format!("{}-later", pipeline.topic.name);
    produce(&pipeline.topic, &[InfluxDb2::BUCKET, &missing], 30);
    let mut tidegate = pipeline.run();
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
    let pipeline = pipeline(
        &kafka,
        &format!(
            "influxdb: {{ version: 1, url: '{}', database: 'NAME \"1\"', \
             retention_policy: '{{{{ value.site }}}}', create: {{ retention: 10000d }}, \
             destinations: {{ allowed: ['w1', 'w 2'] }}, \
             basic_auth: {{ username: writer, password: hunter2 }} }}",
            influxdb.url()
        ),
    );
    produce(&pipeline.topic, &["w1", "w 2", "w3"], 20);
    let mut tidegate = pipeline.run();
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
    let pipeline = pipeline(
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
    produce(&pipeline.topic, &["acme", "zeta:7"], 30);
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
        let pipeline = pipeline(
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

/// The sorted samples of all series.
fn samples(series: &[Series]) -> Vec<(i64, f64)> {
    let mut samples: Vec<_> = series.iter().flat_map(|(_, samples)| samples.clone()).collect();
    samples.sort_by_key(|(time, _)| *time);
    samples
}

/// By 2.0 to a Prometheus that knows it, which names a bad sample's series, and by 1.0 to one that doesn't: from the
/// same file.
#[test]
fn by_auto_a_prometheus_is_sent_the_newest_remote_write_that_it_knows() {
    let kafka = shared_kafka();
    for (server, is_named) in
        [(Prometheus::start_version_3(None), true), (Prometheus::start(), false)]
    {
        let url = server.write_url();
        let pipeline =
            pipeline(&kafka, &format!("prometheus: {{ url: '{url}', protobuf_message: auto }}"));
        // Each site is a series, and in one partition.
        produce(&pipeline.topic, &["north", "south"], 200);
        let mut tidegate = pipeline.run();
        tidegate.until_committed(&pipeline.group, &pipeline.topic);
        // Older than what is stored, beside one that is newer; behind the first 2 × max_points these are no repeats.
        let late = [(400, START - 1000), (401, START + 500_000)].map(|(number, at)| {
            let value = format!(r#"{{"site":"north","v":{number},"at":{at}}}"#);
            Message::new(value).key("north").in_partition(0)
        });
        pipeline.topic.produce(late);
        tidegate.until_committed(&pipeline.group, &pipeline.topic);
        tidegate.stop();
        let metric = format!("{}_v", pipeline.topic.name);
        let stored = samples(&server.series(&metric, "1h", 1_700_000_600.0));
        let expected = (0..400).map(|n| (START + i64::from(n) * 1000, f64::from(n)));
        let expected: Vec<_> = expected.chain([(START + 500_000, 401.0)]).collect();
        assert_eq!(stored, expected, "{url}");
        let reasons = pipeline.reasons();
        let [reason] = reasons.as_slice() else { panic!("{reasons:?}") };
        assert!(reason.contains("out of order sample"), "{reason}");
        assert_eq!(reason.contains("for series {"), is_named, "{reason}");
    }
}

/// Of a receiver that takes zstd, and of one that does not.
#[test]
fn by_zstd_every_sample_arrives() {
    let (kafka, victoria) = (shared_kafka(), shared_victoria_metrics());
    let prometheus = Prometheus::start();
    for url in [format!("{}/api/v1/write", victoria.url()), prometheus.write_url()] {
        let pipeline =
            pipeline(&kafka, &format!("prometheus: {{ url: '{url}', compression: zstd }}"));
        produce(&pipeline.topic, &["north", "south"], 100);
        pipeline.deliver();
        let metric = format!("{}_v", pipeline.topic.name);
        victoria.flush();
        let mut series = victoria.export(&metric);
        series.extend(prometheus.series(&metric, "1h", 1_700_000_600.0));
        assert_eq!(series.len(), 2, "{series:?}");
        let expected = (0..200).map(|n| (START + i64::from(n) * 1000, f64::from(n)));
        assert_eq!(samples(&series), expected.collect::<Vec<_>>(), "{url}");
    }
}

/// Names that a template makes of records are seen when they come: `a.b` and `a_b` are one metric.
#[test]
fn two_measurements_that_become_one_metric_are_told_once_and_counted() {
    let (kafka, victoria) = (shared_kafka(), shared_victoria_metrics());
    let sink = format!("prometheus: {{ url: '{}/api/v1/write' }}", victoria.url());
    let mut pipeline = pipeline(&kafka, &sink);
    let measurement = format!("measurement: {}\n", pipeline.topic.name);
    let by_site = "measurement: '{{ topic }}{{ value.site }}'\n";
    pipeline.connector = pipeline.connector.replace(&measurement, by_site);
    produce(&pipeline.topic, &[".north", "_north", ".south"], 50);
    let mut tidegate = pipeline.run();
    tidegate.until_committed(&pipeline.group, &pipeline.topic);
    tidegate.stop();
    let log = tidegate.log();
    let told: Vec<_> =
        log.lines().filter(|line| line.contains("two fields have become one metric")).collect();
    let name = &pipeline.topic.name;
    let [line] = told.as_slice() else { panic!("{told:?}") };
    for part in [format!("{name}_north_v"), format!("{name}.north"), format!("{name}_north")] {
        assert!(line.contains(&part), "{part}: {line}");
    }
}
