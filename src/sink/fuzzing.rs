//! What must hold for any answer of a database, for the fuzz target and its seeds.
#![expect(clippy::unwrap_used, reason = "a panic is how a check fails")]

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

use super::http::Answer;
use super::prometheus::forms::Form;
use super::{Rejected, Scope, SinkError, influxdb, prometheus};
use crate::batch::{Batch, OpenBatch, RecordIndex};
use crate::config::raw::Precision;
use crate::encode::{Encoder, LineProtocol, RemoteWrite};
use crate::point::{Point, Timestamp, Value};

/// The first line is a status, the second `Retry-After`, the third `Date`, the rest the body.
///
/// Whatever it says, only a success acknowledges, only the database's own verdict on points rejects
/// some, a wait has an end, and a reason fits in a log line.
pub(crate) fn answer(data: &[u8]) {
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let status = lines.next().and_then(|line| StatusCode::from_bytes(line).ok());
    let Some(status) = status else { return };
    let mut headers = HeaderMap::new();
    for name in [RETRY_AFTER, DATE] {
        let value = lines.next().and_then(|line| HeaderValue::from_bytes(line).ok());
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            headers.insert(name, value);
        }
    }
    let body = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let answer = Answer { status, headers, body, tail: String::new() };
    let mut lines = Encoder::LineProtocol(LineProtocol::new(Precision::Ms));
    let lines = batch(&mut lines);
    check(&answer, &lines, influxdb::answers::classify(&answer, &lines), false);
    let samples =
        batch(&mut Encoder::RemoteWrite(RemoteWrite::new(Arc::default(), Arc::default())));
    for form in [Form::V1, Form::V1Zstd, Form::V2] {
        let verdict = prometheus::answers::classify(form, &answer, &samples);
        check(&answer, &samples, verdict, form == Form::V2);
    }
}

/// What the answer is to: four points of two series.
fn batch(encoder: &mut Encoder) -> Batch {
    let mut open = OpenBatch::default();
    for (record, series) in (0u32..).zip(["a", "b", "a", "b"]) {
        let point = Point {
            measurement: "m".into(),
            tags: vec![("s".into(), series.into())],
            fields: vec![("f".into(), Value::Integer(1))],
            timestamp: Timestamp::from_millis(1000 + i64::from(record)).unwrap(),
            to: "".into(),
        };
        encoder.encode(&point, RecordIndex(record), &mut open).unwrap();
    }
    encoder.close(&mut open)
}

/// `counts`: the database says how much it has written, also with a success.
fn check(answer: &Answer, batch: &Batch, result: Result<(), SinkError>, counts: bool) {
    let status = answer.status;
    let Err(error) = result else {
        return assert!(status.is_success(), "{status} acknowledges");
    };
    assert!(error.to_string().chars().count() < 1000, "{error}");
    match error {
        SinkError::Unavailable { retry_after, .. } => {
            assert!(retry_after.is_none_or(|wait| wait <= Duration::from_hours(1)));
        }
        SinkError::Rejected(Rejected { scope, .. }) => {
            let items: Vec<usize> = match scope {
                Scope::Batch => Vec::new(),
                Scope::Items(items) => items.into_iter().map(|(item, _)| item).collect(),
                Scope::Split(items) => items,
            };
            assert!(items.is_sorted_by(|a, b| a < b), "{items:?}");
            assert!(items.iter().all(|item| *item < batch.len()), "{items:?}");
            assert!(!status.is_success() || counts, "{status} rejects");
            assert!(
                counts || !answer.body.is_empty() || status == StatusCode::CONFLICT,
                "{status} rejects"
            );
        }
        SinkError::TooLarge { .. } | SinkError::Misconfigured { .. } => {}
    }
}
