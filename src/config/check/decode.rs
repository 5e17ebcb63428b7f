//! The format of a record's value.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Url;

use super::http::{self, absolute};
use super::{At, Checker};
use crate::config::error::quoted;
use crate::config::raw::{self, Format};
use crate::config::{Avro, Decode, Documents, Points, Protobuf, Registry};
use crate::decode::{avro, csv, protobuf};

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
        Format::JsonSchema => Decode::Documents(Documents::JsonSchema),
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
        raw.avro
            .as_ref()
            .map(|raw| avro(raw, checker).map(|avro| Decode::Documents(Documents::Avro(avro)))),
        raw.protobuf.as_ref().map(|raw| {
            protobuf(raw, checker).map(|protobuf| Decode::Documents(Documents::Protobuf(protobuf)))
        }),
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

/// Where a schema is: exactly one.
enum Place<'r> {
    Registry(&'r raw::Registry),
    File(PathBuf),
}

fn place<'r>(
    registry: Option<&'r raw::Registry>,
    file: Option<&str>,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Place<'r>> {
    match (registry, file) {
        (Some(registry), None) => Some(Place::Registry(registry)),
        (None, Some(file)) => {
            absolute(file, checker, &[at, &["schema_file"]].concat()).map(Place::File)
        }
        (None, None) => {
            checker.missing(at, "`registry` or `schema_file` is missing");
            None
        }
        (Some(_), Some(_)) => {
            let message = "`registry` and `schema_file` are both given; keep one";
            checker.wrong_key(&[at, &["schema_file"]].concat(), message);
            None
        }
    }
}

fn avro(raw: &raw::Avro, checker: &mut Checker<'_>) -> Option<Avro> {
    let at: At<'_> = &["decode", "avro"];
    match place(raw.registry.as_ref(), raw.schema_file.as_deref(), checker, at)? {
        Place::Registry(registry) => {
            if checker.node(&[at, &["framing"]].concat()).is_some() {
                let message = "with a registry, its own frame stands before each message";
                checker.wrong_key(&[at, &["framing"]].concat(), message);
            }
            Some(Avro::Registry(self::registry(registry, checker, at)?))
        }
        Place::File(file) => {
            let framing = match raw.framing {
                raw::AvroFraming::Raw => avro::Framing::Raw,
                raw::AvroFraming::SingleObject => avro::Framing::SingleObject,
            };
            let schema = std::fs::read_to_string(&file)
                .map_err(|error| error.to_string())
                .and_then(|text| avro::Schema::new(&text, &[]));
            match schema {
                Ok(schema) => Some(Avro::File(Arc::new(schema), framing)),
                Err(why) => {
                    let message = format!("the schema can't be used: {why}");
                    checker.wrong(&[at, &["schema_file"]].concat(), message);
                    None
                }
            }
        }
    }
}

fn protobuf(raw: &raw::Protobuf, checker: &mut Checker<'_>) -> Option<Protobuf> {
    let at: At<'_> = &["decode", "protobuf"];
    match place(raw.registry.as_ref(), raw.schema_file.as_deref(), checker, at)? {
        Place::Registry(registry) => {
            for key in ["message", "include"] {
                let at = [at, &[key]].concat();
                if checker.node(&at).is_some() {
                    let message = "with a registry, each message says its type by itself";
                    checker.wrong_key(&at, message);
                }
            }
            Some(Protobuf::Registry(self::registry(registry, checker, at)?))
        }
        Place::File(file) => {
            let mut includes = Vec::new();
            for path in &raw.include {
                includes.push(absolute(path, checker, &[at, &["include"]].concat())?);
            }
            let Some(name) = &raw.message else {
                checker.missing(at, "`message` is missing: the full name of the messages' type");
                return None;
            };
            match protobuf::message(&file, &includes, name) {
                Ok(message) => Some(Protobuf::File(message)),
                Err(why) => {
                    let message = format!("{} of {}: {why}", quoted(name), file.display());
                    checker.wrong(&[at, &["message"]].concat(), message);
                    None
                }
            }
        }
    }
}

fn registry(raw: &raw::Registry, checker: &mut Checker<'_>, at: At<'_>) -> Option<Registry> {
    let at = [at, &["registry"]].concat();
    let urls: Vec<_> = raw.url.split(',').map(|url| url.trim().to_owned()).collect();
    let mut first = None;
    for url in &urls {
        match Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https")) {
            Some(url) if url.has_host() && url.query().is_none() => {
                first.get_or_insert(url);
            }
            // Not shown: it may hold a password.
            _ => {
                let message = "an address is `http://` or `https://`, a host, and a port if it has an \
                               own; several have commas between them";
                checker.wrong(&[at.as_slice(), &["url"]].concat(), message);
                return None;
            }
        }
    }
    let http = http::http(&raw.http, None, checker, &at, first.as_ref());
    Some(Registry { urls, http })
}
