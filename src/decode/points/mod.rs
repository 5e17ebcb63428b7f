//! Formats whose messages hold points already, and need no mapping.
//!
//! A format is one file with a function that hands a payload's points out, one by one. What they have in
//! common stands here: a point without a time of its own has the record's, and [`Samples`] says what
//! becomes of a sample that is no finite number.

mod collectd;
mod graphite;
mod histogram;
mod line_protocol;
mod otlp;
mod prometheus_text;
mod remote_write;
mod telegraf_json;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Deserialize;

use super::{DecodeError, Message, Refusal};
use crate::config;
use crate::config::raw::TimeUnit;
use crate::encode::STALE;
use crate::map;
use crate::point::{Float, NotFinite, Point, Timestamp, Value};

pub use line_protocol::{Line, LineProtocol};

/// Takes a point of a message.
pub type Each<'f> = &'f mut dyn FnMut(Point<'_>) -> Result<(), Refusal>;

/// A point's tags, or a series' labels without its name.
type Tags<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

const OUT_OF_RANGE: &str = "a timestamp outside the years 1677 to 2262";
/// The field of a point that is one sample. Remote write names its metric by the measurement alone, so
/// that a sample's series has the same name again.
const VALUE: &str = "value";

/// A decoder of a format of points.
#[derive(Debug)]
pub struct Points {
    format: Format,
    not_finite: bool,
}

/// The formats of points, each with what it keeps between messages.
#[derive(Debug)]
enum Format {
    LineProtocol(LineProtocol),
    Graphite,
    PrometheusText,
    OpenMetrics,
    RemoteWrite,
    Otlp,
    CollectdJson,
    TelegrafJson(TimeUnit),
}

/// What a format's reader has to know beside the message.
#[derive(Debug, Clone, Copy)]
struct Samples {
    /// The record's time, for points that have none of their own.
    time: Option<Timestamp>,
    /// Whether the sink takes NaN, infinity and the end of a series. Elsewhere such samples are left
    /// out, as a scraper's `NaN` says that there is no value.
    not_finite: bool,
}

impl Points {
    /// The decoder that a configuration asks for.
    pub fn new(format: &config::Points) -> Self {
        let format = match *format {
            config::Points::LineProtocol(unit) => Format::LineProtocol(LineProtocol::new(unit)),
            config::Points::Graphite => Format::Graphite,
            config::Points::PrometheusText => Format::PrometheusText,
            config::Points::OpenMetrics => Format::OpenMetrics,
            config::Points::RemoteWrite => Format::RemoteWrite,
            config::Points::Otlp => Format::Otlp,
            config::Points::CollectdJson => Format::CollectdJson,
            config::Points::TelegrafJson(unit) => Format::TelegrafJson(unit),
        };
        Self { format, not_finite: false }
    }

    pub(super) fn keep_not_finite(&mut self, keep: bool) {
        self.not_finite = keep;
    }

    /// Hands each point of a message to `each`. A point without a time of its own has the record's.
    ///
    /// # Errors
    /// What `each` refuses, and a message that isn't one of this format, though some of its points have
    /// been handed out: then all are to be taken back.
    pub fn decode(&mut self, message: &Message<'_>, each: Each<'_>) -> Result<(), Refusal> {
        let time = message.record.timestamp_millis().and_then(Timestamp::from_millis);
        let (payload, samples) = (message.payload, Samples { time, not_finite: self.not_finite });
        match &mut self.format {
            Format::LineProtocol(reader) => reader.points(payload, time, each),
            Format::Graphite => graphite::points(payload, samples, each),
            Format::PrometheusText => prometheus_text::points(payload, samples, each),
            Format::OpenMetrics => prometheus_text::open_metrics(payload, samples, each),
            Format::RemoteWrite => remote_write::points(payload, samples, each),
            Format::Otlp => otlp::points(payload, samples, each),
            Format::CollectdJson => collectd::points(payload, samples, each),
            Format::TelegrafJson(unit) => telegraf_json::points(payload, *unit, samples, each),
        }
    }

    pub(super) fn line_protocol(&mut self) -> Option<&mut LineProtocol> {
        match &mut self.format {
            Format::LineProtocol(reader) => Some(reader),
            _ => None,
        }
    }
}

impl Samples {
    /// The record's time.
    fn time(self) -> Result<Timestamp, DecodeError> {
        timed(self.time)
    }

    /// A number as a field's value. `None` when it is to be left out.
    fn value(self, number: f64) -> Option<Value<'static>> {
        let not_finite = match number {
            _ if number.is_finite() => return Some(Value::Float(Float::Number(number))),
            _ if !self.not_finite => return None,
            _ if number.to_bits() == STALE => return Some(Value::Stale),
            f64::INFINITY => NotFinite::Infinity,
            f64::NEG_INFINITY => NotFinite::NegativeInfinity,
            _ => NotFinite::Nan,
        };
        Some(Value::NotFinite(not_finite))
    }

    /// Hands out one sample of a series as a point.
    fn hand_out(self, sample: Sample<'_>, each: Each<'_>) -> Result<(), Refusal> {
        let Some(value) = self.value(sample.number) else { return Ok(()) };
        each(Point {
            measurement: sample.name,
            tags: sample.labels,
            fields: vec![(Cow::Borrowed(VALUE), value)],
            timestamp: sample.timestamp,
            to: Cow::Borrowed(""),
        })
    }
}

