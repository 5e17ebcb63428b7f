//! Names of metrics and labels, and how long and how many they may be.

use std::borrow::Cow;

use crate::config::raw::{NameScheme, Strings};

/// How a point becomes series, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesRules {
    /// What a metric's name is made of. `None`: `{measurement}_{field}`, and just `{measurement}` for
    /// a field of the name `value`, as `influxdb_exporter` does.
    pub metric_name: Option<Vec<NamePiece>>,
    /// Which characters names may have.
    pub scheme: NameScheme,
    /// What becomes of string fields.
    pub strings: Strings,
    /// What is not to be sent, because the database drops it.
    pub limits: LabelLimits,
}

/// A piece of a metric's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePiece {
    Text(String),
    Measurement,
    Field,
}

/// The most of what a database takes; names and values in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelLimits {
    /// Labels of a series, `__name__` among them.
    pub labels: usize,
    /// A label's name.
    pub name: usize,
    /// A label's value, or a metric's name, which is the value of `__name__`.
    pub value: usize,
}

impl Default for LabelLimits {
    /// Beyond these VictoriaMetrics drops a series behind a 204 (`lib/timeserieslimits`; 30 labels
    /// in its versions before 2025, as in Mimir, and 40 since).
    fn default() -> Self {
        Self { labels: 30, name: 256, value: 4096 }
    }
}

impl SeriesRules {
    /// The name of a field's metric.
    pub fn metric(&self, measurement: &str, field: &str) -> String {
        let mut metric = Vec::new();
        self.put_metric(&mut metric, measurement, field);
        String::from_utf8_lossy(&metric).into_owned()
    }

    /// The name of a tag's label.
    pub fn label<'a>(&self, tag: &'a str) -> Cow<'a, str> {
        if self.scheme == NameScheme::Utf8 || is_legal_name(tag, false) {
            return Cow::Borrowed(tag);
        }
        let mut label = Vec::new();
        self.push_label_name(&mut label, tag);
        Cow::Owned(String::from_utf8_lossy(&label).into_owned())
    }

    /// Whether several fields of one point have metrics of their own.
    pub fn tells_fields_apart(&self) -> bool {
        self.metric_name.as_ref().is_none_or(|pieces| pieces.contains(&NamePiece::Field))
    }

    /// Whether a field's name stays as it is in a metric's.
    pub(super) fn keeps(&self, field: &str) -> bool {
        self.scheme == NameScheme::Utf8 || field.bytes().all(|byte| is_legal(byte, true))
    }

    /// Whether the metrics of two fields of a point would have one name.
    pub(crate) fn are_one_metric(&self, field: &str, other: &str) -> bool {
        !self.tells_fields_apart()
            || (self.scheme == NameScheme::Legacy
                && field.chars().map(metric_byte).eq(other.chars().map(metric_byte)))
    }

    /// What of a measurement and a field goes into a metric's name. What a template leaves out is the
    /// same for all.
    pub(super) fn parts<'a>(&self, measurement: &'a str, field: &'a str) -> (&'a str, &'a str) {
        let Some(pieces) = &self.metric_name else { return (measurement, field) };
        let part = |piece: &NamePiece, text| if pieces.contains(piece) { text } else { "" };
        (part(&NamePiece::Measurement, measurement), part(&NamePiece::Field, field))
    }

    /// Puts the metric's name in the place of what is there.
    pub(super) fn put_metric(&self, metric: &mut Vec<u8>, measurement: &str, field: &str) {
        metric.clear();
        match &self.metric_name {
            // Whether the point has other fields plays no part: a series' name must not change when
            // an optional field is missing.
            None => {
                self.push_metric(metric, measurement);
                if field != "value" {
                    metric.push(b'_');
                    self.push_metric(metric, field);
                }
            }
            Some(pieces) => {
                for piece in pieces {
                    let text = match piece {
                        NamePiece::Text(text) => text,
                        NamePiece::Measurement => measurement,
                        NamePiece::Field => field,
                    };
                    self.push_metric(metric, text);
                }
            }
        }
        self.begin_legally(metric, 0);
    }

    fn push_metric(&self, metric: &mut Vec<u8>, text: &str) {
        if self.keeps(text) {
            metric.extend_from_slice(text.as_bytes());
        } else {
            metric.extend(text.chars().map(metric_byte));
        }
    }

    /// Appends a label's name.
    pub(super) fn push_label_name(&self, out: &mut Vec<u8>, tag: &str) {
        let start = out.len();
        match self.scheme {
            NameScheme::Utf8 => out.extend_from_slice(tag.as_bytes()),
            NameScheme::Legacy => out.extend(tag.chars().map(|c| legal_byte(c, false))),
        }
        self.begin_legally(out, start);
    }

    /// An underscore in front of a leading digit, and for no name at all.
    fn begin_legally(&self, name: &mut Vec<u8>, start: usize) {
        if self.scheme == NameScheme::Legacy && name.get(start).is_none_or(u8::is_ascii_digit) {
            name.insert(start, b'_');
        }
    }
}

/// Whether a byte may stand in a legacy name; a colon may in a metric's only.
fn is_legal(byte: u8, metric: bool) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || (metric && byte == b':')
}

/// Whether a metric or a label may be called so by the rules that were there before UTF-8 was allowed.
pub(crate) fn is_legal_name(name: &str, metric: bool) -> bool {
    name.bytes().all(|byte| is_legal(byte, metric))
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

/// One underscore for a character that legacy names don't have.
fn legal_byte(c: char, metric: bool) -> u8 {
    u8::try_from(c).ok().filter(|&byte| is_legal(byte, metric)).unwrap_or(b'_')
}

fn metric_byte(c: char) -> u8 {
    legal_byte(c, true)
}
