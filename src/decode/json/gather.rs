//! The second walk, over an object or an array of which all values are wanted.

use std::borrow::Cow;

use super::{Checked, Scanner};
use crate::decode::{MAX_GATHERED, Rows, Slot, joined};
use crate::path::{Elements, Node, Path, PathTrie};

impl<'a> Scanner<'a> {
    /// Walks an object, which has been walked before, again for all its values.
    #[cold]
    pub(super) fn entries(
        &mut self,
        start: usize,
        node: &Node,
        slots: &mut [Slot<'a>],
    ) -> Checked<()> {
        // The whole value, wherever it is to be put.
        let mut whole = PathTrie::new();
        whole.slot(&Path::default());
        for entries in node.entries() {
            self.at = start;
            let mut found = Vec::new();
            self.gather("", whole.root(), entries.depth, &mut found)?;
            slots[entries.slot] = Slot::Entries(found.into());
        }
        Ok(())
    }

    fn gather(
        &mut self,
        outer: &str,
        whole: &Node,
        depth: usize,
        found: &mut Vec<(Cow<'a, str>, Slot<'a>)>,
    ) -> Checked<()> {
        self.open()?;
        while self.skip_space() != b'}' {
            let key = self.string()?;
            let key = joined(outer, self.text_of(key)?);
            self.skip_space();
            self.at += 1;
            if self.skip_space() == b'{' && depth > 1 {
                self.gather(&key, whole, depth - 1, found)?;
            } else {
                let mut slot = [Slot::Missing];
                self.value(Some(whole), &mut slot)?;
                let [slot] = slot;
                if found.len() == MAX_GATHERED {
                    return Err("more values in an object than are made fields of");
                }
                found.push((key, slot));
            }
            self.skip_comma();
        }
        self.close()
    }

    /// Walks an array, which has been walked before, again for all its elements.
    #[cold]
    pub(super) fn elements(
        &mut self,
        start: usize,
        elements: &Elements,
        slots: &mut [Slot<'a>],
    ) -> Checked<()> {
        self.at = start;
        let mut rows = Rows::default();
        self.open()?;
        while self.skip_space() != b']' {
            if rows.len == MAX_GATHERED {
                return Err("more elements in an array than are made points of");
            }
            let row = rows.slots.len();
            rows.slots.resize(row + elements.paths.slots(), Slot::Missing);
            self.value(Some(elements.paths.root()), &mut rows.slots[row..])?;
            rows.len += 1;
            self.skip_comma();
        }
        slots[elements.slot] = Slot::Elements(Box::new(rows));
        self.close()
    }
}
