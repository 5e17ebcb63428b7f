//! CSV (RFC 4180): each row of a message is a document, whose keys are the columns' names.
//!
//! Cells have no types: a number or a boolean is what the mapping takes it for. An empty cell is a null.

use std::borrow::Cow;

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::tree::{self, Value};
use super::{DecodeError, Refusal, Slot};
use crate::path::PathTrie;

/// How the rows of a message are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csv {
    /// What stands between two cells.
    pub delimiter: u8,
    /// The columns' names; from each message's first row where they are not told.
    pub columns: Option<Vec<String>>,
}

/// Takes the columns' names and a row's cells.
type EachRow<'f> = &'f mut dyn FnMut(&[String], Vec<String>) -> Result<(), Refusal>;

/// So many rows are looked at for what columns hold.
const LOOKED_AT: usize = 1000;

impl Csv {
    /// Fills the slots with each row, and hands them to `each`.
    pub fn decode<'a>(
        &self,
        payload: &'a [u8],
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
        each: &mut dyn FnMut(&[Slot<'a>]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.rows(payload, &mut |columns, cells| {
            let entries = columns.iter().zip(cells).map(|(name, cell)| {
                let cell = if cell.is_empty() { Value::Null } else { Value::Untyped(cell.into()) };
                (Cow::Owned(name.clone()), cell)
            });
            tree::fill(Value::Map(entries.collect()), paths, slots);
            each(slots)
        })
    }

    /// What the columns of a message hold: each has its first cell that is not empty, or a null.
    pub fn document<'a>(&self, payload: &[u8]) -> Result<Value<'a>, Refusal> {
        let (mut document, mut looked_at) = (Vec::new(), 0);
        self.rows(payload, &mut |columns, cells| {
            if document.is_empty() {
                document.extend(columns.iter().map(|name| (Cow::Owned(name.clone()), Value::Null)));
            }
            looked_at += 1;
            for ((_, value), cell) in
                document.iter_mut().zip(cells).take_while(|_| looked_at <= LOOKED_AT)
            {
                if *value == Value::Null && !cell.is_empty() {
                    *value = Value::Untyped(cell.into());
                }
            }
            Ok(())
        })?;
        Ok(Value::Map(document))
    }

    /// Hands the columns' names and the cells of each row to `each`.
    fn rows(&self, payload: &[u8], each: EachRow<'_>) -> Result<(), Refusal> {
        let mut reader = ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(payload);
        let mut columns = self.columns.clone();
        let mut row = ByteRecord::new();
        while reader.read_byte_record(&mut row).map_err(|error| wrong(&error))? {
            let at = row.position().map_or(0, csv::Position::byte);
            let at = usize::try_from(at).unwrap_or(payload.len());
            let cells = cells(&row, at)?;
            let Some(columns) = &columns else {
                columns = Some(cells);
                continue;
            };
            if cells.len() != columns.len() {
                let (found, wanted) = (cells.len(), columns.len());
                let what = format!("a row has {found} cells where there are {wanted} columns");
                return Err(DecodeError::at(at, what).into());
            }
            each(columns, cells)?;
        }
        Ok(())
    }
}

fn cells(row: &ByteRecord, at: usize) -> Result<Vec<String>, DecodeError> {
    let text = |cell: &[u8]| std::str::from_utf8(cell).map(str::to_owned);
    let cells: Result<_, _> = row.iter().map(text).collect();
    cells.map_err(|_| DecodeError::at(at, "a row with invalid UTF-8"))
}

fn wrong(error: &csv::Error) -> DecodeError {
    DecodeError::new(format!("no CSV: {error}"))
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, Process, load_text};
    use crate::connector;
    use crate::drift::Drift;
    use crate::record::OwnedRecord;
    use crate::sink::Sink;

    #[test]
    fn columns_that_nothing_names_and_named_ones_that_have_stopped_to_arrive_are_found() {
        let file = "{ topics: [t], kafka: { bootstrap.servers: k }, decode: csv, sink: { blackhole: {} }, \
                    point: { measurement: m, tags: { d: device }, fields: { v: v } } }";
        let environment = Environment::variables(|_| None);
        let config = load_text("a.yaml", file, &Process::default(), &environment).unwrap();
        let sink = Sink::new(&config.sink, std::time::Duration::from_secs(1)).unwrap();
        let drift = Drift::default();
        let mut transform = connector::transform(&config, &sink);
        transform.drift = Some(drift.clone());
        let mut look = |value: &str| {
            let record = OwnedRecord::new("t", value.into(), Some(0));
            transform.look(&record)
        };
        // `note` is empty in the first row, and `idle` in all.
        look("device,v,note,idle\na,1,,\nb,2,late,");
        assert_eq!(drift.unmapped(), ["note"]);
        for _ in 0..99 {
            assert!(look("device,v\n,1").is_empty());
        }
        assert_eq!(look("device,v\n,1"), ["device"]);
        assert_eq!(drift.gone(), ["device"]);
    }
}
