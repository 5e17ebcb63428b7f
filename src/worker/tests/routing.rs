//! From a connector's file and its records to batches, each with its destination.

use std::time::Duration;

use super::world::FakeRecord;
use crate::batch::{Batch, RecordIndex};
use crate::config::{Environment, Process, load_text};
use crate::connector::transform;
use crate::dead_letter::Stage;
use crate::sink::Sink;
use crate::worker::intake::{Intake, Taken};

fn intake(sink: &str) -> Intake<FakeRecord> {
    processed("[]", sink)
}

fn processed(process: &str, sink: &str) -> Intake<FakeRecord> {
    let file = format!(
        "
topics: [t]
process: {process}
kafka: {{ bootstrap.servers: localhost }}
point: {{ measurement: m, fields: {{ v: v }}, tags: {{ s: s }}, timestamp: {{ path: t, unit: ms }} }}
batch: {{ max_points: 1000 }}
sink: {sink}
"
    );
    let environment = Environment::variables(|_| None);
    let connector = load_text("a.yaml", &file, &Process::default(), &environment);
    let connector = connector.unwrap_or_else(|errors| panic!("{errors}"));
    let sink = Sink::new(&connector.sink, Duration::from_secs(1)).unwrap();
    Intake::new(transform(&connector, &sink), connector.batch)
}

fn bucket(more: &str) -> Intake<FakeRecord> {
    intake(&format!(
        "{{ influxdb: {{ url: 'http://db', org: o, bucket: 'p-{{{{ value.site }}}}', {more} }} }}"
    ))
}

/// The reasons of those that are rejected.
fn take(intake: &mut Intake<FakeRecord>, values: &[&str]) -> Vec<String> {
    let mut reasons = Vec::new();
    for (offset, value) in (0..).zip(values) {
        match intake.take(FakeRecord::with(0, offset, value)) {
            Taken::Unavailable(..) | Taken::Rebuilt => unreachable!(),
            Taken::Point | Taken::Remembered => {}
            Taken::Excluded => panic!("{value} is left out"),
            Taken::Rejected(record, reject) => {
                assert_eq!(reject.stage, Stage::Map, "{reject:?}");
                reasons.push(reject.reason.clone());
                intake.keep_rejected(record, reject);
            }
        }
    }
    reasons
}

fn told(parts: &[Batch]) -> Vec<(String, String)> {
    let text = |part: &Batch| String::from_utf8(part.body().to_vec()).unwrap();
    parts.iter().map(|part| (part.destination().to_string(), text(part))).collect()
}

#[test]
fn every_record_goes_where_it_says_and_knows_its_batch() {
    let mut intake = bucket("");
    let values = [
        r#"{"v":1,"t":1,"site":"north"}"#,
        r#"{"v":2,"t":2,"site":"south"}"#,
        r#"{"v":3,"t":3,"site":"north"}"#,
    ];
    assert_eq!(take(&mut intake, &values), [] as [&str; 0]);
    let closed = intake.close(false);
    let part = |to: &str, text: &str| (to.to_owned(), text.to_owned());
    assert_eq!(
        told(&closed.parts),
        [part("p-north", "m v=1 1000000\nm v=3 3000000\n"), part("p-south", "m v=2 2000000\n")]
    );
    assert_eq!(closed.parts[0].record(1), RecordIndex(2));
    assert_eq!(closed.parts[1].record(0), RecordIndex(1));
    assert!(intake.is_empty() && intake.close(false).parts.is_empty());
}

#[test]
fn a_record_that_says_no_place_or_one_that_is_not_allowed_is_rejected_alone() {
    let mut intake = bucket("destinations: { allowed: [p-north, 'p-x*'] }");
    let values = [
        r#"{"v":1,"t":1}"#,
        r#"{"v":1,"t":1,"site":"south"}"#,
        r#"{"v":1,"t":1,"site":"x\n"}"#,
        r#"{"v":1,"t":1,"site":{"a":1}}"#,
        r#"{"v":1,"t":1,"site":"x/../&bucket=y"}"#,
        r#"{"v":1,"t":1,"site":"north"}"#,
    ];
    assert_eq!(
        take(&mut intake, &values),
        [
            "the bucket: its template has no value in this message",
            "the bucket \"p-south\" is not allowed by `destinations.allowed`",
            "the bucket has a line break in it",
            "the bucket: path site: found an object or array, not a value",
        ]
    );
    let parts = intake.close(false).parts;
    let to: Vec<_> = parts.iter().map(|part| part.destination().bucket().unwrap()).collect();
    assert_eq!(to, ["p-x/../&bucket=y", "p-north"]);
}

