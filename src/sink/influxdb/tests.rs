mod create;
mod version_3;

use std::io::Read;
use std::num::NonZeroUsize;

use flate2::read::GzDecoder;

use super::*;
use crate::batch::{OpenBatch, RecordIndex};
use crate::config::Secret;
use crate::map::Template;
use crate::route::{Routing, Slot};

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
        api: InfluxApi::V2 { org: "acme & co".into(), bucket: "plant/1".into() },
        compression: InfluxCompression::Gzip,
        precision: Precision::Ms,
        http: with_token("hunter2"),
        create: None,
    }
}

async fn request_of(change: impl FnOnce(&mut config::InfluxDb)) -> (String, Vec<u8>) {
    request_to(Destination::default(), change).await
}

/// The one request that reaches a server which answers 204: its head and its body.
async fn request_to(
    destination: Destination,
    change: impl FnOnce(&mut config::InfluxDb),
) -> (String, Vec<u8>) {
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
    assert_eq!(sink.write(&batch(&["m f=1 1\n"]).to(destination)).await, Ok(()));
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
async fn each_version_has_its_route_and_its_names_of_precisions() {
    let database = || "d 1".to_owned();
    let (policy, consistency) = (Some("two&weeks".into()), Some(Consistency::Quorum));
    let v1 = |retention_policy, consistency| InfluxApi::V1 {
        database: database(),
        retention_policy,
        consistency,
    };
    let v3 = |no_sync| InfluxApi::V3 { database: database(), no_sync, accept_partial: !no_sync };
    let table = [
        (v1(None, None), Precision::Ns, "write?db=d+1&precision=ns"),
        (
            v1(policy, consistency),
            Precision::Us,
            "write?db=d+1&rp=two%26weeks&consistency=quorum&precision=u",
        ),
        (
            v3(false),
            Precision::Ms,
            "api/v3/write_lp?db=d+1&accept_partial=true&no_sync=false&precision=millisecond",
        ),
        (
            v3(true),
            Precision::S,
            "api/v3/write_lp?db=d+1&accept_partial=false&no_sync=true&precision=second",
        ),
    ];
    for (api, precision, expected) in table {
        let (head, _) = request_of(|config| {
            config.api = api;
            config.precision = precision;
        })
        .await;
        let line = format!("post /base/{expected} http/1.1\r\n");
        assert!(head.starts_with(&line), "{head}");
    }
}

/// A bucket, a header and a part of the path that are told from the record.
#[tokio::test]
async fn a_destination_stands_in_its_own_places_and_nowhere_else() {
    let header = Slot::Header("X-Tenant".into());
    let path = Slot::Path { before: "/insert/".into(), after: "/influx".into() };
    let slots = [Slot::Bucket, path, header].map(|slot| (slot, Template(Vec::new())));
    let routing = Routing::new(slots.into(), None, NonZeroUsize::MIN);
    let to = routing.destination("a&org=b ?#/é\n5:7\nacme").unwrap();
    let (head, _) = request_to(to, |_| {}).await;
    let line = "post /insert/5:7/influx/api/v2/write?org=acme+%26+co\
                &bucket=a%26org%3db+%3f%23%2f%c3%a9&precision=ms http/1.1\r\n";
    assert!(head.starts_with(line), "{head}");
    assert!(head.contains("x-tenant: acme\r\n"), "{head}");
}

#[test]
fn only_what_is_not_waited_for_is_acknowledged_from_memory() {
    let with = |api| {
        let config = config::InfluxDb { api, ..config("http://localhost:1") };
        InfluxDb::new(&config, Duration::from_secs(1)).unwrap().durability()
    };
    let v3 = |no_sync| InfluxApi::V3 { database: "d".into(), no_sync, accept_partial: true };
    assert_eq!(with(v3(true)), Durability::Memory);
    assert_eq!(with(v3(false)), Durability::Synced);
}

#[tokio::test]
async fn zstd_is_sent_where_it_is_asked_for_and_the_address_keeps_its_query() {
    let (head, body) = request_of(|config| {
        config.compression = InfluxCompression::Zstd;
        config.url += "?extra_label=plant%3Dnorth";
    })
    .await;
    assert!(head.contains("/api/v2/write?extra_label=plant%3dnorth&org="), "{head}");
    assert!(head.contains("content-encoding: zstd\r\n"), "{head}");
    assert_eq!(zstd::bulk::decompress(&body, 100).unwrap(), b"m f=1 1\n");
}

#[tokio::test]
async fn without_token_and_compression_neither_header_is_sent() {
    let (head, body) = request_of(|config| {
        config.http = config::Http::default();
        config.compression = InfluxCompression::None;
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
