//! The golden folders of `tests/formats`: in each, the inputs become the expected line protocol by the
//! connector that stands beside them. The same files are the examples of docs/formats.md.
//!
//! `UPDATE_GOLDEN=1 cargo test --lib golden` writes `expected.lp` anew: read the difference before it is
//! committed.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Refusal;
use crate::batch::{OpenParts, RecordIndex};
use crate::config::{Environment, Process, load_text};
use crate::connector::transform;
use crate::map::Scratch;
use crate::record::{Offset, OwnedRecord};
use crate::sink::Sink;

#[test]
fn each_format_gives_the_expected_points() {
    let folders = sorted(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats"));
    let folders: Vec<_> = folders.into_iter().filter(|folder| folder.is_dir()).collect();
    assert!(!folders.is_empty());
    let wrong: Vec<_> = folders.iter().filter_map(|folder| differs(folder)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(crate) fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn differs(folder: &Path) -> Option<String> {
    let actual = lines(folder);
    let golden = folder.join("expected.lp");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &actual).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    (actual != expected)
        .then(|| format!("--- {}: expected\n{expected}--- but found\n{actual}", golden.display()))
}

/// What the inputs become, in their order; of a rejected one, why.
fn lines(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join("connector.yaml")).unwrap();
    let registry = registry(folder.join("registry"));
    let environment = Environment::new(
        |name| match name {
            "FOLDER" => Some(folder.display().to_string()),
            "REGISTRY" => Some(registry.clone()),
            _ => None,
        },
        |_| Err(std::io::ErrorKind::NotFound.into()),
    );
    let kafka = [("bootstrap.servers".into(), crate::config::Secret::new("localhost:9092"))];
    let process = Process { kafka: kafka.into(), ..Process::default() };
    let config = load_text(folder.join("connector.yaml"), &text, &process, &environment);
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let sink = Sink::new(&config.sink, Duration::from_secs(1)).unwrap();
    let mut transform = transform(&config, &sink);
    let (mut scratch, mut open) = (Scratch::default(), OpenParts::default());
    let mut lines = String::new();
    for input in sorted(folder) {
        let name = input.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("input") || name.ends_with(".headers") {
            continue;
        }
        let record = record(&input);
        let start = Instant::now();
        let taken = loop {
            match transform.apply(&record, RecordIndex(0), &mut scratch, &mut open) {
                // As the worker does.
                Err(Refusal::Unavailable(_)) if start.elapsed() < Duration::from_secs(20) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                taken => break taken,
            }
        };
        writeln!(lines, "# {name}").unwrap();
        match taken {
            Ok(_) => {}
            Err(Refusal::Rejected(reject)) => {
                writeln!(lines, "# rejected: {}", reject.reason).unwrap();
            }
            Err(Refusal::Unavailable(reason)) => panic!("{name}: {reason}"),
        }
        for part in open.close(&mut transform.encoder).0 {
            lines.push_str(std::str::from_utf8(&part.body()).unwrap());
        }
    }
    lines
}

/// A registry whose answers are the files of a folder; what is no file it does not have.
pub(crate) fn registry(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            for _ in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {}
            let path = first.split([' ', '?']).nth(1).unwrap().trim_start_matches('/');
            let (status, body) = match fs::read_to_string(folder.join(path)) {
                Ok(body) => (200, body),
                Err(_) => (404, r#"{"error_code":40403,"message":"Schema not found"}"#.into()),
            };
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close");
            write!(stream, "{head}\r\n\r\n{body}").unwrap();
        }
    });
    url
}

/// Its headers stand beside it, one a line.
pub(crate) fn record(input: &Path) -> OwnedRecord {
    let headers = fs::read_to_string(input.with_extension("headers")).unwrap_or_default();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), Some(value.as_bytes().to_vec()))
    };
    OwnedRecord {
        topic: Arc::from("sensors"),
        partition: 0,
        offset: Offset(0),
        key: Some(b"key".to_vec()),
        value: Some(fs::read(input).unwrap()),
        timestamp_millis: Some(1_795_341_600_000),
        headers: headers.lines().map(header).collect(),
    }
}
