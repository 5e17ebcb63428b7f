//! What a file of lines holds, read by parsers that others wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use influxdb_line_protocol::{FieldValue, parse_lines};
use serde_json::Value as Json;
use tempfile::TempDir;
use tidegate::config::{self, raw::LineFormat};

use super::database::{Stored, number};

/// A folder with the file in it.
pub struct Lines {
    folder: TempDir,
    format: LineFormat,
}

impl Lines {
    pub fn new(format: LineFormat) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), format }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("points")
    }

    pub fn config(&self) -> config::Sink {
        config::Sink::File(config::File {
            path: self.path(),
            format: self.format,
            max_bytes: 1_000_000_000.try_into().unwrap(),
            max_age: None,
            keep: None,
        })
    }

    pub fn read(&self) -> Vec<Stored> {
        match self.format {
            LineFormat::LineProtocol => line_protocol(&self.path()),
            LineFormat::JsonLines => json_lines(&self.path()),
        }
    }
}

fn line_protocol(path: &Path) -> Vec<Stored> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut stored = Vec::new();
    for line in parse_lines(&text) {
        let line = line.unwrap();
        let tags = line.series.tag_set.iter().flatten();
        let mut tags: BTreeMap<_, _> =
            tags.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        tags.remove("case");
        for (field, value) in &line.field_set {
            stored.push(Stored {
                name: line.series.measurement.to_string(),
                tags: tags.clone(),
                field: field.to_string(),
                nanos: line.timestamp.unwrap(),
                value: match value {
                    FieldValue::F64(value) => number(*value),
                    FieldValue::I64(value) => format!("int {value}"),
                    FieldValue::U64(value) => format!("uint {value}"),
                    FieldValue::Boolean(value) => format!("bool {value}"),
                    FieldValue::String(value) => format!("string {value}"),
                },
            });
        }
    }
    stored
}

fn json_lines(path: &Path) -> Vec<Stored> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut stored = Vec::new();
    for line in text.lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        let time: jiff::Timestamp = text(&line["time"]).parse().unwrap();
        let tags = line["tags"].as_object().unwrap().iter();
        let mut tags: BTreeMap<_, _> =
            tags.map(|(name, value)| (name.clone(), text(value))).collect();
        tags.remove("case");
        for (field, value) in line["fields"].as_object().unwrap() {
            stored.push(Stored {
                name: text(&line["measurement"]),
                tags: tags.clone(),
                field: field.clone(),
                nanos: time.as_nanosecond().try_into().unwrap(),
                value: match value {
                    Json::String(value) => format!("string {value}"),
                    Json::Bool(value) => format!("bool {value}"),
                    Json::Number(value) if value.is_f64() => number(value.as_f64().unwrap()),
                    // JSON has no other type for those without a sign.
                    value => format!("int {value}"),
                },
            });
        }
    }
    stored
}
