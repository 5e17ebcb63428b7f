//! Line protocol, in the part of it that InfluxDB 2 and 3 and VictoriaMetrics read alike.
//!
//! A line that they would read differently, or that one of them would drop while answering 204, is
//! an [`EncodeError`]: the record goes to the dead-letter topic with a reason instead of becoming
//! other data. docs/sinks.md lists the differences.

mod names;

use std::ops::Range;

use self::names::Names;
use super::EncodeError;
use super::known::{Known, Place};
use crate::batch::{OpenBatch, RecordIndex};
use crate::cardinality;
use crate::config::raw::Precision;
use crate::point::{Float, KnownValue, Point, Timestamp, Value};
use crate::series::SeriesKey;
use crate::words;

/// The longest series key with one field's name (`models.MaxKeyLength` and `seriesKeySize`, which
/// adds the 4 bytes of its separator, in influxdb's `models/points.go`).
const MAX_KEY: usize = 65_535;
const KEY_SEPARATOR: usize = 4;

/// The longest string value that InfluxDB documents.
const MAX_STRING: usize = 64 * 1024;

/// What a byte may be, one bit each, so that one pass over a text tells whether it is clean.
const CONTROL: u8 = 1;
const BACKSLASH: u8 = 2;
const QUOTE: u8 = 4;
const COMMA_OR_SPACE: u8 = 8;
const EQUALS: u8 = 16;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        class[byte] = CONTROL;
        byte += 1;
    }
    class[b'\\' as usize] = BACKSLASH;
    class[b'"' as usize] = QUOTE;
    class[b',' as usize] = COMMA_OR_SPACE;
    class[b' ' as usize] = COMMA_OR_SPACE;
    class[b'=' as usize] = EQUALS;
    class
};

/// Writes points as lines.
#[derive(Debug)]
pub struct LineProtocol {
    /// Nanoseconds in one unit of the precision.
    unit: i64,
    /// Whether a text with a line break in it is refused.
    single_lines: bool,
    /// `None` for one destination of many, whose encoder is gone with its batch.
    known: Option<Known<Line>>,
    /// Room for a point's.
    pub(super) key: SeriesKey,
    measurements: Names,
    tags: Names,
    fields: Names,
    /// Where the values stand of the line that was written last.
    values: Vec<Range<usize>>,
}

/// What is known of a series' line. It is kept without its values and its time; behind it there is where each value
/// belongs, in two bytes.
#[derive(Debug, Clone, Default)]
struct Line {
    len: usize,
}

/// So many series are kept; 7 MiB at most, by the length of their keys and lines.
const KNOWN: usize = 4096;
/// Lines with more around their values are not kept, in bytes.
const LONGEST_LINE: usize = 512;

impl LineProtocol {
    /// `precision` must be what the request says, too.
    pub fn new(precision: Precision) -> Self {
        let unit = match precision {
            Precision::Ns => 1,
            Precision::Us => 1_000,
            Precision::Ms => 1_000_000,
            Precision::S => 1_000_000_000,
        };
        Self {
            unit,
            single_lines: false,
            known: Some(Known::new(KNOWN)),
            key: SeriesKey::default(),
            measurements: Names::default(),
            tags: Names::default(),
            fields: Names::default(),
            values: Vec::new(),
        }
    }

    /// For files: a line break is the end of a point, so that half a point can be told from a whole.
    pub fn of_single_lines() -> Self {
        Self { single_lines: true, ..Self::new(Precision::Ns) }
    }

    /// The same for another open batch. Its series are not kept: there may be as many of these as there are
    /// destinations, and each lasts for a batch only.
    pub(super) fn apart(&self) -> Self {
        Self {
            unit: self.unit,
            single_lines: self.single_lines,
            known: None,
            measurements: self.measurements.clone(),
            tags: self.tags.clone(),
            fields: self.fields.clone(),
            ..Self::new(Precision::Ns)
        }
    }

    /// Whether it keeps series, and [`LineProtocol::encode_known`] is worth a try with the next point.
    #[inline]
    pub(super) fn keeps_series(&mut self) -> bool {
        self.known.as_mut().is_some_and(Known::is_on)
    }

    /// Appends the point's line, and keeps nothing of it. After an error the caller takes back what was appended.
    pub fn encode(
        &mut self,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        self.encode_new(&SeriesKey::default(), point, record, batch)
    }

