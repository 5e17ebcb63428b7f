//! Import: from the configuration of another connector to connector files.
//!
//! Kafka Connect's InfluxDB sinks (Stream Reactor's with KCQL, Confluent's), as properties or JSON, and
//! Telegraf's `inputs.kafka_consumer`. What has no counterpart is said, in the file and to the caller.

mod connect;
mod draft;
mod kcql;
mod properties;
mod telegraf;
#[cfg(test)]
mod tests;

pub use draft::Imported;

/// Why nothing can be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(pub String);

/// The connectors of a configuration, each a file of its own.
///
/// # Errors
/// When it is no configuration that is known, or misses what a connector can't do without.
pub fn import(text: &str) -> Result<Vec<Imported>, ImportError> {
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
    if trimmed.starts_with('{') {
        return connect::import(properties::of_json(trimmed)?);
    }
    // A TOML table's header; a key of properties never begins with a bracket.
    if trimmed.lines().any(|line| line.trim_start().starts_with("[[")) {
        return telegraf::import(text);
    }
    connect::import(properties::of_text(text))
}
