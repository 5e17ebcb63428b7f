//! Tags and fields that are left out.

use std::collections::BTreeSet;

use super::Next;
use crate::decode::Refusal;
use crate::point::Point;

/// Leaves tags and fields out.
#[derive(Debug, Clone)]
pub struct Drop {
    pub names: BTreeSet<String>,
}

impl Drop {
    /// A point without a field is none.
    pub(super) fn take(&self, mut point: Point<'_>, next: Next<'_>) -> Result<(), Refusal> {
        point.tags.retain(|(name, _)| !self.names.contains(&**name));
        point.fields.retain(|(name, _)| !self.names.contains(&**name));
        if point.fields.is_empty() { Ok(()) } else { next(point) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::testing::{line, lines};

    #[test]
    fn what_is_dropped_is_gone_and_a_point_without_fields_is_none() {
        let drop = Drop { names: ["a", "raw"].map(str::to_owned).into() };
        let dropped = |text| lines(|next| drop.take(line(text), next)).unwrap();
        assert_eq!(dropped("m,a=1,b=2 raw=1,v=2 7"), ["m,b=2 v=2 7"]);
        assert!(dropped("m,a=1 raw=1 7").is_empty());
    }
}
