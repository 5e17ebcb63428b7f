//! `testdata/*` with the expected files beside each in `*.yaml`; `UPDATE_GOLDEN=1 cargo test` writes them
//! anew: read the difference before it is committed.

use std::fs;
use std::path::Path;

use super::*;
use crate::config::{Environment, Process, Secret, load_text};
use crate::record::OwnedRecord;
use crate::trial::{Outcome, Trial, lines};

fn golden(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/testdata");
    let imported = import(&fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    let mut process = Process::default();
    process.kafka.insert("bootstrap.servers".into(), Secret::new("localhost:9092"));
    let environment = Environment::variables(|_| None);
    let mut found = String::new();
    for imported in &imported {
        let text = imported.draft();
        if let Err(errors) = load_text("imported.yaml", &text, &process, &environment) {
            panic!("{errors}\n{text}");
        }
        found.extend(["# ", &imported.name, ".yaml\n", &text, "\n"]);
    }
    assert!(!found.contains("hunter2"), "{found}");
    let file = folder.join(format!("{name}.yaml"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &found).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn stream_reactors_documented_example_becomes_a_connector() {
    golden("stream-reactor.properties");
}

#[test]
fn each_statement_of_kcql_becomes_a_connector() {
    golden("stream-reactor-tags.properties");
}

#[test]
fn the_body_of_a_request_to_kafka_connect_is_read_as_well() {
    golden("stream-reactor.json");
}

#[test]
fn confluents_sink_becomes_a_connector() {
    golden("confluent.json");
}

#[test]
fn telegrafs_kafka_consumer_becomes_a_connector() {
    golden("telegraf.conf");
}

/// `*.lp` is what Telegraf's own parser made of the messages: tests/samples/telegraf/import has the program.
#[test]
fn an_imported_connector_makes_of_messages_what_telegraf_made() {
    for name in ["telegraf-json", "telegraf-json-query"] {
        golden(&format!("{name}.conf"));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/testdata");
        let read = |kind: &str| fs::read_to_string(folder.join(format!("{name}.{kind}"))).unwrap();
        let imported = import(&read("conf")).unwrap().remove(0);
        let mut process = Process::default();
        process.kafka.insert("bootstrap.servers".into(), Secret::new("localhost:9092"));
        let environment = Environment::variables(|_| None);
        let connector = load_text("a.yaml", &imported.draft(), &process, &environment).unwrap();
        let mut trial = Trial::new(&connector).unwrap();
        let mut found = Vec::new();
        for message in read("jsonl").lines() {
            match trial.run(&record(message)).unwrap() {
                Outcome::Points(points) => found.extend(points),
                other => panic!("{message}: {other:?}"),
            }
        }
        // The serializer has no global tags.
        for point in &mut found {
            point.tags.retain(|name, _| name != "dc");
        }
        let own: Vec<_> = read("lp")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| lines(line).unwrap().remove(0))
            .collect();
        assert_eq!(found, own, "{name}");
    }
}

#[test]
fn all_values_of_a_message_are_taken_by_a_wildcard() {
    let of = |kcql: &str| {
        let text = format!(
            "connector.class=a.InfluxSinkConnector\ntopics=a,b\nconnect.influx.url=http://x:8086\n\
             connect.influx.db=d\nvalue.converter=JsonConverter\nvalue.converter.schemas.enable=false\n\
             connect.influx.kcql={kcql}"
        );
        import(&text).unwrap().remove(0).draft()
    };
    for (kcql, parts) in [
        (
            "INSERT INTO m SELECT * FROM t WITHTAG (site)",
            &["topics: [t]", "measurement: m", "site: site", "'*': '*'"][..],
        ),
        ("INSERT INTO * SELECT * FROM *", &["topics: [a, b]", "measurement: '{{ topic }}'"]),
        (
            "INSERT INTO m SELECT *, reading.*, b AS c FROM t IGNORE x, y",
            &["c: b", "'reading_*': 'reading.*'", "'*': '*'", "process:\n  - drop: [x, y]"],
        ),
    ] {
        let draft = of(kcql);
        for part in parts {
            assert!(draft.contains(part), "{part}\n{draft}");
        }
        let mut process = Process::default();
        process.kafka.insert("bootstrap.servers".into(), Secret::new("localhost:9092"));
        let environment = Environment::variables(|_| None);
        let connector = load_text("a.yaml", &draft, &process, &environment);
        let connector = connector.unwrap_or_else(|errors| panic!("{errors}\n{draft}"));
        let mut trial = Trial::new(&connector).unwrap();
        let outcome =
            trial.run(&record(r#"{"site":"n","v":1.5,"b":2,"x":3,"s":"t","reading":{"w":4}}"#));
        let Ok(Outcome::Points(points)) = outcome else { panic!("{outcome:?}\n{draft}") };
        assert!(points[0].fields.contains_key("v"), "{points:?}");
        let is_left_out = !points[0].fields.contains_key("x");
        assert_eq!(is_left_out, kcql.contains("IGNORE"), "{points:?}");
    }
}

fn record(message: &str) -> OwnedRecord {
    OwnedRecord::new("sensors", message.into(), Some(0))
}

#[test]
fn what_is_no_known_configuration_is_said() {
    for (text, reason) in [
        ("", "no connector.class"),
        ("{", "not JSON"),
        ("[]", "no connector.class"),
        (
            r#"{"connector.class":"x.S3SinkConnector"}"#,
            "x.S3SinkConnector is no connector that can be imported",
        ),
        ("connector.class=a.InfluxSinkConnector", "connect.influx.kcql is missing"),
        (
            "connector.class=a.InfluxSinkConnector\nconnect.influx.kcql=SELECT 1",
            "does not begin with INSERT INTO",
        ),
        ("[[inputs.cpu]]", "there is no [[inputs.kafka_consumer]]"),
        ("[[inputs.kafka_consumer]]\ntopics = [\"a\"]", "there is neither [[outputs.influxdb_v2]]"),
        ("[[inputs.kafka_consumer]]\ntopics = [", "not TOML"),
    ] {
        let error = import(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
