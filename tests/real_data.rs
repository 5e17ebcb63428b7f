//! Data sets that somebody else made, from a real Kafka through the binary into a real
//! VictoriaMetrics: each point is there, each value is the file's, and nothing else is.
//!
//! The files come from `tests/data/install.sh`; the connectors are those beside this file, each run
//! with its own sink (line protocol) and once more by remote write.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that has no server, or no data, can only panic"
)]

#[path = "real_data/datasets.rs"]
mod datasets;
#[path = "support/run.rs"]
mod run;
mod stack;

use std::collections::BTreeMap;

use datasets::{DataSet, Points};
use rdkafka::message::{BorrowedHeaders, Headers as _, Message as _, OwnedMessage};
use run::{Group, Tidegate, Topic, unique};
use stack::Series;

const PARTITIONS: i32 = 4;

macro_rules! every_point_arrives {
    ($($dataset:ident),*) => {$(
        mod $dataset {
            const CONNECTOR: &str = include_str!(concat!("real_data/", stringify!($dataset), ".yaml"));

            #[test]
            fn every_point_arrives_by_line_protocol() {
                super::every_point_arrives(
                    stringify!($dataset), CONNECTOR, super::datasets::$dataset,
                );
            }

            #[test]
            fn every_point_arrives_by_remote_write() {
                let connector = super::by_remote_write(CONNECTOR);
                super::every_point_arrives(
                    stringify!($dataset), &connector, super::datasets::$dataset,
                );
            }
        }
    )*};
}
every_point_arrives!(weather, flights, stocks, earthquakes, unemployment);

/// The same connector with another sink; `sink` is the last key of each file.
fn by_remote_write(connector: &str) -> String {
    let (rules, _) = connector.split_once("\nsink:\n").expect("a sink at the end");
    format!("{rules}\nsink:\n  prometheus: {{ url: '${{VICTORIA_METRICS}}/api/v1/write' }}\n")
}

fn every_point_arrives(name: &str, connector: &str, dataset: fn(&str) -> DataSet) {
    let (kafka, database) = (stack::shared_kafka(), stack::shared_victoria_metrics());
    let topic_name = unique(name);
    let run = topic_name.trim_start_matches(name).trim_start_matches('_');
    let topic = Topic::create(&kafka, &topic_name, PARTITIONS);
    let dead = Topic::create(&kafka, format!("{topic_name}.dead"), 1);
    let group = Group::new(&kafka, &format!("tidegate-{topic_name}"));
    let DataSet { messages, points, refused, reason } = dataset(&topic_name);
    topic.produce(messages);

    let variables =
        [("RUN", run), ("KAFKA", kafka.bootstrap()), ("VICTORIA_METRICS", database.url())];
    let mut tidegate = Tidegate::run(connector, &variables);
    tidegate.until_committed(&group, &topic);
    tidegate.stop();

    database.flush();
    assert_same(&database.export(&format!("{{__name__=~\"{topic_name}_.*\"}}")), &points);
    assert_refused(&dead.read(), refused, reason);
    assert_eq!(group.committed(&topic), topic.ends());
}

/// Every expected series and moment is stored with a value of the file, and there are no others.
fn assert_same(stored: &[Series], expected: &Points) {
    let mut wrong = Vec::new();
    let mut stored: BTreeMap<_, _> =
        stored.iter().map(|(labels, samples)| (labels, samples)).collect();
    for (labels, moments) in expected {
        let Some(samples) = stored.remove(labels) else {
            wrong.push(format!("{labels:?}: this series is missing"));
            continue;
        };
        let times: Vec<i64> = samples.iter().map(|(time, _)| *time).collect();
        if !times.iter().eq(moments.keys()) {
            wrong
                .push(format!("{labels:?}: stored at {times:?}, expected at {:?}", moments.keys()));
            continue;
        }
        for ((time, value), candidates) in samples.iter().zip(moments.values()) {
            // To the last bit.
            if !candidates.iter().any(|candidate| candidate.to_bits() == value.to_bits()) {
                wrong.push(format!(
                    "{labels:?} at {time}: {value} is stored, the file has {candidates:?}"
                ));
            }
        }
    }
    for labels in stored.keys() {
        wrong.push(format!("{labels:?}: nobody wrote this series"));
    }
    let (count, first) = (wrong.len(), &wrong[..wrong.len().min(10)]);
    assert!(wrong.is_empty(), "{count} differences, the first ones:\n{}", first.join("\n"));
}

/// Exactly the records with these keys are in the dead-letter topic, once each and for this reason.
fn assert_refused(letters: &[OwnedMessage], mut expected: Vec<String>, reason: &str) {
    let key = |letter: &OwnedMessage| {
        String::from_utf8_lossy(letter.key().unwrap_or_default()).into_owned()
    };
    let mut keys: Vec<_> = letters.iter().map(key).collect();
    keys.sort();
    expected.sort();
    assert_eq!(keys, expected, "the keys of the dead letters");
    for letter in letters {
        let headers = letter.headers().expect("a dead letter's headers").as_borrowed();
        assert_eq!(header(headers, "__connect.errors.exception.message"), reason);
    }
}

fn header(headers: &BorrowedHeaders, name: &str) -> String {
    let found = headers.iter().find(|header| header.key == name).and_then(|header| header.value);
    String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
}
