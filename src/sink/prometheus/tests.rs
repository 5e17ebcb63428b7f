mod forms;
mod narrowing;

use super::*;
use crate::batch::{OpenBatch, RecordIndex};
use crate::point::{Point, Timestamp, Value};

/// Samples of `m_v` with the tag `t`, at these milliseconds.
pub(super) fn batch(samples: &[(&str, i64)]) -> Batch {
    let (mut encoder, mut open) =
        (RemoteWrite::new(Arc::default(), Arc::default()), OpenBatch::default());
    for (record, &(tag, millis)) in (0..).zip(samples) {
        let point = Point {
            measurement: "m".into(),
            tags: vec![("t".into(), tag.into())],
            fields: vec![("v".into(), Value::Integer(millis))],
            timestamp: Timestamp::from_nanos(i128::from(millis) * 1_000_000).unwrap(),
            to: "".into(),
        };
        encoder.encode(&point, RecordIndex(record), &mut open).unwrap();
    }
    encoder.close(&mut open)
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
    let config = config::Prometheus::at(url);
    let sink = Prometheus::new(&config, Duration::from_secs(5)).unwrap();
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
