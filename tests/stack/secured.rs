//! A broker that wants to know who its clients are.

use std::path::PathBuf;

use super::Kafka;
use super::process::{Process, free_port, start_script, started};

/// One broker with a listener of each kind. Its topics are made, and its groups seen, through `kafka()`, which asks
/// for nothing.
pub struct SecuredKafka {
    kafka: Kafka,
    /// SASL without TLS: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER.
    pub sasl: String,
    /// TLS, which asks for a client's certificate.
    pub tls: String,
    /// SASL over TLS.
    pub sasl_tls: String,
}

impl SecuredKafka {
    pub const USER: &'static str = "tidegate";
    /// Who may do nothing but what [`Self::allow`] lets it do.
    pub const LIMITED: &'static str = "limited";
    pub const PASSWORD: &'static str = "correct horse";

    pub fn start() -> Self {
        started(|| {
            let [controller, plaintext, sasl, tls, sasl_tls] =
                std::array::from_fn(|_| free_port().to_string());
            let arguments = [&controller, &plaintext, &sasl, &tls, &sasl_tls].map(String::as_str);
            let process = Process::start("kafka-secured.sh", &arguments);
            let at = |port| format!("127.0.0.1:{port}");
            let mut kafka = Kafka { bootstrap: at(plaintext), replicas: 1, process: Some(process) };
            kafka.became_ready()?;
            Ok(Self { kafka, sasl: at(sasl), tls: at(tls), sasl_tls: at(sasl_tls) })
        })
    }

    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// Gives the user another password, for SCRAM-SHA-256 only.
    pub fn set_password(&self, password: &str) {
        let arguments = [self.kafka.bootstrap(), Self::USER, password];
        let output = start_script("kafka-password.sh").args(arguments).output().expect("bash");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Lets [`Self::LIMITED`] do something, as Kafka's own command says it: `--operation read --topic t`.
    pub fn allow(&self, what: &[&str]) {
        let who = format!("User:{}", Self::LIMITED);
        let arguments =
            ["--bootstrap-server", self.kafka.bootstrap(), "--add", "--allow-principal", &who];
        let output =
            start_script("kafka-acls.sh").args(arguments).args(what).output().expect("bash");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The folder of the PEM files.
    pub fn certificates(&self) -> PathBuf {
        let process = self.kafka.process.as_ref().expect("it has been started");
        process.folder.path().join("data/certificates")
    }

    /// The path of a PEM file: `ca`, `client`, `client-key`, `stranger` or `stranger-key` (of an authority that the
    /// broker doesn't trust), `other` (that authority).
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.certificates().join(format!("{name}.pem"))
    }
}
