use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::config::{Connector, Environment, Process, load_text};
use crate::record::{Offset, OwnedRecord};
use crate::trial::{Outcome, Trial};

/// 2026-11-22T10:00:00Z.
const NOW: i64 = 1_795_341_600_000;

fn drafted(messages: &[Json], sink: SinkKind) -> (String, Connector, Vec<String>) {
    let values: Vec<_> = messages.iter().map(|message| message.to_string().into_bytes()).collect();
    drafted_of(&values, sink)
}

fn drafted_of(values: &[Vec<u8>], sink: SinkKind) -> (String, Connector, Vec<String>) {
    let samples: Vec<_> =
        values.iter().map(|value| Sample { value, timestamp_millis: NOW }).collect();
    let inferred = infer(&samples, sink).unwrap();
    let draft = Draft { topic: "sensors", bootstrap: Some("localhost:9092"), sink };
    let text = inferred.draft(&draft);
    let environment = Environment::variables(|_| None);
    let connector = load_text("sensors.yaml", &text, &Process::default(), &environment)
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    (text, connector, inferred.warnings())
}

fn outcomes(messages: &[Json], connector: &Connector) -> Vec<Outcome> {
    let values: Vec<_> = messages.iter().map(|message| message.to_string().into_bytes()).collect();
    outcomes_of(&values, connector)
}

