//! A look at some keys of a document, for who has to know them before its slots are filled.

use super::Json;
use crate::decode::Slot;
use crate::path::{Path, PathTrie};

/// The keys of a topic's documents that are looked at.
#[derive(Debug)]
pub struct Look<const N: usize> {
    paths: PathTrie,
    json: Json,
}

impl<const N: usize> Look<N> {
    /// At these keys, no two of which are the same.
    pub fn new(keys: [&str; N]) -> Self {
        let mut paths = PathTrie::new();
        for key in keys {
            paths.slot(&Path::of_key(key));
        }
        Self { paths, json: Json::default() }
    }

    /// What stands there, in the order of the keys. None of a payload that is no document.
    pub fn at<'a>(&mut self, payload: &'a [u8]) -> Option<[Slot<'a>; N]> {
        let mut slots = [const { Slot::Missing }; N];
        self.json.decode(payload, &self.paths, &mut slots).ok()?;
        Some(slots)
    }
}
