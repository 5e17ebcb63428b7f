//! A message for a person's eyes: JSON laid out, other text as it is, all else as a hex dump; with the
//! place marked that a reason speaks of, and cut to what fits.
//!
//! Nothing here trusts a message: control characters are escaped, so that none reaches the terminal.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde::de::IgnoredAny;

use crate::path::{Path, Segment};

/// Longer JSON is not laid out.
const LONGEST_LAID_OUT: usize = 1 << 20;
/// Characters of a line that are shown.
const LINE: usize = 160;
/// What is shown around a mark that lies beyond the cut: lines of text, or bytes to both sides.
const AROUND: usize = 3;
const BYTES_AROUND: usize = 64;
const MARK: &str = "  ◀ here";

/// The place in a message that a reason speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spot {
    /// From the start of the message.
    Byte(usize),
    /// Both from 1, the column in characters.
    Line(usize, usize),
    Path(Path),
}

impl Spot {
    /// Reads Tidegate's reasons (`… at byte 17`, `… path a.b: …`) and those of Jackson, which Kafka
    /// Connect's JSON converter uses (`… line: 1, column: 17 …`).
    pub(crate) fn of(reason: &str) -> Option<Self> {
        static BYTE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"at byte (\d+)").ok());
        static LINE: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"line:? (\d+),? column:? (\d+)").ok());
        let number = |found: &regex::Captures<'_>, group| found.get(group)?.as_str().parse().ok();
        if let Some(found) = BYTE.as_ref().and_then(|byte| byte.captures(reason)) {
            return number(&found, 1).map(Self::Byte);
        }
        if let Some(found) = LINE.as_ref().and_then(|line| line.captures(reason)) {
            return Some(Self::Line(number(&found, 1)?, number(&found, 2)?));
        }
        let (_, path) = reason.split_once("path ")?;
        let path = path.split(": ").next().unwrap_or(path);
        path.parse().ok().map(Self::Path)
    }
}

/// The lines to print for a message; of a long one, about `limit` bytes and what is around the spot.
pub(crate) fn lines(message: &[u8], spot: Option<&Spot>, limit: usize) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(message) else {
        let byte = match spot {
            Some(Spot::Byte(byte)) => Some(*byte),
            _ => None,
        };
        return hex_dump(message, byte, limit);
    };
    let path = match spot {
        Some(Spot::Path(path)) => Some(path),
        _ => None,
    };
    let is_place = matches!(spot, Some(Spot::Byte(_) | Spot::Line(..)));
    let is_json = || serde_json::from_str::<IgnoredAny>(text).is_ok();
    if !is_place && text.len() <= LONGEST_LAID_OUT && is_json() {
        let (lines, marked) = laid_out(text, path);
        let mark = |(number, line): (usize, String)| {
            let mark = if marked == Some(number) { MARK } else { "" };
            cut(&line, 0) + mark
        };
        let lines: Vec<_> = lines.into_iter().enumerate().map(mark).collect();
        return window(&lines, marked, limit);
    }
    let place = match spot {
        Some(Spot::Byte(byte)) => place_of_byte(text, *byte),
        Some(Spot::Line(line, column)) => Some((line.saturating_sub(1), column.saturating_sub(1))),
        _ => None,
    };
    plain(text, place, limit)
}

/// Text that can be shown on one line of a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.extend(c.escape_default()),
            // Turns the direction of what follows.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Bytes on one line: text, or escapes.
pub(crate) fn short(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => cut(&printable(text), 0),
        Err(_) => cut(&bytes.escape_ascii().to_string(), 0),
    }
}

/// Line and column, both from 0, the column in characters.
fn place_of_byte(text: &str, byte: usize) -> Option<(usize, usize)> {
    let before = text.get(..text.floor_char_boundary(byte))?;
    let line = before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    Some((line, before[start..].chars().count()))
}

fn plain(text: &str, place: Option<(usize, usize)>, limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut marked = None;
    for (number, line) in text.split('\n').enumerate() {
        let Some((_, column)) = place.filter(|(marked, _)| *marked == number) else {
            lines.push(cut(&printable(line), 0));
            continue;
        };
        // What is before the caret, as it is shown: an escape is longer than its character.
        let before: String = line.chars().take(column).collect();
        let (line, column) = (printable(line), printable(&before).chars().count());
        let start = column.saturating_sub(LINE / 2);
        lines.push(cut(&line, start));
        marked = Some(lines.len());
        let indent = column - start + usize::from(start > 0);
        lines.push(format!("{}^ here", " ".repeat(indent)));
    }
    window(&lines, marked, limit)
}

/// A line from a character on, as far as it is shown.
fn cut(line: &str, start: usize) -> String {
    let mut shown: String = line.chars().skip(start).take(LINE).collect();
    if line.chars().nth(start + LINE).is_some() {
        shown.push('…');
    }
    if start > 0 { format!("…{shown}") } else { shown }
}

