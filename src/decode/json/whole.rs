//! A document of which more is wanted than the paths of a mapping: read whole.

use super::{Checked, Scanner, no_text, text};
use crate::decode::input::MAX_VALUES;
use crate::decode::tree::Value;
use crate::decode::{DecodeError, Slot};
use crate::path::Node;

/// Reads a document into a tree.
///
/// # Errors
/// As [`decode`](super::decode) has them, and more than [`MAX_VALUES`] values.
pub fn whole(payload: &[u8]) -> Result<Value<'_>, DecodeError> {
    let Some(text) = text(payload) else { return Err(no_text(payload, &mut [])) };
    let mut scanner = Scanner::new(text);
    let checked = scanner.document(&Node::default(), &mut []);
    let read = checked.and_then(|()| {
        scanner = Scanner::new(text);
        scanner.skip_front();
        scanner.whole(&mut 0)
    });
    read.map_err(|what| DecodeError::at(scanner.at, what))
}

impl<'a> Scanner<'a> {
    /// Walks a value, which has been walked before, again for all that is in it.
    fn whole(&mut self, values: &mut usize) -> Checked<Value<'a>> {
        *values += 1;
        if *values > MAX_VALUES {
            return Err("more than 1048576 values");
        }
        match self.peek() {
            b'{' => {
                let mut entries = Vec::new();
                self.open()?;
                while self.skip_space() != b'}' {
                    let key = self.string()?;
                    let key = self.text_of(key)?;
                    self.skip_space();
                    self.at += 1;
                    self.skip_space();
                    entries.push((key, self.whole(values)?));
                    self.skip_comma();
                }
                self.close()?;
                Ok(Value::Map(entries))
            }
            b'[' => {
                let mut elements = Vec::new();
                self.open()?;
                while self.skip_space() != b']' {
                    elements.push(self.whole(values)?);
                    self.skip_comma();
                }
                self.close()?;
                Ok(Value::Array(elements))
            }
            _ => {
                let mut slot = Slot::Missing;
                self.scalar(Some(&mut slot))?;
                Ok(match slot {
                    Slot::Boolean(boolean) => Value::Boolean(boolean),
                    Slot::Number(number) => Value::Number(number),
                    Slot::Text(text) => Value::Text(text),
                    // JSON has no other scalars.
                    _ => Value::Null,
                })
            }
        }
    }

    /// Behind a value in a container that has been walked before.
    pub(super) fn skip_comma(&mut self) {
        if self.skip_space() == b',' {
            self.at += 1;
        }
    }
}
