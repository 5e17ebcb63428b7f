//! The Prometheus family: raw samples by `/api/v1/query` with a range selector, and by
//! `VictoriaMetrics`' `/api/v1/export`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;

use super::{Held, ReadError, Selection};
use crate::audit::value::{Series, Value};

const MILLI: i64 = 1_000_000;

/// A query and the time to ask it for.
pub(super) fn query(selection: &Selection) -> (String, String) {
    let (from, to) = millis(selection);
    // A range is closed at its start in Prometheus 2 and open in Prometheus 3, so it begins a
    // millisecond early; what is too early is left out by the comparison.
    (format!("{}[{}ms]", selector(selection), to - from + 1), seconds(to))
}

/// Both ends of an export, which are included.
pub(super) fn export_range(selection: &Selection) -> (String, String) {
    let (from, to) = millis(selection);
    (seconds(from), seconds(to))
}

/// `{label="value", other=~"one|another"}`, without labels whose names every version can't spell:
/// the answer then has more series in it.
pub(super) fn selector(selection: &Selection) -> String {
    let mut text = String::from("{");
    for (name, values) in selection.labels.iter().filter(|(name, _)| is_legal(name)) {
        if text.len() > 1 {
            text.push(',');
        }
        match values.first() {
            Some(value) if values.len() == 1 => {
                let _ = write!(text, "{name}={}", quoted(value));
            }
            _ => {
                let _ = write!(text, "{name}=~{}", quoted(&alternatives(values)));
            }
        }
    }
    text + "}"
}

fn is_legal(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn alternatives(values: &BTreeSet<String>) -> String {
    values.iter().map(|value| regex::escape(value)).collect::<Vec<_>>().join("|")
}

/// A string of PromQL: Go's escapes.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

fn millis(selection: &Selection) -> (i64, i64) {
    (selection.from.div_euclid(MILLI), selection.to.div_euclid(MILLI))
}

/// Unix seconds with three decimals.
fn seconds(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    format!("{sign}{}.{:03}", millis / 1000, millis % 1000)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    result: Vec<Matrix<'a>>,
}

#[derive(Deserialize)]
struct Matrix<'a> {
    metric: std::collections::BTreeMap<String, String>,
    /// Absent of a series that has native histograms only.
    #[serde(borrow, default)]
    values: Vec<(f64, &'a str)>,
}

/// The answer of a range selector.
pub(super) fn parse(body: &str) -> Result<Vec<Held>, ReadError> {
    let answer: Answer<'_> = serde_json::from_str(body).map_err(|error| unreadable(&error))?;
    let held = |matrix: Matrix<'_>| {
        let sample = |&(time, value): &(f64, &str)| {
            let value = value.parse().map_err(|_| {
                ReadError::Failed(format!("the database sent {value:?} for a number"))
            })?;
            Ok((from_seconds(time), Value::Float(value)))
        };
        let samples = matrix.values.iter().map(sample).collect::<Result<_, ReadError>>()?;
        Ok((Series::new(matrix.metric.into_iter().collect()), samples))
    };
    answer.data.result.into_iter().map(held).collect()
}

/// Seconds with up to three decimals: an f64 holds them for some 100,000 years.
#[expect(clippy::cast_possible_truncation, reason = "a whole number of milliseconds")]
fn from_seconds(seconds: f64) -> i64 {
    ((seconds * 1000.0).round() as i64).saturating_mul(MILLI)
}

#[derive(Deserialize)]
struct Exported {
    metric: std::collections::BTreeMap<String, String>,
    /// `null` stands for NaN.
    values: Vec<serde_json::Value>,
    timestamps: Vec<i64>,
}

/// The lines of an export: a series may have several.
pub(super) fn parse_export(body: &str) -> Result<Vec<Held>, ReadError> {
    let held = |line: &str| {
        let line: Exported = serde_json::from_str(line).map_err(|error| unreadable(&error))?;
        let number = |value: &serde_json::Value| Value::Float(value.as_f64().unwrap_or(f64::NAN));
        let times = line.timestamps.iter().map(|millis| millis.saturating_mul(MILLI));
        let samples = times.zip(line.values.iter().map(number)).collect();
        Ok((Series::new(line.metric.into_iter().collect()), samples))
    };
    body.lines().filter(|line| !line.trim().is_empty()).map(held).collect()
}

fn unreadable(error: &serde_json::Error) -> ReadError {
    ReadError::Failed(format!("the database's answer can't be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::value::METRIC;

    fn selection(labels: &[(&str, &[&str])]) -> Selection {
        let labels = labels
            .iter()
            .map(|(name, values)| {
                ((*name).to_owned(), values.iter().map(|&value| value.to_owned()).collect())
            })
            .collect();
        Selection { labels, from: 1_700_000_000_001 * MILLI, to: 1_700_000_001_000 * MILLI }
    }

    #[test]
    fn one_value_is_asked_for_by_equality_and_several_by_a_pattern_that_is_none() {
        let one = selection(&[(METRIC, &["m_v"]), ("path", &["C:\\data \"x\"\n"])]);
        assert_eq!(selector(&one), r#"{__name__="m_v",path="C:\\data \"x\"\n"}"#);
        let several = selection(&[(METRIC, &["m"]), ("a b", &["x"]), ("host", &["a.b", "c|d"])]);
        assert_eq!(selector(&several), r#"{__name__="m",host=~"a\\.b|c\\|d"}"#);
    }

    #[test]
    fn the_span_holds_both_ends() {
        let (query, time) = query(&selection(&[(METRIC, &["m"])]));
        assert_eq!(
            (query.as_str(), time.as_str()),
            (r#"{__name__="m"}[1000ms]"#, "1700000001.000")
        );
        assert_eq!(seconds(-1), "-0.001");
    }

    #[test]
    fn times_keep_their_milliseconds() {
        for millis in [1_700_000_000_123, 1_700_000_000_000, -500, 4_102_444_799_999] {
            let text: f64 = seconds(millis).parse().unwrap();
            assert_eq!(from_seconds(text), millis * MILLI, "{text}");
        }
    }

    #[test]
    fn an_answer_and_an_export_hold_the_same() {
        let answer = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"m","a":"b"},"values":[[1700000000.123,"0.1"],[1700000001,"-2"]]}]}}"#;
        let export = r#"{"metric":{"__name__":"m","a":"b"},"values":[0.1,-2],"timestamps":[1700000000123,1700000001000]}"#;
        let held = parse(answer).unwrap();
        assert_eq!(held, parse_export(export).unwrap());
        assert_eq!(held[0].1[0], (1_700_000_000_123 * MILLI, Value::Float(0.1)));
        assert_eq!(parse_export("\n").unwrap(), []);
        assert!(parse("<html>").is_err());
    }
}
