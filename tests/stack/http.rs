//! HTTP by hand, and the Prometheus query API.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{PASSWORD, Series, USER};

pub(super) fn instant_query(url: &str, promql: &str, time: f64) -> Vec<Series> {
    query_result(&get(url, "/api/v1/query", &[("query", promql), ("time", &time.to_string())]))
}

pub(super) fn range_query(
    url: &str,
    promql: &str,
    start: f64,
    end: f64,
    step: &str,
) -> Vec<Series> {
    let (start, end) = (start.to_string(), end.to_string());
    query_result(&get(
        url,
        "/api/v1/query_range",
        &[("query", promql), ("start", &start), ("end", &end), ("step", step)],
    ))
}

pub(super) fn query_result(body: &str) -> Vec<Series> {
    let answer = json(body);
    let mut all: Vec<Series> = array(&answer["data"]["result"])
        .iter()
        .map(|series| {
            // A vector has `value`, a matrix `values`.
            let samples = match &series["values"] {
                Value::Null => vec![sample(&series["value"])],
                values => array(values).iter().map(sample).collect(),
            };
            (labels(&series["metric"]), samples)
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// `[seconds, "value"]`
pub(super) fn sample(pair: &Value) -> (i64, f64) {
    let seconds = pair[0].as_f64().unwrap_or_else(|| panic!("not a sample: {pair}"));
    #[expect(clippy::cast_possible_truncation, reason = "rounded, and far within i64")]
    let milliseconds = (seconds * 1000.0).round() as i64;
    (milliseconds, number(&pair[1]))
}

pub(super) fn number(value: &Value) -> f64 {
    match value {
        Value::Null => f64::NAN, // VictoriaMetrics' export has no other way to write it
        Value::String(text) => match text.as_str() {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            other => other.parse().unwrap_or_else(|_| panic!("not a number: {other}")),
        },
        other => other.as_f64().unwrap_or_else(|| panic!("not a number: {other}")),
    }
}

pub(super) fn labels(metric: &Value) -> BTreeMap<String, String> {
    let metric = metric.as_object().unwrap_or_else(|| panic!("not a set of labels: {metric}"));
    metric.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

pub(super) fn array(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("not an array: {value}"))
}

pub(super) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in: {text}"))
}

// ------------------------------------------------------------------------------------------------------ HTTP

/// The same address with the login of the tests in it.
pub(super) fn with_login(url: &str) -> String {
    url.replacen("http://", &format!("http://{USER}:{PASSWORD}@"), 1)
}

/// A GET that must succeed; the pairs become the query string.
pub(super) fn get(url: &str, path: &str, query: &[(&str, &str)]) -> String {
    let query: Vec<String> =
        query.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value))).collect();
    let path = format!("{path}?{}", query.join("&"));
    let (status, body) =
        request(url, "GET", &path, &[], "").unwrap_or_else(|error| panic!("{url}{path}: {error}"));
    assert!((200..300).contains(&status), "{url}{path}: {status}: {body}");
    body
}

/// One request, its status and its body. By hand and HTTP/1.0 (no keep-alive, no chunks), because reqwest's blocking
/// client panics inside an async test, and its async client would force one on every test. The address may have a login
/// in it.
pub fn request(
    url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<(u16, String)> {
    let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let (login, address) = address.rsplit_once('@').unwrap_or(("", address));
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut headers =
        headers.iter().fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
    if !login.is_empty() {
        let _ = write!(headers, "Authorization: Basic {}\r\n", STANDARD.encode(login));
    }
    let length = body.len();
    stream.write_all(
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
            .as_bytes(),
    )?;
    let (mut answer, mut part) = (Vec::new(), [0; 16_384]);
    loop {
        let length = stream.read(&mut part)?;
        answer.extend_from_slice(&part[..length]);
        let (head, body) = match answer.windows(4).position(|end| end == b"\r\n\r\n") {
            Some(end) => (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]),
            None if length == 0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            None => continue,
        };
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or(std::io::ErrorKind::InvalidData)?;
        let whole = whole_body(status, &head.to_lowercase(), body);
        if let Some(body) = whole.or_else(|| (length == 0).then(|| body.to_vec())) {
            return Ok((status, String::from_utf8_lossy(&body).into_owned()));
        }
    }
}

/// The body, once it is all there: QuestDB keeps the connection, and sends chunks, also to a client of HTTP/1.0.
fn whole_body(status: u16, head: &str, mut rest: &[u8]) -> Option<Vec<u8>> {
    if status == 204 {
        return Some(Vec::new());
    }
    if !head.contains("transfer-encoding: chunked") {
        let (_, length) = head.split_once("content-length:")?;
        let length: usize = length.lines().next()?.trim().parse().ok()?;
        return rest.get(..length).map(<[u8]>::to_vec);
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|end| end == b"\r\n")?;
        let length = std::str::from_utf8(&rest[..line]).ok()?.trim();
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + length)?);
        rest = rest.get(line + 2 + length + 2..)?;
    }
}

pub(super) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(escape).collect::<Vec<_>>().concat()
}

/// RFC 4180, with an empty line as a row of one empty field.
pub(super) fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    rows
}