    /// Appends the line of a point of which the values and the time are all that is new, if `passes` lets
    /// its series through. After `false` all is as it was before.
    #[inline]
    pub fn encode_known<'v>(
        &mut self,
        key: &SeriesKey,
        values: impl Iterator<Item = KnownValue<'v>>,
        timestamp: Timestamp,
        record: RecordIndex,
        batch: &mut OpenBatch,
        passes: impl FnOnce(cardinality::Key) -> bool,
    ) -> bool {
        let known = self.known.as_ref().and_then(|known| known.find(key));
        let Some(place) = known.filter(|place| passes(place.guarded)) else {
            return false;
        };
        // Before the values: what has just been written in pieces is slow to copy as a whole.
        let mut time = itoa::Buffer::new();
        let time = time.format(self.units(timestamp));
        let start = batch.bytes.len();
        if self.push_line(&mut batch.bytes, place, values).is_none() {
            // What is wrong with a value is said where its name is known.
            batch.bytes.truncate(start);
            return false;
        }
        push_time(&mut batch.bytes, time);
        batch.end_item(record);
        true
    }

    /// `None` where a value can't be written.
    #[inline]
    fn push_line<'v>(
        &self,
        out: &mut Vec<u8>,
        place: &Place<Line>,
        values: impl Iterator<Item = KnownValue<'v>>,
    ) -> Option<()> {
        let (start, mut written) = (out.len(), 0);
        let (line, places) = place.bytes().split_at_checked(place.written.len)?;
        let (places, _) = places.as_chunks();
        for (place, value) in places.iter().zip(values) {
            let place = usize::from(u16::from_le_bytes(*place));
            words::push(out, line.get(written..place)?);
            written = place;
            match value {
                // What nearly every value is.
                KnownValue::Spelled(text) => words::push(out, text.as_bytes()),
                KnownValue::Value(value) => push_value(out, value).ok()?,
            }
        }
        // An integer's suffix.
        words::push(out, line.get(written..)?);
        (!self.single_lines || !out[start..].contains(&b'\n')).then_some(())
    }

    /// Appends the point's line, and keeps it for the next one with this key. After an error the caller takes
    /// back what was appended.
    pub(super) fn encode_new(
        &mut self,
        key: &SeriesKey,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        let start = batch.bytes.len();
        self.write(&mut batch.bytes, point)?;
        self.learn(key, point, &batch.bytes[start..]);
        self.push_timestamp(&mut batch.bytes, point.timestamp);
        batch.end_item(record);
        Ok(())
    }

    /// Keeps a line that has just been written.
    fn learn(&mut self, key: &SeriesKey, point: &Point<'_>, written: &[u8]) {
        let Some(known) = &mut self.known else { return };
        let values: usize = self.values.iter().map(Range::len).sum();
        if written.len() - values > LONGEST_LINE {
            return;
        }
        let len = written.len() - values;
        let room = len + size_of::<u16>() * self.values.len();
        let Some((bytes, line)) = known.learn(key, point, room) else { return };
        line.len = len;
        let mut behind = 0;
        for value in &self.values {
            bytes.extend_from_slice(&written[behind..value.start]);
            behind = value.end;
        }
        bytes.extend_from_slice(&written[behind..]);
        let mut values = 0;
        for value in &self.values {
            // Within [`LONGEST_LINE`].
            let place = u16::try_from(value.start - values).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&place.to_le_bytes());
            values += value.len();
        }
    }

    /// Writes all of a line but its time.
    fn write(&mut self, out: &mut Vec<u8>, point: &Point<'_>) -> Result<(), EncodeError> {
        let start = out.len();
        self.values.clear();
        self.write_key(out, point)?;
        let key = out.len() - start;
        let mut separator = b' ';
        self.fields.begin();
        for (name, value) in &point.fields {
            out.push(separator);
            separator = b',';
            let name_start = out.len();
            self.fields.push(out, name, write_field_name)?;
            // Without the equals sign.
            let name_len = out.len() - name_start - 1;
            if key + KEY_SEPARATOR + name_len > MAX_KEY {
                return Err(EncodeError(format!(
                    "the measurement, tags and name of field {name:?} are longer than {MAX_KEY} bytes"
                )));
            }
            let value_start = out.len() - start;
            push_value(out, value).map_err(|why| EncodeError(format!("field {name:?} {why}")))?;
            self.values.push(value_start..out.len() - start);
            out.extend(suffix(value));
        }
        if separator == b' ' {
            return Err(EncodeError("the point has no field".into()));
        }
        if self.single_lines && out[start..].contains(&b'\n') {
            let message = "a text has a line break in it, which a file of line protocol can't have; \
                           take the format `json_lines`";
            return Err(EncodeError(message.into()));
        }
        Ok(())
    }

    /// Appends the measurement and the tags.
    fn write_key(&mut self, out: &mut Vec<u8>, point: &Point<'_>) -> Result<(), EncodeError> {
        self.measurements.begin();
        self.measurements.push(out, &point.measurement, write_measurement)?;
        self.tags.begin();
        for (name, value) in &point.tags {
            // An empty value is an error to InfluxDB and no tag to VictoriaMetrics.
            if !value.is_empty() {
                self.tags.push(out, name, write_tag_name)?;
                let what = || format!("the value of tag {name:?}");
                push_text(out, value, COMMA_OR_SPACE | EQUALS, what)?;
            }
        }
        Ok(())
    }

    /// Appends a line as it is, but for its time: measurement, tags and fields that stand there as
    /// [`LineProtocol::encode`] would write them.
    pub fn copy(
        &mut self,
        line: &str,
        timestamp: Timestamp,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) {
        batch.bytes.extend_from_slice(line.as_bytes());
        self.push_timestamp(&mut batch.bytes, timestamp);
        batch.end_item(record);
    }

    fn push_timestamp(&self, out: &mut Vec<u8>, timestamp: Timestamp) {
        push_time(out, itoa::Buffer::new().format(self.units(timestamp)));
    }

    /// Towards the past, also before 1970: equal moments stay equal, and order is kept.
    fn units(&self, timestamp: Timestamp) -> i64 {
        timestamp.nanos().div_euclid(self.unit)
    }
}

