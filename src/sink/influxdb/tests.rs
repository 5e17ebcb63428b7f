use std::io::Read;

use flate2::read::GzDecoder;

use super::*;
use crate::batch::{OpenBatch, RecordIndex};
use crate::config::Secret;

fn answer(status: u16, body: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap();
    Answer { status, headers: HeaderMap::new(), body: body.into() }
}

/// The verdict in a word; for a rejection, whether the rest was written.
fn verdict_of(status: u16, body: &str) -> String {
    match classify(&answer(status, body)) {
        Ok(()) => "written".into(),
        Err(SinkError::Unavailable { .. }) => "unavailable".into(),
        Err(SinkError::Misconfigured { .. }) => "misconfigured".into(),
        Err(SinkError::TooLarge { .. }) => "too large".into(),
        Err(SinkError::Rejected(rejected)) => {
            assert_eq!(rejected.scope, Scope::Batch);
            assert!(!rejected.superseded, "InfluxDB has no order");
            if rejected.rest_written { "some rejected".into() } else { "all rejected".into() }
        }
    }
}

const CONFLICT: &str = "{\"code\":\"unprocessable entity\",\"message\":\"failure writing points to \
    database: partial write: field type conflict: input field \\\"v\\\" on measurement \\\"m\\\" is \
    type float, already exists as type integer dropped=1\"}";
const UNPARSED: &str = "{\"code\":\"invalid\",\"message\":\"unable to parse 'm f=\\\"partial write\\\" \
    x': bad timestamp\"}";
/// Seen from VictoriaMetrics 1.150.0.
const VICTORIA: &str = "cannot process influx line protocol data: incorrect influx line \
    \"m2,a=b f= 17\\nm3 f=1 17\\n\": cannot parse field value for \"f\": field value cannot be empty; \
    see https://docs.victoriametrics.com/victoriametrics/integrations/influxdb/\n";
const VICTORIA_BIG: &str = "cannot process influx line protocol data: too big data size exceeding \
    -influx.maxRequestSize=67108864 bytes; see https://docs.victoriametrics.com/\n";

#[test]
fn every_answer_is_what_the_database_means_by_it() {
    let table = [
        (204, "", "written"),
        // The user interface, which InfluxDB 2 serves on addresses that it doesn't know.
        (200, "<!doctype html>", "misconfigured"),
        (200, "", "misconfigured"),
        (302, "", "misconfigured"),
        (400, UNPARSED, "all rejected"),
        (400, VICTORIA, "all rejected"),
        (400, "{\"error\":\"parsing failed for write_lp endpoint\",\"data\":{}}", "all rejected"),
        (
            400,
            "{\"error\":\"partial write of line protocol occurred\",\"data\":[]}",
            "some rejected",
        ),
        (400, "{\"error\":\"partial write: field type conflict dropped=1\"}", "some rejected"),
        (422, CONFLICT, "some rejected"),
        (400, VICTORIA_BIG, "too large"),
        // Limits that a person raises.
        (
            400,
            "{\"error\":\"partial write: max-series-per-database limit exceeded: (1) dropped=1\"}",
            "misconfigured",
        ),
        // Words of points that stand in an echo of points decide nothing.
        (
            400,
            "{\"code\":\"invalid\",\"message\":\"something else: 'partial write'\"}",
            "misconfigured",
        ),
        // Not the database's verdict on points.
        (400, "<html>400 Bad Request</html>", "misconfigured"),
        (400, "", "misconfigured"),
        (400, "unsupported path requested: \"/nope\"\n", "misconfigured"),
        (
            400,
            "cannot process influx line protocol data: unexpected EOF; see https://",
            "misconfigured",
        ),
        (422, "", "misconfigured"),
        (401, "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}", "misconfigured"),
        (403, "{\"code\":\"forbidden\",\"message\":\"insufficient permissions\"}", "misconfigured"),
        (
            404,
            "{\"code\":\"not found\",\"message\":\"bucket \\\"b\\\" not found\"}",
            "misconfigured",
        ),
        (405, "", "misconfigured"),
        (407, "", "misconfigured"),
        (408, "", "unavailable"),
        (413, "", "too large"),
        (413, "<html>nginx</html>", "too large"),
        (415, "", "misconfigured"),
        (418, "", "misconfigured"),
        (425, "", "unavailable"),
        (429, "", "unavailable"),
        (500, "{\"code\":\"internal error\",\"message\":\"unexpected error\"}", "unavailable"),
        (502, "<html>partial write</html>", "unavailable"),
        (503, "", "unavailable"),
        (504, "", "unavailable"),
        (599, "", "unavailable"),
    ];
    for (status, body, expected) in table {
        assert_eq!(verdict_of(status, body), expected, "{status} {body}");
    }
}

#[test]
fn a_wait_that_the_database_asks_for_is_handed_on() {
    let mut answer = answer(503, "");
    answer.headers.insert("retry-after", HeaderValue::from_static("7"));
    let Err(SinkError::Unavailable { retry_after, .. }) = classify(&answer) else { panic!() };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}

#[test]
fn a_body_cut_off_in_its_echo_is_still_understood() {
    let message = "{\"code\":\"invalid\",\"message\":\"unable to parse 'm f";
    assert_eq!(verdict_of(400, message), "all rejected");
}

fn config(url: &str) -> config::InfluxDb {
    config::InfluxDb {
        url: url.into(),
        org: "acme & co".into(),
        bucket: "plant/1".into(),
        token: Some(Secret::new("hunter2")),
        gzip: true,
        precision: Precision::Ms,
    }
}

/// The one request that reaches a server which answers 204: its head and its body.
async fn request_of(change: impl FnOnce(&mut config::InfluxDb)) -> (String, Vec<u8>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(&format!("http://{}/base/", listener.local_addr().unwrap()));
    change(&mut config);
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let request = crate::sink::http::tests::request(&mut stream);
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        request
    });
    let sink = InfluxDb::new(&config, Duration::from_secs(5)).unwrap();
    let mut open = OpenBatch { bytes: b"m f=1 1\n".to_vec(), items: Vec::new() };
    open.end_item(RecordIndex(0));
    assert_eq!(sink.write(&open.close()).await, Ok(()));
    server.join().unwrap()
}

#[tokio::test]
async fn a_write_names_its_bucket_precision_and_token_and_is_compressed() {
    let (head, body) = request_of(|_| {}).await;
    let line = "post /base/api/v2/write?org=acme+%26+co&bucket=plant%2f1&precision=ms http/1.1\r\n";
    assert!(head.starts_with(line), "{head}");
    assert!(head.contains("authorization: token hunter2\r\n"), "{head}");
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    let mut text = String::new();
    GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, "m f=1 1\n");
}

#[tokio::test]
async fn without_token_and_compression_neither_header_is_sent() {
    let (head, body) = request_of(|config| {
        config.token = None;
        config.gzip = false;
    })
    .await;
    assert!(!head.contains("authorization") && !head.contains("content-encoding"), "{head}");
    assert_eq!(body, b"m f=1 1\n");
}

#[test]
fn a_sink_and_its_errors_never_show_the_token() {
    let sink = InfluxDb::new(&config("http://localhost:1"), Duration::from_secs(1)).unwrap();
    assert!(!format!("{sink:?}").contains("hunter2"));
    let mut config = config("http://localhost:1");
    config.token = Some(Secret::new("hunter2\n"));
    let error = InfluxDb::new(&config, Duration::from_secs(1)).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
