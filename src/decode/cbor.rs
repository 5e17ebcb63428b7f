//! CBOR (RFC 8949): one document a message.

use std::borrow::Cow;

use ciborium_ll::{Decoder, Header, simple};

use super::DecodeError;
use super::input::Input;
use super::tree::Value;

/// Tags that change what a value means (IANA's registry of CBOR tags); others are looked through.
mod tag {
    pub(super) const EPOCH_TIME: u64 = 1;
    pub(super) const POSITIVE_BIG_NUMBER: u64 = 2;
    pub(super) const NEGATIVE_BIG_NUMBER: u64 = 3;
    pub(super) const DECIMAL_FRACTION: u64 = 4;
    pub(super) const DAYS: u64 = 100;
}

/// Reads one document.
pub fn decode(payload: &[u8]) -> Result<Value<'_>, DecodeError> {
    let mut input = Input::new(payload);
    let value = value(&mut input)?;
    input.end()?;
    Ok(value)
}

fn value<'a>(input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
    let header = header(input)?;
    item(header, input)
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

fn item<'a>(header: Header, input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
    input.value()?;
    Ok(match header {
        Header::Positive(number) => Value::whole(number.into()),
        Header::Negative(number) => Value::whole(i128::from(number) ^ !0),
        Header::Float(number) => Value::Float(number),
        Header::Simple(simple::FALSE) => Value::Boolean(false),
        Header::Simple(simple::TRUE) => Value::Boolean(true),
        Header::Simple(simple::NULL | simple::UNDEFINED) => Value::Null,
        Header::Simple(_) => return input.fail("a simple value that has no meaning"),
        Header::Break => return input.fail("the end of something that has not begun"),
        Header::Bytes(length) => Value::bytes(&bytes(length, input)?),
        Header::Text(length) => Value::Text(text(length, input)?),
        Header::Array(length) => Value::Array(items(length, input, item)?),
        Header::Map(length) => Value::Map(items(length, input, |header, input| {
            let at = input.at();
            let key = item(header, input)?.into_key();
            let wrong = || DecodeError::at(at, "a map's key is neither text nor a number");
            Ok((key.ok_or_else(wrong)?, value(input)?))
        })?),
        Header::Tag(tag) => input.nested(|input| tagged(tag, input))?,
    })
}

/// The items of a container, whose end is a length or a sign. No room is made in advance: a message can
/// promise any length.
fn items<'a, T>(
    length: Option<usize>,
    input: &mut Input<'a>,
    mut read: impl FnMut(Header, &mut Input<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    input.nested(|input| {
        let mut items = Vec::new();
        while length.is_none_or(|length| items.len() < length) {
            match header(input)? {
                Header::Break if length.is_none() => break,
                header => items.push(read(header, input)?),
            }
        }
        Ok(items)
    })
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

fn tagged<'a>(tag: u64, input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
    let at = input.at();
    let wrong = |what: &'static str| move || DecodeError::at(at, what);
    match tag {
        tag::EPOCH_TIME => {
            let time = match value(input)? {
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
            let days = value(input)?.as_integer();
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
            let parts = value(input)?;
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
        _ => value(input),
    }
}

fn big_number(digits: &[u8], negative: bool) -> Option<i128> {
    let zeros = digits.iter().take_while(|byte| **byte == 0).count();
    let digits = digits.get(zeros..).filter(|digits| digits.len() <= 16)?;
    let number = digits.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
    let number = i128::try_from(number).ok()?;
    Some(if negative { -1 - number } else { number })
}
