//! `MessagePack` (<https://github.com/msgpack/msgpack/blob/master/spec.md>): one document a message.

use std::borrow::Cow;

use rmp::Marker;

use super::DecodeError;
use super::input::Input;
use super::tree::Value;

/// The extension type of a timestamp.
const TIMESTAMP: i8 = -1;

/// Reads one document.
pub fn decode(payload: &[u8]) -> Result<Value<'_>, DecodeError> {
    let mut input = Input::new(payload);
    let value = value(&mut input)?;
    input.end()?;
    Ok(value)
}

fn value<'a>(input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
    input.value()?;
    let start = input.at();
    Ok(match Marker::from_u8(input.byte()?) {
        Marker::Null => Value::Null,
        Marker::False => Value::Boolean(false),
        Marker::True => Value::Boolean(true),
        Marker::FixPos(number) => Value::Integer(number.into()),
        Marker::FixNeg(number) => Value::Integer(number.into()),
        Marker::U8 => Value::Integer(u8::from_be_bytes(input.array()?).into()),
        Marker::U16 => Value::Integer(u16::from_be_bytes(input.array()?).into()),
        Marker::U32 => Value::Integer(u32::from_be_bytes(input.array()?).into()),
        Marker::U64 => Value::whole(u64::from_be_bytes(input.array()?).into()),
        Marker::I8 => Value::Integer(i8::from_be_bytes(input.array()?).into()),
        Marker::I16 => Value::Integer(i16::from_be_bytes(input.array()?).into()),
        Marker::I32 => Value::Integer(i32::from_be_bytes(input.array()?).into()),
        Marker::I64 => Value::Integer(i64::from_be_bytes(input.array()?)),
        Marker::F32 => Value::Float(f32::from_be_bytes(input.array()?).into()),
        Marker::F64 => Value::Float(f64::from_be_bytes(input.array()?)),
        Marker::FixStr(length) => text(input, length.into())?,
        Marker::Str8 => long_text::<1>(input)?,
        Marker::Str16 => long_text::<2>(input)?,
        Marker::Str32 => long_text::<4>(input)?,
        Marker::Bin8 => bytes::<1>(input)?,
        Marker::Bin16 => bytes::<2>(input)?,
        Marker::Bin32 => bytes::<4>(input)?,
        Marker::FixArray(length) => array(input, length.into())?,
        Marker::Array16 => length::<2>(input).and_then(|length| array(input, length))?,
        Marker::Array32 => length::<4>(input).and_then(|length| array(input, length))?,
        Marker::FixMap(length) => map(input, length.into())?,
        Marker::Map16 => length::<2>(input).and_then(|length| map(input, length))?,
        Marker::Map32 => length::<4>(input).and_then(|length| map(input, length))?,
        Marker::FixExt1 => extension(input, 1)?,
        Marker::FixExt2 => extension(input, 2)?,
        Marker::FixExt4 => extension(input, 4)?,
        Marker::FixExt8 => extension(input, 8)?,
        Marker::FixExt16 => extension(input, 16)?,
        Marker::Ext8 => length::<1>(input).and_then(|length| extension(input, length))?,
        Marker::Ext16 => length::<2>(input).and_then(|length| extension(input, length))?,
        Marker::Ext32 => length::<4>(input).and_then(|length| extension(input, length))?,
        Marker::Reserved => {
            return Err(DecodeError::at(start, "the byte C1, which MessagePack never has"));
        }
    })
}

/// A length of so many bytes.
fn length<const N: usize>(input: &mut Input<'_>) -> Result<usize, DecodeError> {
    let bytes = input.array::<N>()?;
    Ok(bytes.into_iter().fold(0, |length, byte| length << 8 | usize::from(byte)))
}

fn text<'a>(input: &mut Input<'a>, length: usize) -> Result<Value<'a>, DecodeError> {
    input.text(length).map(|text| Value::Text(text.into()))
}

fn long_text<'a, const N: usize>(input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
    let length = length::<N>(input)?;
    text(input, length)
}

fn bytes<'a, const N: usize>(input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
    let length = length::<N>(input)?;
    input.take(length).map(Value::bytes)
}

fn array<'a>(input: &mut Input<'a>, length: usize) -> Result<Value<'a>, DecodeError> {
    // No room is made in advance: a message can promise any length.
    input
        .nested(|input| (0..length).map(|_| value(input)).collect::<Result<_, _>>())
        .map(Value::Array)
}

fn map<'a>(input: &mut Input<'a>, length: usize) -> Result<Value<'a>, DecodeError> {
    let entry = |input: &mut Input<'a>| Ok((key(input)?, value(input)?));
    input
        .nested(|input| (0..length).map(|_| entry(input)).collect::<Result<_, _>>())
        .map(Value::Map)
}

fn key<'a>(input: &mut Input<'a>) -> Result<Cow<'a, str>, DecodeError> {
    let start = input.at();
    value(input)?
        .into_key()
        .ok_or_else(|| DecodeError::at(start, "a map's key is neither text nor a number"))
}

fn extension<'a>(input: &mut Input<'a>, length: usize) -> Result<Value<'a>, DecodeError> {
    let start = input.at();
    let kind = i8::from_be_bytes(input.array()?);
    let data = input.take(length)?;
    if kind != TIMESTAMP {
        return Ok(Value::bytes(data));
    }
    let time = timestamp(data).and_then(Value::time);
    time.ok_or_else(|| DecodeError::at(start, "a timestamp of no known form, or out of range"))
}

/// Nanoseconds since the epoch.
fn timestamp(data: &[u8]) -> Option<i128> {
    let (seconds, nanos) = match data.len() {
        4 => (i64::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            (i64::try_from(both & 0x3_ffff_ffff).ok()?, u32::try_from(both >> 34).ok()?)
        }
        12 => {
            let (nanos, seconds) = data.split_first_chunk()?;
            (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(*nanos))
        }
        _ => return None,
    };
    (nanos < 1_000_000_000).then(|| i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
}
