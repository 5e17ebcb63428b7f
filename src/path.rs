//! Paths into a message, and the trie that all paths of a mapping are compiled into.
//!
//! A path is written as in `reading.temperature`, `items[0].id` or `["odd.key"].x`:
//! - a bare key is made of letters and digits of any script and `_ - @ $ : / #`;
//! - any other key stands in brackets and double quotes, with JSON's escapes: `a["b c"]`;
//! - `[0]` is the first element of an array; elements can't be counted from the end;
//! - `$` alone is the whole message.
//!
//! `items.0` is the key `0` of an object, never an element of an array.

mod trie;

use std::fmt;
use std::str::FromStr;

pub use trie::{Elements, Entries, Indexes, Keys, Node, PathTrie};

/// The most segments a path may have: no decoder opens more containers in one message than this,
/// so that a longer path could never find a value.
pub const MAX_SEGMENTS: usize = 128;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// The value under a key of an object.
    Key(Box<str>),
    /// An element of an array, counted from 0.
    Index(usize),
}

/// Where a value stands in a message. Without segments: the whole message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Path {
    segments: Vec<Segment>,
}

/// Why a text is not a path, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {what}")]
pub struct PathError {
    /// The character at fault, counted from 1.
    pub column: usize,
    /// What is wrong there and what to write instead.
    pub what: String,
}

impl Path {
    /// Of a key of the message.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        Self { segments: vec![Segment::Key(key.into())] }
    }

    /// The steps from the root of the message to the value.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether this is `$`, the whole message.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.segments.is_empty()
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut parser = Parser { text, at: 0 };
        if text == "$" {
            return Ok(Self::default());
        }
        let mut segments = vec![parser.first()?];
        while let Some(next) = parser.peek() {
            if segments.len() == MAX_SEGMENTS {
                return parser.fail(format!("a path has at most {MAX_SEGMENTS} segments"));
            }
            segments.push(match next {
                '[' => parser.bracket()?,
                '.' => parser.after_dot()?,
                _ => return parser.fail("a `.` or a `[` should follow the `]`".into()),
            });
        }
        Ok(Self { segments })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return out.write_str("$");
        }
        for (position, segment) in self.segments.iter().enumerate() {
            let first = position == 0;
            match segment {
                Segment::Index(index) => write!(out, "[{index}]")?,
                Segment::Key(key) if !is_bare(key, first) => write_quoted(out, key)?,
                Segment::Key(key) if first => out.write_str(key)?,
                Segment::Key(key) => write!(out, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// Whether a key needs no quotes. A first key `$` does: alone it would read as the whole message.
fn is_bare(key: &str, first: bool) -> bool {
    !key.is_empty() && key.chars().all(is_bare_char) && !(first && key == "$")
}

/// Few on purpose: what is refused today can still be given a meaning (`*`, `|`, `}}` in templates).
fn is_bare_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '@' | '$' | ':' | '/' | '#')
}

fn write_quoted(out: &mut impl fmt::Write, key: &str) -> fmt::Result {
    out.write_str("[\"")?;
    for c in key.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_str("\"]")
}

/// A key as it has to be written, for error messages.
fn quoted(key: &str) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = write_quoted(&mut text, key);
    text
}

