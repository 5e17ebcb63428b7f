//! Which of a batch's lines a database means: lines of our own encoder, so just as much of line
//! protocol is read here as that writes.

use crate::batch::Batch;
use crate::sink::go_text::unquote;

/// A line, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    /// With its escapes, as all names here.
    measurement: &'a str,
    fields: &'a str,
    timestamp: i64,
}

/// A field's type, as InfluxDB calls it in its errors.
fn type_of(value: &str) -> &'static str {
    match value.bytes().last() {
        Some(b'"') => "string",
        Some(b'i') => "integer",
        Some(b'u') => "unsigned",
        // true, false
        Some(b'e') => "boolean",
        _ => "float",
    }
}

fn line(batch: &Batch, item: usize) -> Option<Line<'_>> {
    let text = std::str::from_utf8(batch.item(item)).ok()?.strip_suffix('\n')?;
    let (points, timestamp) = text.rsplit_once(' ')?;
    let key = end_of(points, b" ")?;
    let measurement = &points[..end_of(points, b", ")?];
    Some(Line { measurement, fields: &points[key + 1..], timestamp: timestamp.parse().ok()? })
}

/// Where the first of these bytes stands without a backslash before it.
fn end_of(text: &str, ends: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let is_end = !escaped && ends.contains(&byte);
        escaped = byte == b'\\' && !escaped;
        is_end
    })
}

/// The names and the values of a line's fields.
fn fields(mut text: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        let equals = end_of(text, b"=")?;
        let (name, rest) = (&text[..equals], &text[equals + 1..]);
        let len = if let Some(string) = rest.strip_prefix('"') {
            end_of(string, b"\"")? + 2
        } else {
            rest.find(',').unwrap_or(rest.len())
        };
        text = rest[len..].strip_prefix(',').unwrap_or_default();
        Some((name, &rest[..len]))
    })
}

/// The name that an escaped one stands for.
fn unescaped(name: &str) -> Vec<u8> {
    let bytes = name.as_bytes();
    let is_escape = |at: usize| {
        bytes[at] == b'\\' && bytes.get(at + 1).is_some_and(|next| b", =".contains(next))
    };
    (0..bytes.len()).filter(|&at| !is_escape(at)).map(|at| bytes[at]).collect()
}

/// The lines that have a field of the type that its measurement has otherwise: of `input field "F" on
/// measurement "M" is type T, already exists as type U` (`ValidateAndCreateFields` in InfluxDB's
/// `tsdb/field_validator.go`). A field's type is fixed for a shard, that is for some days, so others
/// of these lines may be taken.
pub(super) fn with_conflict(said: &str, batch: &Batch) -> Option<Vec<usize>> {
    let (field, rest) = unquote(said.split_once("input field ")?.1)?;
    let (measurement, rest) = unquote(rest?.strip_prefix(" on measurement ")?)?;
    let (kind, _) = rest?.strip_prefix(" is type ")?.split_once(',')?;
    let has_field = |line: &Line<'_>| {
        fields(line.fields).any(|(name, value)| type_of(value) == kind && unescaped(name) == field)
    };
    let is_meant = |&item: &usize| {
        line(batch, item).is_some_and(|l| unescaped(l.measurement) == measurement && has_field(&l))
    };
    Some((0..batch.len()).filter(is_meant).collect())
}

/// So many of the oldest lines. `None` if one can't be read.
pub(super) fn oldest(count: usize, batch: &Batch) -> Option<Vec<usize>> {
    let time = |item| line(batch, item).map(|line| (line.timestamp, item));
    let mut by_time: Vec<_> = (0..batch.len()).map(time).collect::<Option<_>>()?;
    by_time.sort_unstable();
    let mut oldest: Vec<_> = by_time.into_iter().take(count).map(|(_, item)| item).collect();
    oldest.sort_unstable();
    Some(oldest)
}

/// The lines that don't parse, each with its reason: `unable to parse 'LINE': REASON`, in the order of
/// the lines, one after the other with a line break between (`ParsePointsWithPrecision` in InfluxDB's
/// `models/points.go`). Of an answer that is cut off, those that stand in it.
pub(super) fn unparsed(said: &str, batch: &Batch) -> Vec<(usize, String)> {
    const START: &str = "unable to parse '";
    let mut named = Vec::new();
    let (mut rest, mut next) = (said, 0);
    while let Some(quoted) = rest.strip_prefix(START) {
        let after = |item: usize| {
            let line = std::str::from_utf8(batch.item(item)).ok()?;
            quoted.strip_prefix(line.trim_end_matches('\n'))?.strip_prefix("': ")
        };
        let Some((item, after)) =
            (next..batch.len()).find_map(|item| after(item).map(|after| (item, after)))
        else {
            break;
        };
        let (reason, others) = match after.find("\nunable to parse '") {
            Some(end) => (&after[..end], &after[end + 1..]),
            None => (after, ""),
        };
        named.push((item, reason.to_owned()));
        (rest, next) = (others, item + 1);
    }
    named
}

