//! Which form is sent, and what follows from what the receiver makes of it.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;
use crate::config::raw::{Compression, ProtobufMessage};
use crate::encode::oracle;
use crate::sink::http::tests::request;

const COUNT: &str = "X-Prometheus-Remote-Write-Samples-Written";

/// A request's head, in lower case, and its body.
type Request = (String, Vec<u8>);

/// A receiver that gives these answers, one a request, and returns the requests.
fn receiver(answers: &[String]) -> (String, JoinHandle<Vec<Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
    let answers = answers.to_vec();
    let server = std::thread::spawn(move || {
        let answer = |answer: &String| {
            let mut stream = listener.accept().unwrap().0;
            let request = request(&mut stream);
            let head =
                format!("HTTP/1.1 {answer}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            request
        };
        answers.iter().map(answer).collect()
    });
    (url, server)
}

fn sink(url: String, change: impl FnOnce(&mut config::Prometheus)) -> Prometheus {
    let mut config = config::Prometheus::at(url);
    change(&mut config);
    Prometheus::new(&config, Duration::from_secs(20)).unwrap()
}

/// The form of a request by its headers, and its samples by somebody else's protobuf.
fn form(request: &Request) -> (Form, Vec<oracle::Sample>) {
    let (head, body) = request;
    let has = |line: &str| head.contains(&format!("{line}\r\n"));
    let snappy = || snap::raw::Decoder::new().decompress_vec(body).unwrap();
    if has("content-type: application/x-protobuf;proto=io.prometheus.write.v2.request") {
        assert!(has("x-prometheus-remote-write-version: 2.0.0") && has("content-encoding: snappy"));
        (Form::V2, oracle::samples_of_v2(&snappy()).unwrap())
    } else if has("content-encoding: zstd") {
        assert!(has("x-victoriametrics-remote-write-version: 1"), "{head}");
        let plain = zstd::bulk::decompress(body, 1 << 20).unwrap();
        (Form::V1Zstd, oracle::samples(&plain).unwrap())
    } else {
        assert!(has("content-encoding: snappy") && has("x-prometheus-remote-write-version: 0.1.0"));
        assert!(has("content-type: application/x-protobuf"), "{head}");
        (Form::V1, oracle::samples(&snappy()).unwrap())
    }
}

/// The verdicts of one write for each entry, and the forms of all requests.
async fn exchange(
    writes: usize,
    answers: &[String],
    change: impl FnOnce(&mut config::Prometheus),
) -> (Vec<String>, Vec<Form>) {
    let (url, server) = receiver(answers);
    let sink = sink(url, change);
    let batch = batch(&[("a", 1), ("b", 2)]);
    let mut verdicts = Vec::new();
    for _ in 0..writes {
        verdicts.push(crate::sink::tests::verdict_of(&sink.write(&batch).await));
    }
    let requests: Vec<_> = server.join().unwrap().iter().map(form).collect();
    let expected = oracle::samples(&batch.body()).unwrap();
    assert!(requests.iter().all(|(_, samples)| *samples == expected), "{requests:?}");
    (verdicts, requests.into_iter().map(|(form, _)| form).collect())
}

fn auto(config: &mut config::Prometheus) {
    config.message = ProtobufMessage::Auto;
}

fn v2(config: &mut config::Prometheus) {
    config.message = ProtobufMessage::V2;
}

fn zstd(config: &mut config::Prometheus) {
    config.compression = Compression::Zstd;
}

#[tokio::test]
async fn a_receiver_that_knows_2_0_gets_it() {
    let answers = vec![format!("204 No Content\r\n{COUNT}: 2"); 2];
    assert_eq!(exchange(2, &answers, auto).await.1, [Form::V2; 2]);
    let (verdicts, forms) = exchange(2, &answers, v2).await;
    assert_eq!((verdicts, forms), (vec!["written".into(); 2], vec![Form::V2; 2]));
}

#[tokio::test]
async fn a_receiver_that_does_not_know_2_0_gets_1_0_at_once_and_from_then_on() {
    for refusal in ["415 Unsupported Media Type", "400 Bad Request", "204 No Content", "200 OK"] {
        let taken = "204 No Content";
        let answers = [refusal, taken, taken].map(str::to_owned);
        let (verdicts, forms) = exchange(2, &answers, auto).await;
        assert_eq!(verdicts, ["written", "written"], "{refusal}");
        assert_eq!(forms, [Form::V2, Form::V1, Form::V1], "{refusal}");
    }
}

#[tokio::test]
async fn what_refuses_every_form_is_asked_for_the_wanted_one_again() {
    let answers = ["415 No", "415 No", "415 No", "204 No Content"].map(str::to_owned);
    let (verdicts, forms) = exchange(2, &answers, auto).await;
    assert_eq!(verdicts, ["misconfigured", "written"]);
    assert_eq!(forms, [Form::V2, Form::V1, Form::V2, Form::V1]);
}

#[tokio::test]
async fn a_receiver_that_is_down_is_not_taken_for_an_old_one() {
    let counted = format!("204 No Content\r\n{COUNT}: 2");
    let answers = ["503 Service Unavailable".to_owned(), "429 Slow".to_owned(), counted];
    let (verdicts, forms) = exchange(3, &answers, auto).await;
    assert_eq!(verdicts, ["unavailable", "unavailable", "written"]);
    assert_eq!(forms, [Form::V2; 3]);
}

#[tokio::test]
async fn only_2_0_is_sent_where_only_2_0_is_wanted() {
    let answers = ["204 No Content", "415 No"].map(str::to_owned);
    let (verdicts, forms) = exchange(2, &answers, v2).await;
    assert_eq!((verdicts, forms), (vec!["misconfigured".into(); 2], vec![Form::V2; 2]));
}

#[tokio::test]
async fn a_receiver_that_does_not_know_zstd_gets_snappy_at_once_and_from_then_on() {
    for refusal in ["415 Unsupported Media Type", "400 Bad Request"] {
        let answers = [refusal, "204 No Content", "204 No Content"].map(str::to_owned);
        let (verdicts, forms) = exchange(2, &answers, zstd).await;
        assert_eq!(verdicts, ["written", "written"], "{refusal}");
        assert_eq!(forms, [Form::V1Zstd, Form::V1, Form::V1], "{refusal}");
    }
    let answers = vec!["204 No Content".to_owned(); 2];
    assert_eq!(exchange(2, &answers, zstd).await.1, [Form::V1Zstd; 2]);
}

#[tokio::test(start_paused = true)]
async fn after_an_hour_the_wanted_form_is_tried_again() {
    let sink = sink("http://localhost/".into(), auto);
    assert_eq!(sink.forms.now(), Form::V2);
    sink.forms.keep_instead();
    tokio::time::advance(Duration::from_secs(3599)).await;
    assert_eq!(sink.forms.now(), Form::V1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(sink.forms.now(), Form::V2);
}

#[tokio::test]
async fn a_check_says_what_a_receiver_of_1_0_makes_of_2_0() {
    for (answers, change, expected) in [
        (vec!["204 No Content".to_owned()], v2 as fn(&mut config::Prometheus), State::Failed),
        (vec!["204 No Content".to_owned(); 2], auto, State::Ok),
        (vec![format!("204 No Content\r\n{COUNT}: 0")], v2, State::Ok),
    ] {
        let (url, server) = receiver(&answers);
        let findings = sink(url, change).check(&Destination::default()).await.unwrap();
        server.join().unwrap();
        let write = findings.iter().find(|finding| finding.item == "write").unwrap();
        assert_eq!(write.state, expected, "{write:?}");
        let mend = write.mend.as_deref().unwrap_or_default();
        assert_eq!(mend.contains("auto"), expected == State::Failed, "{mend}");
    }
}

#[tokio::test]
async fn metadata_goes_with_1_0_once_a_minute() {
    let (url, server) = receiver(&vec!["204 No Content".to_owned(); 3]);
    let about = crate::encode::MetricMetadata {
        kind: crate::config::raw::MetricType::Counter,
        help: "What it is.".into(),
        unit: "celsius".into(),
    };
    let sink = sink(url, |config| config.metadata = Metadata([("m_v".to_owned(), about)].into()));
    let batch = batch(&[("a", 1)]);
    for _ in 0..2 {
        sink.write(&batch).await.unwrap();
    }
    sink.entries_due.lock().unwrap().insert("".into(), Instant::now());
    sink.write(&batch).await.unwrap();
    let metadata = |(_, body): &Request| {
        let plain = snap::raw::Decoder::new().decompress_vec(body).unwrap();
        let request: oracle::v1::WriteRequest = prost::Message::decode(&*plain).unwrap();
        assert_eq!(request.timeseries.len(), 1);
        request.metadata
    };
    let expected = oracle::v1::MetricMetadata {
        kind: 1,
        metric_family_name: "m_v".into(),
        help: "What it is.".into(),
        unit: "celsius".into(),
    };
    let sent: Vec<_> = server.join().unwrap().iter().map(metadata).collect();
    assert_eq!(sent, [vec![expected.clone()], vec![], vec![expected]]);
}
