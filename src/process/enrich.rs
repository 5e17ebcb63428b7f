//! Tags and fields from a table.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::values::text;
use super::{Next, rejected};
use crate::config::raw::FieldKind;
use crate::dead_letter::ReasonKind;
use crate::decode::Refusal;
use crate::map::{Table, cast};
use crate::point::{Point, Value};

/// Adds what a table has in the row whose key is a tag's or field's value.
#[derive(Debug, Clone)]
pub struct Enrich {
    pub table: Arc<Table>,
    /// The tag or field.
    pub by: String,
    /// Columns of the table, each the tag of its name; sorted.
    pub tags: Vec<(String, usize)>,
    /// Columns with the type of the field of their name.
    pub fields: BTreeMap<String, (usize, FieldKind)>,
    /// Whether a point without a row rejects its record.
    pub required: bool,
}

impl Enrich {
    /// Looks whether the table has changed. While it can't be read, records wait.
    pub(super) fn ready(&self) -> Result<(), Refusal> {
        self.table.look().map_err(Refusal::Unavailable)
    }

    /// What the point has already, it keeps.
    pub(super) fn take(&self, point: Point<'_>, next: Next<'_>) -> Result<(), Refusal> {
        let mut point: Point<'_> = point;
        let key = text(&point, &self.by).map(Cow::into_owned);
        let is_there = key.as_ref().is_some_and(|key| self.table.has(key));
        if self.required && !is_there {
            let table = self.table.name();
            return Err(rejected(
                ReasonKind::MissingValue,
                match key {
                    Some(key) => {
                        format!("`enrich`: the table {table} has no row with the key {key:?}")
                    }
                    None => format!("`enrich`: the point has no {}", self.by),
                },
            ));
        }
        if let Some(key) = key.filter(|_| is_there) {
            self.add(&key, &mut point)?;
        }
        next(point)
    }

    fn add<'p>(&'p self, key: &str, point: &mut Point<'p>) -> Result<(), Refusal> {
        for (name, column) in &self.tags {
            let place = point.tags.binary_search_by(|(known, _)| known.as_ref().cmp(name));
            if let (Err(place), None) = (place, point.field(name))
                && let Some(value) = self.table.get(key, *column)
            {
                point.tags.insert(place, (Cow::Borrowed(name), Cow::Owned(value)));
            }
        }
        for (name, (column, kind)) in &self.fields {
            if point.tag(name).is_none()
                && point.field(name).is_none()
                && let Some(text) = self.table.get(key, *column)
            {
                let mut value = Value::String(Cow::Owned(text));
                cast(&mut value, *kind).map_err(|why| {
                    let table = self.table.name();
                    rejected(
                        ReasonKind::WrongType,
                        format!("`enrich`: column {name} of the table {table}: {why}"),
                    )
                })?;
                point.fields.push((Cow::Borrowed(name), value));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::process::testing::{line, lines};

    fn enriched(by: &str, required: bool, text: &str) -> Result<Vec<String>, Refusal> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sites.csv");
        fs::write(&file, "device,site,limit\nd1,north,80.5\nd2,,hot\n7,seven,\n").unwrap();
        let columns = vec!["site".to_owned(), "limit".to_owned()];
        let table = Table::new("sites", file, "device".into(), columns);
        table.look().unwrap();
        let enrich = Enrich {
            table: Arc::new(table),
            by: by.into(),
            tags: vec![("site".into(), 0)],
            fields: [("limit".to_owned(), (1, FieldKind::Float))].into(),
            required,
        };
        lines(|next| enrich.take(line(text), next))
    }

    #[test]
    fn what_the_row_has_is_added_and_what_the_point_has_stays() {
        for (by, text, expected) in [
            ("device", "m,device=d1,z=1 v=1 7", "m,device=d1,site=north,z=1 limit=80.5,v=1 7"),
            ("device", "m,device=d1,site=s v=1,limit=2 7", "m,device=d1,site=s limit=2,v=1 7"),
            ("device", "m,device=d3 v=1 7", "m,device=d3 v=1 7"),
            ("device", "m v=1 7", "m v=1 7"),
            ("v", "m v=7i 7", "m,site=seven v=7i 7"),
            ("v", "m v=\"d1\" 7", "m,site=north limit=80.5,v=\"d1\" 7"),
        ] {
            assert_eq!(enriched(by, false, text).unwrap(), [expected]);
        }
    }

    #[test]
    fn a_missing_row_that_is_required_and_a_column_of_another_type_reject_the_record() {
        for (text, why) in [
            ("m,device=d3 v=1 7", "`enrich`: the table sites has no row with the key \"d3\""),
            ("m v=1 7", "`enrich`: the point has no device"),
            (
                "m,device=d2 v=1 7",
                "`enrich`: column limit of the table sites: found the text \"hot\"",
            ),
        ] {
            let Err(Refusal::Rejected(reject)) = enriched("device", true, text) else {
                panic!("{text}")
            };
            assert!(reject.reason.starts_with(why), "{}", reject.reason);
        }
    }
}
