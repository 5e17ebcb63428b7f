//! A file of tests.

use std::path::Path;

use base64::Engine as _;

use super::{At, Checker, canonical};
use crate::config::plain::Type;
use crate::config::raw::{self, Precision, RejectedAt};
use crate::config::{Case, Expected, ExpectedPoint, Tests, tree::Scalar};
use crate::dead_letter::Stage;
use crate::record::{Offset, OwnedRecord};
use crate::trial::{self, Value, WholePoint};

/// 2026-01-01T00:00:00Z.
const TIMESTAMP: i64 = 1_767_225_600_000;
/// The largest file of one message.
const MAX_MESSAGE: u64 = 16 << 20;

/// Checks a file of tests.
pub(in crate::config) fn tests(raw: &raw::TestFile, checker: &mut Checker<'_>) -> Option<Tests> {
    let file = checker.source.file.clone();
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let connector = match &raw.connector {
        Some(connector) => Some(connector.clone()),
        None => tested_by(&file, checker),
    };
    if raw.cases.is_empty() {
        checker.missing(&["cases"], "no cases: a test needs at least one");
    }
    let text = |at: At<'_>| checker.scalar(at).map(canonical).unwrap_or_default();
    let environment =
        raw.environment.keys().map(|name| (name.clone(), text(&["environment", name]))).collect();
    let cases: Vec<_> = raw
        .cases
        .iter()
        .enumerate()
        .map(|(index, case)| {
            let index = (index, index.to_string());
            CaseCheck {
                raw: case,
                index: &index.1,
                folder: &folder,
                precision: raw.precision,
                checker,
            }
            .case(index.0)
        })
        .collect();
    Some(Tests {
        file,
        connector: folder.join(connector?),
        environment,
        cases: cases.into_iter().collect::<Option<_>>()?,
    })
}

/// The file that a test is of, by its name.
fn tested_by(file: &Path, checker: &mut Checker<'_>) -> Option<String> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let tested = ["yaml", "yml"].iter().find_map(|ending| {
        Some(format!("{}.{ending}", name.strip_suffix(&format!(".test.{ending}"))?))
    });
    if tested.is_none() {
        checker.findings.add(
            None,
            "the file's name does not end with `.test.yaml`, so it does not tell which connector it \
             tests; name the connector's file with `connector`",
        );
    }
    tested
}

struct CaseCheck<'c, 'a> {
    raw: &'c raw::TestCase,
    /// As a step to it.
    index: &'c str,
    folder: &'c Path,
    precision: Precision,
    checker: &'c mut Checker<'a>,
}

impl CaseCheck<'_, '_> {
    fn case(&mut self, number: usize) -> Option<Case> {
        let value = self.value();
        let timestamp = match self.scalar(&["timestamp"]) {
            None => Some(TIMESTAMP),
            Some(scalar) => {
                self.time(&["timestamp"], &scalar, 1_000_000).map(|nanos| nanos / 1_000_000)
            }
        };
        let expected = self.expected();
        let at = ["cases", self.index];
        let line = self
            .checker
            .locate(&at)
            .map_or(1, |(span, ..)| self.checker.source.place(span.start).0);
        let text = |case: &Self, at: At<'_>| case.scalar(at).map(|scalar| canonical(&scalar));
        let headers = self.raw.headers.keys();
        let headers = headers
            .map(|name| (name.clone(), text(self, &["headers", name]).map(String::into_bytes)))
            .collect();
        Some(Case {
            name: self.raw.name.clone(),
            line,
            record: OwnedRecord {
                topic: self.raw.topic.clone().unwrap_or_default().into(),
                partition: i32::try_from(self.raw.partition).ok()?,
                offset: Offset(self.raw.offset.unwrap_or(i64::try_from(number).ok()?)),
                key: text(self, &["key"]).map(String::into_bytes),
                value: value?,
                timestamp_millis: Some(timestamp?),
                headers,
            },
            expected: expected?,
        })
    }

    fn at<'s>(&'s self, rest: At<'s>) -> Vec<&'s str> {
        ["cases", self.index].into_iter().chain(rest.iter().copied()).collect()
    }

    fn scalar(&self, rest: At<'_>) -> Option<Scalar> {
        self.checker.scalar(&self.at(rest)).filter(|scalar| scalar.kind != Type::Null).cloned()
    }

    fn wrong(&mut self, rest: At<'_>, message: impl Into<String>) {
        let at: Vec<String> = self.at(rest).into_iter().map(ToOwned::to_owned).collect();
        let at: Vec<&str> = at.iter().map(String::as_str).collect();
        self.checker.wrong(&at, message);
    }

    /// Reports what a case lacks, unless an unknown key may have been meant for it.
    fn lacks(&mut self, message: &str) {
        self.checker.missing(&["cases", self.index], message);
    }

