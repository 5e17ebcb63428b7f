//! The format of a record's value.

use std::collections::BTreeSet;

use super::Checker;
use crate::config::error::quoted;
use crate::config::raw::{self, Format};
use crate::config::{Decode, Documents};
use crate::decode::csv;

pub(super) fn decode(raw: &raw::Decode, checker: &mut Checker<'_>) -> Option<Decode> {
    match raw {
        raw::Decode::Word(format) => word(*format, checker),
        raw::Decode::Settings(choice) => chosen(choice, checker),
    }
}

fn word(format: Format, checker: &mut Checker<'_>) -> Option<Decode> {
    let format = match format {
        Format::Json => Documents::Json,
        Format::JsonLines => Documents::JsonLines,
        Format::ConnectJson => Documents::ConnectJson,
        Format::Debezium => Documents::Debezium(raw::Deletes::default()),
        Format::CloudEvents => Documents::CloudEvents,
        Format::Msgpack => Documents::MessagePack,
        Format::Cbor => Documents::Cbor,
        Format::Csv => return csv(&raw::Csv::default(), checker),
        Format::Text => Documents::Text,
    };
    Some(Decode::Documents(format))
}

fn chosen(raw: &raw::FormatChoice, checker: &mut Checker<'_>) -> Option<Decode> {
    let documents = |format| Some(Decode::Documents(format));
    let formats = [
        raw.json.as_ref().map(|raw::Json {}| documents(Documents::Json)),
        raw.debezium.as_ref().map(|raw| documents(Documents::Debezium(raw.deletes))),
        raw.csv.as_ref().map(|raw| csv(raw, checker)),
    ];
    let mut chosen = formats.into_iter().flatten();
    let Some(format) = chosen.next() else {
        checker.missing(&["decode"], "exactly one format is needed, such as `json: {}`");
        return None;
    };
    if chosen.next().is_some() {
        checker.wrong(&["decode"], "exactly one format is needed; keep one of these");
        return None;
    }
    format
}

fn csv(raw: &raw::Csv, checker: &mut Checker<'_>) -> Option<Decode> {
    let delimiter = match raw.delimiter.as_bytes() {
        [byte] if !matches!(byte, b'"' | b'\n' | b'\r') && byte.is_ascii() => Some(*byte),
        _ => {
            let message = "exactly one ASCII sign is needed, no quote and no line break";
            checker.wrong(&["decode", "csv", "delimiter"], message);
            None
        }
    };
    let mut names = BTreeSet::new();
    for name in raw.columns.iter().flatten() {
        if !names.insert(name) {
            let message = format!("the column {} is there twice", quoted(name));
            checker.wrong_key(&["decode", "csv", "columns"], message);
        }
    }
    if raw.columns.as_ref().is_some_and(Vec::is_empty) {
        checker
            .wrong_key(&["decode", "csv", "columns"], "no columns: leave this out, or name them");
    }
    Some(Decode::Documents(Documents::Csv(csv::Csv {
        delimiter: delimiter?,
        columns: raw.columns.clone(),
    })))
}
