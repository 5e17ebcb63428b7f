//! What a configuration promises: `testdata/*.yaml` with the expected errors beside each in
//! `*.err`, and what does not fit that form.
//!
//! `UPDATE_GOLDEN=1 cargo test` writes the `*.err` files anew: read the difference before it is
//! committed.

mod properties;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::map::{Piece, Source, TimeSource};

/// Every secret in the tests has this in it, and no error may. Unlike the words of `secrets`, so that
/// it is not masked for its own looks.
const MARK: &str = "hunter2";

fn environment() -> Environment<'static> {
    Environment::new(
        |name| match name {
            "URL" => Some("http://db:8086".into()),
            "TLS_URL" => Some("https://db:8086".into()),
            "WORD" => Some("hunter2 word".into()),
            "NUMBER" => Some("8".into()),
            "MANY" => Some("50331".into()),
            "HARD" => Some("hunter2\": {{ } # ${URL}".into()),
            _ => None,
        },
        |path| match path.to_str() {
            Some("/run/secrets/token") => Ok("file-hunter2\n".into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
    )
}

fn process() -> Process {
    let kafka = BTreeMap::from([("bootstrap.servers".into(), Secret::new("localhost:9092"))]);
    Process { kafka, ..Process::default() }
}

fn text(file: &str, text: &str) -> Result<Connector, Errors> {
    load_text(file, text, &process(), &environment())
}

fn testdata() -> PathBuf {
    Path::new(file!())
        .parent()
        .and_then(Path::parent)
        .map(|folder| folder.join("testdata"))
        .unwrap_or_default()
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Compares errors with the `.err` file beside a `.yaml` file; returns what differs.
fn differs_from_golden(file: &Path, errors: &Errors) -> Option<String> {
    let actual = format!("{errors}\n");
    assert!(!actual.contains(MARK), "{} shows a secret:\n{actual}", file.display());
    let golden = file.with_extension("err");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &actual).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    (actual != expected)
        .then(|| format!("--- {}: expected\n{expected}--- but found\n{actual}", golden.display()))
}

#[test]
fn every_wrong_connector_file_is_explained() {
    let mut differences = Vec::new();
    for file in yaml_files(&testdata()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let errors = text(&name, &fs::read_to_string(&file).unwrap());
        differences.extend(differs_from_golden(&file, &errors.expect_err(&name)));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_wrong_process_file_is_explained() {
    let mut differences = Vec::new();
    for file in yaml_files(&testdata().join("process")) {
        let name = Path::new(file.file_name().unwrap());
        let text = fs::read_to_string(&file).unwrap();
        let errors = load::process(name, text, &environment()).unwrap_err();
        differences.extend(differs_from_golden(&file, &errors));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Everything that a connector's file can say.
const FULL: &str = r#"
name: plant.sensors-1
topics: [sensors, sensors.2]
group: g
workers: ${NUMBER}
kafka: { auto.offset.reset: earliest, fetch.min.bytes: 0x10, socket.keepalive.enable: True, sasl.password: "${HARD}", bootstrap.servers: other:9092 }
point:
  measurement: 'plant_{{ value.kind }}'
  tags:
    site: site
    room: '{{ topic }}/{{ key }}'
    rack: { header: rack, required: true }
    version: { constant: 1.10 }
  fields:
    temperature: reading.temperature
    cycles: { path: 'reading.cycles[0]', type: integer, coerce: true, required: true }
    offset: { record: offset, type: unsigned }
    one: { constant: 1 }
    big: { constant: 0xff, type: unsigned }
    on: { constant: true, type: boolean }
    text: { constant: 1.50, type: string }
    eight: { constant: '${NUMBER}', type: string }
  timestamp: { header: ts, format: rfc3339 }
sink:
  influxdb: { version: 2, url: '${TLS_URL}/prefix/', org: acme, bucket: '2024', token: '${file:/run/secrets/token}', compression: none, precision: ms, headers: { X-Api-Key: 'a key: hunter2' }, proxy_url: 'http://u:hunter2@proxy:3128', tls_config: { ca_file: /etc/ca.pem, cert_file: /etc/cert.pem, key_file: /etc/key.pem } }
dead_letter: { topic: sensors.dead }
batch: { max_points: 7, max_bytes: 1048576, linger: 0s }
delivery: { in_flight: 2, timeout: 1m 30s, min_backoff: 10ms, max_backoff: 10ms, drain: 44s }
"#;

#[test]
fn a_full_connector_is_read_as_written() {
    let connector = text("x.yaml", FULL).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(connector.name, "plant.sensors-1");
    assert_eq!(connector.topics, Topics::List(vec!["sensors".into(), "sensors.2".into()]));
    assert_eq!((connector.group.as_str(), connector.workers.get()), ("g", 8));
    let kafka = |name: &str| connector.kafka[name].expose();
    assert_eq!(kafka("bootstrap.servers"), "other:9092");
    assert_eq!(kafka("fetch.min.bytes"), "16");
    assert_eq!(kafka("socket.keepalive.enable"), "true");
    assert_eq!(kafka("sasl.password"), "hunter2\": {{ } # ${URL}");
    let Sink::InfluxDb(sink) = &connector.sink else { panic!("{:?}", connector.sink) };
    assert_eq!(sink.url, "https://db:8086/prefix");
    let Some(Authorization::Token { kind, token: Credential::Given(token) }) =
        &sink.http.authorization
    else {
        panic!("{:?}", sink.http)
    };
    assert_eq!((kind.as_str(), token.expose()), ("Token", "file-hunter2"));
    assert_eq!(sink.http.headers[0].1.expose(), "a key: hunter2");
    assert_eq!(sink.http.proxy.as_ref().map(Secret::expose), Some("http://u:hunter2@proxy:3128"));
    let tls = &sink.http.tls;
    assert_eq!(tls.ca.as_deref(), Some(Path::new("/etc/ca.pem")));
    assert_eq!(tls.identity, Some(("/etc/cert.pem".into(), "/etc/key.pem".into())));
    assert_eq!(sink.compression, raw::InfluxCompression::None);
    assert_eq!(connector.dead_letter.as_deref(), Some("sensors.dead"));
    assert_eq!(connector.batch.bytes.get(), 1_048_576);
    assert_eq!(connector.batch.linger, Duration::ZERO);
    assert_eq!(connector.delivery.timeout, Duration::from_secs(90));
    assert_eq!(connector.delivery.drain, Duration::from_secs(44));
}

#[test]
fn a_sink_s_templates_are_its_routing_and_no_part_of_what_is_constant() {
    let file = "
topics: [t]
point: { measurement: m, fields: { f: f } }
sink:
  prometheus:
    url: 'http://vm:8480/insert/{{ header.a }}:{{ value.p }}/prometheus/api/v1/write/?k=v'
    headers: { X-Scope-OrgID: 'x-{{ key }}', X-Other: plain }
    destinations: { allowed: ['1:2/x-*'], max_open: 7 }
";
    let connector = text("x.yaml", file).unwrap_or_else(|errors| panic!("{errors}"));
    let routing = connector.routing.unwrap();
    let names: Vec<_> = routing.templates().map(|(name, _)| name).collect();
    assert_eq!(names, ["tenant in the path", "X-Scope-OrgID"]);
    assert_eq!(routing.max_open().get(), 7);
    let to = routing.destination("1:2\nx-acme").unwrap();
    assert_eq!(to.path().as_deref(), Some("/insert/1:2/prometheus/api/v1/write"));
    assert_eq!(to.headers().collect::<Vec<_>>(), [("X-Scope-OrgID", "x-acme")]);
    assert!(routing.destination("1:3\nx-acme").is_err());
    let Sink::Prometheus(sink) = connector.sink else { panic!() };
    let headers: Vec<_> = sink.http.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(headers, ["X-Other"]);
}

#[test]
fn a_mapping_is_read_as_written() {
    let mapping = text("x.yaml", FULL).unwrap().mapping.points.remove(0);
    let pieces =
        [Piece::Text("plant_".into()), Piece::Source(Source::Value("kind".parse().unwrap()))];
    assert_eq!(mapping.measurement.0, pieces);
    let tags: Vec<_> = mapping.tags.iter().map(|tag| (tag.name.as_str(), tag.required)).collect();
    assert_eq!(tags, [("rack", true), ("room", false), ("site", false), ("version", false)]);
    // As it was written, not as the number 1.1.
    assert_eq!(mapping.tags[3].source, Source::Constant("1.10".into()));
    let constant = |name: &str| {
        let field = mapping.fields.iter().find(|field| field.name == name).unwrap();
        match &field.source {
            Source::Constant(text) => text.clone(),
            other => panic!("{other:?}"),
        }
    };
    let constants = ["one", "big", "on", "text", "eight"].map(constant);
    assert_eq!(constants, ["1", "255", "true", "1.50", "8"]);
    assert_eq!(mapping.timestamp, TimeSource::Rfc3339 { source: Source::Header("ts".into()) });
}

#[test]
fn a_short_connector_takes_the_defaults() {
    let short = "{ topics_pattern: '^a', point: { measurement: m, fields: { f: f } }, \
                 sink: { prometheus: { url: 'http://vm/write' } } }";
    let connector = text("folder/sensors.yaml", short).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(connector.name, "sensors");
    assert_eq!(connector.group, "tidegate-sensors");
    assert_eq!(connector.topics, Topics::Pattern("^a".into()));
    assert_eq!(connector.workers, NonZeroUsize::MIN);
    assert_eq!(connector.mapping.points[0].timestamp, TimeSource::Record);
    assert_eq!(connector.delivery.in_flight, NonZeroUsize::MIN, "samples go in order");
    assert_eq!(connector.dead_letter, None);
    let limits =
        |connector: &Connector| (connector.batch.points.get(), connector.batch.bytes.get());
    assert_eq!(limits(&connector), (20_000, 4 << 20), "of remote write one batch is in flight");
    let lines =
        short.replace("prometheus: {", "influxdb: { org: o, bucket: b,").replace("/write", "");
    assert_eq!(limits(&text("x.yaml", &lines).unwrap()), (5000, 1 << 20));
}

#[test]
fn where_a_group_begins_is_said_in_the_words_of_librdkafka() {
    use raw::OffsetOutOfRange::{Earliest, Latest, Stop};
    let words = [("earliest", Earliest), ("end", Latest), ("largest", Latest), ("error", Stop)];
    for (word, start) in words {
        let kafka = format!("kafka: {{ auto.offset.reset: {word} }}\noffset_out_of_range: stop\n");
        let connector = text("x.yaml", &format!("{kafka}{SMALL}")).unwrap();
        assert_eq!(connector.offsets, Offsets { start, out_of_range: Stop }, "{word}");
    }
    let unset = text("x.yaml", SMALL).unwrap().offsets;
    assert_eq!(unset, Offsets { start: Earliest, out_of_range: Earliest });
}

#[test]
fn brokers_must_be_named_somewhere() {
    let text = "topics: [a]\npoint: { measurement: m, fields: { f: f } }\n\
                sink: { prometheus: { url: 'http://vm/write' } }\n";
    let errors = load_text("a.yaml", text, &Process::default(), &environment()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors.to_string().contains("`bootstrap.servers`"), "{errors}");
}

#[test]
fn secrets_are_not_shown_by_a_checked_configuration() {
    let connector = text("x.yaml", FULL).unwrap();
    let Sink::InfluxDb(sink) = &connector.sink else { panic!("{:?}", connector.sink) };
    let shown = format!("{connector:?} {}", sink.http.proxy.as_ref().unwrap());
    assert!(!shown.contains(MARK), "{shown}");
    assert!(shown.contains("***"));
}

#[test]
fn every_schema_is_json_with_every_key_described() {
    let kinds =
        [(FileKind::Process, "kafka"), (FileKind::Connector, "kafka"), (FileKind::Test, "cases")];
    for (kind, key) in kinds {
        let schema: serde_json::Value = serde_json::from_str(&schema::json_schema(kind)).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        assert!(properties.contains_key(key));
        for (key, property) in properties {
            assert!(property["description"].is_string(), "{key}");
        }
    }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const PROCESS: &str = "kafka: { bootstrap.servers: localhost }\nlog: json\n";
const SMALL: &str = "topics: [a]\npoint: { measurement: m, fields: { f: f } }\n\
                     sink: { prometheus: { url: 'http://vm/write' } }\n";

fn load_folder(folder: &Path) -> Result<Configuration, Errors> {
    load(Some(&folder.join("tidegate.yaml")), &[folder.to_owned()], &environment())
}

#[test]
fn a_folder_is_its_connector_files_in_order() {
    let folder = folder(&[
        ("tidegate.yaml", PROCESS),
        ("b.yml", SMALL),
        ("a.yaml", SMALL),
        (".hidden.yaml", "not: right"),
        ("a.test.yaml", "not: right"),
        ("notes.txt", "not: right"),
    ]);
    let loaded = load_folder(folder.path()).unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = loaded.connectors.iter().map(|connector| connector.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(loaded.process.log, raw::LogFormat::Json);
    assert_eq!(loaded.connectors[0].kafka["bootstrap.servers"].expose(), "localhost");
}

#[test]
fn errors_of_all_files_come_at_once() {
    let folder = folder(&[("tidegate.yaml", "logg: json"), ("a.yaml", "x: 1"), ("b.yaml", "y: [")]);
    let errors = load_folder(folder.path()).unwrap_err();
    assert_eq!(errors.files(), 3, "{errors}");
    // What tidegate.yaml would have set is not asked for in the connectors.
    assert!(!errors.to_string().contains("bootstrap.servers"), "{errors}");
}

#[test]
fn twins_in_name_or_group_are_refused() {
    let named = format!("name: a\n{SMALL}");
    let grouped = format!("group: tidegate-a\n{SMALL}");
    let files =
        [("tidegate.yaml", PROCESS), ("a.yaml", SMALL), ("b.yaml", &named), ("c.yaml", &grouped)];
    let errors = load_folder(folder(&files).path()).unwrap_err().to_string();
    assert!(errors.contains("the name `a` is taken by"), "{errors}");
    assert!(errors.contains("the group `tidegate-a` is taken by"), "{errors}");
}

#[test]
fn an_empty_or_missing_folder_is_an_error() {
    let folder = folder(&[("tidegate.yaml", PROCESS)]);
    let errors = load_folder(folder.path()).unwrap_err().to_string();
    assert!(errors.contains("no connector file"), "{errors}");
    let errors =
        load(None, &[folder.path().join("nowhere")], &environment()).unwrap_err().to_string();
    assert!(errors.contains("can't be read"), "{errors}");
}

#[test]
fn a_file_that_is_too_large_or_no_text_is_an_error() {
    let folder = folder(&[("big.yaml", &"# x\n".repeat(300_000))]);
    fs::write(folder.path().join("bytes.yaml"), b"topics: [a]\ntoken: hunter2\xff\n").unwrap();
    let errors = load(None, &[folder.path().to_owned()], &environment()).unwrap_err().to_string();
    assert!(errors.contains("larger than 1 MiB"), "{errors}");
    assert!(errors.contains("bytes.yaml:2:15: not UTF-8"), "{errors}");
    assert!(!errors.contains(MARK), "{errors}");
}

/// Minutes, were any step to look at the whole line, or at all secrets, for every sign of it.
#[test]
fn a_long_line_of_errors_and_secrets_takes_no_time() {
    let many = format!("{{ {} }}", "token: hunter2, ".repeat(60_000));
    let errors = text("a.yaml", &many).unwrap_err();
    assert_eq!(errors.len(), 101);
    assert!(!errors.to_string().contains(MARK));
}

#[test]
fn errors_of_one_file_are_limited() {
    let many: Vec<_> = (0..1000).map(|number| format!("key{number}: 1")).collect();
    let errors = text("a.yaml", &many.join("\n")).unwrap_err();
    assert_eq!(errors.len(), 101);
    assert!(errors.to_string().ends_with("more errors"), "{errors}");
}