fn outcomes_of(values: &[Vec<u8>], connector: &Connector) -> Vec<Outcome> {
    let mut trial = Trial::new(connector).unwrap();
    let record = |value: &Vec<u8>| OwnedRecord {
        topic: "sensors".into(),
        partition: 0,
        offset: Offset(0),
        key: None,
        value: Some(value.clone()),
        timestamp_millis: Some(NOW),
        headers: Vec::new(),
    };
    values.iter().map(|value| trial.run(&record(value)).unwrap()).collect()
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Json::from),
        (NOW - 10_000_000..NOW).prop_map(Json::from),
        "[a-z]{0,3}".prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        Just(json!("2026-11-22T10:00:00.25Z")),
        Just(json!("1200-01-01T00:00:00Z")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            proptest::collection::btree_map(key(), inner, 0..4)
                .prop_map(|object| Json::Object(object.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "(id|ts|time|count|site|temperature|ok|status|k8s\\.pod|_x|true|1)",
        "[ -~]{0,6}",
        any::<String>(),
    ]
}

fn object() -> impl Strategy<Value = Json> {
    proptest::collection::btree_map(key(), value(), 0..7)
        .prop_map(|object| Json::Object(object.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_file_is_valid_and_maps_every_message_that_it_was_made_from(
        messages in proptest::collection::vec(object(), 1..12),
        sink in prop_oneof![
            Just(SinkKind::Influxdb),
            Just(SinkKind::Influxdb3),
            Just(SinkKind::Prometheus),
            Just(SinkKind::VictoriaMetrics),
            Just(SinkKind::Questdb),
            Just(SinkKind::Stdout),
        ],
    ) {
        let (text, connector, _) = drafted(&messages, sink);
        for (message, outcome) in messages.iter().zip(outcomes(&messages, &connector)) {
            prop_assert!(matches!(outcome, Outcome::Points(_)), "{message}\n{outcome:?}\n{text}");
        }
    }
}

#[test]
fn what_stands_in_a_message_becomes_what_a_person_would_make_of_it() {
    let message = |n: i32| {
        json!({
            "site": format!("hall-{}", n % 3),
            "device": { "id": format!("p-{}", n % 40) },
            "ts": NOW - i64::from(n) * 1000,
            "request_id": format!("{n:032x}"),
            "reading": { "temperature": 20.0 + f64::from(n) / 7.0, "cycles": n, "ok": n % 2 == 0 },
            "humidity": n % 100,
            "history": [1, 2, 3],
        })
    };
    let messages: Vec<_> = (0..200).map(message).collect();
    let (text, connector, warnings) = drafted(&messages, SinkKind::Influxdb);
    let rule = |name: &str| {
        let name = format!("    {name}: ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.map(|line| line.split('#').next().unwrap_or_default().trim().to_owned())
    };
    for (name, expected) in [
        ("site", "site"),
        ("id", "device.id"),
        ("temperature", "reading.temperature"),
        ("cycles", "{ path: reading.cycles, type: integer }"),
        ("ok", "{ path: reading.ok, type: boolean }"),
        ("humidity", "humidity"),
        ("request_id", "{ path: request_id, type: string }"),
    ] {
        assert_eq!(rule(name).as_deref(), Some(expected), "{name}\n{text}");
    }
    assert!(text.contains("timestamp: { path: ts, unit: ms }"), "{text}");
    assert!(text.contains("# left out: history: an array"), "{text}");
    assert_eq!(warnings, Vec::<String>::new());
    let tags = text.split("  fields:").next().unwrap();
    assert!(
        tags.contains("site:") && tags.contains("id:") && !tags.contains("request_id:"),
        "{text}"
    );
    assert!(outcomes(&messages, &connector).iter().all(|o| matches!(o, Outcome::Points(_))));
}

#[test]
fn a_tag_of_very_many_values_is_warned_of() {
    let messages: Vec<_> =
        (0..900).map(|n| json!({ "device": format!("d{n}"), "v": 1.5 })).collect();
    let (text, _, warnings) = drafted(&messages, SinkKind::Prometheus);
    assert!(warnings[0].starts_with("the tag device has 900 values"), "{warnings:?}");
    assert!(text.contains("CAUTION"), "{text}");
}

#[test]
fn a_units_size_is_told_from_the_messages_own_time() {
    for (unit, factor) in [("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)] {
        let (text, ..) = drafted(&[json!({ "ts": 1.795e9 * factor, "v": 1 })], SinkKind::Influxdb);
        assert!(text.contains(&format!("timestamp: {{ path: ts, unit: {unit} }}")), "{text}");
    }
    // A number that would be a time far from the message's own is none.
    let (text, _, warnings) = drafted(&[json!({ "ts": 1_000, "v": 1 })], SinkKind::Influxdb);
    assert!(!text.contains("timestamp: {"), "{text}");
    assert!(warnings[0].contains("no time was found"), "{warnings:?}");
}

#[test]
fn the_format_is_the_one_that_reads_the_messages() {
    let connect = json!({
        "schema": { "type": "struct", "fields": [
            { "field": "at", "type": "int64", "name": "org.apache.kafka.connect.data.Timestamp" },
            { "field": "v", "type": "double" },
        ] },
        "payload": { "at": NOW, "v": 1.5 },
    });
    let debezium = json!({
        "before": null,
        "after": { "id": 7, "price": 1.5 },
        "source": { "db": "shop", "table": "orders" },
        "op": "c",
        "ts_ms": NOW,
    });
    let text = |json: &Json| json.to_string().into_bytes();
    for (word, time, message) in [
        ("json", "path: ts, unit: ms", text(&json!({ "ts": NOW, "v": 1 }))),
        (
            "json_lines",
            "path: ts, unit: ms",
            format!("{{\"ts\":{NOW},\"v\":1}}\n{{\"ts\":{NOW},\"v\":2}}\n").into_bytes(),
        ),
        ("connect_json", "path: at, format: rfc3339", text(&connect)),
        ("debezium", "path: ts_ms, unit: ms", text(&debezium)),
        ("msgpack", "the record's own", b"\x81\xa1v\xcb\x3f\xf8\0\0\0\0\0\0".to_vec()),
        ("cbor", "the record's own", b"\xa1\x61v\xfb\x3f\xf8\0\0\0\0\0\0".to_vec()),
    ] {
        let messages = vec![message; 3];
        let (draft, connector, _) = drafted_of(&messages, SinkKind::Influxdb);
        assert!(draft.contains(&format!("decode: {word}\n")), "{word}\n{draft}");
        assert!(draft.contains(time), "{word}: {time}\n{draft}");
        for outcome in outcomes_of(&messages, &connector) {
            assert!(matches!(outcome, Outcome::Points(_)), "{word}: {outcome:?}\n{draft}");
        }
    }
}

#[test]
fn other_formats_are_named() {
    let looks = |value: &[u8]| {
        let sample = Sample { value, timestamp_millis: NOW };
        infer(&[sample], SinkKind::Influxdb).unwrap_err().to_string()
    };
    for (value, name) in [
        (&b"\0\0\0\0\x11\x06foo\xff"[..], "Schema Registry"),
        (b"cpu,host=a usage=1.5 1700000000000000000", "line protocol"),
        (b"[1,2]", "JSON arrays"),
        (b"21.5", "plain numbers"),
        (b"a;b;c\n1;2;3", "CSV"),
        (b"\x1f\x8b\x08\xff", "gzip"),
        (b"hello", "text"),
    ] {
        assert!(looks(value).contains(name), "{name}: {}", looks(value));
    }
}