/// Always sent: without it the database takes its clock's time, and a replay is a new point.
fn push_time(out: &mut Vec<u8>, time: &str) {
    out.push(b' ');
    words::push(out, time.as_bytes());
    out.push(b'\n');
}

fn write_measurement(out: &mut Vec<u8>, name: &str) -> Result<(), EncodeError> {
    match name.as_bytes().first() {
        None => return Err(EncodeError("the measurement is empty".into())),
        // Every parser takes such a line for a comment: 204 and no point.
        Some(b'#') => {
            return Err(EncodeError(format!(
                "the measurement {name:?} starts with #, which makes its line a comment"
            )));
        }
        Some(_) => {}
    }
    push_text(out, name, COMMA_OR_SPACE, || format!("the measurement {name:?}"))
}

/// With the comma before it and the equals sign behind it.
fn write_tag_name(out: &mut Vec<u8>, name: &str) -> Result<(), EncodeError> {
    // InfluxDB 2 refuses the whole batch for one of the first, and answers 204 to one of the others,
    // whose series no Flux query can read from then on: they are columns of every result.
    let refused = matches!(name, "" | "time" | "_field" | "_measurement");
    let unreadable = matches!(name, "_time" | "_value" | "_start" | "_stop");
    if refused || unreadable {
        return Err(EncodeError(format!("{name:?} can't be a tag's name in InfluxDB")));
    }
    out.push(b',');
    push_text(out, name, COMMA_OR_SPACE | EQUALS, || format!("the name of tag {name:?}"))?;
    out.push(b'=');
    Ok(())
}

/// With the equals sign behind it.
fn write_field_name(out: &mut Vec<u8>, name: &str) -> Result<(), EncodeError> {
    // InfluxDB drops a field of the name `time` and answers 204 if the point has another one
    // (`validateSeriesAndFields` in influxdb's `tsdb/shard.go`).
    if matches!(name, "" | "time") {
        return Err(EncodeError(format!("{name:?} can't be a field's name in InfluxDB")));
    }
    // VictoriaMetrics counts quotes in names too, and would read the next field as text, hence 0,
    // with a 204 (`nextUnquotedChar` in its `lib/protoparser/influx/parser.go`).
    if classes(name) & QUOTE != 0 {
        return Err(EncodeError(format!("the name of field {name:?} has a quote in it")));
    }
    push_text(out, name, COMMA_OR_SPACE | EQUALS, || format!("the name of field {name:?}"))?;
    out.push(b'=');
    Ok(())
}