/// The first lines, and those around the marked one.
fn window(lines: &[String], marked: Option<usize>, limit: usize) -> Vec<String> {
    let mut size = 0;
    let first = lines
        .iter()
        .take_while(|line| {
            size += line.len() + 1;
            size <= limit
        })
        .count();
    let shown = [
        0..first,
        marked.map_or(0..0, |at| {
            at.saturating_sub(AROUND).max(first)..(at + AROUND + 1).min(lines.len())
        }),
    ];
    let left_out = |range: Range<usize>| match range.len() {
        0 => None,
        1 => Some("… 1 more line".to_owned()),
        count => Some(format!("… {count} more lines")),
    };
    let mut out = Vec::new();
    let mut next = 0;
    for range in shown.into_iter().filter(|range| !range.is_empty()) {
        out.extend(left_out(next..range.start));
        next = range.end;
        out.extend_from_slice(&lines[range]);
    }
    out.extend(left_out(next..lines.len()));
    out
}

fn hex_dump(bytes: &[u8], spot: Option<usize>, limit: usize) -> Vec<String> {
    const ROW: usize = 16;
    let first = 0..limit.next_multiple_of(ROW).min(bytes.len());
    let around = spot.filter(|spot| !first.contains(spot) && *spot < bytes.len()).map(|spot| {
        let start = (spot.saturating_sub(BYTES_AROUND) / ROW * ROW).max(first.end);
        start..(spot + BYTES_AROUND).min(bytes.len())
    });
    let mut lines = Vec::new();
    let mut next = 0;
    for range in [Some(first), around].into_iter().flatten() {
        if range.start > next {
            lines.push(format!("… {} more bytes", range.start - next));
        }
        next = range.end;
        for (row, start) in bytes[range.clone()].chunks(ROW).zip((range.start..).step_by(ROW)) {
            let mut line = format!("{start:08x} ");
            for byte in row {
                // Writing to a String can't fail.
                let _ = write!(line, " {byte:02x}");
            }
            let text: String =
                row.iter()
                    .map(|byte| {
                        if byte.is_ascii_graphic() || *byte == b' ' {
                            char::from(*byte)
                        } else {
                            '.'
                        }
                    })
                    .collect();
            let _ = write!(line, "{:width$}  {text}", "", width = 3 * (ROW - row.len()));
            if spot.is_some_and(|spot| (start..start + row.len()).contains(&spot)) {
                line.push_str(MARK);
            }
            lines.push(line);
        }
    }
    if next < bytes.len() {
        lines.push(format!("… {} more bytes", bytes.len() - next));
    }
    lines
}

/// Where the printer is, in the innermost container.
enum Step {
    /// `None` before the key.
    Key(Option<String>),
    Index(usize),
}

/// JSON, known to be valid, with a line for each value, and the line at which the value of a path
/// begins. Keys stay in their order and numbers as they are spelled.
fn laid_out(text: &str, path: Option<&Path>) -> (Vec<String>, Option<usize>) {
    let (mut lines, mut line) = (Vec::new(), String::new());
    let mut marked = None;
    let mut steps: Vec<Step> = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let token = &rest[..token(rest)];
        rest = rest[token.len()..].trim_start();
        let is_key = c == '"' && matches!(steps.last(), Some(Step::Key(None)));
        if !is_key
            && !matches!(c, '}' | ']' | ',' | ':')
            && path.is_some_and(|path| is_at(path, &steps))
        {
            marked.get_or_insert(lines.len());
        }
        match c {
            '{' | '[' if rest.starts_with(['}', ']']) => {
                line.push_str(token);
                line.push_str(&rest[..1]);
                rest = rest[1..].trim_start();
                continue;
            }
            '}' | ']' => {
                steps.pop();
                next_line(&mut lines, &mut line, steps.len());
            }
            _ => {}
        }
        line.push_str(&printable(token));
        match c {
            '{' => steps.push(Step::Key(None)),
            '[' => steps.push(Step::Index(0)),
            ':' => line.push(' '),
            ',' => match steps.last_mut() {
                Some(Step::Index(index)) => *index += 1,
                Some(Step::Key(key)) => *key = None,
                None => {}
            },
            '"' if is_key => {
                let key = serde_json::from_str(token).unwrap_or_default();
                if let Some(step) = steps.last_mut() {
                    *step = Step::Key(Some(key));
                }
            }
            _ => {}
        }
        if matches!(c, '{' | '[' | ',') {
            next_line(&mut lines, &mut line, steps.len());
        }
    }
    lines.push(line);
    (lines, marked)
}

