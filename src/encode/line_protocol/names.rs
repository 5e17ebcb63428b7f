//! The names of measurements, tags and fields, as they stand in lines.

use crate::encode::EncodeError;
use crate::words::{self, is_same};

/// A name as it stands in a line: checked, and with its escapes.
#[derive(Debug, Clone, Default)]
struct Written {
    name: String,
    bytes: Vec<u8>,
}

/// What writes a kind of name.
pub(super) type Write = fn(&mut Vec<u8>, &str) -> Result<(), EncodeError>;

/// Names that came before. A mapping gives nearly every point the same ones in the same order, and to
/// check and escape them each time costs as much as all their values.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
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
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }

    /// Appends the name as it is written.
    #[inline]
    pub(super) fn push(
        &mut self,
        out: &mut Vec<u8>,
        name: &str,
        write: Write,
    ) -> Result<(), EncodeError> {
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
