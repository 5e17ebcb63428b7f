//! The format of a record's value.

use std::collections::BTreeSet;

use super::Checker;
use crate::config::error::quoted;
use crate::config::raw::{self, Format};
use crate::config::{Decode, Documents, Points};
use crate::decode::csv;

pub(super) fn decode(raw: &raw::Decode, checker: &mut Checker<'_>) -> Option<Decode> {
    match raw {
        raw::Decode::Word(format) => word(*format, checker),
        raw::Decode::Settings(choice) => chosen(choice, checker),
    }
}

fn word(format: Format, checker: &mut Checker<'_>) -> Option<Decode> {
    Some(match format {
        Format::Json => Decode::Documents(Documents::Json),
        Format::JsonLines => Decode::Documents(Documents::JsonLines),
        Format::ConnectJson => Decode::Documents(Documents::ConnectJson),
        Format::Debezium => Decode::Documents(Documents::Debezium(raw::Deletes::default())),
        Format::CloudEvents => Decode::Documents(Documents::CloudEvents),
        Format::Msgpack => Decode::Documents(Documents::MessagePack),
        Format::Cbor => Decode::Documents(Documents::Cbor),
        Format::Csv => return csv(&raw::Csv::default(), checker),
        Format::Text => Decode::Documents(Documents::Text),
        Format::LineProtocol => line_protocol(&raw::LineProtocol::default()),
        Format::Graphite => Decode::Points(Points::Graphite),
        Format::PrometheusText => Decode::Points(Points::PrometheusText),
        Format::OpenMetrics => Decode::Points(Points::OpenMetrics),
        Format::RemoteWrite => Decode::Points(Points::RemoteWrite),
        Format::Otlp => Decode::Points(Points::Otlp),
        Format::CollectdJson => Decode::Points(Points::CollectdJson),
        Format::TelegrafJson => telegraf_json(&raw::TelegrafJson::default()),
    })
}

fn line_protocol(raw: &raw::LineProtocol) -> Decode {
    Decode::Points(Points::LineProtocol(raw.precision))
}

fn telegraf_json(raw: &raw::TelegrafJson) -> Decode {
    Decode::Points(Points::TelegrafJson(raw.precision))
}

fn chosen(raw: &raw::FormatChoice, checker: &mut Checker<'_>) -> Option<Decode> {
    let documents = |format| Some(Decode::Documents(format));
    let formats = [
        raw.json.as_ref().map(|raw::Json {}| documents(Documents::Json)),
        raw.debezium.as_ref().map(|raw| documents(Documents::Debezium(raw.deletes))),
        raw.csv.as_ref().map(|raw| csv(raw, checker)),
        raw.line_protocol.as_ref().map(|raw| Some(line_protocol(raw))),
        raw.telegraf_json.as_ref().map(|raw| Some(telegraf_json(raw))),
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
