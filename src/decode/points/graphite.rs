//! Graphite's plain text, as carbon reads it: `path[;tag=value…] value [seconds]`, a line a sample.

use std::borrow::Cow;

use super::{Each, Sample, Samples, Tags, lines, order, seconds};
use crate::decode::{DecodeError, Refusal};

/// The path becomes the measurement as it is, with its dots.
pub(super) fn points(payload: &[u8], samples: Samples, each: Each<'_>) -> Result<(), Refusal> {
    lines(payload, samples, each, |line| sample(line, samples))
}

fn sample(line: &str, samples: Samples) -> Result<Option<Sample<'_>>, DecodeError> {
    let mut words = line.split_ascii_whitespace();
    let Some(series) = words.next() else { return Ok(None) };
    let number = words.next().and_then(|word| word.parse().ok());
    let number = number.ok_or(DecodeError::at(0, "expected a path, a number and a time"))?;
    let timestamp = match words.next() {
        // To carbon, it is the time of arrival.
        None | Some("-1" | "N") => samples.time()?,
        Some(word) => {
            seconds(word).ok_or(DecodeError::at(0, "expected a time in seconds since 1970"))?
        }
    };
    if words.next().is_some() {
        return Err(DecodeError::at(0, "expected the line's end after the time"));
    }
    let (path, labels) = series_of(series)?;
    Ok(Some(Sample { name: Cow::Borrowed(path), labels, number, timestamp }))
}

/// A path and its tags (<https://graphite.readthedocs.io/en/latest/tags.html>).
fn series_of(series: &str) -> Result<(&str, Tags<'_>), DecodeError> {
    let mut parts = series.split(';');
    let path = parts.next().filter(|path| !path.is_empty());
    let path = path.ok_or(DecodeError::at(0, "expected a path"))?;
    let tags = parts.map(|part| match part.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((Cow::Borrowed(name), Cow::Borrowed(value)))
        }
        _ => Err(DecodeError::at(0, "expected a tag as `name=value`")),
    });
    let mut tags = tags.collect::<Result<Tags<'_>, _>>()?;
    order(&mut tags)?;
    Ok((path, tags))
}
