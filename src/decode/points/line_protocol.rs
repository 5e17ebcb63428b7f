//! InfluxDB line protocol, any number of lines a message, as InfluxDB 1 and 2 read it
//! (`models/points.go` in influxdb's main-2.x).
//!
//! A line is scanned once, into ranges of its text. Where it is already what the encoder of line
//! protocol would write, it can be copied as it stands ([`Line::as_written`]).

use std::borrow::Cow;

use super::{Each, order, timed};
use crate::config::raw::TimeUnit;
use crate::decode::{DecodeError, Refusal};
use crate::point::{Float, Point, Timestamp, Value};

/// What a byte may be, one bit each.
const COMMA: u8 = 1;
const SPACE: u8 = 2;
const EQUALS: u8 = 4;
const BREAK: u8 = 8;
const BACKSLASH: u8 = 16;
/// Quotes and control characters, which a name that is copied can't have.
const ODD: u8 = 32;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        class[byte] = ODD;
        byte += 1;
    }
    class[b'"' as usize] = ODD;
    class[b',' as usize] = COMMA;
    class[b' ' as usize] = SPACE;
    class[b'=' as usize] = EQUALS;
    class[b'\n' as usize] = BREAK;
    class[b'\r' as usize] = BREAK;
    class[b'\\' as usize] = BACKSLASH;
    class
};

/// What the encoder's limits on lengths could be exceeded by is not copied.
const LONGEST_COPIED: usize = 32 * 1024;
/// Of more fields, it takes more than a look at each pair to tell that none is there twice.
const MOST_COPIED: usize = 16;

/// Reads lines, with scratch space for one.
#[derive(Debug)]
pub struct LineProtocol {
    unit: TimeUnit,
    line: Line,
}

/// A line, as ranges of the message's text.
#[derive(Debug, Default)]
pub struct Line {
    measurement: Token,
    tags: Vec<(Token, Token)>,
    fields: Vec<(Token, Read)>,
    fields_end: usize,
    timestamp: Option<i64>,
    as_written: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Token {
    start: usize,
    end: usize,
    escaped: bool,
}

/// A field's value as it was read.
#[derive(Debug, Clone, Copy)]
enum Read {
    /// A number in JSON's grammar, finite.
    Spelled(Token),
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    Text(Token),
}

impl LineProtocol {
    /// `unit` is that of the timestamps.
    pub fn new(unit: TimeUnit) -> Self {
        Self { unit, line: Line::default() }
    }

    /// Hands each line's point to `each`; one without a timestamp has `time`, the record's.
    pub(super) fn points(
        &mut self,
        payload: &[u8],
        time: Option<Timestamp>,
        each: Each<'_>,
    ) -> Result<(), Refusal> {
        self.lines(payload, time, &mut |text, line, timestamp| each(line.point(text, timestamp)?))
    }

    /// Hands each line to `each`, with the message's text and the line's time.
    pub fn lines(
        &mut self,
        payload: &[u8],
        time: Option<Timestamp>,
        each: &mut dyn FnMut(&str, &Line, Timestamp) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let text = super::text(payload)?;
        let mut at = 0;
        while let Some(start) = next_line(text.as_bytes(), &mut at) {
            at = self.line.read(text, start)?;
            let timestamp = match self.line.timestamp {
                Some(number) => in_unit(number, self.unit)
                    .ok_or_else(|| DecodeError::at(start, super::OUT_OF_RANGE))?,
                None => timed(time)?,
            };
            each(text, &self.line, timestamp)?;
        }
        Ok(())
    }
}

/// Where the next line with a point begins, past blank lines and comments; `at` is there then.
fn next_line(bytes: &[u8], at: &mut usize) -> Option<usize> {
    loop {
        match bytes.get(*at)? {
            b' ' | b'\t' | b'\n' | 0 => *at += 1,
            // Of a line's end; before anything else it would be part of a measurement.
            b'\r' if matches!(bytes.get(*at + 1), Some(b'\n') | None) => *at += 1,
            b'#' => {
                let rest = &bytes[*at..];
                *at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            }
            _ => return Some(*at),
        }
    }
}

fn in_unit(number: i64, unit: TimeUnit) -> Option<Timestamp> {
    let nanos = match unit {
        TimeUnit::S => 1_000_000_000,
        TimeUnit::Ms => 1_000_000,
        TimeUnit::Us => 1_000,
        TimeUnit::Ns => 1,
    };
    Timestamp::from_nanos(i128::from(number) * nanos)
}

impl Line {
    /// Measurement, tags and fields as they stand in `text`, if the encoder would write them just so:
    /// tags in order, nothing twice, no escape in a name, every number and boolean in its plain form.
    pub fn as_written<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.as_written.then(|| &text[self.measurement.start..self.fields_end])
    }

