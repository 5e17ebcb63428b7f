//! Protobuf's wire format, read without a copy.

use super::DecodeError;

/// One field of a message. Groups are not read: nothing has used them for fifteen years.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of a message in their order, each with its number.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

const TOO_SHORT: &str = "a protobuf message that ends too early";

impl<'a> Fields<'a> {
    /// The next bytes as a number.
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for at in 0..10 {
            let byte = *self.0.get(at).ok_or(DecodeError::new(TOO_SHORT))?;
            // Of the tenth byte there is room for one bit.
            if at == 9 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok(number);
            }
        }
        Err(DecodeError::new("a protobuf number of more than 64 bits"))
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(DecodeError::new(TOO_SHORT))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn field(&mut self) -> Result<(u32, Field<'a>), DecodeError> {
        let key = self.varint()?;
        let number = u32::try_from(key).ok().map(|key| key >> 3).filter(|number| *number > 0);
        let number = number.ok_or(DecodeError::new("a protobuf field without a number"))?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => {
                let bytes = self.bytes(8)?.first_chunk().copied().unwrap_or_default();
                Field::Fixed64(u64::from_le_bytes(bytes))
            }
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Field::Bytes(self.bytes(length)?)
            }
            5 => {
                let bytes = self.bytes(4)?.first_chunk().copied().unwrap_or_default();
                Field::Fixed32(u32::from_le_bytes(bytes))
            }
            _ => return Err(DecodeError::new("a protobuf field of no known type")),
        };
        Ok((number, field))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    /// A `double`. `None` where the field is of another type, which no message of this schema has.
    pub(super) fn double(self) -> Option<f64> {
        if let Self::Fixed64(bits) = self { Some(f64::from_bits(bits)) } else { None }
    }

    /// An `int64`, `uint64`, or a shorter one.
    pub(super) fn number(self) -> Option<u64> {
        if let Self::Varint(number) = self { Some(number) } else { None }
    }

    /// A message or text.
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// A text.
    pub(super) fn text(self) -> Result<&'a str, DecodeError> {
        let text = self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.ok_or(DecodeError::new("a protobuf text that is not UTF-8"))
    }

    /// Appends the numbers of a repeated field, packed or not.
    pub(super) fn numbers(self, out: &mut Vec<u64>) -> Result<(), DecodeError> {
        match self {
            Self::Varint(number) => out.push(number),
            Self::Bytes(bytes) => {
                let mut packed = Fields(bytes);
                while !packed.0.is_empty() {
                    out.push(packed.varint()?);
                }
            }
            Self::Fixed64(_) | Self::Fixed32(_) => {}
        }
        Ok(())
    }

    /// Appends the doubles of a repeated field, packed or not.
    pub(super) fn doubles(self, out: &mut Vec<f64>) {
        match self {
            Self::Fixed64(bits) => out.push(f64::from_bits(bits)),
            Self::Bytes(bytes) => {
                let (doubles, _) = bytes.as_chunks::<8>();
                out.extend(doubles.iter().map(|bytes| f64::from_le_bytes(*bytes)));
            }
            Self::Varint(_) | Self::Fixed32(_) => {}
        }
    }
}

/// A `sint32` or `sint64` from its varint.
pub(super) fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}
