//! JSON: one walk over the payload that checks all of it (RFC 8259) and keeps only what the mapping names; or none,
//! where a message is like one before but for its scalars ([`Json`]).
//!
//! The parts that nobody wants are checked as strictly as the rest: what is half a message or garbage must be
//! rejected whatever the mapping names today, or a later change of the mapping would turn good records into bad ones.
//!
//! Choices that the RFC leaves open:
//! - a repeated key: the last value wins, with all that stood under the first one forgotten;
//! - one byte order mark in front is ignored, as section 8.1 allows: the sender can rarely be changed;
//! - a number has no limits, since its text is handed on; whoever needs an `i64` checks the range;
//! - half a surrogate pair in an escape is an error: no database could store it as UTF-8;
//! - more than [`MAX_DEPTH`] open containers are an error: the walk is recursive, and a message must not be able
//!   to exhaust the stack.

mod gather;
mod look;
mod shapes;
mod trace;
mod whole;

use std::borrow::Cow;

pub use self::look::Look;
pub use self::shapes::Json;
pub use self::whole::whole;
use super::{Container, DecodeError, Slot, empty};
use crate::path::{Node, PathTrie};

/// How many containers may be open at once.
pub const MAX_DEPTH: usize = crate::path::MAX_SEGMENTS;

/// Each byte is 1.
const ONES: u64 = u64::MAX / 0xff;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What is wrong; [`Scanner::at`] says where. Two words instead of a [`DecodeError`] fit in registers, and every
/// value of a message returns one.
type Checked<T> = Result<T, &'static str>;

/// Fills `slots` with the values at the paths of `trie`; a path that the message doesn't have is [`Slot::Missing`].
///
/// # Errors
/// When the payload is not one JSON document; all slots are then [`Slot::Missing`].
///
/// # Panics
/// When there are not exactly [`PathTrie::slots`] slots: a mistake of the caller, whatever the message.
pub fn decode<'a>(
    payload: &'a [u8],
    trie: &PathTrie,
    slots: &mut [Slot<'a>],
) -> Result<(), DecodeError> {
    assert_eq!(slots.len(), trie.slots(), "one slot a path");
    match text(payload) {
        Some(text) => Scanner::new(text).decode(trie, slots),
        None => Err(no_text(payload, slots)),
    }
}

struct Scanner<'a> {
    text: &'a str,
    /// The bytes of `text`.
    bytes: &'a [u8],
    at: usize,
    /// How many containers are open.
    depth: usize,
}

/// A string between its quotes, checked, with its escapes still in it.
///
/// Cut out of the message only when somebody wants to see it.
#[derive(Clone, Copy)]
struct Quoted {
    start: usize,
    end: usize,
    escaped: bool,
}

/// A payload as text. Two words fit in registers: an error with its reason is written to memory, and a text that comes
/// with it from there is waited for.
#[inline]
fn text(payload: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(payload).ok()
}

