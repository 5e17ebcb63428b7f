use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;

/// A registry of a few answers, by the path and query: `(status, body)`.
struct Fake {
    url: String,
    answers: Arc<Mutex<HashMap<String, (u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { url, answers: Arc::default(), asked: Arc::default() };
        let (answers, asked) = (Arc::clone(&fake.answers), Arc::clone(&fake.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &answers, &asked);
            }
        });
        fake
    }

    fn has(&self, path: &str, status: u16, body: &str) {
        self.answers.lock().unwrap().insert(path.into(), (status, body.into()));
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    answers: &Mutex<HashMap<String, (u16, String)>>,
    asked: &Mutex<Vec<String>>,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let login = lines.take_while(|line| !line.is_empty());
    let login = login.filter(|line| line.to_ascii_lowercase().starts_with("authorization")).count();
    asked.lock().unwrap().push(format!("{path}{}", "!".repeat(login)));
    let unknown = (404, r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#.to_owned());
    let (status, body) = answers.lock().unwrap().get(&path).cloned().unwrap_or(unknown);
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
}

fn registry(urls: &[&str]) -> Registry<Fetched> {
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    let http = config::Http {
        authorization: Some(config::Authorization::Basic {
            username: "reader".into(),
            password: config::Credential::Given(config::Secret::new("hunter2")),
        }),
        ..config::Http::default()
    };
    Registry::new(config::Registry { urls, http }, |fetched| Ok(fetched.clone()))
}

fn outage(taken: Result<&Fetched, Refusal>) -> String {
    match taken {
        Err(Refusal::Unavailable(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn rejection(taken: Result<&Fetched, Refusal>) -> String {
    match taken {
        Err(Refusal::Rejected(reject)) => reject.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_schema_is_fetched_once_with_what_it_refers_to() {
    let fake = Fake::start();
    let reference = r#"{"name":"b.proto","subject":"b/c","version":3}"#;
    let main = format!(r#"{{"schema":"A","schemaType":"PROTOBUF","references":[{reference}]}}"#);
    fake.has("/base/schemas/ids/7", 200, &main);
    let inner = r#"{"name":"c.proto","subject":"c","version":1}"#;
    let b = format!(r#"{{"subject":"b","id":1,"version":3,"schema":"B","references":[{inner}]}}"#);
    fake.has("/base/subjects/b%2Fc/versions/3?deleted=true", 200, &b);
    // It refers to its own user: no loop.
    let c = format!(r#"{{"schema":"C","references":[{reference}]}}"#);
    fake.has("/base/subjects/c/versions/1?deleted=true", 200, &c);
    let url = format!("{}/base/", fake.url);
    let mut registry = registry(&[&url]);
    for _ in 0..3 {
        let schema = registry.schema(Id::Number(7)).unwrap();
        assert_eq!((schema.kind.as_str(), schema.text.as_str()), ("PROTOBUF", "A"));
        let references: Vec<_> = schema.references.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(references, ["c.proto", "b.proto"]);
    }
    // Each with the login.
    let asked = fake.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked.iter().all(|path| path.ends_with('!')), "{asked:?}");
}

#[test]
fn a_schema_that_the_registry_does_not_have_is_the_records_fault_and_all_else_is_an_outage() {
    let fake = Fake::start();
    let mut registry = registry(&[&fake.url]);
    fake.has("/schemas/ids/1", 404, r#"{"error_code":40403,"message":"Schema 1 not found"}"#);
    assert!(rejection(registry.schema(Id::Number(1))).contains("does not have it"));
    // Another server answers at this address, or a proxy.
    assert!(outage(registry.schema(Id::Number(2))).contains("404"));
    for (status, body) in
        [(401, ""), (500, r#"{"error_code":50001,"message":"store"}"#), (200, "x")]
    {
        fake.has("/schemas/ids/3", status, body);
        outage(registry.schema(Id::Number(3)));
    }
    fake.has("/schemas/ids/3", 200, r#"{"schema":"\"int\""}"#);
    assert_eq!(registry.schema(Id::Number(3)).unwrap().kind, "AVRO");
}

#[test]
fn a_registry_that_is_away_is_an_outage_until_another_address_answers() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("http://{free}");
    let reason = outage(registry(&[&away]).schema(Id::Number(1)));
    assert!(reason.contains("can't connect"), "{reason}");
    let fake = Fake::start();
    fake.has("/schemas/ids/1", 200, r#"{"schema":"x"}"#);
    assert_eq!(registry(&[&away, &fake.url]).schema(Id::Number(1)).unwrap().text, "x");
}

#[test]
fn a_schemas_guid_is_asked_for_as_it_is_written() {
    let fake = Fake::start();
    let path = "/schemas/guids/89791762-2336-4186-9674-299b90a802e2";
    fake.has(path, 200, r#"{"schema":"x"}"#);
    let guid = 0x8979_1762_2336_4186_9674_299b_90a8_02e2_u128.to_be_bytes();
    assert_eq!(registry(&[&fake.url]).schema(Id::Guid(guid)).unwrap().text, "x");
}
