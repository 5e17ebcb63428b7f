//! Encryption and logins, against a real Prometheus that demands a client certificate and a password: each mistake
//! gives one line that names its mend, and what is rotated is taken up by itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that has no server can only panic")]

mod stack;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegate::batch::{Batch, OpenBatch, RecordIndex};
use tidegate::config::{self, Authorization, Credential, Secret, Tls};
use tidegate::point::{Float, Point, Timestamp, Value};
use tidegate::sink::{Sink, SinkError, Write as _};
use tokio::runtime::Runtime;

use stack::Prometheus;

/// bcrypt of the two passwords, at its least cost.
const FIRST: (&str, &str) =
    ("first-hunter2", "$2b$04$abcdefghijklmnopqrstuuAgOKWw0ll0TonimGpBaW.J8X6j/cGxm");
const SECOND: (&str, &str) =
    ("second-hunter2", "$2b$04$abcdefghijklmnopqrstuuYDwCiETXVv/P1QsuUokY8d7UXV8zLSW");
/// Long enough for files to be looked at again, on a loaded machine.
const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// A Prometheus behind TLS, and a folder with certificates and a password.
struct Secured {
    folder: TempDir,
    server: Prometheus,
    runtime: Runtime,
}

impl Secured {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        stack::make_certificates(folder.path());
        let web = folder.path().join("web.yml");
        write_web(&web, "server", FIRST.1);
        fs::write(folder.path().join("password"), format!("{}\n", FIRST.0)).unwrap();
        let server = Prometheus::start_secured(&web);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let secured = Self { folder, server, runtime };
        // Its port is open before it takes anything.
        secured.heals(&secured.sink(|_| {}));
        secured
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the server now demands, and shows of itself.
    fn now(&self, certificate: &str, bcrypt: &str) {
        write_web(&self.path("web.yml"), certificate, bcrypt);
    }

    /// All that is needed to be let in.
    fn config(&self) -> config::Prometheus {
        let password = Credential::File(self.path("password"));
        config::Prometheus {
            http: config::Http {
                authorization: Some(Authorization::Basic { username: "tidegate".into(), password }),
                tls: Tls {
                    ca: Some(self.path("ca.pem")),
                    identity: Some((self.path("client.pem"), self.path("client-key.pem"))),
                    insecure: false,
                },
                ..config::Http::default()
            },
            ..config::Prometheus::at(self.server.write_url())
        }
    }

    fn sink(&self, change: impl FnOnce(&mut config::Prometheus)) -> Sink {
        let mut config = self.config();
        change(&mut config);
        Sink::new(&config::Sink::Prometheus(config), Duration::from_secs(20)).unwrap()
    }

    fn write(&self, sink: &Sink) -> Result<(), SinkError> {
        self.runtime.block_on(sink.write(&one_point(sink)))
    }

    /// The reason why a write is refused until a person mends something.
    fn refusal(&self, sink: &Sink) -> String {
        match self.write(sink) {
            Err(SinkError::Misconfigured { reason }) => reason,
            other => panic!("misconfigured was expected, not {other:?}"),
        }
    }

