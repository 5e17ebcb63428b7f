//! Fields as values of another type.

use std::collections::BTreeMap;

use super::{Next, rejected};
use crate::config::raw::FieldKind;
use crate::dead_letter::ReasonKind;
use crate::decode::Refusal;
use crate::map::cast;
use crate::point::Point;

/// Gives fields another type.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The type by the field's name.
    pub kinds: BTreeMap<String, FieldKind>,
}

impl Cast {
    /// By the rules of a mapping with `coerce: true`: a value that has no equal of that type rejects
    /// the record.
    pub(super) fn take(&self, mut point: Point<'_>, next: Next<'_>) -> Result<(), Refusal> {
        for (name, value) in &mut point.fields {
            if let Some(kind) = self.kinds.get(&**name) {
                let wrong =
                    |why| rejected(ReasonKind::WrongType, format!("`cast`: field {name}: {why}"));
                cast(value, *kind).map_err(wrong)?;
            }
        }
        next(point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::testing::{line, lines};

    fn cast_to(kind: FieldKind, value: &str) -> Result<String, String> {
        let cast = Cast { kinds: [("v".to_owned(), kind)].into() };
        match lines(|next| cast.take(line(&format!("m v={value} 7")), next)) {
            Ok(lines) => Ok(lines[0]["m v=".len()..lines[0].len() - " 7".len()].to_owned()),
            Err(Refusal::Rejected(reject)) => Err(reject.reason),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_becomes_its_equal_of_the_type() {
        use FieldKind::{Boolean, Float, Integer, String, Unsigned};
        for (value, kind, expected) in [
            ("5", Integer, "5i"),
            ("5i", Float, "5"),
            ("true", Integer, "1i"),
            ("1i", Boolean, "true"),
            ("\"17\"", Unsigned, "17u"),
            ("2.5", String, "\"2.5\""),
            ("1.5", Float, "1.5"),
        ] {
            assert_eq!(cast_to(kind, value).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn a_value_without_an_equal_rejects_the_record() {
        for (value, kind) in [
            ("5.5", FieldKind::Integer),
            ("-1i", FieldKind::Unsigned),
            ("\"hot\"", FieldKind::Float),
            ("2i", FieldKind::Boolean),
        ] {
            let why = cast_to(kind, value).unwrap_err();
            assert!(why.starts_with("`cast`: field v: found "), "{why}");
        }
    }
}
