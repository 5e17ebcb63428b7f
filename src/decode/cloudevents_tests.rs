use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::record::OwnedRecord;

fn trie() -> PathTrie {
    let mut trie = PathTrie::new();
    for path in [
        "$",
        "id",
        "type",
        "data",
        "data.a",
        "data.a.b",
        "data[0]",
        "datacontenttype",
        "id.x",
        "more",
    ] {
        trie.slot(&path.parse().unwrap());
    }
    trie
}

fn any_data() -> impl Strategy<Value = Json> {
    prop::sample::select(vec![
        json!({ "a": { "b": 1.50 } }),
        json!({ "a": "x", "b": [1] }),
        json!({ "a": { "b": "y" }, "c": null }),
        json!([1, { "a": 2 }]),
        json!("text"),
        json!(null),
        json!(7),
    ])
}

fn record(value: String, headers: Vec<(&str, &[u8])>) -> OwnedRecord {
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), Some(value.to_vec())));
    OwnedRecord { headers: headers.collect(), ..OwnedRecord::new("t", value.into_bytes(), None) }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_in_either_mode_say_what_they_say_whole(
        events in prop::collection::vec((any_data(), 0..9_usize, any::<bool>()), 1..12),
    ) {
        let (paths, mut events_decoder) = (trie(), CloudEvents::default());
        for (data, odd, is_binary) in events {
            let record = if is_binary {
                let mut headers: Vec<(&str, &[u8])> =
                    vec![("ce_specversion", b"1.0"), ("ce_id", b"7"), ("ce_type", b"reading"), ("other", b"\xff")];
                match odd {
                    0 => headers.push(("content-type", b"application/json; charset=utf-8")),
                    1 => headers.push(("content-type", b"application/vnd.acme+json")),
                    2 => headers.push(("content-type", b"text/plain")),
                    3 => headers.push(("content-type", b"application/octet-stream")),
                    4 => headers.push(("ce_id", b"8")),
                    5 => headers.push(("ce_data", b"odd")),
                    6 => headers.push(("ce_more", b"\xff")),
                    7 => headers.push(("ce_data", b"\xff")),
                    _ => {}
                }
                record(data.to_string(), headers)
            } else {
                let mut event = json!({ "specversion": "1.0", "id": "7", "type": "reading", "data": data });
                match odd {
                    0 => drop(event.as_object_mut().unwrap().remove("specversion")),
                    1 => event["data_base64"] = json!("eyJhIjoxfQ=="),
                    2 => event["data_base64"] = json!("?"),
                    3 => event["datacontenttype"] = json!("application/json"),
                    4 => event["specversion"] = json!(null),
                    5 => event["more"] = json!([]),
                    _ => {}
                }
                record(event.to_string(), Vec::new())
            };
            let message = Message { payload: record.value().unwrap(), record: &record };
            let mut slots = vec![Slot::Null; paths.slots()];
            let filled = events_decoder.fill(&message, &paths, &mut slots).map(|()| slots);
            let whole = decode(&message).map(|whole| tree::filled(whole, &paths));
            prop_assert_eq!(filled, whole);
        }
    }
}
