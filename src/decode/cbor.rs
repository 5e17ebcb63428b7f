//! CBOR (RFC 8949): one document a message.

use std::borrow::Cow;

use ciborium_ll::{Decoder, Header, simple};

use super::DecodeError;
use super::input::Input;
use super::tree::Value;
use super::walk::{Format, Item, value};

/// Tags that change what a value means (IANA's registry of CBOR tags); others are looked through.
mod tag {
    pub(super) const EPOCH_TIME: u64 = 1;
    pub(super) const POSITIVE_BIG_NUMBER: u64 = 2;
    pub(super) const NEGATIVE_BIG_NUMBER: u64 = 3;
    pub(super) const DECIMAL_FRACTION: u64 = 4;
    pub(super) const DAYS: u64 = 100;
}

/// Its heads and the sign that ends what has no length.
pub(super) enum Cbor {}

/// That sign.
const BREAK: u8 = 0xff;

impl Format for Cbor {
    fn item<'a>(input: &mut Input<'a>) -> Result<Item<'a>, DecodeError> {
        loop {
            input.value()?;
            return Ok(match header(input)? {
                Header::Positive(number) => Item::Value(Value::whole(number.into())),
                Header::Negative(number) => Item::Value(Value::whole(i128::from(number) ^ !0)),
                Header::Float(number) => Item::Value(Value::Float(number)),
                Header::Simple(simple::FALSE) => Item::Value(Value::Boolean(false)),
                Header::Simple(simple::TRUE) => Item::Value(Value::Boolean(true)),
                Header::Simple(simple::NULL | simple::UNDEFINED) => Item::Value(Value::Null),
                Header::Simple(_) => return input.fail("a simple value that has no meaning"),
                Header::Break => return input.fail("the end of something that has not begun"),
                Header::Bytes(length) => Item::Bytes(bytes(length, input)?),
                Header::Text(length) => Item::Value(Value::Text(text(length, input)?)),
                Header::Array(length) => Item::Array(length),
                Header::Map(length) => Item::Map(length),
                Header::Tag(tag) => match input.nested(|input| tagged(tag, input))? {
                    Some(value) => Item::Value(value),
                    None => continue,
                },
            });
        }
    }

    fn is_end(input: &mut Input<'_>) -> Result<bool, DecodeError> {
        let ends = input.rest().first() == Some(&BREAK);
        if ends {
            input.byte()?;
        }
        Ok(ends)
    }
}

/// What begins here, without its contents.
fn header(input: &mut Input<'_>) -> Result<Header, DecodeError> {
    let mut decoder = Decoder::from(input.rest());
    match decoder.pull() {
        Ok(header) => {
            input.take(decoder.offset())?;
            Ok(header)
        }
        Err(ciborium_ll::Error::Io(_)) => input.fail("the message ends too early"),
        Err(ciborium_ll::Error::Syntax(_)) => input.fail("a byte that begins nothing in CBOR"),
    }
}

fn bytes<'a>(length: Option<usize>, input: &mut Input<'a>) -> Result<Cow<'a, [u8]>, DecodeError> {
    if let Some(length) = length {
        return input.take(length).map(Cow::Borrowed);
    }
    let mut whole = Vec::new();
    loop {
        match header(input)? {
            Header::Bytes(Some(length)) => whole.extend_from_slice(input.take(length)?),
            Header::Break => return Ok(whole.into()),
            _ => return input.fail("something else among the parts of a byte string"),
        }
    }
}

fn text<'a>(length: Option<usize>, input: &mut Input<'a>) -> Result<Cow<'a, str>, DecodeError> {
    if let Some(length) = length {
        return input.text(length).map(Cow::Borrowed);
    }
    let mut whole = String::new();
    loop {
        match header(input)? {
            Header::Text(Some(length)) => whole.push_str(input.text(length)?),
            Header::Break => return Ok(whole.into()),
            _ => return input.fail("something else among the parts of a text"),
        }
    }
}

/// A value whose tag changes what it means. `None` of another tag, of which nothing but the tag is read.
fn tagged<'a>(tag: u64, input: &mut Input<'a>) -> Result<Option<Value<'a>>, DecodeError> {
    let at = input.at();
    let wrong = |what: &'static str| move || DecodeError::at(at, what);
    let meant = match tag {
        tag::EPOCH_TIME => {
            let time = match value::<Cbor>(input)? {
                Value::Integer(seconds) => Value::time(i128::from(seconds) * 1_000_000_000),
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "saturates, and is then out of range"
                )]
                Value::Float(seconds) => {
                    Value::time(((seconds * 1e6).round() as i128).saturating_mul(1000))
                }
                _ => None,
            };
            time.ok_or_else(wrong("a time that is no number, or out of range"))
        }
        tag::DAYS => {
            let days = value::<Cbor>(input)?.as_integer();
            days.and_then(Value::date).ok_or_else(wrong("a date out of range"))
        }
        tag::POSITIVE_BIG_NUMBER | tag::NEGATIVE_BIG_NUMBER => {
            let Header::Bytes(length) = header(input)? else {
                return input.fail("a big number that is no byte string");
            };
            big_number(&bytes(length, input)?, tag == tag::NEGATIVE_BIG_NUMBER)
                .map(Value::whole)
                .ok_or_else(wrong("a number of more than 127 bits"))
        }
        tag::DECIMAL_FRACTION => {
            let parts = value::<Cbor>(input)?;
            let fraction = match &parts {
                Value::Array(parts) => match parts.as_slice() {
                    [Value::Integer(exponent), Value::Integer(mantissa)] => {
                        i32::try_from(-exponent.clamp(&-1000, &1000))
                            .ok()
                            .and_then(|scale| Value::decimal(&mantissa.to_be_bytes(), scale))
                    }
                    _ => None,
                },
                _ => None,
            };
            fraction.ok_or_else(wrong("a decimal fraction of another form, or out of range"))
        }
        _ => return Ok(None),
    };
    meant.map(Some)
}

fn big_number(digits: &[u8], negative: bool) -> Option<i128> {
    let zeros = digits.iter().take_while(|byte| **byte == 0).count();
    let digits = digits.get(zeros..).filter(|digits| digits.len() <= 16)?;
    let number = digits.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
    let number = i128::try_from(number).ok()?;
    Some(if negative { -1 - number } else { number })
}
