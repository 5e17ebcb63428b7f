//! What goes wrong between here and the brokers, in librdkafka's and the brokers' own words, and
//! where to look.

use rdkafka::error::KafkaError as LibraryError;

/// Texts of librdkafka and the brokers (seen with Kafka 4.3), and what to look at then. The first
/// that is found counts.
const ADVICE: &[(&str, &str)] = &[
    (".location failed", "can this process read the file, and is it PEM?"),
    // These say themselves which property it is.
    ("security.protocol", ""),
    ("ssl.ca.location", ""),
    ("PLAINTEXT broker listener", "look at security.protocol"),
    ("certificate verify failed", "look at ssl.ca.location"),
    ("bad certificate", CLIENT_CERTIFICATE),
    ("certificate required", CLIENT_CERTIFICATE),
    ("unknown ca", CLIENT_CERTIFICATE),
    ("SASL authentication error", "look at sasl.mechanism, sasl.username and sasl.password"),
    ("mechanism", "look at sasl.mechanism"),
    ("resolve", "look at bootstrap.servers"),
    (
        "Inconsistent group protocol",
        "all members of a group must have the same partition.assignment.strategy",
    ),
    ("Group authorization failed", "grant its user READ on the group"),
    ("Topic authorization failed", "grant its user READ on the topic"),
    // What a broker says to a producer that may write no topic at all.
    (
        "Cluster authorization failed",
        "grant its user WRITE and DESCRIBE on the topic (and IDEMPOTENT_WRITE on the cluster before Kafka 2.8)",
    ),
    ("Connection refused", "look at bootstrap.servers"),
    (
        "Disconnected",
        "if it was never connected, look at security.protocol: this port may want TLS or SASL",
    ),
];
const CLIENT_CERTIFICATE: &str = "the broker doesn't accept this client's certificate: look at ssl.certificate.location and \
     ssl.key.location";

/// What an error of the client library says, without a secret.
pub(super) fn words(error: &LibraryError) -> String {
    match error {
        // Not the value: it may be a password or a key.
        LibraryError::ClientConfig(_, reason, property, _) => format!("{property}: {reason}"),
        error => error.to_string(),
    }
}

/// A line for the log from librdkafka's text of an error.
pub(super) fn explained(words: &str) -> String {
    match advised(words) {
        (words, Some(advice)) => format!("{words}; {advice}"),
        (words, None) => words.to_owned(),
    }
}

/// The text without its history, and what to look at.
pub(super) fn advised(words: &str) -> (&str, Option<&'static str>) {
    let words = without_history(words);
    let advice = ADVICE.iter().find(|(text, _)| words.contains(text));
    (words, advice.map(|(_, advice)| *advice).filter(|advice| !advice.is_empty()))
}

/// librdkafka's log line of a failed connection, without the name of its thread.
pub(super) fn of_log_line(line: &str) -> &str {
    match line.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")) {
        Some((_, words)) => words,
        None => line,
    }
}

/// `… (after 3ms in state SSL_HANDSHAKE, 7 identical error(s) suppressed)`
fn without_history(words: &str) -> &str {
    words.rsplit_once(" (after ").map_or(words, |(words, _)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_to_look() {
        let refused = "sasl_plaintext://k:9092/bootstrap: SASL authentication error: Authentication failed: Invalid \
                       username or password (after 302ms in state AUTH_REQ, 1 identical error(s) suppressed)";
        assert_eq!(
            explained(refused),
            "sasl_plaintext://k:9092/bootstrap: SASL authentication error: Authentication failed: Invalid username or \
             password; look at sasl.mechanism, sasl.username and sasl.password"
        );
        assert_eq!(
            explained("ssl://k:9093/1: certificate verify failed (after 3ms in state X)"),
            "ssl://k:9093/1: certificate verify failed; look at ssl.ca.location"
        );
        let known =
            "certificate verify failed: verify that ssl.ca.location is correctly configured";
        assert_eq!(explained(known), known);
        assert_eq!(explained("3/3 brokers are down"), "3/3 brokers are down");
        let other = explained("JoinGroup failed: Broker: Inconsistent group protocol");
        assert!(other.ends_with("must have the same partition.assignment.strategy"), "{other}");
    }

    #[test]
    fn a_log_line_is_told_without_its_thread() {
        let line = "[thrd:127.0.0.1:9093/bootstrap]: 127.0.0.1:9093/bootstrap: Disconnected";
        assert_eq!(of_log_line(line), "127.0.0.1:9093/bootstrap: Disconnected");
        assert_eq!(of_log_line("anything"), "anything");
    }
}
