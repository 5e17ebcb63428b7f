//! The walk over a message whose format says of each value what it is: `MessagePack`, CBOR.
//!
//! A mapping's slots are filled as the message is read. What no path names is read as well, because a message that is
//! wrong anywhere is rejected, but nothing of it is kept.

use std::borrow::Cow;

use super::input::Input;
use super::tree::{self, Value};
use super::{Container, DecodeError, Slot, empty};
use crate::path::{Node, PathTrie};

/// What begins at a place of a message.
pub(super) enum Item<'a> {
    /// No container: all of it.
    Value(Value<'a>),
    /// Of which text is made only where it is wanted.
    Bytes(Cow<'a, [u8]>),
    Array(Length),
    Map(Length),
}

/// How many items a container has; `None` where a sign ends it. A message can promise any length, so that no room is
/// made in advance.
pub(super) type Length = Option<usize>;

/// How a format writes items.
pub(super) trait Format {
    /// Reads the next item, of a container what stands before its own items. Counts it against the limit.
    fn item<'a>(input: &mut Input<'a>) -> Result<Item<'a>, DecodeError>;

    /// Whether the sign that ends a container comes next, which is read.
    fn is_end(input: &mut Input<'_>) -> Result<bool, DecodeError>;
}

/// Reads one document, whole.
pub(super) fn document<F: Format>(payload: &[u8]) -> Result<Value<'_>, DecodeError> {
    let mut input = Input::new(payload);
    let value = value::<F>(&mut input)?;
    input.end()?;
    Ok(value)
}

/// Reads one document for the paths of a trie.
///
/// # Panics
/// When there are not exactly [`PathTrie::slots`] slots.
pub(super) fn fill<'a, F: Format>(
    payload: &'a [u8],
    paths: &PathTrie,
    slots: &mut [Slot<'a>],
) -> Result<(), DecodeError> {
    assert_eq!(slots.len(), paths.slots(), "one slot a path");
    empty(slots);
    let mut input = Input::new(payload);
    fill_below::<F>(Some(paths.root()), &mut input, slots)?;
    input.end()
}

/// Reads one value, whole.
pub(super) fn value<'a, F: Format>(input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
    let item = F::item(input)?;
    whole::<F>(item, input)
}

fn whole<'a, F: Format>(item: Item<'a>, input: &mut Input<'a>) -> Result<Value<'a>, DecodeError> {
    Ok(match item {
        Item::Value(value) => value,
        Item::Bytes(bytes) => Value::bytes(&bytes),
        Item::Array(length) => {
            let mut elements = Vec::new();
            each::<F>(length, input, |input| {
                elements.push(value::<F>(input)?);
                Ok(())
            })?;
            Value::Array(elements)
        }
        Item::Map(length) => {
            let mut entries = Vec::new();
            each::<F>(length, input, |input| {
                entries.push((key::<F>(input)?, value::<F>(input)?));
                Ok(())
            })?;
            Value::Map(entries)
        }
    })
}

/// Reads one value, of which nothing is wanted without a node. Finds what [`tree::fill`] does.
fn fill_below<'a, F: Format>(
    node: Option<&Node>,
    input: &mut Input<'a>,
    slots: &mut [Slot<'a>],
) -> Result<(), DecodeError> {
    if let Some(node) = node.filter(|node| node.gathers()) {
        tree::fill_below(value::<F>(input)?, node, slots);
        return Ok(());
    }
    let slot = node.and_then(Node::slot);
    // An item that is moved is waited for: it was written in other pieces.
    let found = match F::item(input) {
        Err(error) => return Err(error),
        Ok(Item::Value(value)) => {
            if let Some(slot) = slot {
                slots[slot].set(value.into());
            }
            return Ok(());
        }
        Ok(Item::Bytes(bytes)) if slot.is_some() => Value::bytes(&bytes).into(),
        Ok(Item::Bytes(_)) => return Ok(()),
        Ok(Item::Array(length)) => {
            let mut indexes = node.map(Node::indexes);
            let mut places = 0..;
            each::<F>(length, input, |input| {
                let indexes = indexes.as_mut().zip(places.next());
                let child = indexes.and_then(|(indexes, place)| indexes.find(place));
                fill_below::<F>(child, input, slots)
            })?;
            Slot::Container(Container::Array)
        }
        Ok(Item::Map(length)) => {
            let mut keys = node.filter(|node| !node.is_leaf()).map(Node::keys);
            each::<F>(length, input, |input| {
                let key = key::<F>(input)?;
                let child = keys.as_mut().and_then(|keys| keys.find(key.as_bytes()));
                // The key may be here for the second time.
                for &slot in child.map_or(&[][..], Node::below) {
                    slots[slot].set(Slot::Missing);
                }
                fill_below::<F>(child, input, slots)
            })?;
            Slot::Container(Container::Object)
        }
    };
    if let Some(slot) = slot {
        slots[slot].set(found);
    }
    Ok(())
}

/// Reads what is inside a container.
fn each<'a, F: Format>(
    length: Length,
    input: &mut Input<'a>,
    mut read: impl FnMut(&mut Input<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    input.nested(|input| {
        if let Some(length) = length {
            return (0..length).try_for_each(|_| read(input));
        }
        while !F::is_end(input)? {
            read(input)?;
        }
        Ok(())
    })
}

fn key<'a, F: Format>(input: &mut Input<'a>) -> Result<Cow<'a, str>, DecodeError> {
    let start = input.at();
    match F::item(input) {
        Err(error) => Err(error),
        Ok(Item::Value(Value::Text(key))) => Ok(key),
        Ok(item) => whole::<F>(item, input)?
            .into_key()
            .ok_or_else(|| DecodeError::at(start, "a map's key is neither text nor a number")),
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
