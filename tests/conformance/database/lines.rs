//! What a file of lines holds, read by parsers that others wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use influxdb_line_protocol::parse_lines;
use serde_json::Value as Json;
use tempfile::TempDir;
use tidegate::config::{self, raw::LineFormat};

use super::{Stored, number};
use crate::conformance::fake::typed;

/// A file of lines: of the sink `file`, or what the standard output of this process goes to.
pub struct Lines {
    path: PathBuf,
    format: LineFormat,
    is_stdout: bool,
    /// Goes when this goes.
    _folder: Option<TempDir>,
}

/// Names the file that the standard output goes to, in a process that a test has started for that.
pub const STDOUT_FILE: &str = "TIDEGATE_TEST_STDOUT_FILE";

impl Lines {
    pub fn file(format: LineFormat) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("points");
        Self { path, format, is_stdout: false, _folder: Some(folder) }
    }

    pub fn stdout() -> Self {
        let path = std::env::var_os(STDOUT_FILE).expect("a process of its own").into();
        Self { path, format: LineFormat::JsonLines, is_stdout: true, _folder: None }
    }

    pub fn config(&self) -> config::Sink {
        if self.is_stdout {
            return config::Sink::Stdout(self.format);
        }
        config::Sink::File(config::File {
            path: self.path.clone(),
            format: self.format,
            max_bytes: 1_000_000_000.try_into().unwrap(),
            max_age: None,
            keep: None,
        })
    }

    pub fn read(&self) -> Vec<Stored> {
        match self.format {
            LineFormat::LineProtocol => line_protocol(&self.path),
            LineFormat::JsonLines => json_lines(&self.path),
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
                value: typed(value),
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
