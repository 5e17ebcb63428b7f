//! A point that holds its own memory, written and read as line protocol with nanoseconds.

use std::collections::BTreeMap;
use std::fmt;

use crate::point::{self, Point};
use crate::route;

/// A point that holds its own memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WholePoint {
    pub measurement: String,
    pub tags: BTreeMap<String, String>,
    pub fields: BTreeMap<String, Value>,
    /// Nanoseconds since the epoch. `None` where it was not written.
    pub nanos: Option<i64>,
    /// Where it goes, if that is told from the record. `None` also where it was not written.
    pub to: Option<String>,
}

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    String(String),
    /// The end of a series, which line protocol can't say.
    Stale,
}

impl WholePoint {
    /// Copies a point.
    pub fn of(point: &Point<'_>) -> Self {
        let tags = point.tags.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let fields = point.fields.iter().map(|(name, value)| (name.to_string(), Value::of(value)));
        Self {
            measurement: point.measurement.to_string(),
            tags: tags.collect(),
            fields: fields.collect(),
            nanos: Some(point.timestamp.nanos()),
            to: (!point.to.is_empty()).then(|| route::shown(&point.to)),
        }
    }
}

impl Value {
    fn of(value: &point::Value<'_>) -> Self {
        match value {
            point::Value::Float(float) => Self::Float(float.to_f64()),
            point::Value::Integer(number) => Self::Integer(*number),
            point::Value::Unsigned(number) => Self::Unsigned(*number),
            point::Value::Boolean(boolean) => Self::Boolean(*boolean),
            point::Value::String(text) => Self::String(text.to_string()),
            point::Value::Stale => Self::Stale,
            point::Value::NotFinite(number) => Self::Float(number.to_f64()),
        }
    }
}

impl fmt::Display for WholePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.measurement, &[',', ' ']))?;
        for (name, value) in &self.tags {
            write!(f, ",{}={}", escaped(name, &[',', ' ', '=']), escaped(value, &[',', ' ', '=']))?;
        }
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let before = if index == 0 { ' ' } else { ',' };
            write!(f, "{before}{}={value}", escaped(name, &[',', ' ', '=']))?;
        }
        self.nanos.map_or(Ok(()), |nanos| write!(f, " {nanos}"))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(number) => write!(f, "{number}"),
            Self::Integer(number) => write!(f, "{number}i"),
            Self::Unsigned(number) => write!(f, "{number}u"),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::String(text) => write!(f, "\"{}\"", escaped(text, &['"', '\\'])),
            Self::Stale => f.write_str("stale"),
        }
    }
}

fn escaped(text: &str, signs: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if signs.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Why a text is no line protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ParseError {
    /// Where in the text.
    pub offset: usize,
    pub what: &'static str,
}

/// The points of a text of line protocol, with timestamps of nanoseconds or without. Empty lines and
/// comments are passed over.
///
/// # Errors
/// At the first thing that is no line protocol.
pub fn lines(text: &str) -> Result<Vec<WholePoint>, ParseError> {
    let mut points = Vec::new();
    let mut parser = Parser { text, at: 0 };
    loop {
        parser.skip(char::is_whitespace);
        if parser.rest().is_empty() {
            return Ok(points);
        }
        if parser.rest().starts_with('#') {
            parser.skip(|c| c != '\n');
        } else {
            points.push(parser.point()?);
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, ParseError> {
        Err(ParseError { offset: self.at, what })
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn take(&mut self, sign: char) -> bool {
        let found = self.rest().starts_with(sign);
        self.at += if found { sign.len_utf8() } else { 0 };
        found
    }

    fn point(&mut self) -> Result<WholePoint, ParseError> {
        let mut point =
            WholePoint { measurement: self.name(&[',', ' '])?, ..WholePoint::default() };
        while self.take(',') {
            let (at, name) = (self.at, self.key()?);
            if point.tags.insert(name, self.name(&[',', ' '])?).is_some() {
                return Err(ParseError { offset: at, what: "this tag is here twice" });
            }
        }
        if self.skip(|c| c == ' ').is_empty() {
            return self.fail("a space and the fields should follow, such as ` v=1.5`");
        }
        loop {
            let (at, name) = (self.at, self.key()?);
            if point.fields.insert(name, self.value()?).is_some() {
                return Err(ParseError { offset: at, what: "this field is here twice" });
            }
            if !self.take(',') {
                break;
            }
        }
        self.skip(|c| c == ' ');
        let (at, time) = (self.at, self.skip(|c| c.is_ascii_digit() || c == '-'));
        if !time.is_empty() {
            let nanos = time.parse();
            let what = "the timestamp is not a whole number of 64 bits";
            point.nanos = Some(nanos.map_err(|_| ParseError { offset: at, what })?);
        }
        self.skip(|c| matches!(c, ' ' | '\r'));
        if self.rest().is_empty() || self.rest().starts_with('\n') {
            Ok(point)
        } else {
            self.fail("the line should end here")
        }
    }

    fn key(&mut self) -> Result<String, ParseError> {
        let key = self.name(&[',', ' ', '='])?;
        if self.take('=') { Ok(key) } else { self.fail("an `=` should follow the name") }
    }

    /// A name or a tag's value, up to one of the ends. A backslash stands for itself unless it is
    /// before a comma, a space or an equals sign.
    fn name(&mut self, ends: &[char]) -> Result<String, ParseError> {
        let (start, mut name) = (self.at, String::new());
        let mut chars = self.rest().char_indices().peekable();
        let mut end = self.rest().len();
        while let Some((at, c)) = chars.next() {
            if c == '\n' || ends.contains(&c) {
                end = at;
                break;
            }
            let escaped = chars.next_if(|(_, next)| c == '\\' && matches!(next, ',' | ' ' | '='));
            name.push(escaped.map_or(c, |(_, sign)| sign));
        }
        self.at = start + end;
        if name.is_empty() { self.fail("a name or a value is missing here") } else { Ok(name) }
    }

    fn value(&mut self) -> Result<Value, ParseError> {
        if self.take('"') {
            return self.string();
        }
        let (at, text) = (self.at, self.skip(|c| !matches!(c, ',' | ' ' | '\n' | '\r')));
        let value = match text {
            "true" | "t" | "T" | "True" | "TRUE" => Some(Value::Boolean(true)),
            "false" | "f" | "F" | "False" | "FALSE" => Some(Value::Boolean(false)),
            "stale" => Some(Value::Stale),
            text => match text.as_bytes().last() {
                Some(b'i') => text[..text.len() - 1].parse().ok().map(Value::Integer),
                Some(b'u') => text[..text.len() - 1].parse().ok().map(Value::Unsigned),
                _ => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
            },
        };
        let what = "not a value; write `1.5`, `3i`, `3u`, `true` or `\"text\"`";
        value.ok_or(ParseError { offset: at, what })
    }

    fn string(&mut self) -> Result<Value, ParseError> {
        let (start, mut text) = (self.at, String::new());
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + at + 1;
                    return Ok(Value::String(text));
                }
                '\\' => match chars.next() {
                    Some((_, sign @ ('"' | '\\'))) => text.push(sign),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        self.fail("this text has no closing quote")
    }
}
