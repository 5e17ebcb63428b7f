//! Line protocol, in the part of it that InfluxDB 2 and 3 and VictoriaMetrics read alike.
//!
//! A line that they would read differently, or that one of them would drop while answering 204, is
//! an [`EncodeError`]: the record goes to the dead-letter topic with a reason instead of becoming
//! other data. docs/sinks.md lists the differences.

mod keys;

use self::keys::Keys;
use super::EncodeError;
use crate::batch::{OpenBatch, RecordIndex};
use crate::config::raw::Precision;
use crate::point::{Float, Point, Timestamp, Value};
use crate::words::{self, is_same};

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
    /// Where series keys are kept.
    keys: Option<Keys>,
    measurements: Names,
    tags: Names,
    fields: Names,
}

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
            keys: Some(Keys::default()),
            measurements: Names::default(),
            tags: Names::default(),
            fields: Names::default(),
        }
    }

    /// For files: a line break is the end of a point, so that half a point can be told from a whole.
    pub fn of_single_lines() -> Self {
        Self { single_lines: true, ..Self::new(Precision::Ns) }
    }

    /// The same for another open batch. Its series keys are not kept: there may be as many of these as there
    /// are destinations, and each lasts for a batch only.
    pub(super) fn apart(&self) -> Self {
        let (measurements, tags) = (self.measurements.clone(), self.tags.clone());
        Self { keys: None, measurements, tags, fields: self.fields.clone(), ..*self }
    }

    /// Appends the point's line. After an error the caller takes back what was appended.
    pub fn encode(
        &mut self,
        point: &Point<'_>,
        record: RecordIndex,
        batch: &mut OpenBatch,
    ) -> Result<(), EncodeError> {
        let out = &mut batch.bytes;
        let start = out.len();
        self.push_key(out, point)?;
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
            push_value(out, name, value)?;
        }
        if separator == b' ' {
            return Err(EncodeError("the point has no field".into()));
        }
        if self.single_lines && out[start..].contains(&b'\n') {
            let message = "a text has a line break in it, which a file of line protocol can't have; \
                           take the format `json_lines`";
            return Err(EncodeError(message.into()));
        }
        self.push_timestamp(out, point.timestamp);
        batch.end_item(record);
        Ok(())
    }

    /// Appends the measurement and the tags.
    #[inline]
    fn push_key(&mut self, out: &mut Vec<u8>, point: &Point<'_>) -> Result<(), EncodeError> {
        let Some(keys) = &self.keys else { return self.write_key(out, point) };
        let hash = Keys::hash(point);
        if let Some(written) = keys.find(point, hash) {
            words::push(out, written);
            return Ok(());
        }
        let start = out.len();
        self.write_key(out, point)?;
        if let Some(keys) = &mut self.keys {
            keys.learn(point, hash, &out[start..]);
        }
        Ok(())
    }

    /// As they are written anew.
    #[inline(never)]
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

    /// Always sent: without it the database takes its clock's time, and a replay is a new point.
    fn push_timestamp(&self, out: &mut Vec<u8>, timestamp: Timestamp) {
        out.push(b' ');
        // Towards the past, also before 1970: equal moments stay equal, and order is kept.
        let units = timestamp.nanos().div_euclid(self.unit);
        words::push(out, itoa::Buffer::new().format(units).as_bytes());
        out.push(b'\n');
    }
}

/// A name as it stands in a line: checked, and with its escapes.
#[derive(Debug, Clone, Default)]
struct Written {
    name: String,
    bytes: Vec<u8>,
}

/// What writes a kind of name.
type Write = fn(&mut Vec<u8>, &str) -> Result<(), EncodeError>;

/// Names that came before. A mapping gives nearly every point the same ones in the same order, and to
/// check and escape them each time costs as much as all their values.
#[derive(Debug, Clone, Default)]
struct Names {
    known: Vec<Written>,
    /// Where the next name of a point is looked for first.
    next: usize,
}

impl Names {
    /// More than a point usually has; names without end take each other's place.
    const MOST: usize = 64;
    /// A longer one is not kept, in bytes.
    const LONGEST: usize = 256;

    /// The names of another point follow.
    fn begin(&mut self) {
        self.next = 0;
    }

    /// Appends the name as it is written.
    #[inline]
    fn push(&mut self, out: &mut Vec<u8>, name: &str, write: Write) -> Result<(), EncodeError> {
        match self.known.get(self.next) {
            Some(known) if is_same(known.name.as_bytes(), name.as_bytes()) => {
                self.next += 1;
                words::push(out, &known.bytes);
                Ok(())
            }
            _ => self.push_unexpected(out, name, write),
        }
    }

    #[inline(never)]
    fn push_unexpected(
        &mut self,
        out: &mut Vec<u8>,
        name: &str,
        write: Write,
    ) -> Result<(), EncodeError> {
        if let Some(place) = self.known.iter().position(|known| known.name == name) {
            self.next = place + 1;
            out.extend_from_slice(&self.known[place].bytes);
            return Ok(());
        }
        let start = out.len();
        write(out, name)?;
        if name.len() <= Self::LONGEST {
            self.learn(name, &out[start..]);
        }
        Ok(())
    }

    #[cold]
    fn learn(&mut self, name: &str, bytes: &[u8]) {
        let is_full = self.known.len() >= Self::MOST;
        let mut new = if is_full { self.known.swap_remove(0) } else { Written::default() };
        name.clone_into(&mut new.name);
        bytes.clone_into(&mut new.bytes);
        self.known.push(new);
        self.next = self.known.len();
    }
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

#[inline]
fn push_value(out: &mut Vec<u8>, name: &str, value: &Value<'_>) -> Result<(), EncodeError> {
    match value {
        // JSON's grammar for numbers is within every parser's, InfluxDB 3's too, which is the
        // strictest (no `.5`, `5.` or `+1`).
        Value::Float(Float::Text(text)) => words::push(out, text.as_bytes()),
        Value::Float(Float::Number(number)) => {
            words::push(out, zmij::Buffer::new().format_finite(*number).as_bytes());
        }
        Value::Integer(number) => {
            words::push(out, itoa::Buffer::new().format(*number).as_bytes());
            out.push(b'i');
        }
        Value::Unsigned(number) => {
            words::push(out, itoa::Buffer::new().format(*number).as_bytes());
            out.push(b'u');
        }
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::String(text) => push_string(out, name, text)?,
        Value::NotFinite(number) => {
            let number = number.to_f64();
            let why = format!("field {name:?} is {number}, for which line protocol has nothing");
            return Err(EncodeError(why));
        }
        Value::Stale => {
            let why =
                format!("field {name:?} ends its series, for which line protocol has nothing");
            return Err(EncodeError(why));
        }
    }
    Ok(())
}

/// A quoted string. Newlines stay as they are: InfluxDB takes them, and VictoriaMetrics, which
/// makes 0 of every string anyway, refuses the batch, stores nothing of it and says so.
fn push_string(out: &mut Vec<u8>, name: &str, text: &str) -> Result<(), EncodeError> {
    if text.len() > MAX_STRING {
        return Err(EncodeError(format!(
            "field {name:?} is a string of {} bytes; InfluxDB takes {MAX_STRING}",
            text.len()
        )));
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
