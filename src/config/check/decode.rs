//! The format of a record's value.

use super::Checker;
use crate::config::{Decode, Documents, raw};

pub(super) fn decode(raw: &raw::Decode, checker: &mut Checker<'_>) -> Option<Decode> {
    match raw {
        raw::Decode::Word(raw::Format::Json) => Some(Decode::Documents(Documents::Json)),
        raw::Decode::Settings(choice) => chosen(choice, checker),
    }
}

fn chosen(raw: &raw::FormatChoice, checker: &mut Checker<'_>) -> Option<Decode> {
    let formats = [raw.json.as_ref().map(|raw::Json {}| Some(Decode::Documents(Documents::Json)))];
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
