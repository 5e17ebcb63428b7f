use super::*;
use crate::config::{Environment, Process, load_text};

fn map(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
}

fn sensors() -> Flat {
    map(&[
        ("connector.class", "tidegate"),
        ("tasks.max", "2"),
        ("name", "sensors"),
        ("topics", "a,b"),
        ("kafka.bootstrap.servers", "localhost:9092"),
        ("point.measurement", "m"),
        ("point.tags.site", "site"),
        ("point.fields.a.b", "x.y"),
        ("point.fields.cycles.path", "n"),
        ("point.fields.cycles.type", "integer"),
        ("point.timestamp", "{path: ts, unit: ms}"),
        ("sink.influxdb.version", "2"),
        ("sink.influxdb.url", "http://localhost:8086"),
        ("sink.influxdb.org", "acme"),
        ("sink.influxdb.bucket", "0123"),
        ("sink.influxdb.token", "hunter2"),
    ])
}

#[test]
fn a_flat_map_is_the_file_that_it_stands_for() {
    let text = nested(&sensors()).unwrap();
    let process = Process::default();
    let connector = load_text("x.json", &text, &process, &Environment::process()).unwrap();
    assert_eq!((connector.name.as_str(), connector.workers.get()), ("sensors", 2));
    let fields: Vec<_> =
        connector.mapping.points[0].fields.iter().map(|f| f.name.clone()).collect();
    assert_eq!(fields, ["a.b", "cycles"]);
    assert!(text.contains("\"bucket\": \"0123\""), "{text}");
}

#[test]
fn a_file_s_flat_map_is_that_file_again_and_shows_no_secret() {
    let text = nested(&sensors()).unwrap();
    let shown = flat(&text);
    assert_eq!(shown["sink.influxdb.token"], MASK);
    assert_eq!(shown["kafka.bootstrap.servers"], "localhost:9092");
    assert_eq!(shown["topics"], "a,b");
    let mut again = shown.clone();
    again.insert("sink.influxdb.token".into(), "hunter2".into());
    assert_eq!(nested(&again).unwrap(), text);
    assert_eq!(masked(&sensors())["sink.influxdb.token"], MASK);
    let by_reference = flat("sink: { influxdb: { token: '${file:/run/token}', token_file: /t } }");
    assert_eq!(by_reference["sink.influxdb.token"], "${file:/run/token}");
    assert_eq!(by_reference["sink.influxdb.token_file"], "/t");
}

#[test]
fn what_has_no_place_names_its_key() {
    let wrong = |key: &str, text: &str| {
        let mut flat = sensors();
        flat.insert(key.into(), text.into());
        nested(&flat).unwrap_err().into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(wrong("point.timestamp", "{path: ts"), ["point.timestamp"]);
    assert_eq!(wrong("topics.x", "1"), ["topics.x"]);
}

#[test]
fn every_option_has_its_documentation() {
    let settings = settings();
    let find = |key: &str| settings.iter().find(|setting| setting.key == key).unwrap();
    assert!(settings.iter().all(|setting| !setting.documentation.is_empty()), "{settings:#?}");
    // Required where its section is, which may be left out.
    assert!(!find("dead_letter.topic").required);
    assert_eq!(find("batch.linger").default.as_deref(), Some("1s"));
    assert_eq!(find("workers").kind, "INT");
    assert_eq!(find("kafka.*").kind, "STRING");
    assert!(find("sink.influxdb.compression").choices.contains(&"gzip".to_owned()));
}