    /// Measurement, tags and the name of the first field, as they stand there.
    pub fn head<'a>(&self, text: &'a str) -> &'a str {
        let end = self.fields.first().map_or(self.measurement.end, |(name, _)| name.end);
        &text[self.measurement.start..end]
    }

    /// The line's point.
    pub fn point<'a>(&self, text: &'a str, timestamp: Timestamp) -> Result<Point<'a>, DecodeError> {
        let name = |token: &Token| unescaped(token, text, b", =");
        let mut tags: Vec<_> =
            self.tags.iter().map(|(key, value)| (name(key), name(value))).collect();
        order(&mut tags)
            .map_err(|error| DecodeError { offset: Some(self.measurement.start), ..error })?;
        let fields: Vec<_> =
            self.fields.iter().map(|(key, value)| (name(key), value.value(text))).collect();
        refuse_twice(&fields, self.measurement.start)?;
        // In a measurement, an equals sign has no escape.
        let measurement = unescaped(&self.measurement, text, b", ");
        Ok(Point { measurement, tags, fields, timestamp, to: Cow::Borrowed("") })
    }

    /// Reads the line that begins at `start`, and says where it ends.
    fn read(&mut self, text: &str, start: usize) -> Result<usize, DecodeError> {
        self.tags.clear();
        self.fields.clear();
        let mut scan = Scan { text, bytes: text.as_bytes(), at: start, odd: false };
        self.measurement = scan.token(COMMA | SPACE);
        if self.measurement.is_empty() {
            return Err(DecodeError::at(start, "expected a measurement"));
        }
        while scan.peek() == b',' {
            scan.at += 1;
            let key = scan.name("expected a tag's name and an equals sign")?;
            let value = scan.token(COMMA | SPACE);
            if value.is_empty() {
                return Err(scan.expected("expected a tag's value"));
            }
            scan.odd |= self.tags.last().is_some_and(|(before, _)| before.of(text) >= key.of(text));
            self.tags.push((key, value));
        }
        if !scan.spaces() {
            return Err(scan.expected("expected a space and the fields"));
        }
        loop {
            let key = scan.name("expected a field's name and an equals sign")?;
            let value = scan.value()?;
            self.fields.push((key, value));
            if scan.peek() != b',' {
                break;
            }
            scan.at += 1;
        }
        self.fields_end = scan.at;
        self.timestamp = scan.timestamp()?;
        self.as_written = !scan.odd && self.could_be_copied(text);
        Ok(scan.at)
    }

    /// What can't be told while scanning.
    fn could_be_copied(&self, text: &str) -> bool {
        // Names that the encoder refuses begin so.
        let is_reserved = |name: &str| name.starts_with('_') || name == "time";
        self.fields_end - self.measurement.start <= LONGEST_COPIED
            && self.fields.len() <= MOST_COPIED
            // An equals sign in a tag's value needs no escape to be read, and has one where it is written.
            && !self.tags.iter().any(|(key, value)| {
                is_reserved(key.of(text)) || value.of(text).contains('=')
            })
            && self.fields.iter().enumerate().all(|(at, (key, _))| {
                let key = key.of(text);
                key != "time" && self.fields[..at].iter().all(|(other, _)| other.of(text) != key)
            })
    }
}

fn refuse_twice(fields: &[(Cow<'_, str>, Value<'_>)], start: usize) -> Result<(), DecodeError> {
    let mut names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(DecodeError::at(start, format!("field {:?} is there twice", pair[0]))),
        None => Ok(()),
    }
}

impl Token {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// With its escapes.
    fn of<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.end]
    }
}

/// A token's text without the backslashes that stand before one of `special`.
fn unescaped<'a>(token: &Token, text: &'a str, special: &[u8]) -> Cow<'a, str> {
    let raw = token.of(text);
    if !token.escaped {
        return Cow::Borrowed(raw);
    }
    let mut plain = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.bytes().next() {
            // A backslash may be escaped itself, and is then no escape of what follows.
            Some(next) if special.contains(&next) => {
                plain.push(char::from(next));
                rest = &rest[1..];
            }
            _ => plain.push('\\'),
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

impl Read {
    fn value<'a>(&self, text: &'a str) -> Value<'a> {
        match self {
            Self::Spelled(token) => Value::Float(Float::Text(token.of(text))),
            Self::Float(number) => Value::Float(Float::Number(*number)),
            Self::Integer(number) => Value::Integer(*number),
            Self::Unsigned(number) => Value::Unsigned(*number),
            Self::Boolean(truth) => Value::Boolean(*truth),
            Self::Text(token) => Value::String(unescaped(token, text, b"\"\\")),
        }
    }
}

/// A place in a line.
struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Something the encoder would write in another way, or refuse, has been seen.
    odd: bool,
}

