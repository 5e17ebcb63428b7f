//! Paths into a message, and the trie that all paths of a mapping are compiled into.
//!
//! A path is written as in `reading.temperature`, `items[0].id` or `["odd.key"].x`:
//! - a bare key is made of letters and digits of any script and `_ - @ $ : / #`;
//! - any other key stands in brackets and double quotes, with JSON's escapes: `a["b c"]`;
//! - `[0]` is the first element of an array; elements can't be counted from the end;
//! - `$` alone is the whole message.
//!
//! `items.0` is the key `0` of an object, never an element of an array.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// All paths of a mapping in one tree, so that a decoder walks a message once for all of them.
#[derive(Debug, Clone, Default)]
pub struct PathTrie {
    root: Node,
    paths: Vec<Path>,
}

/// A place in the tree: what is wanted of the value that stands there.
#[derive(Debug, Clone, Default)]
pub struct Node {
    slot: Option<usize>,
    /// In the order in which they were asked for.
    keys: Vec<Child>,
    /// The place of the key that came first in the last message.
    first: Guess,
    /// Where each of `keys` stands, for objects of which much is wanted.
    positions: HashMap<Box<[u8]>, usize>,
    /// In ascending order.
    indexes: Vec<(usize, Node)>,
    /// The slots of all nodes under this one.
    below: Vec<usize>,
}

/// A wanted key of an object, and what is wanted of its value.
#[derive(Debug, Clone)]
struct Child {
    key: Box<str>,
    /// The key has nothing that JSON escapes.
    is_plain: bool,
    node: Node,
    /// The place of the wanted key that came next in the last message.
    next: Guess,
}

/// A place that was right the last time. The messages of a topic mostly have their keys in one order.
#[derive(Debug, Default)]
struct Guess(AtomicUsize);

impl Guess {
    #[inline]
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, place: usize) {
        self.0.store(place, Ordering::Relaxed);
    }
}

impl Clone for Guess {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.get()))
    }
}

impl PathTrie {
    /// A trie that wants nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The slot that a decoder fills with the value at `path`: the same path has the same slot.
    ///
    /// A path may be the beginning of another one: its slot then holds the container.
    pub fn slot(&mut self, path: &Path) -> usize {
        if let Some(slot) = self.paths.iter().position(|known| known == path) {
            return slot;
        }
        let slot = self.paths.len();
        let mut node = &mut self.root;
        for segment in path.segments() {
            node.below.push(slot);
            node = match segment {
                Segment::Key(key) => node.key_or_insert(key),
                Segment::Index(index) => node.index_or_insert(*index),
            };
        }
        node.slot = Some(slot);
        self.paths.push(path.clone());
        slot
    }

    /// How many slots a decoder needs for one message.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.paths.len()
    }

    /// The path of each slot, in the order of the slots.
    #[must_use]
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// Where a decoder starts.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }
}

impl Node {
    /// The slot for the value itself, if it is wanted.
    #[must_use]
    pub fn slot(&self) -> Option<usize> {
        self.slot
    }

    /// The slots under this node. When a message repeats a key, what its first value has put there must go.
    #[must_use]
    pub fn below(&self) -> &[usize] {
        &self.below
    }

    /// Whether nothing under this node is wanted, so that a container here can be skipped.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        self.below.is_empty()
    }

    /// To look up the keys of one object, in the order of the message.
    #[must_use]
    pub fn keys(&self) -> Keys<'_> {
        Keys { node: self, guess: &self.first }
    }

    /// To look up the elements of one array, in ascending order.
    #[must_use]
    pub fn indexes(&self) -> Indexes<'_> {
        Indexes { nodes: &self.indexes }
    }

    fn key_or_insert(&mut self, key: &str) -> &mut Node {
        let position = *self.positions.entry(key.as_bytes().into()).or_insert(self.keys.len());
        if position == self.keys.len() {
            self.keys.push(Child {
                key: key.into(),
                is_plain: !key.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\'),
                node: Node::default(),
                next: Guess::default(),
            });
        }
        &mut self.keys[position].node
    }

    fn index_or_insert(&mut self, index: usize) -> &mut Node {
        let position = self
            .indexes
            .binary_search_by_key(&index, |(known, _)| *known)
            .unwrap_or_else(|position| {
                self.indexes.insert(position, (index, Node::default()));
                position
            });
        &mut self.indexes[position].1
    }
}

/// The wanted keys of one object, while its message is walked.
#[derive(Debug, Clone)]
pub struct Keys<'t> {
    node: &'t Node,
    /// Of the next key.
    guess: &'t Guess,
}

impl<'t> Keys<'t> {
    /// Up to here a look at each key is quicker than a hash: most differ in length already.
    const FEW: usize = 12;

    /// The node of the key that came here in the last message, and the key's length, if a JSON text
    /// that begins with `quoted`, behind a quote, is that key again.
    #[inline]
    pub fn expected(&mut self, quoted: &[u8]) -> Option<(&'t Node, usize)> {
        let child = self.node.keys.get(self.guess.get())?;
        let (key, len) = (child.key.as_bytes(), child.key.len());
        if !child.is_plain || quoted.get(len) != Some(&b'"') || !is_same(key, &quoted[..len]) {
            return None;
        }
        self.guess = &child.next;
        Some((&child.node, len))
    }

    /// The node of a key, if anything at or under it is wanted.
    #[inline]
    pub fn find(&mut self, key: impl AsRef<[u8]>) -> Option<&'t Node> {
        let key = key.as_ref();
        let Node { keys, positions, .. } = self.node;
        let position = if keys.len() > Self::FEW {
            *positions.get(key)?
        } else {
            keys.iter().position(|child| is_same(child.key.as_bytes(), key))?
        };
        let child = &keys[position];
        self.guess.set(position);
        self.guess = &child.next;
        Some(&child.node)
    }
}

/// Whether two keys are the same. They are short: a call of the C library's comparison takes longer.
#[inline]
fn is_same(name: &[u8], key: &[u8]) -> bool {
    if name.len() != key.len() {
        return false;
    }
    let ((words, rest), (key_words, key_rest)) = (name.as_chunks::<8>(), key.as_chunks::<8>());
    let same_word = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b);
    words.iter().zip(key_words).all(same_word) && rest.iter().zip(key_rest).all(|(a, b)| a == b)
}

/// The wanted elements of one array, while its message is walked.
#[derive(Debug, Clone)]
pub struct Indexes<'t> {
    nodes: &'t [(usize, Node)],
}

impl<'t> Indexes<'t> {
    /// The node of an element, if anything at or under it is wanted. Indexes must be asked for in ascending order.
    #[inline]
    pub fn find(&mut self, index: usize) -> Option<&'t Node> {
        let ((wanted, node), rest) = self.nodes.split_first()?;
        if *wanted != index {
            return None;
        }
        self.nodes = rest;
        Some(node)
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
