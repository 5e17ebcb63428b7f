use super::*;
use crate::batch::{OpenBatch, RecordIndex};

/// The verdict in a word; a rejection with its two flags.
fn verdict_of(status: u16, body: &str) -> &'static str {
    let status = StatusCode::from_u16(status).unwrap();
    let answer = Answer { status, headers: HeaderMap::new(), body: body.into() };
    match classify(&answer) {
        Ok(()) => "written",
        Err(SinkError::Unavailable { .. }) => "unavailable",
        Err(SinkError::Misconfigured { .. }) => "misconfigured",
        Err(SinkError::TooLarge { .. }) => "too large",
        Err(SinkError::Rejected(Rejected { scope, rest_written, superseded, .. })) => {
            assert_eq!(scope, Scope::Batch);
            match (superseded, rest_written) {
                (true, true) => "superseded, rest written",
                (true, false) => "superseded, nothing written",
                (false, true) => "rejected, rest written",
                (false, false) => "rejected, nothing written",
            }
        }
    }
}

fn check(table: &[(u16, &str, &str)]) {
    for (status, body, expected) in table {
        assert_eq!(verdict_of(*status, body), *expected, "{status} {body}");
    }
}

/// The bodies were seen from Prometheus 2.42.0 (Debian).
#[test]
fn every_answer_of_prometheus_is_what_it_means_by_it() {
    check(&[
        (204, "", "written"),
        (400, "out of order sample\n", "superseded, nothing written"),
        (400, "duplicate sample for timestamp\n", "superseded, nothing written"),
        (400, "out of bounds\n", "superseded, nothing written"),
        (500, "too old sample\n", "superseded, nothing written"),
        (400, "snappy: corrupt input\n", "misconfigured"),
        (400, "unexpected EOF\n", "misconfigured"),
        (
            404,
            "remote write receiver needs to be enabled with --enable-feature=remote-write-receiver\n",
            "misconfigured",
        ),
        (404, "404 page not found\n", "misconfigured"),
    ]);
    // Of later versions, from their source.
    check(&[
        (400, "too old sample\n", "superseded, nothing written"),
        (400, "out of bounds: timestamp is too far in the future\n", "rejected, nothing written"),
        (415, "", "misconfigured"),
    ]);
}

#[test]
fn every_answer_of_mimir_is_what_it_means_by_it() {
    let soft = |id: &str| {
        format!(
            "failed pushing to ingester a: user=x: the sample has been rejected (err-mimir-{id}). \
                 The affected sample has timestamp 1970-01-01T00:00:00Z and is from series m"
        )
    };
    check(&[
        (200, "", "written"),
        (202, "", "written"),
        (400, &soft("sample-out-of-order"), "superseded, rest written"),
        (400, &soft("sample-duplicate-timestamp"), "superseded, rest written"),
        (400, &soft("sample-timestamp-too-old"), "superseded, rest written"),
        (400, &soft("too-far-in-future"), "rejected, rest written"),
        (400, &soft("label-value-too-long"), "rejected, rest written"),
        (400, &soft("max-series-per-user"), "misconfigured"),
        (400, &soft("max-series-per-metric"), "misconfigured"),
        (400, &soft("distributor-max-write-message-size"), "too large"),
        (413, "", "too large"),
        (429, &soft("tenant-max-ingestion-rate"), "unavailable"),
        (529, &soft("tenant-max-request-rate"), "unavailable"),
        (401, "no org id\n", "misconfigured"),
        (500, &soft("sample-out-of-order"), "unavailable"),
    ]);
}

#[test]
fn every_answer_of_victoria_metrics_and_thanos_is_what_they_mean_by_it() {
    check(&[
        (
            400,
            "cannot read prometheus remote_write data from client in 0 seconds: cannot decompress \
               snappy-encoded request with length 7: snappy: corrupt input\n",
            "misconfigured",
        ),
        (
            400,
            "too big unpacked request; mustn't exceed `-maxInsertRequestSize=33554432` bytes; got 4 \
               bytes",
            "too large",
        ),
        (400, "unsupported path requested: \"/nope\"\n", "misconfigured"),
        (503, "the storage is read-only", "unavailable"),
        (200, "", "written"),
        (409, "store locally for endpoint : conflict\n", "superseded, rest written"),
        (500, "quorum not reached", "unavailable"),
    ]);
}

#[test]
fn nothing_is_rejected_or_acknowledged_by_what_is_not_the_database() {
    let page = "\n<html>400 out of order sample err-mimir-sample-out-of-order</html>";
    check(&[
        (200, page, "misconfigured"),
        (302, "", "misconfigured"),
        (400, page, "misconfigured"),
        (400, "", "misconfigured"),
        (400, "Bad Request", "misconfigured"),
        (403, page, "misconfigured"),
        (405, "", "misconfigured"),
        (408, "", "unavailable"),
        (409, page, "misconfigured"),
        (422, "", "misconfigured"),
        (425, "", "unavailable"),
        (500, page, "unavailable"),
        (500, "a proxy that says too old sample", "unavailable"),
        (502, page, "unavailable"),
        (503, "", "unavailable"),
    ]);
}

#[tokio::test]
async fn a_write_is_a_snappy_block_with_the_headers_of_the_specification() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let request = crate::sink::http::tests::request(&mut stream);
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        request
    });
    let sink = Prometheus::new(&config::Prometheus { url }, Duration::from_secs(5)).unwrap();
    let bytes = b"series ".repeat(1000);
    let mut open = OpenBatch { bytes: bytes.clone(), items: Vec::new() };
    open.end_item(RecordIndex(0));
    assert_eq!(sink.write(&open.close()).await, Ok(()));
    let (head, body) = server.join().unwrap();
    for line in [
        "post /api/v1/write http/1.1",
        "content-type: application/x-protobuf",
        "content-encoding: snappy",
        "x-prometheus-remote-write-version: 0.1.0",
        concat!("user-agent: tidegate/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.contains(&format!("{line}\r\n")), "{line} in {head}");
    }
    assert_eq!(snap::raw::Decoder::new().decompress_vec(&body).unwrap(), bytes);
}
