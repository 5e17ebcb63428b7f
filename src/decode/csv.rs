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

impl Csv {
    /// Fills the slots with each row, and hands them to `each`.
    pub fn decode<'a>(
        &self,
        payload: &'a [u8],
        paths: &PathTrie,
        slots: &mut [Slot<'a>],
        each: &mut dyn FnMut(&[Slot<'a>]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
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
            let entries = columns.iter().zip(cells).map(|(name, cell)| {
                let cell = if cell.is_empty() { Value::Null } else { Value::Untyped(cell.into()) };
                (Cow::Owned(name.clone()), cell)
            });
            tree::fill(Value::Map(entries.collect()), paths, slots);
            each(slots)?;
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