/// What tells an integer from a float: it stands behind the digits.
fn suffix(value: &Value<'_>) -> Option<u8> {
    match value {
        Value::Integer(_) => Some(b'i'),
        Value::Unsigned(_) => Some(b'u'),
        _ => None,
    }
}

/// Without its [suffix]. The error goes on after the name of the field.
fn push_value(out: &mut Vec<u8>, value: &Value<'_>) -> Result<(), String> {
    match value {
        // JSON's grammar for numbers is within every parser's, InfluxDB 3's too, which is the
        // strictest (no `.5`, `5.` or `+1`).
        Value::Float(Float::Text(text)) => words::push(out, text.as_bytes()),
        Value::Float(Float::Number(number)) => {
            words::push(out, zmij::Buffer::new().format_finite(*number).as_bytes());
        }
        Value::Integer(number) => {
            words::push(out, itoa::Buffer::new().format(*number).as_bytes());
        }
        Value::Unsigned(number) => {
            words::push(out, itoa::Buffer::new().format(*number).as_bytes());
        }
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::String(text) => push_string(out, text)?,
        Value::NotFinite(number) => {
            return Err(format!("is {}, for which line protocol has nothing", number.to_f64()));
        }
        Value::Stale => {
            return Err("ends its series, for which line protocol has nothing".into());
        }
    }
    Ok(())
}

/// A quoted string. Newlines stay as they are: InfluxDB takes them, and VictoriaMetrics, which
/// makes 0 of every string anyway, refuses the batch, stores nothing of it and says so.
fn push_string(out: &mut Vec<u8>, text: &str) -> Result<(), String> {
    if text.len() > MAX_STRING {
        return Err(format!("is a string of {} bytes; InfluxDB takes {MAX_STRING}", text.len()));
    }
    out.push(b'"');
    push_escaped(out, text, classes(text), QUOTE | BACKSLASH);
    out.push(b'"');
    Ok(())
}

/// A measurement, a name or a tag's value; `what` describes it in an error.
fn push_text(
    out: &mut Vec<u8>,
    text: &str,
    special: u8,
    what: impl Fn() -> String,
) -> Result<(), EncodeError> {
    let found = classes(text);
    // A newline would end the line, and what follows it would be read as a point of its own. A tab
    // ends a name in InfluxDB 3, NUL in InfluxDB 2. None has an escape.
    if found & CONTROL != 0 {
        return Err(EncodeError(format!("{} has a control character in it", what())));
    }
    if found & BACKSLASH != 0 && has_ambiguous_backslash(text) {
        return Err(EncodeError(format!(
            "{} has a backslash at its end or before a backslash, comma, space or equals sign, \
             which databases read in different ways",
            what()
        )));
    }
    push_escaped(out, text, found, special);
    Ok(())
}

/// Whether InfluxDB 2 and the others would read another text.
///
/// The Go parser of InfluxDB 1 and 2 has no escape for a backslash; InfluxDB 3 and
/// VictoriaMetrics have (`\\`); and one that stands before a delimiter escapes that. Any other
/// backslash (`C:\data`) stands for itself everywhere. The rest is refused, not replaced: with a
/// replacement two series would silently become one, and a person who reads the rejected record's
/// reason can still choose one.
fn has_ambiguous_backslash(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| {
        let next = bytes.get(at + 1).map_or(BACKSLASH, |&next| CLASS[usize::from(next)]);
        *byte == b'\\' && next & (BACKSLASH | COMMA_OR_SPACE | EQUALS) != 0
    })
}

/// Copies a text, whose bytes are of the classes `found`, with a backslash before each of a `special`
/// one.
fn push_escaped(out: &mut Vec<u8>, text: &str, found: u8, special: u8) {
    if found & special == 0 {
        words::push(out, text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        if CLASS[usize::from(byte)] & special != 0 {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// All classes of bytes in the text.
fn classes(text: &str) -> u8 {
    text.bytes().fold(0, |all, byte| all | CLASS[usize::from(byte)])
}

#[cfg(test)]
mod tests;