#[test]
fn a_batch_is_full_when_it_is_for_as_many_destinations_as_are_allowed_open() {
    let mut intake = bucket("destinations: { max_open: 2 }");
    take(&mut intake, &[r#"{"v":1,"t":1,"site":"a"}"#, r#"{"v":1,"t":2,"site":"a"}"#]);
    assert!(!intake.is_full());
    take(&mut intake, &[r#"{"v":1,"t":1,"site":"b"}"#]);
    assert!(intake.is_full());
    assert_eq!(intake.close(false).parts.len(), 2);
    assert!(!intake.is_full());
}

#[test]
fn points_and_bytes_of_all_destinations_count_for_a_batch_s_limits() {
    let mut intake = bucket("precision: s");
    let value = |n: usize| format!(r#"{{"v":{n},"t":1,"site":"s{}"}}"#, n % 7);
    let values: Vec<_> = (0..999).map(value).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    take(&mut intake, &values);
    assert!(!intake.is_full());
    take(&mut intake, &[value(1).as_str()]);
    assert!(intake.is_full());
    let closed = intake.close(false);
    assert_eq!(closed.parts.iter().map(Batch::len).sum::<usize>(), 1000);
    let encoded: usize = closed.parts.iter().map(|part| part.body().len()).sum();
    assert!(closed.flight.bytes > encoded);
}

#[test]
fn a_series_has_its_order_in_each_destination_by_itself() {
    let tenant = "headers: { X-Scope-OrgID: '{{ value.site }}' }";
    let mut intake = intake(&format!("{{ prometheus: {{ url: 'http://m/push', {tenant} }} }}"));
    let value = |v: usize, t: usize, site: &str| format!(r#"{{"v":{v},"t":{t},"site":"{site}"}}"#);
    // Out of order in `a`; in `b`, which is opened between, in order.
    let values = [value(1, 20, "a"), value(2, 30, "b"), value(3, 10, "a"), value(4, 40, "b")];
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    assert_eq!(take(&mut intake, &values), [] as [&str; 0]);
    let closed = intake.close(false);
    let records =
        |part: &Batch| (0..part.len()).map(|item| part.record(item).0).collect::<Vec<_>>();
    let found: Vec<_> =
        closed.parts.iter().map(|part| (part.destination().to_string(), records(part))).collect();
    assert_eq!(found, [("a".to_owned(), vec![2, 0]), ("b".to_owned(), vec![1, 3])]);
}

#[test]
fn the_same_labels_from_several_partitions_are_no_spread_where_they_are_of_several_tenants() {
    let tenant = "headers: { X-Scope-OrgID: '{{ value.site }}' }";
    let mut intake = intake(&format!("{{ prometheus: {{ url: 'http://m/push', {tenant} }} }}"));
    let mut take = |partition, site: &str| {
        let value = format!(r#"{{"v":1,"t":1,"site":"{site}"}}"#);
        intake.take(FakeRecord::with(partition, 0, &value));
        intake.close(false).noticed.in_several_partitions
    };
    assert_eq!([take(0, "a"), take(1, "b"), take(0, "a"), take(1, "a")], [0, 0, 0, 1]);
}

#[test]
fn the_first_rule_that_fits_says_where_a_point_goes() {
    let route =
        "[route: [{ when: v > 80, to: alarms }, { when: s == 'lab', to: lab }, { to: plant }]]";
    let sink = "{ influxdb: { url: 'http://db', org: o, bucket: '{{ value.site }}-{{ route }}' } }";
    let mut intake = processed(route, sink);
    let values = [
        r#"{"v":90,"t":1,"s":"lab","site":"x"}"#,
        r#"{"v":1,"t":2,"s":"lab","site":"x"}"#,
        r#"{"v":1,"t":3,"s":"hall","site":"y"}"#,
        // What a record says is no place for a route's name.
        r#"{"v":1,"t":4,"s":"hall","site":"y\u0000"}"#,
    ];
    let reasons = take(&mut intake, &values);
    assert_eq!(reasons, ["the destination has a control character in it"]);
    let parts = intake.close(false).parts;
    let to: Vec<_> = parts.iter().map(|part| part.destination().bucket().unwrap()).collect();
    assert_eq!(to, ["x-alarms", "x-lab", "y-plant"]);
}

#[test]
fn a_window_is_of_one_destination_and_one_that_is_not_allowed_is_in_none() {
    let window = "[window: { size: 10ms, fields: { v: [sum] } }]";
    let sink = "{ influxdb: { url: 'http://db', org: o, bucket: '{{ value.site }}', \
                destinations: { allowed: [a, b] } } }";
    let mut intake = processed(window, sink);
    let value =
        |v: u32, t: u32, site: &str| format!(r#"{{"v":{v},"t":{t},"s":"x","site":"{site}"}}"#);
    let values = [
        value(1, 0, "a"),
        value(2, 1, "b"),
        // Its time would close the windows.
        value(4, 90, "c"),
        value(8, 9, "a"),
        value(16, 20, "b"),
    ];
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let reasons = take(&mut intake, &values);
    assert_eq!(reasons, ["the bucket \"c\" is not allowed by `destinations.allowed`"]);
    let part = |to: &str, text: &str| (to.to_owned(), text.to_owned());
    let expected = [part("a", "m,s=x v_sum=9.0 0\n"), part("b", "m,s=x v_sum=2.0 0\n")];
    assert_eq!(told(&intake.close(false).parts), expected);
}

#[test]
fn what_comes_of_a_window_has_a_route_of_its_own() {
    let steps = "[window: { size: 10ms, fields: { v: [sum] } }, \
                  route: [{ when: v_sum > 5, to: high }, { to: low }]]";
    let tenant =
        "{ prometheus: { url: 'http://m/push', headers: { X-Scope-OrgID: '{{ route }}' } } }";
    let mut intake = processed(steps, tenant);
    let values =
        [r#"{"v":3,"t":0,"s":"x"}"#, r#"{"v":3,"t":1,"s":"x"}"#, r#"{"v":3,"t":10,"s":"y"}"#];
    assert_eq!(take(&mut intake, &values), [] as [&str; 0]);
    assert_eq!(take(&mut intake, &[r#"{"v":1,"t":99,"s":"x"}"#]), [] as [&str; 0]);
    let parts = intake.close(false).parts;
    let to: Vec<_> = parts.iter().map(|part| part.destination().to_string()).collect();
    assert_eq!(to, ["high", "low"]);
}
