use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::config::{self, Connector, Decode, Environment, Process, load_text};
use crate::decode::golden_tests::{self, registry, sorted};
use crate::record::OwnedRecord;
use crate::trial::{Outcome, Trial};

/// 2026-11-22T10:00:00Z.
const NOW: i64 = 1_795_341_600_000;

fn drafted(messages: &[Json], sink: SinkKind) -> (String, Connector, Vec<String>) {
    let values: Vec<_> = messages.iter().map(|message| message.to_string().into_bytes()).collect();
    drafted_of(&values, sink)
}

fn drafted_of(values: &[Vec<u8>], sink: SinkKind) -> (String, Connector, Vec<String>) {
    let records: Vec<_> = values.iter().map(|value| record(value)).collect();
    drafted_from(&records, sink, &[])
}

fn drafted_from(
    records: &[OwnedRecord],
    sink: SinkKind,
    given: &[Given],
) -> (String, Connector, Vec<String>) {
    let inferred = infer(records, sink, given).unwrap_or_else(|error| panic!("{error}"));
    let draft = Draft { topic: "sensors", bootstrap: Some("localhost:9092"), sink };
    let text = inferred.draft(&draft);
    let environment = Environment::variables(|_| None);
    let connector = load_text("sensors.yaml", &text, &Process::default(), &environment)
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    (text, connector, inferred.warnings())
}

fn record(value: &[u8]) -> OwnedRecord {
    OwnedRecord::new("sensors", value.to_vec(), Some(NOW))
}

fn outcomes(messages: &[Json], connector: &Connector) -> Vec<Outcome> {
    let values: Vec<_> = messages.iter().map(|message| message.to_string().into_bytes()).collect();
    outcomes_of(&values, connector)
}

fn outcomes_of(values: &[Vec<u8>], connector: &Connector) -> Vec<Outcome> {
    let mut trial = Trial::new(connector).unwrap();
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
    let looks =
        |value: &[u8]| infer(&[record(value)], SinkKind::Influxdb, &[]).unwrap_err().to_string();
    for (value, name) in [
        (&b"\0\0\0\0\x11\x06foo\xff"[..], "--registry"),
        (b"[1,2]", "JSON arrays"),
        (b"\xff\xfe\xfd", "--schema"),
        (b"hello", "text"),
    ] {
        assert!(looks(value).contains(name), "{name}: {}", looks(value));
    }
}

#[test]
fn messages_of_two_formats_are_refused_with_one_that_does_not_fit() {
    let reason = |values: &[&str]| {
        let records: Vec<_> = values.iter().map(|value| record(value.as_bytes())).collect();
        infer(&records, SinkKind::Influxdb, &[]).unwrap_err().to_string()
    };
    let json = r#"{"v":1}"#;
    assert_eq!(
        reason(&[json, json, "hello"]),
        "1 of 3 messages can't be read as json, such as hello"
    );
    assert_eq!(
        reason(&["cpu v=1 1", "cpu v=2 2", "hello"]),
        "1 of 3 messages can't be read as { line_protocol: { precision: s } }, such as hello"
    );
}