/// Why a payload is no text. `simdutf8` tells only that it is none.
#[cold]
fn no_text(payload: &[u8], slots: &mut [Slot<'_>]) -> DecodeError {
    empty(slots);
    let error = std::str::from_utf8(payload).err();
    DecodeError::at(error.map_or(0, |error| error.valid_up_to()), "invalid UTF-8")
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth: 0 }
    }

    fn decode(&mut self, trie: &PathTrie, slots: &mut [Slot<'a>]) -> Result<(), DecodeError> {
        empty(slots);
        self.document(trie.root(), slots).map_err(|what| {
            empty(slots);
            DecodeError::at(self.at, what)
        })
    }

    fn document(&mut self, root: &Node, slots: &mut [Slot<'a>]) -> Checked<()> {
        if self.bytes.first() == Some(&0) {
            return Err("a zero byte instead of JSON (a Schema Registry frame?)");
        }
        self.skip_front();
        self.value(Some(root), slots)?;
        self.skip_space();
        if self.at < self.bytes.len() {
            return Err("more text after the end of the document");
        }
        Ok(())
    }

    /// What may stand before the document.
    fn skip_front(&mut self) {
        if self.text.starts_with(BYTE_ORDER_MARK) {
            self.at = BYTE_ORDER_MARK.len();
        }
        self.skip_space();
    }

    /// The next byte; 0 at the end, which JSON has no use for outside of strings.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// The first byte that isn't white space. Most producers write none: one comparison then settles it.
    #[inline]
    fn skip_space(&mut self) -> u8 {
        let next = self.peek();
        if next > b' ' { next } else { self.skip_long_space() }
    }

    #[inline(never)]
    fn skip_long_space(&mut self) -> u8 {
        loop {
            match self.peek() {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                other => return other,
            }
        }
    }

    /// The error at this place, unless the message just ends here: that is worth telling apart from a wrong sign.
    #[cold]
    fn fail<T>(&self, what: &'static str) -> Checked<T> {
        Err(if self.at < self.bytes.len() { what } else { "the message ends too early" })
    }

    /// One value, which starts at this byte. Without a node nothing in it is wanted.
    #[expect(clippy::inline_always, reason = "spares scalars the stack frame of the containers")]
    #[inline(always)]
    fn value(&mut self, node: Option<&Node>, slots: &mut [Slot<'a>]) -> Checked<()> {
        let slot = node.and_then(Node::slot);
        let found = match self.peek() {
            b'{' => {
                self.object(node, slots)?;
                Slot::Container(Container::Object)
            }
            b'[' => {
                self.array(node, slots)?;
                Slot::Container(Container::Array)
            }
            _ => return self.scalar(slot.map(|slot| &mut slots[slot])),
        };
        if let Some(slot) = slot {
            slots[slot].set(found);
        }
        Ok(())
    }

    /// A value that is no container, for a slot or for nobody.
    #[expect(clippy::inline_always, reason = "as of `value`")]
    #[inline(always)]
    fn scalar(&mut self, slot: Option<&mut Slot<'a>>) -> Checked<()> {
        match self.peek() {
            b'"' => {
                let string = self.string()?;
                if let Some(slot) = slot {
                    slot.set(Slot::Text(self.text_of(string)?));
                }
            }
            b'-' | b'0'..=b'9' => {
                let start = self.at;
                self.number()?;
                if let Some(slot) = slot {
                    slot.set(Slot::Number(self.text[start..self.at].into()));
                }
            }
            b't' => self.literal("true", Slot::Boolean(true), slot)?,
            b'f' => self.literal("false", Slot::Boolean(false), slot)?,
            b'n' => self.literal("null", Slot::Null, slot)?,
            _ => return self.fail("expected a value"),
        }
        Ok(())
    }

    #[inline(never)]
    fn object(&mut self, node: Option<&Node>, slots: &mut [Slot<'a>]) -> Checked<()> {
        let start = self.at;
        self.members(node, slots)?;
        match node {
            Some(node) if !node.entries().is_empty() => self.entries(start, node, slots),
            _ => Ok(()),
        }
    }

    #[inline]
    fn members(&mut self, node: Option<&Node>, slots: &mut [Slot<'a>]) -> Checked<()> {
        let mut keys = node.filter(|node| !node.is_leaf()).map(Node::keys);
        self.open()?;
        if self.skip_space() == b'}' {
            return self.close();
        }
        loop {
            if self.peek() != b'"' {
                return self.fail("expected a key in double quotes");
            }
            let key = self.string()?;
            let child = match &mut keys {
                Some(keys) if key.escaped => keys.find(self.text_of(key)?.as_bytes()),
                Some(keys) => keys.find(&self.bytes[key.start..key.end]),
                None => None,
            };
            if self.skip_space() != b':' {
                return self.fail("expected `:`");
            }
            self.at += 1;
            self.skip_space();
            if let Some(child) = child {
                // The key may be here for the second time.
                for &slot in child.below() {
                    slots[slot].set(Slot::Missing);
                }
            }
            self.value(child, slots)?;
            match self.skip_space() {
                b',' => self.at += 1,
                b'}' => return self.close(),
                _ => return self.fail("expected `,` or `}`"),
            }
            self.skip_space();
        }
    }

    #[inline(never)]
    fn array(&mut self, node: Option<&Node>, slots: &mut [Slot<'a>]) -> Checked<()> {
        let start = self.at;
        self.items(node, slots)?;
        match node.and_then(Node::elements) {
            Some(elements) => self.elements(start, elements, slots),
            None => Ok(()),
        }
    }

    #[inline]
    fn items(&mut self, node: Option<&Node>, slots: &mut [Slot<'a>]) -> Checked<()> {
        let mut indexes = node.filter(|node| !node.is_leaf()).map(Node::indexes);
        self.open()?;
        if self.skip_space() == b']' {
            return self.close();
        }
        for index in 0.. {
            let child = indexes.as_mut().and_then(|indexes| indexes.find(index));
            self.value(child, slots)?;
            match self.skip_space() {
                b',' => self.at += 1,
                b']' => break,
                _ => return self.fail("expected `,` or `]`"),
            }
            self.skip_space();
        }
        self.close()
    }

    fn open(&mut self) -> Checked<()> {
        if self.depth == MAX_DEPTH {
            return Err("nested deeper than 128 levels");
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "a container ends with `return self.close()`")]
    fn close(&mut self) -> Checked<()> {
        self.depth -= 1;
        self.at += 1;
        Ok(())
    }

    fn literal(&mut self, word: &str, found: Slot<'a>, slot: Option<&mut Slot<'a>>) -> Checked<()> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err("expected a value");
        }
        self.at += word.len();
        if let Some(slot) = slot {
            slot.set(found);
        }
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Checked<()> {
        self.at += usize::from(self.peek() == b'-');
        if self.peek() == b'0' {
            self.at += 1;
            if self.peek().is_ascii_digit() {
                return Err("a number with a leading zero");
            }
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    #[inline]
    fn digits(&mut self) -> Checked<()> {
        let (start, mut at) = (self.at, self.at);
        while self.bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        self.at = at;
        if at == start { self.fail("expected a digit") } else { Ok(()) }
    }

    #[inline]
    fn string(&mut self) -> Checked<Quoted> {
        let start = self.at + 1;
        let mut end = end_of_plain_text(self.bytes, start);
        let escaped = self.bytes.get(end) != Some(&b'"');
        if escaped {
            end = self.end_of_odd_string(end)?;
        }
        self.at = end + 1;
        Ok(Quoted { start, end, escaped })
    }

    /// Where the closing quote of a string stands that has escapes or faults, the first of them at `mark`.
    #[cold]
    fn end_of_odd_string(&mut self, mut mark: usize) -> Checked<usize> {
        let start = self.at;
        loop {
            self.at = mark;
            match self.bytes.get(mark) {
                Some(b'"') => return Ok(mark),
                Some(b'\\') => self.escape()?,
                Some(_) => return Err("a control character in a string"),
                None => {
                    self.at = start;
                    return Err("a string without an end");
                }
            };
            mark = end_of_plain_text(self.bytes, self.at);
        }
    }

    /// The character of one escape, which starts at this backslash.
    #[cold]
    fn escape(&mut self) -> Checked<char> {
        self.at += 1;
        let escaped = match self.peek() {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return self.fail("an unknown escape"),
        };
        self.at += 1;
        Ok(escaped)
    }

    fn unicode_escape(&mut self) -> Checked<char> {
        const LONE: &str = "an escape with half a surrogate pair";
        let start = self.at - 1;
        self.at += 1;
        let mut code = self.four_hex_digits()?;
        if (0xd800..0xdc00).contains(&code) && self.bytes[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let low = self.four_hex_digits()?;
            if !(0xdc00..0xe000).contains(&low) {
                self.at = start;
                return Err(LONE);
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        // What is left of the surrogates has no partner.
        char::from_u32(code).ok_or_else(|| {
            self.at = start;
            LONE
        })
    }

    fn four_hex_digits(&mut self) -> Checked<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.peek()).to_digit(16) else {
                return self.fail("expected four hex digits");
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// The text with escapes resolved; only a string that has some costs an allocation.
    #[inline]
    fn text_of(&self, string: Quoted) -> Checked<Cow<'a, str>> {
        let raw = &self.text[string.start..string.end];
        if string.escaped { unescape(raw).map(Cow::Owned) } else { Ok(Cow::Borrowed(raw)) }
    }
}

#[cold]
fn unescape(raw: &str) -> Checked<String> {
    let mut text = String::with_capacity(raw.len());
    let mut scanner = Scanner::new(raw);
    while let Some(length) = raw[scanner.at..].find('\\') {
        text.push_str(&raw[scanner.at..scanner.at + length]);
        scanner.at += length;
        text.push(scanner.escape()?);
    }
    text.push_str(&raw[scanner.at..]);
    Ok(text)
}

/// Where the first quote, backslash or control character stands, from `at` on; the length if there is none.
#[inline]
fn end_of_plain_text(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

/// The top bit of each of eight bytes that is a quote, a backslash or a control character.
///
/// With its second bit turned a quote is what follows upon the control characters, and these stay below it.
///
/// Each subtraction borrows only from a byte that it marks, so that marks above the lowest one may be false;
/// the lowest never is. Bytes of 128 and more are never marked.
#[inline]
fn marks(word: u64) -> u64 {
    let low = (word ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    (low | backslash) & !word & (ONES * 0x80)
}

#[cfg(any(test, fuzzing))]
#[path = "json_oracle.rs"]
pub(crate) mod oracle;
#[cfg(test)]
#[path = "json_oracle_tests.rs"]
mod oracle_tests;

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