    /// Writes until it works.
    fn heals(&self, sink: &Sink) {
        let deadline = Instant::now() + HEALED_WITHIN;
        while let Err(error) = self.write(sink) {
            assert!(Instant::now() < deadline, "it does not heal: {error:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn write_web(file: &Path, certificate: &str, bcrypt: &str) {
    let text = format!(
        "tls_server_config:\n  cert_file: {certificate}.pem\n  key_file: {certificate}-key.pem\n  \
         client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n\
         basic_auth_users:\n  tidegate: {bcrypt}\n"
    );
    // At once, because the server reads it for every request.
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

/// Always the same one, which Prometheus takes any number of times.
fn one_point(sink: &Sink) -> Batch {
    let (mut encoder, mut open) = (sink.encoder(), OpenBatch::default());
    let point = Point {
        measurement: "secured".into(),
        tags: Vec::new(),
        fields: vec![("value".into(), Value::Float(Float::from_number(1.0).unwrap()))],
        timestamp: Timestamp::from_millis(1_700_000_000_000).unwrap(),
        to: "".into(),
    };
    encoder.encode(&point, RecordIndex(0), &mut open).unwrap();
    encoder.close(&mut open)
}

#[test]
fn each_mistake_is_one_line_that_names_its_mend() {
    let secured = Secured::start();
    let refused = |change: &dyn Fn(&mut config::Prometheus), parts: &[&str]| {
        let reason = secured.refusal(&secured.sink(change));
        for part in parts {
            assert!(reason.contains(part), "{part} is not in: {reason}");
        }
        assert!(!reason.contains('\n') && !reason.contains("hunter2"), "{reason}");
    };
    let identity = |name: &str| {
        Some((secured.path(&format!("{name}.pem")), secured.path(&format!("{name}-key.pem"))))
    };

    refused(
        &|c| c.http.tls.ca = None,
        &["an authority that is not trusted", "`tls_config.ca_file`"],
    );
    let stranger = secured.path("other.pem");
    refused(&|c| c.http.tls.ca = Some(stranger.clone()), &["an authority that is not trusted"]);
    refused(&|c| c.http.tls.identity = None, &["asks for a client certificate", "`key_file`"]);
    let strange = identity("stranger");
    refused(&|c| c.http.tls.identity = strange.clone(), &["refuses the client certificate"]);
    let mixed = Some((secured.path("client.pem"), secured.path("server-key.pem")));
    refused(&|c| c.http.tls.identity = mixed.clone(), &["client.pem", "server-key.pem"]);
    refused(&|c| c.http.authorization = None, &["401"]);
    refused(&|c| c.url = c.url.replace("https", "http"), &["400", "HTTPS"]);
    for (key, missing) in [("ca_file", "ca"), ("cert_file", "client")] {
        let gone = secured.path("gone.pem");
        let change = |c: &mut config::Prometheus| match missing {
            "ca" => c.http.tls.ca = Some(gone.clone()),
            _ => c.http.tls.identity = Some((gone.clone(), gone.clone())),
        };
        refused(&change, &[key, "gone.pem can't be read"]);
    }
    let password = Credential::Given(Secret::new("wrong-hunter2"));
    let wrong = Authorization::Basic { username: "tidegate".into(), password };
    refused(&|c| c.http.authorization = Some(wrong.clone()), &["401"]);

    secured.now("expired", FIRST.1);
    refused(&|_| {}, &["has expired", "renew it on the server"]);
    secured.now("misnamed", FIRST.1);
    refused(&|_| {}, &["not for the name 127.0.0.1", "db.example"]);
    secured.now("strange-server", FIRST.1);
    refused(&|_| {}, &["an authority that is not trusted"]);
    let sink = secured.sink(|c| {
        c.http.tls.ca = None;
        c.http.tls.insecure = true;
    });
    assert_eq!(secured.write(&sink), Ok(()), "any server is trusted");
}

#[test]
fn an_address_that_is_not_encrypted_is_told_apart() {
    let server = Prometheus::start();
    let secured = Secured::start();
    let sink = secured.sink(|config| {
        config.url = server.write_url().replace("http", "https");
    });
    let reason = secured.refusal(&sink);
    assert!(reason.contains("does not answer in TLS"), "{reason}");
}

#[test]
fn a_rotated_password_is_taken_up_by_the_write_that_needs_it() {
    let secured = Secured::start();
    let sink = secured.sink(|_| {});
    assert_eq!(secured.write(&sink), Ok(()));
    secured.now("server", SECOND.1);
    assert!(secured.refusal(&sink).contains("401"));
    fs::write(secured.path("password"), SECOND.0).unwrap();
    assert_eq!(secured.write(&sink), Ok(()));
}

#[test]
fn rotated_certificates_are_taken_up() {
    let secured = Secured::start();
    let sink = secured.sink(|_| {});
    assert_eq!(secured.write(&sink), Ok(()));
    // Both sides move to another authority: first the server shows another certificate …
    let of_stranger = secured.path("other.pem");
    secured.now("strange-server", FIRST.1);
    let other = secured.sink(|config| config.http.tls.ca = Some(of_stranger.clone()));
    assert_eq!(secured.write(&other), Ok(()));
    assert!(secured.refusal(&secured.sink(|_| {})).contains("not trusted"));
    // … which the sink that has been made before trusts when its file says so. The server's own list of
    // authorities is the same file, so it asks for another client certificate, too.
    fs::copy(&of_stranger, secured.path("ca.pem")).unwrap();
    for ending in [".pem", "-key.pem"] {
        let stranger = secured.path(&format!("stranger{ending}"));
        fs::copy(stranger, secured.path(&format!("client{ending}"))).unwrap();
    }
    secured.heals(&sink);
    // A file that is gone is misconfigured, and not the end of anything.
    let kept = fs::read(secured.path("client-key.pem")).unwrap();
    fs::remove_file(secured.path("client-key.pem")).unwrap();
    let deadline = Instant::now() + HEALED_WITHIN;
    while secured.write(&sink).is_ok() {
        assert!(Instant::now() < deadline, "the missing file is not noticed");
        thread::sleep(Duration::from_millis(100));
    }
    assert!(secured.refusal(&sink).contains("client-key.pem can't be read"));
    fs::write(secured.path("client-key.pem"), kept).unwrap();
    secured.heals(&sink);
}
