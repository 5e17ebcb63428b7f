//! What the sink's encoder has written of a record, read back: series, time and value.
//!
//! The audit expects what would be sent and not what it thinks a point means, so there is no second
//! mapping path that could have the same mistake, or another one.

use super::value::{FIELD, MEASUREMENT, Series, Value};
use crate::encode::remote_write::STALE;

/// One value of an item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sent {
    pub(super) series: Series,
    /// Nanoseconds since the epoch.
    pub(super) time: i64,
    pub(super) value: Value,
}

/// The fields of a line of line protocol as `encode::LineProtocol` writes it; `unit` is the
/// nanoseconds in one unit of its timestamp. `None` for anything else.
pub(super) fn line(item: &[u8], unit: i64) -> Option<Vec<Sent>> {
    let text = std::str::from_utf8(item).ok()?.strip_suffix('\n')?;
    let (measurement, mut rest) = name(text, &[',', ' ']);
    let mut labels = vec![(MEASUREMENT.to_owned(), measurement)];
    while let Some(tag) = rest.strip_prefix(',') {
        let (key, after) = name(tag, &['=']);
        let (value, after) = name(after.strip_prefix('=')?, &[',', ' ']);
        labels.push((key, value));
        rest = after;
    }
    let mut fields = Vec::new();
    let mut next = rest.strip_prefix(' ');
    while let Some(field) = next {
        let (key, after) = name(field, &['=']);
        let (value, after) = value(after.strip_prefix('=')?)?;
        fields.push((key, value));
        next = after.strip_prefix(',');
        rest = after;
    }
    let rest = rest.strip_prefix(' ')?;
    let time = rest.parse::<i64>().ok()?.checked_mul(unit)?;
    let sent = |(field, value)| {
        let labels = labels.iter().cloned().chain([(FIELD.to_owned(), field)]);
        Sent { series: Series::new(labels.collect()), time, value }
    };
    Some(fields.into_iter().map(sent).collect())
}

/// A name or a tag's value up to one of the ends, and what follows. A backslash stands for itself
/// unless it is before a comma, a space or an equals sign.
fn name<'a>(text: &'a str, ends: &[char]) -> (String, &'a str) {
    let mut name = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next_if(|(_, next)| matches!(next, ',' | ' ' | '=')) {
                Some((_, escaped)) => name.push(escaped),
                None => name.push('\\'),
            },
            c if ends.contains(&c) => return (name, &text[at..]),
            c => name.push(c),
        }
    }
    (name, "")
}

fn value(text: &str) -> Option<(Value, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return string(quoted);
    }
    let (value, rest) = text.split_at(text.find([',', ' '])?);
    let value = match (value, value.as_bytes().last()?) {
        ("true", _) => Value::Boolean(true),
        ("false", _) => Value::Boolean(false),
        (number, b'i') => Value::Integer(number[..number.len() - 1].parse().ok()?),
        (number, b'u') => Value::Unsigned(number[..number.len() - 1].parse().ok()?),
        (number, _) => Value::Float(number.parse().ok()?),
    };
    Some((value, rest))
}

fn string(quoted: &str) -> Option<(Value, &str)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Value::Text(text), &quoted[at + 1..])),
            '\\' => text.push(chars.next()?.1),
            c => text.push(c),
        }
    }
    None
}

/// The samples of entries of a `WriteRequest` of remote write 1.0. `None` for anything else.
pub(super) fn samples(item: &[u8]) -> Option<Vec<Sent>> {
    let mut sent = Vec::new();
    each_field(
        item,
        |number, entry| {
            if number == 1 { time_series(entry.bytes()?, &mut sent) } else { Some(()) }
        },
    )?;
    Some(sent)
}

fn time_series(bytes: &[u8], sent: &mut Vec<Sent>) -> Option<()> {
    let (mut labels, mut samples) = (Vec::new(), Vec::new());
    each_field(bytes, |number, field| {
        match number {
            1 => labels.push(label(field.bytes()?)?),
            2 => samples.push(sample(field.bytes()?)?),
            _ => {}
        }
        Some(())
    })?;
    let series = Series::new(labels);
    for (time, value) in samples {
        if value.to_bits() == STALE {
            // No query shows the end of a series as a sample.
            continue;
        }
        sent.push(Sent { series: series.clone(), time, value: Value::Float(value) });
    }
    Some(())
}

fn label(bytes: &[u8]) -> Option<(String, String)> {
    let (mut name, mut value) = (String::new(), String::new());
    each_field(bytes, |number, field| {
        let text = String::from_utf8(field.bytes()?.to_vec()).ok()?;
        match number {
            1 => name = text,
            _ => value = text,
        }
        Some(())
    })?;
    Some((name, value))
}

fn sample(bytes: &[u8]) -> Option<(i64, f64)> {
    let (mut time, mut value) = (0i64, 0.0);
    each_field(bytes, |_, field| {
        match field {
            Wire::Fixed(bits) => value = f64::from_bits(bits),
            Wire::Varint(millis) => time = millis.cast_signed(),
            Wire::Bytes(_) => return None,
        }
        Some(())
    })?;
    Some((time.checked_mul(1_000_000)?, value))
}

/// A field's content by its wire type, of those that remote write 1.0 has.
enum Wire<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

/// Calls `take` with the number and content of every field of a message.
fn each_field<'a>(
    mut rest: &'a [u8],
    mut take: impl FnMut(u64, Wire<'a>) -> Option<()>,
) -> Option<()> {
    while !rest.is_empty() {
        let header = varint(&mut rest)?;
        let content = match header & 7 {
            0 => Wire::Varint(varint(&mut rest)?),
            1 => {
                let (bits, after) = rest.split_first_chunk()?;
                rest = after;
                Wire::Fixed(u64::from_le_bytes(*bits))
            }
            2 => {
                let len = usize::try_from(varint(&mut rest)?).ok()?;
                let (bytes, after) = rest.split_at_checked(len)?;
                rest = after;
                Wire::Bytes(bytes)
            }
            _ => return None,
        };
        take(header >> 3, content)?;
    }
    Some(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests;
