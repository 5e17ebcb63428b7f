//! What is missing is made, against a server that answers as InfluxDB's sources say.

use std::io::Write as _;
use std::net::TcpListener;

use super::*;
use crate::config::Create;

/// A server that gives these answers, one a connection; the sink, and the requests as they came: the
/// first line and the body.
fn with_answers(
    api: InfluxApi,
    at_most: usize,
    answers: &'static [&'static str],
) -> (InfluxDb, std::thread::JoinHandle<Vec<(String, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(&format!("http://{}/base", listener.local_addr().unwrap()));
    let at_most = NonZeroUsize::new(at_most).unwrap();
    config.create = Some(Create { retention: Some(Duration::from_hours(720)), at_most });
    (config.api, config.compression) = (api, InfluxCompression::None);
    let server = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in answers {
            let mut stream = listener.accept().unwrap().0;
            let (head, body) = crate::sink::http::tests::request(&mut stream);
            let (status, text) = answer.split_once('|').unwrap_or((answer, ""));
            let length = text.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
            let line = head.lines().next().unwrap_or_default().replace(" http/1.1", "");
            requests.push((line, String::from_utf8(body).unwrap()));
        }
        requests
    });
    (InfluxDb::new(&config, Duration::from_secs(5)).unwrap(), server)
}

fn v2() -> InfluxApi {
    InfluxApi::V2 { org: "o".into(), bucket: "b".into() }
}

const NO_BUCKET: &str = r#"404 Not Found|{"code":"not found","message":"bucket \"b\" not found"}"#;
const ORG: &str = r#"200 OK|{"orgs":[{"id":"17","name":"o"}]}"#;

#[tokio::test]
async fn a_missing_bucket_is_made_once_and_written_to() {
    let answers = &[NO_BUCKET, ORG, "201 Created|{}", "204 No Content", "204 No Content"];
    let (sink, server) = with_answers(v2(), 1, answers);
    for _ in 0..2 {
        assert_eq!(sink.write(&batch(&["m f=1 1\n"])).await, Ok(()));
    }
    let requests = server.join().unwrap();
    let write = "post /base/api/v2/write?org=o&bucket=b&precision=ms";
    let lines: Vec<_> = requests.iter().map(|(line, _)| line.as_str()).collect();
    let org = "get /base/api/v2/orgs?org=o";
    assert_eq!(lines, [write, org, "post /base/api/v2/buckets", write, write]);
    let body: serde_json::Value = serde_json::from_str(&requests[2].1).unwrap();
    let rules = serde_json::json!([{ "type": "expire", "everySeconds": 2_592_000 }]);
    assert_eq!(body, serde_json::json!({ "orgID": "17", "name": "b", "retentionRules": rules }));
}

#[tokio::test]
async fn a_bucket_that_another_worker_has_just_made_is_written_to() {
    let conflict = "422 Unprocessable Entity|{\"message\":\"bucket with name b already exists\"}";
    let answers = Box::leak(Box::new([NO_BUCKET, ORG, conflict, "204 No Content"]));
    let (sink, server) = with_answers(v2(), 1, answers);
    assert_eq!(sink.write(&batch(&["m f=1 1\n"])).await, Ok(()));
    assert_eq!(server.join().unwrap().len(), 4);
}

#[tokio::test]
async fn a_login_that_may_not_and_a_limit_that_is_reached_are_misconfigured_and_say_so() {
    let forbidden = "403 Forbidden|{\"message\":\"insufficient permissions\"}";
    let answers = Box::leak(Box::new([NO_BUCKET, ORG, forbidden]));
    let (sink, server) = with_answers(v2(), 1, answers);
    let error = sink.write(&batch(&["m f=1 1\n"])).await.unwrap_err();
    let SinkError::Misconfigured { reason } = &error else { panic!("{error:?}") };
    assert!(reason.starts_with("bucket b of o is missing, and can't be created: 403"), "{reason}");
    assert!(reason.contains("insufficient permissions"), "{reason}");
    server.join().unwrap();

    let answers = &[NO_BUCKET, ORG, "201 Created|{}", "204 No Content", NO_BUCKET];
    let (sink, server) = with_answers(v2(), 1, answers);
    let slots = vec![(Slot::Bucket, Template(Vec::new()))];
    let routing = Routing::new(slots, None, NonZeroUsize::MIN);
    let write = async |to: &str| {
        sink.write(&batch(&["m f=1 1\n"]).to(routing.destination(to).unwrap())).await
    };
    assert_eq!(write("b1").await, Ok(()));
    let error = write("b2").await.unwrap_err();
    assert!(error.to_string().contains("has created 1 already"), "{error}");
    server.join().unwrap();
}

#[tokio::test]
async fn an_organisation_that_is_missing_is_not_taken_for_a_bucket() {
    let answers =
        &[r#"404 Not Found|{"code":"not found","message":"organization name \"o\" not found"}"#];
    let (sink, server) = with_answers(v2(), 1, answers);
    let error = sink.write(&batch(&["m f=1 1\n"])).await.unwrap_err();
    assert!(matches!(error, SinkError::Misconfigured { .. }), "{error:?}");
    server.join().unwrap();
}

#[tokio::test]
async fn influxdb3_is_asked_for_its_database_before_the_first_write_only() {
    for (first, at_most) in [("409 Conflict|already exists", 1), ("200 OK", 1)] {
        let answers = Box::leak(Box::new([first, "204 No Content", "204 No Content"]));
        let api = InfluxApi::V3 { database: "d".into(), no_sync: false, accept_partial: true };
        let (sink, server) = with_answers(api, at_most, answers);
        for _ in 0..2 {
            assert_eq!(sink.write(&batch(&["m f=1 1\n"])).await, Ok(()));
        }
        let requests = server.join().unwrap();
        assert_eq!(requests[0].0, "post /base/api/v3/configure/database");
        let body: serde_json::Value = serde_json::from_str(&requests[0].1).unwrap();
        assert_eq!(body, serde_json::json!({ "db": "d", "retention_period": "720h" }));
        assert!(requests[1..].iter().all(|(line, _)| line.contains("/api/v3/write_lp")));
    }
}