impl Scan<'_> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(b'\n')
    }

    #[cold]
    fn expected(&self, what: &'static str) -> DecodeError {
        DecodeError::at(self.at, what)
    }

    /// Up to a byte of a class in `stop` without a backslash before it, or the line's end.
    fn token(&mut self, stop: u8) -> Token {
        let (start, mut at, mut escaped) = (self.at, self.at, false);
        while let Some(byte) = self.bytes.get(at) {
            let class = CLASS[usize::from(*byte)];
            if class & (stop | BREAK) != 0 {
                break;
            }
            if class & (BACKSLASH | ODD) != 0 {
                self.odd = true;
                if let (b'\\', Some(b',' | b' ' | b'=')) = (byte, self.bytes.get(at + 1)) {
                    escaped = true;
                    at += 1;
                }
            }
            at += 1;
        }
        self.at = at;
        Token { start, end: at, escaped }
    }

    /// A name and the equals sign behind it.
    fn name(&mut self, what: &'static str) -> Result<Token, DecodeError> {
        let name = self.token(COMMA | SPACE | EQUALS);
        if name.is_empty() || self.peek() != b'=' {
            return Err(self.expected(what));
        }
        self.at += 1;
        Ok(name)
    }

    /// Skips spaces, and says whether there was one.
    fn spaces(&mut self) -> bool {
        let start = self.at;
        while self.peek() == b' ' {
            self.at += 1;
        }
        self.odd |= self.at - start > 1;
        self.at > start
    }

    fn value(&mut self) -> Result<Read, DecodeError> {
        if self.peek() == b'"' {
            return self.string();
        }
        let token = self.token(COMMA | SPACE);
        let text = token.of(self.text);
        let read = match text.as_bytes() {
            [] => None,
            [digits @ .., b'i'] => {
                self.odd |= !is_plain_integer(digits);
                text[..digits.len()].parse().ok().map(Read::Integer)
            }
            [digits @ .., b'u'] => {
                self.odd |= !is_plain_integer(digits);
                text[..digits.len()].parse().ok().map(Read::Unsigned)
            }
            [b't' | b'T' | b'f' | b'F', ..] => {
                self.odd |= !matches!(text, "true" | "false");
                boolean(text).map(Read::Boolean)
            }
            _ => self.float(token),
        };
        read.ok_or_else(|| {
            let what = "expected a number, a boolean or a quoted text, in range";
            DecodeError::at(token.start, what)
        })
    }

    fn float(&mut self, token: Token) -> Option<Read> {
        let text = token.of(self.text);
        if super::is_json_number(text) {
            return Float::from_text(text).map(|_| Read::Spelled(token));
        }
        self.odd = true;
        // `.5`, `5.` and `+1`, but not `inf` and `nan`, which have letters.
        let is_number =
            text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E'));
        let number: f64 = text.parse().ok().filter(|_| is_number)?;
        number.is_finite().then_some(Read::Float(number))
    }

    /// A quoted text, which may have line breaks in it.
    fn string(&mut self) -> Result<Read, DecodeError> {
        let (start, mut at, mut escaped) = (self.at + 1, self.at + 1, false);
        loop {
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let is_escape = matches!(self.bytes.get(at + 1), Some(b'"' | b'\\'));
                    // The encoder writes any backslash twice.
                    self.odd |= !is_escape;
                    escaped |= is_escape;
                    at += 1 + usize::from(is_escape);
                }
                // A file has no line breaks in a line.
                Some(b'\n') => {
                    self.odd = true;
                    at += 1;
                }
                Some(_) => at += 1,
                None => return Err(self.expected("a text without an end")),
            }
        }
        self.at = at + 1;
        Ok(Read::Text(Token { start, end: at, escaped }))
    }

    /// The timestamp, if there is one, up to the line's end.
    fn timestamp(&mut self) -> Result<Option<i64>, DecodeError> {
        if !self.spaces() && CLASS[usize::from(self.peek())] & BREAK == 0 {
            return Err(self.expected("expected the line's end"));
        }
        let token = self.token(SPACE);
        while matches!(self.peek(), b' ' | b'\r') && self.at < self.bytes.len() {
            self.at += 1;
        }
        if self.peek() != b'\n' {
            return Err(self.expected("expected the line's end"));
        }
        if token.is_empty() {
            return Ok(None);
        }
        let number = token.of(self.text).parse();
        number.map(Some).map_err(|_| DecodeError::at(token.start, "expected a timestamp"))
    }
}

/// What the encoder writes: no plus, no leading zero.
fn is_plain_integer(digits: &[u8]) -> bool {
    matches!(digits, [b'0'] | [b'1'..=b'9', ..] | [b'-', b'1'..=b'9', ..])
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
#[path = "line_protocol_tests.rs"]
mod tests;
