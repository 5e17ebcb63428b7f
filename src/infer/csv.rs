//! How rows of CSV are written: what stands between cells, and whether the first row has the columns' names.

use std::borrow::Cow;
use std::collections::BTreeSet;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::draft::quoted;
use super::format::number;
use crate::decode::Message;
use crate::decode::csv::Csv;
use crate::decode::tree::Value;

/// What may stand between two cells.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// So many messages say how all are written.
const LOOKED_AT: usize = 100;

/// How most messages are written, if it is CSV: at least two columns, the same number in each row, and a number
/// somewhere. Also as `decode:` has it.
pub(super) fn told(messages: &[Message<'_>]) -> Option<(String, Csv)> {
    let texts = messages.iter().take(LOOKED_AT);
    let texts: Vec<_> =
        texts.filter_map(|message| std::str::from_utf8(message.payload).ok()).collect();
    let tables = |delimiter| {
        let tables = texts.iter().map(|text| rows(text, delimiter));
        tables.collect::<Option<Vec<Vec<StringRecord>>>>()
    };
    let of = |delimiter: u8| {
        let tables = tables(delimiter)?;
        let width = tables.first()?.first()?.len();
        let rows = || tables.iter().flatten();
        let fits = width > 1 && rows().all(|row| row.len() == width);
        (fits && rows().flat_map(StringRecord::iter).any(|cell| number(cell).is_some()))
            .then_some((delimiter, tables))
    };
    let (delimiter, tables) = DELIMITERS.into_iter().find_map(of)?;
    // A header stands in each message, or is the first message, or there is none.
    let first = tables.first()?.first()?;
    let in_each = tables.iter().all(|rows| rows.len() > 1 && rows.first() == Some(first));
    let columns = if is_header(first) {
        let names: Vec<_> = first.iter().map(ToOwned::to_owned).collect();
        (!in_each).then_some(names)
    } else {
        Some((1..=first.len()).map(|number| format!("{MADE_UP}{number}")).collect())
    };
    let mut settings = Vec::new();
    match delimiter {
        b',' => {}
        b'\t' => settings.push("delimiter: \"\\t\"".to_owned()),
        other => settings.push(format!("delimiter: '{}'", char::from(other))),
    }
    if let Some(columns) = &columns {
        let names: Vec<_> = columns.iter().map(|name| quoted(name)).collect();
        settings.push(format!("columns: [{}]", names.join(", ")));
    }
    let text = if settings.is_empty() {
        "csv".to_owned()
    } else {
        format!("{{ csv: {{ {} }} }}", settings.join(", "))
    };
    Some((text, Csv { delimiter, columns }))
}

const MADE_UP: &str = "column_";

/// Whether columns have no names but those that [`told`] has given them.
pub(super) fn are_made_up(names: &[String]) -> bool {
    names.first().is_some_and(|name| *name == format!("{MADE_UP}1"))
}

/// Names that are none twice, and no values.
fn is_header(row: &StringRecord) -> bool {
    let names: BTreeSet<_> = row.iter().collect();
    let is_name = |cell: &str| cell.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let is_value =
        |cell: &str| matches!(cell, "true" | "false") || cell.parse::<jiff::Timestamp>().is_ok();
    names.len() == row.len() && row.iter().all(|cell| is_name(cell) && !is_value(cell) && cell.len() < 64)
        // A device's id begins with a letter, too, and has a digit in most cases.
        && !row.iter().all(|cell| cell.contains(|c: char| c.is_ascii_digit()))
}

fn rows(text: &str, delimiter: u8) -> Option<Vec<StringRecord>> {
    let reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    reader.into_records().collect::<Result<_, _>>().ok()
}

/// The rows of a message, each cell as what it may be taken for.
pub(super) fn documents<'a>(csv: &Csv, payload: &'a [u8]) -> Option<Vec<Value<'a>>> {
    let mut rows = rows(std::str::from_utf8(payload).ok()?, csv.delimiter)?.into_iter();
    let columns = match &csv.columns {
        Some(columns) => columns.clone(),
        None => rows.next()?.iter().map(ToOwned::to_owned).collect(),
    };
    // A file that is produced line by line has its header for a message.
    let rows = rows.filter(|row| !row.iter().eq(columns.iter().map(String::as_str)));
    rows.map(|row| {
        let cells = columns.iter().zip(&row);
        let cells = cells.map(|(name, cell)| (Cow::Owned(name.clone()), typed(cell)));
        (row.len() == columns.len()).then(|| Value::Map(cells.collect()))
    })
    .collect()
}

fn typed<'a>(cell: &str) -> Value<'a> {
    match cell {
        "" => Value::Null,
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        _ => number(cell).unwrap_or_else(|| Value::Untyped(Cow::Owned(cell.to_owned()))),
    }
}
