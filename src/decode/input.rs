//! Reading binary formats: bytes with a place in them, and the limits of what one message may become.

use super::DecodeError;

/// How many containers may be open at once: readers are recursive, and a message must not be able to
/// exhaust the stack. No path of a mapping is longer.
pub const MAX_DEPTH: usize = crate::path::MAX_SEGMENTS;
/// How many values a message may have: a value takes more memory than the one byte, or none, that says
/// so in a message.
pub const MAX_VALUES: usize = 1 << 20;

/// What is left of a message, and of the limits.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    values: usize,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, values: 0 }
    }

    /// The same bytes from a place on, so that errors count from their beginning.
    pub fn from(bytes: &'a [u8], at: usize) -> Self {
        Self { at, ..Self::new(bytes) }
    }

    /// Where the next byte stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What hasn't been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// An error at this place.
    pub fn fail<T>(
        &self,
        what: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Result<T, DecodeError> {
        Err(DecodeError::at(self.at, what))
    }

    /// The next bytes; the length may be whatever a message says.
    #[inline]
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest().get(..length) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => self.fail("the message ends too early"),
        }
    }

    /// The next bytes, as many as an array has.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest().first_chunk() {
            Some(taken) => {
                self.at += N;
                Ok(*taken)
            }
            None => self.fail("the message ends too early"),
        }
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next bytes as text.
    #[inline]
    pub fn text(&mut self, length: usize) -> Result<&'a str, DecodeError> {
        let start = self.at;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes)
            .map_err(|error| DecodeError::at(start + error.valid_up_to(), "invalid UTF-8"))
    }

    /// Counts a value against the limit.
    #[inline]
    pub fn value(&mut self) -> Result<(), DecodeError> {
        self.values += 1;
        if self.values > MAX_VALUES { self.fail("more than 1048576 values") } else { Ok(()) }
    }

    /// Reads what is inside a container.
    pub fn nested<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if self.depth == MAX_DEPTH {
            return self.fail("nested deeper than 128 levels");
        }
        self.depth += 1;
        let read = inside(self);
        self.depth -= 1;
        read
    }

    /// An error unless all has been read.
    pub fn end(&self) -> Result<(), DecodeError> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            self.fail("more bytes after the end of the document")
        }
    }
}
