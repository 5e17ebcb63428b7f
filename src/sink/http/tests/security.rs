//! Logins, headers and proxies, and that nothing secret comes back out.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;
use crate::config::{Authorization, Credential, Secret};

/// A server for as many connections as come, which answers with what `answer` makes of a request's
/// head and body. It ends with the test's process.
fn endless(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (head, body) = verbatim(&mut stream);
            let head = head + &String::from_utf8_lossy(&body);
            // One request a connection, so that nothing waits for the one before.
            stream.write_all(&answer(&head)).unwrap();
        }
    });
    address
}

/// As `request`, with the letters' case kept.
fn verbatim(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return (String::new(), Vec::new());
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let lower = head.to_lowercase();
    let length = lower.split_once("content-length: ").map(|(_, rest)| rest.split_once('\r'));
    let length = length.flatten().map_or(0, |(length, _)| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

fn closing(status: &str, body: &str) -> Vec<u8> {
    answer(&format!("{status}\r\nConnection: close"), body)
}

fn with(url: &str, config: &config::Http) -> Http {
    Http::new(parse_url(url).unwrap(), config, Duration::from_secs(5)).unwrap()
}

fn token_file(file: &Path) -> config::Http {
    let token = Credential::File(file.to_owned());
    let authorization = Some(Authorization::Token { kind: "Bearer".into(), token });
    config::Http { authorization, ..config::Http::default() }
}

#[tokio::test]
async fn a_login_and_the_own_headers_are_sent() {
    let address = endless(|request| closing("200 OK", request));
    let password = Credential::Given(Secret::new("open sesame: é"));
    let config = config::Http {
        authorization: Some(Authorization::Basic { username: "Aladdin".into(), password }),
        headers: vec![("X-Scope-OrgID".into(), Secret::new("acme"))],
        ..config::Http::default()
    };
    let url = format!("http://{address}/");
    let answer = post(&with(&url, &config)).await.unwrap();
    // The login is masked on its way back, so it is looked for by what is left of it.
    assert!(answer.body.contains("authorization: Basic ***\r\n"), "{}", answer.body);
    assert!(answer.body.contains("x-scope-orgid: acme\r\n"), "{}", answer.body);
    let login = login::login(config.authorization.as_ref().unwrap()).get().unwrap();
    assert_eq!(login.header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZTogw6k=");
}

#[tokio::test]
async fn a_rotated_token_is_taken_up_on_the_first_401() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "one\n").unwrap();
    // Each token is good until a request with the next one has come.
    let address = endless(|request| match request {
        _ if request.contains("Bearer two\r\n") => closing("204 No Content", ""),
        _ => closing("401 Unauthorized", ""),
    });
    let http = with(&format!("http://{address}/"), &token_file(&file));
    assert_eq!(post(&http).await.unwrap().status, StatusCode::UNAUTHORIZED);
    std::fs::write(&file, "two\n").unwrap();
    assert_eq!(post(&http).await.unwrap().status, StatusCode::NO_CONTENT);
    std::fs::remove_file(&file).unwrap();
    // It is still known, and nothing has said that it is wrong.
    assert_eq!(post(&http).await.unwrap().status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_token_file_that_can_not_be_used_is_misconfigured_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let path = file.display().to_string();
    let address = endless(|_| closing("204 No Content", ""));
    let texts: [(Option<&[u8]>, &str); 5] = [
        (None, "can't be read: No such file"),
        (Some(b""), "is empty"),
        (Some(b"\n\n"), "is empty"),
        (Some(b"hunter2\nhunter2"), "more than one line"),
        (Some(b"hunter2\xff"), "is not text"),
    ];
    for (text, expected) in texts {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let http = with(&format!("http://{address}/"), &token_file(&file));
        let error = post(&http).await.unwrap_err();
        assert!(matches!(error, SinkError::Misconfigured { .. }), "{error:?}");
        let text = reason(&error);
        assert!(text.contains("`credentials_file`") && text.contains(&path), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_proxy_is_asked_with_its_login() {
    let proxy = endless(|request| match request {
        _ if request.contains("Basic dTpodW50ZXIy\r\n") => closing("200 OK", request),
        _ => closing("407 Proxy Authentication Required", request),
    });
    let through = |login: &str, target: &str| {
        let proxy = Some(Secret::new(format!("http://{login}{proxy}")));
        with(target, &config::Http { proxy, ..config::Http::default() })
    };
    let answer = post(&through("u:hunter2@", "http://db.example/x")).await.unwrap();
    assert!(answer.body.starts_with("POST http://db.example/x HTTP/1.1\r\n"), "{}", answer.body);
    let answer = post(&through("", "http://db.example/x")).await.unwrap();
    assert_eq!(answer.status.as_u16(), 407);
    let error = post(&through("u:hunter9@", "https://db.example/x")).await.unwrap_err();
    assert!(matches!(error, SinkError::Misconfigured { .. }), "{error:?}");
    assert!(reason(&error).contains("the proxy on the way to db.example:443 asks for a login"));
}

#[tokio::test]
async fn a_proxy_that_is_away_is_named_without_its_login() {
    let proxy = Some(Secret::new("http://u:hunter2@127.0.0.1:1"));
    let config = config::Http { proxy, ..config::Http::default() };
    let error = post(&with("https://db.example/x", &config)).await.unwrap_err();
    let text = reason(&error);
    assert!(text.contains("through the proxy 127.0.0.1:1"), "{text}");
}

/// What an error, a log line (which has the reason of an error) or a `Debug` may show.
fn shown(http: &Http, config: &config::Http, answer: &Answer) -> String {
    let general = answer.general();
    format!("{http:?} {config:?} {answer:?} {general} {general:?} {:?}", answer.too_large())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a server that sends back all that it was sent, with any status.
    #[test]
    fn no_secret_comes_back_out(
        kind in 0..3,
        secret in "[!-~]{4,40}",
        status in prop::sample::select(vec![400_u16, 401, 404, 407, 413, 422, 429, 500, 503]),
    ) {
        // Not part of what would be shown anyway.
        let secret = format!("x{secret}x").replace(['%', '+', '&', '#'], "~");
        let in_address: String = utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string();
        let address = endless(move |request| closing(&format!("{status} Because"), request));
        let given = Credential::Given(Secret::new(&secret));
        let authorization = match kind {
            0 => Some(Authorization::Token { kind: "Token".into(), token: given }),
            1 => Some(Authorization::Basic { username: "user".into(), password: given }),
            _ => None,
        };
        let headers = ["X-Api-Key", "X-Auth-Token", "Cookie"];
        let config = config::Http {
            authorization,
            headers: headers.map(|name| (name.to_owned(), Secret::new(&secret))).into(),
            proxy: Some(Secret::new(format!("http://u:{in_address}@{address}"))),
            ..config::Http::default()
        };
        let http = with(&format!("http://db.example/x?authKey={in_address}&token={in_address}"), &config);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(post(&http)).unwrap();
        prop_assert!(answer.body.contains("POST http://db.example/x"), "the server sends back");
        let shown = shown(&http, &config, &answer);
        prop_assert!(!shown.contains(&secret), "{} in {}", secret, shown);
        prop_assert!(!shown.contains(&in_address), "{} in {}", in_address, shown);
        for user in ["user", "u"] {
            let basic = BASE64_STANDARD.encode(format!("{user}:{secret}"));
            prop_assert!(!shown.contains(&basic), "{} in {}", basic, shown);
        }
    }
}
