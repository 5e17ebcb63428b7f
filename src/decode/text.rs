//! Plain text, such as `21.5` alone: the whole message is the value at `$`, which has no type but the one
//! that the mapping takes it for.

use super::DecodeError;
use super::tree::Value;

/// Reads one text.
pub fn decode(payload: &[u8]) -> Result<Value<'_>, DecodeError> {
    let text = std::str::from_utf8(payload)
        .map_err(|error| DecodeError::at(error.valid_up_to(), "invalid UTF-8"))?;
    Ok(Value::Untyped(text.trim_end_matches(['\r', '\n']).into()))
}