const UNKNOWN_ESCAPE: &str = concat!(
    r#"unknown escape: only \" \\ \/ \b \f \n \r \t and \u with four hex digits; "#,
    "write any other character itself",
);

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn fail<T>(&self, what: String) -> Result<T, PathError> {
        let column = self.text[..self.at].chars().count() + 1;
        Err(PathError { column, what })
    }

    fn first(&mut self) -> Result<Segment, PathError> {
        match self.peek() {
            None => self.fail("the path is empty: write `$` for the whole message".into()),
            Some('[') => self.bracket(),
            Some('.') => self.fail("a path doesn't start with a dot: leave it out".into()),
            Some('$') if self.text.starts_with("$.") => self.fail(
                "paths start at the root by themselves: leave out `$.` (a key `$` is written `[\"$\"]`)".into(),
            ),
            Some('$') if self.text.starts_with("$[") => self.fail(
                "paths start at the root by themselves: leave out `$` (a key `$` is written `[\"$\"]`)".into(),
            ),
            Some(_) => self.bare(),
        }
    }

    fn after_dot(&mut self) -> Result<Segment, PathError> {
        self.next();
        match self.peek() {
            None => self.fail("a key should follow the dot: add it, or leave the dot out".into()),
            Some('.') => self.fail(
                "a key should stand between the two dots (an empty key is written `[\"\"]`)".into(),
            ),
            Some('[') => self.fail("leave out the dot before `[`".into()),
            Some(_) => self.bare(),
        }
    }

    fn bare(&mut self) -> Result<Segment, PathError> {
        let rest = &self.text[self.at..];
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let key = &rest[..end];
        if let Some((before, odd)) = key.char_indices().find(|(_, c)| !is_bare_char(*c)) {
            self.at += before;
            return self.fail(match odd {
                '*' => "a path names one value, there are no wildcards: write each path out".into(),
                ']' => "this `]` closes nothing: leave it out".into(),
                _ => format!(
                    "a key with {odd:?} in it stands in brackets and quotes: write `{}`",
                    quoted(key)
                ),
            });
        }
        self.at += end;
        Ok(Segment::Key(key.into()))
    }

    fn bracket(&mut self) -> Result<Segment, PathError> {
        self.next();
        let segment = match self.peek() {
            Some('"') => self.quoted_key()?,
            Some('0'..='9') => self.index()?,
            Some('-') => {
                return self
                    .fail("elements can't be counted from the end: write an index from 0".into());
            }
            Some('*') => {
                return self.fail(
                    "a path names one value, there are no wildcards: write an index from 0".into(),
                );
            }
            Some('\'') => {
                return self
                    .fail("a key in brackets stands in double quotes, not single ones".into());
            }
            Some(_) if self.rest().contains(']') => {
                let inside = self.rest().split(']').next().unwrap_or_default();
                let mend =
                    format!("write an index from 0, or a key in quotes: `{}`", quoted(inside));
                return self.fail(mend);
            }
            _ => {
                return self.fail(
                    "an index from 0 or a key in double quotes should follow the `[`".into(),
                );
            }
        };
        match self.peek() {
            Some(']') => self.next(),
            _ => return self.fail("a `]` is missing here".into()),
        };
        Ok(segment)
    }

    fn index(&mut self) -> Result<Segment, PathError> {
        let rest = self.rest();
        let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        if digits.len() > 1 && digits.starts_with('0') {
            return self.fail("an index has no leading zeros".into());
        }
        // u32 on every machine: a mapping that works on one must not fail on another.
        let Ok(index) = digits.parse::<u32>() else {
            return self.fail(format!("an index is at most {}", u32::MAX));
        };
        self.at += digits.len();
        Ok(Segment::Index(index as usize))
    }

    fn quoted_key(&mut self) -> Result<Segment, PathError> {
        let start = self.at;
        self.next();
        let mut key = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(Segment::Key(key.into())),
                Some('\\') => key.push(self.escape()?),
                Some(c) => key.push(c),
                None => {
                    self.at = start;
                    return self.fail("this quote is never closed: add `\"]` after the key".into());
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, PathError> {
        let start = self.at;
        let escaped = match self.next() {
            Some(c @ ('"' | '\\' | '/')) => Some(c),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('u') => self.unicode(),
            _ => None,
        };
        escaped.map_or_else(
            || {
                self.at = start;
                self.fail(UNKNOWN_ESCAPE.into())
            },
            Ok,
        )
    }

    /// Half of a surrogate pair is no character: the caller then asks for the character itself.
    fn unicode(&mut self) -> Option<char> {
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        self.at += 4;
        Some(c)
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