    /// `Some(None)` for a tombstone.
    #[expect(clippy::option_option, reason = "no value is one that a record can have")]
    fn value(&mut self) -> Option<Option<Vec<u8>>> {
        let raw = self.raw;
        let is_null = self.checker.node(&self.at(&["value"])).is_some() && raw.value.is_none();
        let given = [
            raw.value.is_some() || is_null,
            raw.text.is_some(),
            raw.base64.is_some(),
            raw.file.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            self.lacks(
                "a case needs exactly one of `value`, `text`, `base64` and `file` (`value: null` is a \
                 record without a value)",
            );
            return None;
        }
        if let Some(text) = &raw.text {
            return Some(Some(text.clone().into_bytes()));
        }
        if let Some(text) = &raw.base64 {
            let packed: String = text.split_whitespace().collect();
            return match base64::engine::general_purpose::STANDARD.decode(packed) {
                Ok(bytes) => Some(Some(bytes)),
                Err(error) => {
                    self.wrong(&["base64"], format!("not base64: {error}"));
                    None
                }
            };
        }
        if let Some(name) = &raw.file {
            return match message(&self.folder.join(name)) {
                Ok(bytes) => Some(Some(bytes)),
                Err(error) => {
                    self.wrong(&["file"], format!("can't be read: {error}"));
                    None
                }
            };
        }
        Some(raw.value.as_ref().map(|value| value.to_string().into_bytes()))
    }

    fn expected(&mut self) -> Option<Expected> {
        let raw = self.raw;
        match (&raw.points, &raw.rejected, raw.excluded) {
            (Some(points), None, false) => self.points(points).map(Expected::Points),
            (None, None, true) => Some(Expected::Points(Vec::new())),
            (None, Some(rejected), false) => Some(Expected::Rejected {
                stage: rejected.stage.map(|stage| match stage {
                    RejectedAt::Decode => Stage::Decode,
                    RejectedAt::Map => Stage::Map,
                    RejectedAt::Process => Stage::Process,
                    RejectedAt::Encode => Stage::Encode,
                }),
                reason: rejected.reason.to_lowercase(),
            }),
            _ => {
                self.lacks(
                    "a case needs exactly one of `points`, `rejected` and `excluded: true`: what \
                     becomes of the message",
                );
                None
            }
        }
    }

    fn points(&mut self, raw: &raw::ExpectedPoints) -> Option<Vec<ExpectedPoint>> {
        match raw {
            raw::ExpectedPoints::Lines(text) => match trial::lines(text) {
                Ok(points) => {
                    let points = points.into_iter().map(|mut point| {
                        point.nanos = match point.nanos {
                            Some(time) => Some(time.checked_mul(self.precision.nanos())?),
                            None => None,
                        };
                        Some(ExpectedPoint { point, exact: true })
                    });
                    let points: Option<Vec<_>> = points.collect();
                    if points.is_none() {
                        self.wrong(&["points"], "a timestamp is out of range in this `precision`");
                    }
                    points
                }
                Err(error) => {
                    let line =
                        text.get(..error.offset).unwrap_or_default().matches('\n').count() + 1;
                    let message = format!("line {line} of the points is no line protocol: {error}");
                    self.wrong(&["points"], message);
                    None
                }
            },
            raw::ExpectedPoints::List(list) => {
                let points: Vec<_> = list
                    .iter()
                    .enumerate()
                    .map(|(index, point)| self.point(index, point))
                    .collect();
                points.into_iter().collect()
            }
        }
    }

    fn point(&mut self, index: usize, raw: &raw::ExpectedPoint) -> Option<ExpectedPoint> {
        let index = index.to_string();
        let at = ["points", &index];
        if raw.fields.is_empty() {
            self.wrong(&[at[0], at[1], "fields"], "no fields: a point has at least one");
        }
        let value = |name: &String| {
            let scalar = self.scalar(&[at[0], at[1], "fields", name])?;
            let kind = if scalar.plain { Type::of(&scalar.text) } else { Type::Text };
            Some(match kind {
                Type::Integer(number) => match (i64::try_from(number), u64::try_from(number)) {
                    (Ok(number), _) => Value::Integer(number),
                    (_, Ok(number)) => Value::Unsigned(number),
                    _ => return None,
                },
                Type::Float(number) => Value::Float(number),
                Type::Boolean(boolean) => Value::Boolean(boolean),
                Type::Null | Type::Text => Value::String(scalar.text),
            })
        };
        let fields: Option<_> =
            raw.fields.keys().map(|name| Some((name.clone(), value(name)?))).collect();
        if fields.is_none() {
            self.wrong(&[at[0], at[1], "fields"], "a number is out of the range of 64 bits");
        }
        let tag =
            |name: &String| self.scalar(&[at[0], at[1], "tags", name]).map(|tag| canonical(&tag));
        let tags =
            raw.tags.keys().map(|name| (name.clone(), tag(name).unwrap_or_default())).collect();
        let time = [at[0], at[1], "timestamp"];
        let nanos = match self.scalar(&time) {
            None => None,
            Some(scalar) => Some(self.time(&time, &scalar, self.precision.nanos())?),
        };
        let (measurement, to) = (raw.measurement.clone(), raw.to.clone());
        let point = WholePoint { measurement, tags, fields: fields?, nanos, to };
        Some(ExpectedPoint { point, exact: false })
    }

    /// Nanoseconds of a whole number in a unit, or of a text.
    fn time(&mut self, at: At<'_>, scalar: &Scalar, unit: i64) -> Option<i64> {
        let text = scalar.text.trim();
        let nanos = match text.parse::<i64>() {
            Ok(number) => number.checked_mul(unit),
            Err(_) => text
                .parse::<jiff::Timestamp>()
                .ok()
                .and_then(|time| i64::try_from(time.as_nanosecond()).ok()),
        };
        if nanos.is_none() {
            self.wrong(at, "neither a whole number nor a time such as `2026-11-22T10:00:00.25Z`");
        }
        nanos
    }
}

fn message(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_MESSAGE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_MESSAGE {
        return Err(std::io::Error::other("larger than 16 MiB: no message"));
    }
    Ok(bytes)
}
