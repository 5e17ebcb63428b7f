//! Kafka Connect's configuration: names and values, in either of its two spellings.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::ImportError;

/// By name.
pub(super) type Properties = BTreeMap<String, String>;

/// A Java properties file, of which Kafka Connect reads: `name=value` or `name: value`, comments with `#`
/// or `!`, and lines that go on behind a backslash.
pub(super) fn of_text(text: &str) -> Properties {
    let mut properties = Properties::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut line = line.trim().to_owned();
        if line.starts_with(['#', '!']) {
            continue;
        }
        while let Some(begun) = line.strip_suffix('\\') {
            line = format!("{begun}{}", lines.next().unwrap_or_default().trim());
        }
        if let Some((name, value)) = line.split_once(['=', ':']) {
            properties.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    properties
}

/// The body of a request to Kafka Connect: `{"name": …, "config": {…}}`, or the inner object alone.
pub(super) fn of_json(text: &str) -> Result<Properties, ImportError> {
    let json: Json =
        serde_json::from_str(text).map_err(|error| ImportError(format!("not JSON: {error}")))?;
    let config = json.get("config").unwrap_or(&json);
    let Some(object) = config.as_object() else {
        return Err(ImportError("no JSON object with a connector's configuration".into()));
    };
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let mut properties: Properties =
        object.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    if let Some(name) = json.get("name").and_then(Json::as_str) {
        properties.entry("name".into()).or_insert_with(|| name.into());
    }
    Ok(properties)
}
