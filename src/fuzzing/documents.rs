//! Any bytes as a message of each format of documents.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use prost_reflect::MessageDescriptor;

use super::mapping::Bare;
use crate::config;
use crate::config::raw::Deletes;
use crate::decode::avro::{Avro, Framing, Schema};
use crate::decode::connect::Connect;
use crate::decode::csv::Csv;
use crate::decode::debezium::Debezium;
use crate::decode::json::Json;
use crate::decode::protobuf::{self, Protobuf};
use crate::decode::{Documents, Message, Refusal, Slot, tree};
use crate::path::PathTrie;

/// Of the formats of the golden folders, and of what libFuzzer makes up.
const PATHS: &str = "$ a a.b after.id data.temperature reading.temperature a[1] device site site.name at temperature \
    state took pressure raw port counts.a";

/// A message is read, or refused for good, and what is refused is told. What the paths find without reading the rest is
/// what they find in the whole.
pub fn documents(data: &[u8]) {
    let mut paths = PathTrie::new();
    for path in PATHS.split(' ') {
        paths.slot(&path.parse().unwrap());
    }
    let formats = [
        Documents::JsonLines(Json::default()),
        Documents::ConnectJson(Connect::default()),
        Documents::Debezium(Box::new(Debezium::new(Deletes::Keep))),
        Documents::CloudEvents(Box::default()),
        Documents::MessagePack,
        Documents::Cbor,
        Documents::Csv(Csv { delimiter: b',', columns: None }),
        Documents::Text,
        Documents::JsonSchema(Json::default()),
        Documents::Avro(avro()),
        Documents::Protobuf(protobuf()),
    ];
    let record = Bare(data);
    let message = Message { payload: data, record: &record };
    for mut format in formats {
        // What is kept of the first time changes nothing of the second.
        for _ in 0..2 {
            check(&mut format, &message, &paths);
        }
    }
}

fn check(format: &mut Documents, message: &Message<'_>, paths: &PathTrie) {
    let (mut slots, mut found) = (vec![Slot::Missing; paths.slots()], None);
    let taken = format.decode(message, paths, &mut slots, &mut |slots| {
        found = Some(slots.to_vec());
        Ok(())
    });
    match taken {
        Ok(()) if is_walked(format) => {
            let whole = format.document(message).unwrap();
            let whole = whole.map(|whole| tree::filled(whole, paths));
            // Not a number is no other's equal.
            assert_eq!(format!("{found:?}"), format!("{whole:?}"));
        }
        Ok(()) => {}
        Err(Refusal::Rejected(reject)) => {
            assert!(!reject.reason.is_empty());
            let len = message.payload.len();
            assert!(reject.offset.is_none_or(|offset| offset <= len), "{reject:?}");
        }
        Err(Refusal::Unavailable(reason)) => panic!("{format:?}: {reason}"),
    }
}

/// Whether slots are filled from a message itself, in a format that has no other test for that here.
fn is_walked(format: &Documents) -> bool {
    matches!(
        format,
        Documents::Avro(_)
            | Documents::Cbor
            | Documents::CloudEvents(_)
            | Documents::ConnectJson(_)
            | Documents::Debezium(_)
            | Documents::MessagePack
            | Documents::Protobuf(_)
    )
}

/// By the schemas of the golden folders.
fn avro() -> Avro {
    const TEXT: &str = include_str!("../../tests/formats/avro_file/reading.avsc");
    static SCHEMA: LazyLock<Arc<Schema>> =
        LazyLock::new(|| Arc::new(Schema::new(TEXT, &[]).unwrap()));
    Avro::File { schema: Arc::clone(&SCHEMA), framing: Framing::Raw }
}

fn protobuf() -> Protobuf {
    const FILE: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/formats/protobuf_file/reading.proto");
    static TYPE: LazyLock<MessageDescriptor> = LazyLock::new(|| {
        protobuf::message(Path::new(FILE), &[], "acme.plant.Envelope.Reading").unwrap()
    });
    Protobuf::new(&config::Protobuf::File(TYPE.clone()))
}
