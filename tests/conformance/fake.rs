//! Databases that are not to be had: what their sources say that they do with a request, over a store that keeps what
//! they would keep. The parser is the very crate that both of them use.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::GzDecoder;
use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines};
use serde_json::json;

use super::database::{Stored, number};
use super::rows::Row;

/// A field's values by measurement, tags, field and time.
type Values = BTreeMap<(String, BTreeMap<String, String>, String, i64), String>;

#[derive(Default)]
struct Store {
    values: Values,
    /// By measurement and field, as the first write has fixed them.
    types: BTreeMap<(String, String), &'static str>,
}

/// One on a port of its own, until the process ends.
pub struct Fake {
    url: String,
    store: Arc<Mutex<Store>>,
}

impl Fake {
    pub const DATABASE: &'static str = "tests";
    pub const TOKEN: &'static str = "tidegate-tests-token";

    /// Takes requests of so many bytes at most.
    pub fn start(row: Row, limit: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let store = Arc::<Mutex<Store>>::default();
        let shared = Arc::clone(&store);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, row, limit, &store));
            }
        });
        Self { url, store }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn read(&self, case: &str) -> Vec<Stored> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let of_case = store.values.iter().filter(|((_, tags, ..), _)| tags["case"] == case);
        of_case
            .map(|((name, tags, field, nanos), value)| {
                let mut tags = tags.clone();
                tags.remove("case");
                let (name, field, value) = (name.clone(), field.clone(), value.clone());
                Stored { name, tags, field, nanos: *nanos, value }
            })
            .collect()
    }
}

/// Requests of one connection, until the client has none any more.
fn serve(stream: TcpStream, row: Row, limit: usize, store: &Mutex<Store>) {
    let mut reader = BufReader::new(stream);
    while let Some((target, headers, body)) = request(&mut reader) {
        let (status, body) = if body.len() > limit {
            // `RequestSizeExceeded` of InfluxDB 3, and the limit that axum has in both.
            (413, String::new())
        } else if headers.get("authorization") == Some(&login(row)) {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let query: BTreeMap<&str, &str> =
                query.split('&').filter_map(|pair| pair.split_once('=')).collect();
            match (row, path) {
                (Row::InfluxDb3, "/api/v3/write_lp") => influxdb3(&mut store, &query, &body),
                (Row::GreptimeDb, "/v1/influxdb/api/v2/write") => {
                    greptime(&mut store, &query, &body)
                }
                _ => (404, String::new()),
            }
        } else {
            // Both say so, InfluxDB 3 with no body.
            (401, String::new())
        };
        let answer = format!("HTTP/1.1 {status} \r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn login(row: Row) -> String {
    let kind = if row == Row::InfluxDb3 { "Bearer" } else { "token" };
    format!("{kind} {}", Fake::TOKEN)
}

/// The target, the headers with names in lower case, and the body as it was before it was compressed.
fn request(
    reader: &mut BufReader<TcpStream>,
) -> Option<(String, BTreeMap<String, String>, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let mut text = String::new();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        GzDecoder::new(&*body).read_to_string(&mut text).ok()?;
    } else {
        text = String::from_utf8(body).ok()?;
    }
    Some((target, headers, text))
}

/// `write_lp` in `influxdb3_server/src/http.rs`, with `accept_partial=true`: the good lines are stored, and 400 names
/// the others by their numbers.
fn influxdb3(store: &mut Store, query: &BTreeMap<&str, &str>, body: &str) -> (u16, String) {
    assert_eq!((query["accept_partial"], query["no_sync"]), ("true", "false"));
    let unit = match query["precision"] {
        "nanosecond" => 1,
        "microsecond" => 1_000,
        "millisecond" => 1_000_000,
        "second" => 1_000_000_000,
        other => panic!("no precision of InfluxDB 3: {other}"),
    };
    let mut errors = Vec::new();
    for (at, line) in parse_lines(body).enumerate() {
        let error = match &line {
            Ok(line) => store.conflict(line).map(|(field, expected, got)| {
                let kind = "iox::column_type::field";
                format!(
                    "invalid column type for column '{field}', expected {kind}::{expected}, got {kind}::{got}"
                )
            }),
            Err(error) => Some(error.to_string()),
        };
        match (error, line) {
            (None, Ok(line)) => store.put(&line, unit),
            (error, line) => errors.push(json!({
                "original_line": line.map(|line| line.to_string()).unwrap_or_default(),
                "line_number": at + 1,
                "error_message": error,
            })),
        }
    }
    if errors.is_empty() {
        return (204, String::new());
    }
    let error = "partial write of line protocol occurred";
    (400, json!({ "error": error, "data": errors }).to_string())
}

/// `influxdb_write_v2` in `src/servers/src/http/influxdb.rs` of GreptimeDB: one bad line, or one of another type
/// (`check_schema` in `src/mito2/src/request.rs`), and nothing of the request is stored.
fn greptime(store: &mut Store, query: &BTreeMap<&str, &str>, body: &str) -> (u16, String) {
    let unit = match query["precision"] {
        "n" | "ns" => 1,
        "u" | "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        other => panic!("no precision of GreptimeDB: {other}"),
    };
    // Of the body, also `execution_time_ms`; 1004 is `InvalidArguments`.
    let refuse = |error: &str| {
        (400, json!({ "code": 1004, "error": error, "execution_time_ms": 0 }).to_string())
    };
    let Ok(lines) = parse_lines(body).collect::<Result<Vec<_>, _>>() else {
        return refuse("Failed to parse InfluxDB line protocol");
    };
    for line in &lines {
        if let Some((field, expected, got)) = store.conflict(line) {
            return refuse(&format!(
                "Invalid request to region 4398046511104(1024, 0), reason: column {field} expect type {expected}, given: {got}"
            ));
        }
    }
    for line in &lines {
        store.put(line, unit);
    }
    (204, String::new())
}

impl Store {
    /// A field of another type than it has: its name, that type, and the line's.
    fn conflict(&self, line: &ParsedLine<'_>) -> Option<(String, &'static str, &'static str)> {
        let measurement = line.series.measurement.to_string();
        line.field_set.iter().find_map(|(field, value)| {
            let key = (measurement.clone(), field.to_string());
            let (expected, got) = (*self.types.get(&key)?, type_of(value));
            (expected != got).then_some((key.1, expected, got))
        })
    }

    /// The last value of a field at a time stays.
    fn put(&mut self, line: &ParsedLine<'_>, unit: i64) {
        let name = line.series.measurement.to_string();
        let tags: BTreeMap<_, _> = line
            .series
            .tag_set
            .iter()
            .flatten()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let nanos = line.timestamp.expect("Tidegate always sends the time") * unit;
        for (field, value) in &line.field_set {
            let field = field.to_string();
            self.types.entry((name.clone(), field.clone())).or_insert(type_of(value));
            self.values.insert((name.clone(), tags.clone(), field, nanos), typed(value));
        }
    }
}

fn type_of(value: &FieldValue<'_>) -> &'static str {
    match value {
        FieldValue::F64(_) => "float",
        FieldValue::I64(_) => "integer",
        FieldValue::U64(_) => "uinteger",
        FieldValue::Boolean(_) => "boolean",
        FieldValue::String(_) => "string",
    }
}

/// As [`Stored`] has it.
pub fn typed(value: &FieldValue<'_>) -> String {
    match value {
        FieldValue::F64(value) => number(*value),
        FieldValue::I64(value) => format!("int {value}"),
        FieldValue::U64(value) => format!("uint {value}"),
        FieldValue::Boolean(value) => format!("bool {value}"),
        FieldValue::String(value) => format!("string {value}"),
    }
}
