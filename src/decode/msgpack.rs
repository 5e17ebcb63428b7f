//! `MessagePack` (<https://github.com/msgpack/msgpack/blob/master/spec.md>): one document a message.

use rmp::Marker;

use super::DecodeError;
use super::input::Input;
use super::tree::Value;
use super::walk::{Format, Item};

/// The extension type of a timestamp.
const TIMESTAMP: i8 = -1;

/// Its marks and lengths.
pub(super) enum MessagePack {}

impl Format for MessagePack {
    fn item<'a>(input: &mut Input<'a>) -> Result<Item<'a>, DecodeError> {
        input.value()?;
        let start = input.at();
        Ok(Item::Value(match Marker::from_u8(input.byte()?) {
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
            Marker::Str8 => length::<1>(input).and_then(|length| text(input, length))?,
            Marker::Str16 => length::<2>(input).and_then(|length| text(input, length))?,
            Marker::Str32 => length::<4>(input).and_then(|length| text(input, length))?,
            Marker::Bin8 => return length::<1>(input).and_then(|length| bytes(input, length)),
            Marker::Bin16 => return length::<2>(input).and_then(|length| bytes(input, length)),
            Marker::Bin32 => return length::<4>(input).and_then(|length| bytes(input, length)),
            Marker::FixArray(length) => return Ok(Item::Array(Some(length.into()))),
            Marker::Array16 => return length::<2>(input).map(|length| Item::Array(Some(length))),
            Marker::Array32 => return length::<4>(input).map(|length| Item::Array(Some(length))),
            Marker::FixMap(length) => return Ok(Item::Map(Some(length.into()))),
            Marker::Map16 => return length::<2>(input).map(|length| Item::Map(Some(length))),
            Marker::Map32 => return length::<4>(input).map(|length| Item::Map(Some(length))),
            Marker::FixExt1 => return extension(input, 1),
            Marker::FixExt2 => return extension(input, 2),
            Marker::FixExt4 => return extension(input, 4),
            Marker::FixExt8 => return extension(input, 8),
            Marker::FixExt16 => return extension(input, 16),
            Marker::Ext8 => return length::<1>(input).and_then(|length| extension(input, length)),
            Marker::Ext16 => return length::<2>(input).and_then(|length| extension(input, length)),
            Marker::Ext32 => return length::<4>(input).and_then(|length| extension(input, length)),
            Marker::Reserved => {
                let what = "the byte C1, which MessagePack never has";
                return Err(DecodeError::at(start, what));
            }
        }))
    }

    /// Each container says how long it is.
    fn is_end(_: &mut Input<'_>) -> Result<bool, DecodeError> {
        Ok(true)
    }
}

/// A length of so many bytes.
fn length<const N: usize>(input: &mut Input<'_>) -> Result<usize, DecodeError> {
    let bytes = input.array::<N>()?;
    Ok(bytes.into_iter().fold(0, |length, byte| length << 8 | usize::from(byte)))
}

#[inline]
fn text<'a>(input: &mut Input<'a>, length: usize) -> Result<Value<'a>, DecodeError> {
    input.text(length).map(|text| Value::Text(text.into()))
}

fn bytes<'a>(input: &mut Input<'a>, length: usize) -> Result<Item<'a>, DecodeError> {
    input.take(length).map(|bytes| Item::Bytes(bytes.into()))
}

fn extension<'a>(input: &mut Input<'a>, length: usize) -> Result<Item<'a>, DecodeError> {
    let start = input.at();
    let kind = i8::from_be_bytes(input.array()?);
    let data = input.take(length)?;
    if kind != TIMESTAMP {
        return Ok(Item::Bytes(data.into()));
    }
    let time = timestamp(data).and_then(Value::time);
    let wrong = || DecodeError::at(start, "a timestamp of no known form, or out of range");
    time.map(Item::Value).ok_or_else(wrong)
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