/// One sample of a series.
struct Sample<'a> {
    /// Not empty.
    name: Cow<'a, str>,
    /// In [`order`].
    labels: Tags<'a>,
    number: f64,
    timestamp: Timestamp,
}

/// Hands out the sample of each line, where one has one.
fn lines<'a>(
    payload: &'a [u8],
    samples: Samples,
    each: Each<'_>,
    mut read: impl FnMut(&'a str) -> Result<Option<Sample<'a>>, DecodeError>,
) -> Result<(), Refusal> {
    let mut start = 0;
    for line in text(payload)?.split_inclusive('\n') {
        let sample = read(line.trim_end_matches(['\n', '\r'])).map_err(|error| DecodeError {
            offset: Some(start + error.offset.unwrap_or(0)),
            ..error
        })?;
        if let Some(sample) = sample {
            samples.hand_out(sample, each)?;
        }
        start += line.len();
    }
    Ok(())
}

fn timed(time: Option<Timestamp>) -> Result<Timestamp, DecodeError> {
    time.ok_or_else(|| {
        DecodeError::new("a point without a timestamp, and the record has none in range")
    })
}

fn text(payload: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(payload)
        .map_err(|error| DecodeError::at(error.valid_up_to(), "invalid UTF-8"))
}

/// A message in JSON.
fn json<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(payload).map_err(|error| DecodeError::new(error.to_string()))
}

/// Brings tags into their order, without those that are empty, which are none to any database.
///
/// # Errors
/// When a name is empty or there twice: which of two values is meant can't be told.
fn order(tags: &mut Tags<'_>) -> Result<(), DecodeError> {
    tags.retain(|(_, value)| !value.is_empty());
    if !tags.is_sorted_by(|a, b| a.0 < b.0) {
        tags.sort_unstable();
    }
    if tags.first().is_some_and(|(name, _)| name.is_empty()) {
        return Err(DecodeError::new("a tag without a name"));
    }
    match tags.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(DecodeError::new(format!("tag {:?} is there twice", pair[0].0))),
        None => Ok(()),
    }
}

/// Decimal seconds as a time.
fn seconds(text: &str) -> Option<Timestamp> {
    map::nanos_of(text, TimeUnit::S).and_then(Timestamp::from_nanos)
}

/// Whether a text is a number by JSON's grammar, which every database reads as it is.
fn is_json_number(text: &str) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.as_bytes();
    rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}
