//! Tables that values are looked up in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::check::{At, Checker};
use crate::config::error::{nearest, quoted};
use crate::config::raw::{self, FieldRule, TagRule};
use crate::map::{Step, Table};

/// By name.
pub(in crate::config::check) type Tables = BTreeMap<String, Arc<Table>>;

pub(in crate::config::check) fn tables(
    raw: &raw::ConnectorFile,
    checker: &mut Checker<'_>,
) -> Tables {
    let lookups = super::rules(raw).flat_map(|(_, rule)| lookups(rule)).filter_map(named);
    let enriched = raw.process.iter().filter_map(|step| step.enrich.as_ref()).flat_map(|enrich| {
        let columns = enrich.tags.iter().chain(enrich.fields.keys());
        columns.map(|column| (enrich.table.as_str(), column.as_str()))
    });
    let lookups: BTreeSet<(&str, &str)> = lookups.chain(enriched).collect();
    let mut tables = Tables::new();
    for (name, table) in &raw.tables {
        let file = PathBuf::from(&table.file);
        if !file.is_absolute() {
            let message = "an absolute path is needed, such as `/etc/tidegate/sites.csv`";
            checker.wrong(&["tables", name, "file"], message);
        }
        if name.is_empty() || name.contains('.') {
            checker.wrong_key(&["tables", name], "a table's name has no dot in it");
        }
        let columns = lookups.iter().filter(|(of, _)| of == name);
        let columns = columns.map(|(_, column)| (*column).to_owned()).collect();
        let table = Table::new(name, file, table.key.clone(), columns);
        tables.insert(name.clone(), Arc::new(table));
    }
    tables
}

fn lookups(rule: &raw::PointRules) -> Vec<&str> {
    let tags = rule.tags.values().filter_map(|tag| match tag {
        TagRule::Long(tag) => tag.lookup.as_deref(),
        TagRule::Short(_) => None,
    });
    let fields = rule.fields.values().filter_map(|field| match field {
        FieldRule::Long(field) => field.lookup.as_deref(),
        FieldRule::Short(_) => None,
    });
    tags.chain(fields).collect()
}

/// `TABLE.COLUMN`; a column's name may have dots in it.
fn named(lookup: &str) -> Option<(&str, &str)> {
    lookup.split_once('.').filter(|(table, column)| !table.is_empty() && !column.is_empty())
}

pub(super) fn step(
    text: &str,
    tables: &Tables,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Step> {
    let Some((name, column)) = named(text) else {
        let message = "write the table and its column, such as `sites.floor`";
        checker.wrong(at, message);
        return None;
    };
    let table = table(name, tables, checker, at)?;
    let column = table.column(column)?;
    Some(Step::Lookup(Arc::clone(table), column))
}

/// The table of this name.
pub(in crate::config::check) fn table<'t>(
    name: &str,
    tables: &'t Tables,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<&'t Arc<Table>> {
    let table = tables.get(name);
    if table.is_none() {
        let message = match nearest(name, tables.keys().map(String::as_str)) {
            Some(near) => format!("no table {}; did you mean {}?", quoted(name), quoted(near)),
            None => format!("no table {}; name its file under `tables`", quoted(name)),
        };
        checker.wrong(at, message);
    }
    table
}
