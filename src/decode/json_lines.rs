//! JSON lines: a document on each line of a message. Empty lines are none.

use super::json::Json;
use super::{Refusal, Slot};
use crate::path::PathTrie;

/// Fills the slots with each line's document, and hands them to `each`.
pub fn decode<'a>(
    json: &mut Json,
    payload: &'a [u8],
    paths: &PathTrie,
    slots: &mut [Slot<'a>],
    each: &mut dyn FnMut(&[Slot<'a>]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut start = 0;
    for line in payload.split(|byte| *byte == b'\n') {
        if !line.trim_ascii().is_empty() {
            json.decode(line, paths, slots).map_err(|error| error.behind(start))?;
            each(slots)?;
        }
        start += line.len() + 1;
    }
    Ok(())
}
