use std::io::Read;

use flate2::read::GzDecoder;

use super::*;
use crate::batch::{OpenBatch, RecordIndex};
use crate::config::Secret;

pub(super) fn batch(lines: &[&str]) -> Batch {
    let mut open = OpenBatch::default();
    for (record, line) in (0..).zip(lines) {
        open.bytes.extend_from_slice(line.as_bytes());
        open.end_item(RecordIndex(record));
    }
    open.close()
}

fn with_token(token: &str) -> config::Http {
    let token = config::Credential::Given(Secret::new(token));
    let authorization = Some(config::Authorization::Token { kind: "Token".into(), token });
    config::Http { authorization, ..config::Http::default() }
}

fn config(url: &str) -> config::InfluxDb {
    config::InfluxDb {
        url: url.into(),
        org: "acme & co".into(),
        bucket: "plant/1".into(),
        gzip: true,
        precision: Precision::Ms,
        http: with_token("hunter2"),
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
    assert_eq!(sink.write(&batch(&["m f=1 1\n"])).await, Ok(()));
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
        config.http = config::Http::default();
        config.gzip = false;
    })
    .await;
    assert!(!head.contains("authorization") && !head.contains("content-encoding"), "{head}");
    assert_eq!(body, b"m f=1 1\n");
}

#[tokio::test]
async fn a_sink_and_its_errors_never_show_the_token() {
    let mut config = config("http://127.0.0.1:1");
    config.http = with_token("hunter2\n");
    let sink = InfluxDb::new(&config, Duration::from_secs(1)).unwrap();
    let mut open = OpenBatch { bytes: b"m f=1 1\n".to_vec(), items: Vec::new() };
    open.end_item(RecordIndex(0));
    let error = sink.write(&open.close()).await.unwrap_err();
    assert!(error.to_string().contains("a character that a header can't carry"), "{error}");
    assert!(!format!("{sink:?} {error:?}").contains("hunter2"));
}
