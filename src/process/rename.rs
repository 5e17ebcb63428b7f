//! Tags and fields under another name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Next, rejected};
use crate::dead_letter::ReasonKind;
use crate::decode::Refusal;
use crate::point::Point;

/// Gives tags and fields other names.
#[derive(Debug, Clone)]
pub struct Rename {
    /// The new name by the old one; no two new ones are equal, and none is empty.
    pub names: BTreeMap<String, String>,
}

impl Rename {
    /// All names at once: `{ a: b, b: a }` swaps them.
    pub(super) fn take(&self, point: Point<'_>, next: Next<'_>) -> Result<(), Refusal> {
        let mut point: Point<'_> = point;
        let mut renamed = false;
        let tags = point.tags.iter_mut().map(|(name, _)| name);
        for name in tags.chain(point.fields.iter_mut().map(|(name, _)| name)) {
            if let Some(new) = self.names.get(&**name) {
                *name = Cow::Borrowed(new.as_str());
                renamed = true;
            }
        }
        if renamed {
            point.tags.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            unique(&point)?;
        }
        next(point)
    }
}

/// A new name may be another's already: one of the two values would be lost.
fn unique(point: &Point<'_>) -> Result<(), Refusal> {
    let twice = |name: &str| {
        let message = format!("`rename`: the point would have two values named {name:?}");
        Err(rejected(ReasonKind::NameTaken, message))
    };
    for pair in point.tags.windows(2) {
        if pair[0].0 == pair[1].0 {
            return twice(&pair[0].0);
        }
    }
    for (index, (name, _)) in point.fields.iter().enumerate() {
        let before = point.fields[..index].iter().any(|(other, _)| other == name);
        if before || point.tag(name).is_some() {
            return twice(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::testing::{line, lines};

    fn rename(names: &[(&str, &str)], text: &str) -> Result<Vec<String>, Refusal> {
        let names = names.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect();
        let rename = Rename { names };
        lines(|next| rename.take(line(text), next))
    }

    #[test]
    fn tags_and_fields_get_their_new_names_at_once() {
        let names = [("temp", "temperature"), ("a", "z"), ("x", "y"), ("y", "x")];
        assert_eq!(
            rename(&names, "m,a=1,b=2 temp=1.5,x=1i,y=2i,other=3 7").unwrap(),
            ["m,b=2,z=1 other=3,temperature=1.5,x=2i,y=1i 7"]
        );
    }

    #[test]
    fn a_name_that_is_anothers_rejects_the_record() {
        for text in ["m,b=2 a=1 7", "m a=1,b=2 7", "m,a=1,b=2 v=1 7", "m,a=1 b=2 7"] {
            let Err(Refusal::Rejected(reject)) = rename(&[("a", "b")], text) else {
                panic!("{text}")
            };
            assert!(reject.reason.contains("two values named \"b\""), "{}", reject.reason);
        }
    }
}
