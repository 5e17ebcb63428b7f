//! Spans of records, as a collector gets them.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{FakeRecord, Report, Scenario};
use super::{Outcome, good, refuses, seconds};
use crate::config;
use crate::telemetry::traces::Traces;

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn traced(record: FakeRecord) -> FakeRecord {
    FakeRecord { traceparent: Some(SAMPLED), ..record }
}

/// What becomes of the scenario, and the spans that wait then.
fn run(mut scenario: Scenario) -> (Report, Vec<Value>) {
    let config = config::Traces {
        url: "http://localhost:4318/v1/traces".into(),
        service_name: "test".into(),
        http: config::Http::default(),
    };
    let (traces, mut exporter) = Traces::new(&config).unwrap();
    scenario.traces = Some(traces);
    let report = scenario.run();
    let mut request = exporter.next_request();
    let spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"].take();
    (report, spans.as_array().unwrap().clone())
}

fn attribute<'s>(span: &'s Value, key: &str) -> &'s Value {
    let attributes = span["attributes"].as_array().unwrap();
    &attributes.iter().find(|attribute| attribute["key"] == key).unwrap()["value"]
}

fn took(span: &Value) -> Duration {
    let nanos = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    Duration::from_nanos(nanos("endTimeUnixNano") - nanos("startTimeUnixNano"))
}

#[test]
fn only_a_sampled_record_has_a_span_a_child_of_its_producers_that_ends_when_it_is_durable() {
    let mut records = good(3);
    records[1].traceparent = Some(SAMPLED);
    records[2].traceparent = Some(NOT_SAMPLED);
    let mut scenario = Scenario::of(records);
    scenario.reply = Box::new(|_, _| (seconds(2), Ok(())));
    let (report, spans) = run(scenario);
    assert_eq!(report.ledger.stored.len(), 3);
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
    let id = span["spanId"].as_str().unwrap();
    assert!(id.len() == 16 && id != "0000000000000000" && id != "00f067aa0ba902b7", "{id}");
    assert_eq!((&span["name"], &span["kind"]), (&json!("process t"), &json!(5)));
    assert_eq!(span["status"], json!({}));
    assert_eq!(attribute(span, "messaging.kafka.offset"), &json!({"intValue": "1"}));
    let group = attribute(span, "messaging.consumer.group.name");
    assert_eq!(group, &json!({"stringValue": "the-group"}));
    assert!(took(span) >= seconds(2), "it ended {:?} after its beginning", took(span));
}

#[test]
fn a_rejected_records_span_is_an_error_that_says_why_and_nothing_of_the_message() {
    let bad = FakeRecord::with(0, 0, r#"{"at": topsecret"#);
    let mut scenario =
        Scenario::of([traced(bad)].into_iter().chain(good(3).split_off(1)).collect());
    scenario.events[2].1 = crate::kafka::Event::Record(traced(FakeRecord::good(0, 1)));
    scenario.reply = refuses(&[(0, 1)], false);
    let (report, spans) = run(scenario);
    assert_eq!(report.ledger.dead, [(0, 0), (0, 1)].into());
    let [decode, write] = &spans[..] else { panic!("{spans:?}") };
    for (span, stage) in [(decode, "decode"), (write, "write")] {
        assert_eq!(span["status"]["code"], 2, "{span}");
        assert!(span["status"]["message"].as_str().unwrap().starts_with(stage), "{span}");
        assert_eq!(attribute(span, "error.type"), &json!({"stringValue": stage}));
        assert!(!span.to_string().contains("secret"), "{span}");
    }
}

/// Nothing empties the queue: spans are dropped and counted, and records go on as ever.
#[test]
fn a_collector_that_takes_nothing_delays_and_loses_no_record() {
    let records = || good(10_000).into_iter().map(traced).collect();
    let mut scenario = Scenario::of(records());
    scenario.batch_points = 1000;
    let mut without = Scenario::of(records());
    without.batch_points = 1000;
    let (without, (report, _)) = (without.run(), run(scenario));
    assert_eq!(report.outcome, Outcome::Stopped);
    assert_eq!(report.ledger.committed[&0], 10_000);
    assert_eq!(report.metrics.spans_dropped.get(), 10_000 - 8192);
    assert_eq!(report.ledger.last_stored, without.ledger.last_stored);
}
