//! The text that Prometheus scrapes, and `OpenMetrics`' text.
//!
//! Each sample is a point, histograms and summaries by their series as Prometheus stores them (`_bucket`
//! with `le`, `_sum`, `_count`). Types, help and units are of a metric and not of a sample, and exemplars
//! are no samples: they are read past.

use std::borrow::Cow;

use super::{Each, OUT_OF_RANGE, Sample, Samples, Tags, lines, order, seconds};
use crate::decode::{DecodeError, Refusal};
use crate::point::Timestamp;

/// Prometheus' text format, version 0.0.4.
pub(super) fn points(payload: &[u8], samples: Samples, each: Each<'_>) -> Result<(), Refusal> {
    lines(payload, samples, each, |line| {
        let line = line.trim_start_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        Scan { line, at: 0 }.sample(samples, |word| {
            let millis = word.parse().ok().ok_or("expected a time in milliseconds since 1970")?;
            Timestamp::from_millis(millis).ok_or(OUT_OF_RANGE)
        })
    })
}

/// `OpenMetrics` 1.0, which ends with `# EOF`: without it, something has been cut off.
pub(super) fn open_metrics(
    payload: &[u8],
    samples: Samples,
    each: Each<'_>,
) -> Result<(), Refusal> {
    let mut ended = false;
    lines(payload, samples, each, |line| {
        if ended {
            return Err(DecodeError::at(0, "expected nothing after `# EOF`"));
        }
        ended = line == "# EOF";
        if line.starts_with('#') {
            return Ok(None);
        }
        Scan { line, at: 0 }
            .sample(samples, |word| seconds(word).ok_or("expected a time in seconds since 1970"))
    })?;
    if ended { Ok(()) } else { Err(DecodeError::at(payload.len(), "expected `# EOF`").into()) }
}

/// A place in a line.
struct Scan<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn sample(
        mut self,
        samples: Samples,
        time: impl Fn(&str) -> Result<Timestamp, &'static str>,
    ) -> Result<Option<Sample<'a>>, DecodeError> {
        let mut name = self.legal_name(true).map(Cow::Borrowed);
        self.blanks();
        let mut labels = Tags::new();
        if self.take(b'{') {
            self.labels(&mut name, &mut labels)?;
        }
        let name = name.ok_or_else(|| self.expected("expected a metric's name"))?;
        order(&mut labels).map_err(|error| DecodeError::at(self.at, error.what))?;
        // Decimal, `NaN`, or an infinity with or without its sign.
        let number = self.word().parse().ok();
        let number = number.ok_or_else(|| self.expected("expected a number"))?;
        let timestamp = match self.word() {
            "" => samples.time()?,
            word => time(word).map_err(|what| self.expected(what))?,
        };
        self.blanks();
        // What follows is an exemplar.
        if !self.rest().is_empty() && !self.rest().starts_with('#') {
            return Err(self.expected("expected the line's end"));
        }
        Ok(Some(Sample { name, labels, number, timestamp }))
    }

    /// What stands between braces: labels, and the metric's name where it is in quotes.
    fn labels(
        &mut self,
        metric: &mut Option<Cow<'a, str>>,
        labels: &mut Tags<'a>,
    ) -> Result<(), DecodeError> {
        loop {
            self.blanks();
            if self.take(b'}') {
                return Ok(());
            }
            let name = match self.legal_name(false) {
                Some(name) => Cow::Borrowed(name),
                None => self.quoted().map_err(|_| self.expected("expected a label's name"))?,
            };
            self.blanks();
            if self.take(b'=') {
                self.blanks();
                if name == "__name__" {
                    return Err(self.expected("a metric's name can't be a label"));
                }
                labels.push((name, self.quoted()?));
            } else if metric.is_none() && !name.is_empty() {
                *metric = Some(name);
            } else {
                return Err(self.expected("expected an equals sign"));
            }
            self.blanks();
            if !self.take(b',') && !self.rest().starts_with('}') {
                return Err(self.expected("expected a comma or a brace"));
            }
        }
    }

    /// A name without quotes; a colon may stand in a metric's only.
    fn legal_name(&mut self, metric: bool) -> Option<&'a str> {
        let rest = self.rest();
        let is_legal =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (metric && byte == b':');
        let end = rest.bytes().position(|byte| !is_legal(byte)).unwrap_or(rest.len());
        let name = &rest[..end];
        if name.bytes().next().is_none_or(|first| first.is_ascii_digit()) {
            return None;
        }
        self.at += end;
        Some(name)
    }

    /// A text in quotes, with its escapes resolved.
    fn quoted(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        let rest = self.rest();
        if !rest.starts_with('"') {
            return Err(self.expected("expected a text in quotes"));
        }
        let (mut at, mut plain) = (1, None::<String>);
        loop {
            let Some(length) = rest[at..].find(['"', '\\']) else {
                return Err(self.expected("a text without an end"));
            };
            let piece = &rest[at..at + length];
            at += length + 1;
            if rest.as_bytes()[at - 1] == b'"' {
                self.at += at;
                return Ok(match plain {
                    Some(plain) => Cow::Owned(plain + piece),
                    None => Cow::Borrowed(piece),
                });
            }
            let plain = plain.get_or_insert_default();
            plain.push_str(piece);
            match rest.as_bytes().get(at) {
                Some(b'n') => plain.push('\n'),
                Some(byte @ (b'\\' | b'"')) => plain.push(char::from(*byte)),
                // As Prometheus has it: a backslash that escapes nothing stands for itself.
                _ => {
                    plain.push('\\');
                    continue;
                }
            }
            at += 1;
        }
    }

    /// What stands before the next blank.
    fn word(&mut self) -> &'a str {
        self.blanks();
        let rest = self.rest();
        let word = match rest.find([' ', '\t']) {
            Some(end) => &rest[..end],
            None => rest,
        };
        if word.starts_with('#') {
            return "";
        }
        self.at += word.len();
        word
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.line.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn expected(&self, what: &'static str) -> DecodeError {
        DecodeError::at(self.at, what)
    }
}

#[cfg(test)]
#[path = "prometheus_text_tests.rs"]
mod tests;