/// The samples of every format, by whatever software wrote them.
#[test]
fn every_format_with_a_golden_folder_is_told_and_its_draft_maps_the_sample() {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let mut told = 0;
    for folder in sorted(&folders).into_iter().filter(|folder| folder.is_dir()) {
        let registry = registry(folder.join("registry"));
        let text = fs::read_to_string(folder.join("connector.yaml")).unwrap();
        let text = text.replace("${FOLDER}", folder.to_str().unwrap());
        let text = text.replace("${REGISTRY}", &registry);
        let (_, decode) = text.split_once("decode:").unwrap();
        let decode = decode.split("point:").next().unwrap().split("sink:").next().unwrap();
        let environment = Environment::variables(|_| None);
        let kafka = "kafka: { bootstrap.servers: k }\n";
        let own =
            load_text("own.yaml", &format!("{kafka}{text}"), &Process::default(), &environment);
        let own = own.unwrap().decode;
        // The others are told without.
        let given: Vec<_> = match &own {
            Decode::Documents(
                own @ (config::Documents::Avro(_) | config::Documents::Protobuf(_)),
            ) => {
                vec![Given { text: decode.trim_end().into(), decode: own.clone() }]
            }
            _ => Vec::new(),
        };
        let inputs = sorted(&folder);
        let is_first = |path: &&PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            (name.starts_with("input.") || name.starts_with("input-1."))
                && !name.ends_with(".headers")
        };
        let sample = golden_tests::record(inputs.iter().find(is_first).unwrap());
        let (draft, connector, _) =
            drafted_from(std::slice::from_ref(&sample), SinkKind::Influxdb, &given);
        let kind = |decode: &Decode| {
            let text = format!("{decode:?}");
            text.split(['(', ')']).take(2).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(kind(&connector.decode), kind(&own), "{}\n{draft}", folder.display());
        let mut trial = Trial::new(&connector).unwrap();
        let outcome = loop {
            // A registry is being asked.
            if let Ok(outcome) = trial.run(&sample) {
                break outcome;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        assert!(matches!(outcome, Outcome::Points(_)), "{outcome:?}\n{draft}");
        told += 1;
    }
    assert!(told >= 30, "{told}");
}

#[test]
fn an_array_s_elements_become_points_with_what_stands_around_them() {
    let message = |n: i64| {
        json!({
            "site": format!("hall-{}", n % 2),
            "battery": 3.5,
            "readings": [
                { "id": "a", "v": 1.5, "ts": NOW - n },
                { "id": "b", "v": 2.5, "ts": NOW - n, "$": { "x": true } },
            ],
        })
    };
    let messages: Vec<_> = (0..20).map(message).collect();
    let (text, connector, warnings) = drafted(&messages, SinkKind::Influxdb);
    for line in [
        "  explode: readings",
        "    id: id",
        "    site: '$.site'",
        "    v: v",
        "    battery: '$.battery'",
        "path: ts, unit: ms",
        "path: '[\"$\"].x', type: boolean",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("left out"), "{text}");
    assert_eq!(warnings, Vec::<String>::new());
    for outcome in outcomes(&messages, &connector) {
        assert!(matches!(outcome, Outcome::Points(points) if points.len() == 2), "{text}");
    }

    let whole = [json!([{ "id": "a", "v": 1.5 }, { "id": "b", "v": 2 }])];
    let (text, connector, warnings) = drafted(&whole, SinkKind::Influxdb);
    assert!(text.contains("explode: '$'"), "{text}");
    assert!(warnings.iter().any(|warning| warning.contains("one time")), "{warnings:?}");
    let found = outcomes(&whole, &connector);
    assert!(matches!(&found[0], Outcome::Points(points) if points.len() == 2), "{found:?}\n{text}");
}

#[test]
fn rows_of_csv_are_read_with_their_header_or_without() {
    let rows =
        |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    for (decode, rejected, messages) in [
        (
            "csv",
            0,
            rows(&[
                "device,ts,v\np1,1795341600,1.5\np2,1795341600,",
                "device,ts,v\np1,1795341601,2",
            ]),
        ),
        (
            "{ csv: { delimiter: ';', columns: [device, ts, v] } }",
            // The header, which is a message.
            1,
            rows(&["device;ts;v", "p1;1795341600;1.5", "p2;1795341600;-3e2"]),
        ),
        (
            "{ csv: { delimiter: \"\\t\", columns: [column_1, column_2, column_3, column_4] } }",
            0,
            rows(&["p1\t1795341600\t1.5\ta\np3\t1795341600\t1.5\tb", "p2\t1795341600\t7\ta"]),
        ),
    ] {
        let (text, connector, warnings) = drafted_of(&messages, SinkKind::Influxdb);
        assert!(text.contains(&format!("decode: {decode}\n")), "{decode}\n{text}");
        let made_up = warnings.iter().any(|warning| warning.contains("columns' names"));
        assert_eq!(made_up, decode.contains("column_1"), "{warnings:?}");
        assert!(made_up || text.contains("timestamp: { path: ts, unit: s }"), "{text}");
        let found = outcomes_of(&messages, &connector);
        let bad = found.iter().filter(|outcome| !matches!(outcome, Outcome::Points(_))).count();
        assert_eq!(bad, rejected, "{found:?}\n{text}");
    }
}

#[test]
fn points_need_no_mapping_and_their_tags_are_warned_of() {
    for (unit, decode, factor) in
        [("ns", "line_protocol", 1_000_000), ("ms", "{ line_protocol: { precision: ms } }", 1)]
    {
        let line = |n: i64| format!("cpu,host=h{n},zone=a usage=1.5 {}", (NOW - n) * factor);
        let messages: Vec<_> = (0..600).map(|n| line(n).into_bytes()).collect();
        let (text, connector, warnings) = drafted_of(&messages, SinkKind::Influxdb);
        assert!(text.contains(&format!("decode: {decode}\n")), "{unit}\n{text}");
        assert!(!text.contains("point:") && text.contains("#   tag zone: 1 value: a"), "{text}");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with("the tag host has 600 values"), "{warnings:?}");
        let found = outcomes_of(&messages, &connector);
        assert!(found.iter().all(|outcome| matches!(outcome, Outcome::Points(_))), "{found:?}");
    }
}
