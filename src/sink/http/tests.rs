mod security;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;

/// A server for one connection, on which it does what `serve` says.
fn server<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:hunter2@{}/write?token=hunter3", listener.local_addr().unwrap());
    (url, std::thread::spawn(move || serve(listener.accept().unwrap().0)))
}

/// Reads one request, its headers in lower case.
pub(in crate::sink) fn request(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap().to_lowercase();
    let after = head.split_once("content-length: ").map(|(_, after)| after);
    let len = after.map_or("0", |after| after.split_once('\r').unwrap().0);
    let mut body = vec![0; len.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

fn http(url: &str, timeout_ms: u64) -> Http {
    Http::new(parse_url(url).unwrap(), &config::Http::default(), Duration::from_millis(timeout_ms))
        .unwrap()
}

async fn post(http: &Http) -> Result<Answer, SinkError> {
    Ok(http.exchange(&http.url, HeaderMap::new(), Bytes::from_static(b"points")).await?)
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// What comes back when the server answers with these bytes.
async fn exchange(bytes: Vec<u8>) -> Answer {
    let (url, thread) = server(move |mut stream| {
        request(&mut stream);
        stream.write_all(&bytes).unwrap();
    });
    let answer = post(&http(&url, 5000)).await.unwrap();
    thread.join().unwrap();
    answer
}

fn reason(error: &SinkError) -> String {
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter"), "a secret in {text}");
    text
}

#[tokio::test]
async fn a_request_carries_its_body_and_says_who_asks() {
    let (url, thread) = server(|mut stream| {
        let request = request(&mut stream);
        stream.write_all(&answer("204 No Content", "")).unwrap();
        request
    });
    assert_eq!(post(&http(&url, 5000)).await.unwrap().status, StatusCode::NO_CONTENT);
    let (head, body) = thread.join().unwrap();
    assert_eq!(body, b"points");
    assert!(head.starts_with("post /write?token=hunter3 http/1.1\r\n"), "{head}");
    assert!(head.contains(concat!("user-agent: tidegate/", env!("CARGO_PKG_VERSION"), "\r\n")));
    // From the address: user:hunter2.
    assert!(head.contains("authorization: basic dxnlcjpodw50zxiy\r\n"), "{head}");
}

#[tokio::test]
async fn requests_share_a_connection() {
    let (url, thread) = server(|mut stream| {
        for _ in 0..3 {
            request(&mut stream);
            stream.write_all(&answer("400 Bad Request", "no")).unwrap();
        }
    });
    let http = http(&url, 5000);
    for _ in 0..3 {
        assert_eq!(post(&http).await.unwrap().body, "no");
    }
    thread.join().unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_named_without_secrets() {
    let (url, thread) = server(drop);
    _ = TcpStream::connect(url.split_once('@').unwrap().1.split_once('/').unwrap().0);
    thread.join().unwrap();
    let error = post(&http(&url, 5000)).await.unwrap_err();
    let text = reason(&error);
    assert!(matches!(error, SinkError::Unavailable { retry_after: None, .. }), "{text}");
    assert!(text.contains("can't connect to 127.0.0.1:") && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_unavailable() {
    let (url, thread) = server(|mut stream| {
        request(&mut stream);
        stream.write_all(b"HTTP/1.1 204").unwrap();
    });
    let error = post(&http(&url, 5000)).await.unwrap_err();
    thread.join().unwrap();
    let text = reason(&error);
    assert!(matches!(error, SinkError::Unavailable { .. }), "{text}");
    assert!(text.contains("the exchange with 127.0.0.1:"), "{text}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_unavailable() {
    let (url, thread) = server(|mut stream| {
        request(&mut stream);
        // Until the client hangs up.
        _ = stream.read(&mut [0]);
    });
    let error = post(&http(&url, 200)).await.unwrap_err();
    // Waiting for the server here would keep the runtime from closing the connection.
    drop(thread);
    let text = reason(&error);
    assert!(text.contains("has not answered within 200ms"), "{text}");
}

#[tokio::test]
async fn a_body_that_stalls_does_not_undo_the_status() {
    let (url, thread) = server(|mut stream| {
        request(&mut stream);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 99\r\n\r\npart").unwrap();
        _ = stream.read(&mut [0]);
    });
    let answer = post(&http(&url, 300)).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (400, "part"));
    drop(thread);
}

#[tokio::test]
async fn of_a_long_body_the_beginning_and_the_end_are_kept() {
    let body = format!("{}{}the end", "x".repeat(MAX_BODY), "y".repeat(300_000));
    let answer = exchange(answer("400 Bad Request", &body)).await;
    assert_eq!((answer.body.len(), answer.tail.len()), (MAX_BODY, TAIL));
    assert!(answer.is_cut() && answer.tail.ends_with("yythe end"));
    let reason = answer.reason();
    assert!(reason.len() < 700 && reason.ends_with("the end"), "{reason}");
}

#[tokio::test]
async fn a_redirection_is_not_followed_and_no_success() {
    let head = "302 Found\r\nLocation: https://u:hunter2@login.example/x?token=hunter3";
    let answer = exchange(answer(head, "")).await;
    assert_eq!(answer.status, StatusCode::FOUND);
    let error = answer.general();
    let text = reason(&error);
    assert!(matches!(error, SinkError::Misconfigured { .. }), "{text}");
    assert!(text.contains("redirects to https://login.example:443/x"), "{text}");
}

#[tokio::test]
async fn retry_after_is_read_in_both_forms() {
    let wait = async |headers: &str| {
        let head = format!("503 Service Unavailable\r\n{headers}");
        match exchange(answer(&head, "")).await.unavailable() {
            SinkError::Unavailable { retry_after, .. } => retry_after.map(|wait| wait.as_secs()),
            error => panic!("{error:?}"),
        }
    };
    let date = "Date: Sun, 22 Nov 2026 22:00:00 GMT\r\n";
    let at = |time: &str| format!("{date}Retry-After: Sun, 22 Nov 2026 {time} GMT");
    assert_eq!(wait("Retry-After: 17").await, Some(17));
    assert_eq!(wait(&at("22:01:30")).await, Some(90));
    assert_eq!(wait(&at("21:00:00")).await, Some(0));
    assert_eq!(wait("Retry-After: 99999999").await, Some(3600));
    assert_eq!(wait("Retry-After: soon").await, None);
    assert_eq!(wait("Retry-After: -1").await, None);
    assert_eq!(wait("X-Nothing: 1").await, None);
}

#[test]
fn a_bad_address_is_refused_without_being_shown() {
    for url in ["http://user:hunter2@", "hunter2", "ftp://hunter2/x", "http://[hunter2/", "unix:/x"]
    {
        let error = parse_url(url).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn https_is_spoken_and_a_stranger_is_not_trusted() {
    let (url, thread) = server(|mut stream| {
        let mut hello = [0; 3];
        stream.read_exact(&mut hello).unwrap();
        hello
    });
    let error = post(&http(&url.replace("http://", "https://"), 5000)).await.unwrap_err();
    assert!(matches!(error, SinkError::Unavailable { .. }), "{}", reason(&error));
    // A TLS handshake, of TLS 1.0's record version.
    assert_eq!(thread.join().unwrap(), [0x16, 3, 1]);
}

#[test]
fn a_client_shows_its_host_only() {
    let shown = format!("{:?}", http("http://user:hunter2@localhost:1/x?token=hunter3", 1));
    assert!(shown.contains("localhost:1") && !shown.contains("hunter"), "{shown}");
}

#[test]
fn a_long_reason_keeps_its_beginning_and_its_end() {
    let text = format!("start {} end", "é".repeat(2000));
    let short = shorten(&text);
    assert!(short.starts_with("start é") && short.ends_with("é end") && short.len() < 620);
    assert_eq!(shorten("short"), "short");
}