/// The item that the rest of the batch's bytes begins in, when VictoriaMetrics quotes that: it stops at
/// the first bad line and quotes all from there (`rs.unmarshal` in its
/// `lib/protoparser/influx/parser.go`). To it every line break ends a line, also one in a string.
/// `None` if the answer is cut off before the end of that line.
pub(super) fn first_bad(quoted: &str, batch: &Batch) -> Option<usize> {
    let (rest, after) = unquote(quoted)?;
    let body = batch.body();
    let start = if after.is_some() {
        body.len().checked_sub(rest.len()).filter(|&start| body[start..] == rest)?
    } else if rest.contains(&b'\n') {
        // Where such a text stands first: a line of the same text before it would be bad as well.
        let starts = std::iter::once(0).chain((1..body.len()).filter(|&at| body[at - 1] == b'\n'));
        starts.into_iter().find(|&at| body[at..].starts_with(&rest))?
    } else {
        return None;
    };
    let mut end = 0;
    (0..batch.len()).find(|&item| {
        end += batch.item(item).len();
        start < end
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::influxdb::tests::batch;

    const ODD: &str =
        "a\\,b\\ c,t\\ 1=x\\,y\\ z f\\=1=\"q \\\" , w=2 \\\\\",g=1.5,h=2i,k=3u,l=true 17\n";

    #[test]
    fn our_own_lines_are_read() {
        let batch = batch(&[ODD, "m v=1 -5\n"]);
        let odd = line(&batch, 0).unwrap();
        assert_eq!((odd.measurement, odd.timestamp), ("a\\,b\\ c", 17));
        let found: Vec<_> = fields(odd.fields).map(|(n, v)| (n, type_of(v))).collect();
        let expected = [
            ("f\\=1", "string"),
            ("g", "float"),
            ("h", "integer"),
            ("k", "unsigned"),
            ("l", "boolean"),
        ];
        assert_eq!(found, expected);
        assert_eq!(unescaped("a\\,b\\ c\\=d\\x"), b"a,b c=d\\x");
        let plain = Line { measurement: "m", fields: "v=1", timestamp: -5 };
        assert_eq!(line(&batch, 1), Some(plain));
    }

    #[test]
    fn a_conflict_names_the_lines_that_have_the_field_with_that_type() {
        let batch =
            batch(&["m v=1 1\n", "m v=1i 2\n", "n v=1 3\n", "m,t=a w=2,v=3 4\n", "m w=1 5\n", ODD]);
        let said = "partial write: field type conflict: input field \"v\" on measurement \"m\" is type \
            float, already exists as type integer dropped=2";
        assert_eq!(with_conflict(said, &batch), Some(vec![0, 3]));
        let odd = "input field \"f=1\" on measurement \"a,b c\" is type string, already exists as type float";
        assert_eq!(with_conflict(odd, &batch), Some(vec![5]));
        assert_eq!(with_conflict("input field \"v\" on measure", &batch), None);
    }

    #[test]
    fn the_oldest_lines_are_those_of_the_earliest_times() {
        let batch = batch(&["m v=1 3\n", "m v=1 -1\n", "m v=1 2\n", "m v=1 7\n"]);
        assert_eq!(oldest(2, &batch), Some(vec![1, 2]));
    }

    #[test]
    fn every_line_that_does_not_parse_is_found_also_among_equal_ones() {
        let batch =
            batch(&["a b=1z 1\n", "a b=1 1\n", "a b=1z 1\n", "s f=\"x\nunable to parse 'y\" 1z\n"]);
        let said = "unable to parse 'a b=1z 1': invalid number\nunable to parse 'a b=1z 1': invalid \
            number\nunable to parse 's f=\"x\nunable to parse 'y\" 1z': bad timestamp";
        let named = unparsed(said, &batch);
        assert_eq!(named.iter().map(|named| named.0).collect::<Vec<_>>(), [0, 2, 3]);
        assert_eq!(named[2].1, "bad timestamp");
        // Cut off within the third.
        assert_eq!(unparsed(&said[..100], &batch).len(), 2);
        assert_eq!(unparsed("unable to parse 'c d=1 1': no such line", &batch), []);
    }

    #[test]
    fn the_first_bad_line_is_where_the_quoted_rest_begins() {
        let batch = batch(&["a b=1 1\n", "a b=\"x\ny\" 1\n", "a b=1 1\n", "a b=1 2\n"]);
        let check = |quoted: &str, item| assert_eq!(first_bad(quoted, &batch), item, "{quoted}");
        check(r#""a b=\"x\ny\" 1\na b=1 1\na b=1 2\n": cause"#, Some(1));
        check(r#""y\" 1\na b=1 1\na b=1 2\n": cause"#, Some(1));
        check(r#""a b=1 1\na b=1 2\n": cause"#, Some(2));
        check(r#""a b=1 2\n": cause"#, Some(3));
        // Cut off: the text as far as it goes stands first in item 0, or second.
        check(r#""a b=1 1\na b=\"x\n"#, Some(0));
        check(r#""a b=\"x\ny"#, Some(1));
        check(r#""a b=1 1"#, None);
        check(r#""another line\n": cause"#, None);
    }
}