fn next_line(lines: &mut Vec<String>, line: &mut String, depth: usize) {
    let next = "  ".repeat(depth);
    lines.push(std::mem::replace(line, next));
}

/// The length of the token that a text of JSON begins with.
fn token(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes[0] {
        b'"' => {
            let mut escaped = false;
            let end = bytes[1..].iter().position(|byte| {
                let ends = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                ends
            });
            end.map_or(text.len(), |end| end + 2)
        }
        b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
        _ => text
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '}' | ']' | ','))
            .unwrap_or(text.len()),
    }
}

fn is_at(path: &Path, steps: &[Step]) -> bool {
    let same = |(segment, step): (&Segment, &Step)| match (segment, step) {
        (Segment::Key(wanted), Step::Key(Some(key))) => **wanted == **key,
        (Segment::Index(wanted), Step::Index(index)) => wanted == index,
        _ => false,
    };
    path.segments().len() == steps.len() && path.segments().iter().zip(steps).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(reason: &str) -> Option<Spot> {
        Spot::of(reason)
    }

    #[test]
    fn a_reason_tells_the_place_that_it_speaks_of() {
        let path = |path: &str| Some(Spot::Path(path.parse().unwrap()));
        assert_eq!(spot("invalid UTF-8 at byte 17"), Some(Spot::Byte(17)));
        assert_eq!(spot("field v: path a[0].b: found the text \"x: y\""), path("a[0].b"));
        assert_eq!(
            spot("tag t is required: path [\"odd key\"].x: there is no value"),
            path("[\"odd key\"].x")
        );
        let jackson = "Unexpected character ('x'): at [Source: (byte[]); line: 2, column: 7]";
        assert_eq!(spot(jackson), Some(Spot::Line(2, 7)));
        assert_eq!(spot("out of order sample"), None);
    }

    #[test]
    fn json_is_laid_out_with_the_path_marked_and_nothing_of_it_changed() {
        let text = r#" {"b":{"x":[1.50,{"k":"a\"]}"},[]],"e":{}},"a":1e2} "#;
        let spot = Spot::Path("b.x[1].k".parse().unwrap());
        let shown = lines(text.as_bytes(), Some(&spot), 4096);
        let expected = r#"{
  "b": {
    "x": [
      1.50,
      {
        "k": "a\"]}"  ◀ here
      },
      []
    ],
    "e": {}
  },
  "a": 1e2
}"#;
        assert_eq!(shown.join("\n"), expected);
    }

    #[test]
    fn a_byte_of_broken_text_has_a_caret_under_it() {
        let shown = lines(b"{\"a\": 1,\n\t\"\xc3\xa4\": tru}", Some(&Spot::Byte(16)), 4096);
        assert_eq!(shown, ["{\"a\": 1,", "\\t\"ä\": tru}", "       ^ here"]);
        let long = format!("{}x{}", "a".repeat(1000), "b".repeat(1000));
        let shown = lines(long.as_bytes(), Some(&Spot::Byte(1000)), 4096);
        let at = shown[1].chars().position(|c| c == '^').unwrap();
        assert_eq!(shown[0].chars().nth(at), Some('x'), "{shown:?}");
    }

    #[test]
    fn what_is_no_text_is_a_hex_dump_with_its_byte_marked() {
        let mut bytes = vec![0xff; 40];
        bytes[17] = b'A';
        let shown = lines(&bytes, Some(&Spot::Byte(17)), 4096);
        assert_eq!(shown.len(), 3);
        let row =
            "00000010  ff 41 ff ff ff ff ff ff ff ff ff ff ff ff ff ff  .A..............  ◀ here";
        assert_eq!(shown[1], row);
        assert_eq!(
            shown[2],
            format!("00000020  {}{}  ........", "ff ".repeat(8).trim_end(), " ".repeat(24))
        );
    }

    #[test]
    fn a_long_message_is_cut_and_its_mark_is_shown_all_the_same() {
        let text = format!("[{}]", (0..5000).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
        let spot = Spot::Path("[4000]".parse().unwrap());
        let shown = lines(text.as_bytes(), Some(&spot), 100);
        assert!(shown.len() < 40, "{shown:?}");
        assert!(shown.contains(&format!("  4000,{MARK}")), "{shown:?}");
        let shown = lines(&vec![0xff; 100_000], Some(&Spot::Byte(90_000)), 100);
        assert!(shown.len() < 30 && shown.iter().any(|line| line.ends_with(MARK)), "{shown:?}");
    }

    #[test]
    fn no_control_character_of_a_message_reaches_the_terminal() {
        for message in ["\u{1b}[2Jx", "{\"a\u{1b}\": 1}", "\"\u{7f}\u{202e}\"", "a\rb"] {
            for line in lines(message.as_bytes(), None, 4096) {
                assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
            }
        }
    }
}
