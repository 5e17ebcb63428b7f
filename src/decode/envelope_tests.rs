use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::connect::{self, Connect};
use super::super::debezium::Debezium;
use super::super::{DecodeError, tree};
use super::*;
use crate::config::raw::Deletes;
use crate::decode::json::whole;
use crate::path::Path;

fn trie(paths: &[&str], gathers: bool) -> PathTrie {
    let mut trie = PathTrie::new();
    for path in paths {
        trie.slot(&path.parse().unwrap());
    }
    if gathers {
        trie.entries(&"b".parse().unwrap(), 2);
        trie.elements(&"a".parse().unwrap()).paths.slot(&Path::default());
    }
    trie
}

const ROW: &[&str] = &["$", "a", "b", "c", "a.a", "a.b", "b.a.b", "b[1].a", "c.1"];

/// A schema, and values of it, of which some are of none.
fn any_schema() -> impl Strategy<Value = (Json, BoxedStrategy<Json>)> {
    let named = |kind: &str, name: &str| json!({ "type": kind, "name": name });
    let time =
        |name: &str, most: i64| (named("int64", name), (0..most).prop_map(Json::from).boxed());
    let leaf = prop::sample::select(vec![
        (json!({ "type": "int64" }), any::<i64>().prop_map(Json::from).boxed()),
        (json!({ "type": "double" }), (-1e6..1e6).prop_map(Json::from).boxed()),
        (json!({ "type": "string" }), ".{0,4}".prop_map(Json::from).boxed()),
        time("org.apache.kafka.connect.data.Timestamp", 4_000_000_000_000),
        time("io.debezium.time.MicroTimestamp", 4_000_000_000_000),
        time("io.debezium.time.Date", 40_000),
        time("io.debezium.time.MicroTime", 86_400_000_000),
        (
            json!({ "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": { "scale": "2" } }),
            prop::sample::select(vec![json!("/nQz"), json!("AQ=="), json!(1.5), json!("?")])
                .boxed(),
        ),
        (
            named("struct", "io.debezium.data.VariableScaleDecimal"),
            Just(json!({ "scale": 1, "value": "AQ==" })).boxed(),
        ),
    ]);
    leaf.prop_recursive(3, 12, 3, |inner| {
        let inner = inner.prop_map(|(schema, value)| (schema, or_odd(value)));
        let name = prop::sample::select(vec!["a", "b", "c"]);
        prop_oneof![
            3 => prop::collection::btree_map(name, inner.clone(), 0..4).prop_map(|fields| {
                let with_name = |(name, (schema, _)): (&&str, &(Json, _))| {
                    let mut schema = schema.clone();
                    schema["field"] = json!(name);
                    schema
                };
                let schemas: Vec<_> = fields.iter().map(with_name).collect();
                let values: Vec<_> = fields
                    .iter()
                    .map(|(name, (_, value))| {
 let value = prop::option::weighted(0.9, value.clone());
 (Just(*name), value)
 })
                    .collect();
                let value = values.prop_map(|fields| {
                    let there = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
                    Json::Object(there.collect())
                });
                (json!({ "type": "struct", "fields": schemas }), value.boxed())
            }),
            1 => inner.clone().prop_map(|(schema, value)| {
                let value = prop::collection::vec(value, 0..3).prop_map(Json::from);
                (json!({ "type": "array", "items": schema }), value.boxed())
            }),
            1 => inner.clone().prop_map(|(schema, value)| {
                let map = prop::collection::btree_map("[a-c]", value, 0..3);
                let value = map.prop_map(|map| Json::Object(map.into_iter().collect()));
                (json!({ "type": "map", "keys": { "type": "string" }, "values": schema }), value.boxed())
            }),
            1 => inner.prop_map(|(schema, value)| {
                let pair = (0..3, value).prop_map(|(key, value)| json!([key, value]));
                let value = prop::collection::vec(pair, 0..3).prop_map(Json::from);
                (json!({ "type": "map", "keys": { "type": "int32" }, "values": schema }), value.boxed())
            }),
        ]
    })
}

/// Now and then null, and now and then something that its schema doesn't say.
fn or_odd(value: BoxedStrategy<Json>) -> BoxedStrategy<Json> {
    let odd = prop::sample::select(vec![
        json!("x"),
        json!(true),
        json!(1.5),
        json!({ "a": 1 }),
        json!([1]),
    ]);
    prop_oneof![30 => value, 3 => Just(Json::Null), 1 => odd].boxed()
}

/// A schema, and some messages whose payloads are of it.
fn any_messages() -> impl Strategy<Value = (Json, Vec<Json>)> {
    any_schema()
        .prop_flat_map(|(schema, value)| (Just(schema), prop::collection::vec(or_odd(value), 1..6)))
}

fn filled<'a>(
    document: Result<Option<Value<'a>>, DecodeError>,
    paths: &PathTrie,
) -> Result<Option<Vec<Slot<'a>>>, DecodeError> {
    Ok(document?.map(|document| tree::filled(document, paths)))
}

/// What is wrong with a value that nobody wants is only seen by who reads all of it.
fn assert_same<T: std::fmt::Debug + PartialEq>(
    message: &str,
    known: &Result<T, DecodeError>,
    whole: &Result<T, DecodeError>,
) {
    let is_of_one_value =
        |what: &str| ["its schema declares", "no pair"].iter().any(|reason| what.contains(reason));
    match whole {
        Err(error) if is_of_one_value(&error.what) && known.is_ok() => {}
        _ => assert_eq!(known, whole, "{message}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_schema_that_was_read_says_the_same_of_the_next_message(
        (schema, payloads) in any_messages(),
        gathers in any::<bool>(),
        is_pretty in any::<bool>(),
    ) {
        let paths = trie(ROW, gathers);
        let mut connect = Connect::default();
        for payload in payloads {
            let message = json!({ "schema": schema, "payload": payload });
            let message = if is_pretty { format!("{message:#}\n") } else { message.to_string() };
            // serde_json has its keys in order; the converter writes the schema first.
            let message = turned(&message);
            let mut slots = vec![Slot::Null; paths.slots()];
            let taken = connect.fill(message.as_bytes(), &paths, &mut slots);
            let known = taken.map(|taken| taken.then_some(slots));
            assert_same(&message, &known, &filled(connect::decode(message.as_bytes()), &paths));
        }
    }

    #[test]
    fn an_event_whose_schema_was_read_says_the_same(
        (row, rows) in any_messages(),
        ops in prop::collection::vec(prop::sample::select(vec!["c", "u", "r", "d", "t", "m", "x"]), 6),
        in_text in prop::collection::vec(prop::bool::weighted(0.1), 6),
        has_schema in any::<bool>(),
        keeps in any::<bool>(),
    ) {
        let paths = trie(&["op", "after.a", "after.b", "after", "before.b", "before.b.a", "ts_ms", "$"], false);
        let of_row = |field: &str| {
            let mut schema = row.clone();
            schema["field"] = json!(field);
            schema
        };
        let fields = json!([of_row("before"), of_row("after"), { "field": "op", "type": "string" }]);
        let schema = json!({ "type": "struct", "fields": fields });
        let mut debezium = Debezium::new(if keeps { Deletes::Keep } else { Deletes::Skip });
        for ((row, op), in_text) in rows.into_iter().zip(ops).zip(in_text) {
            let row = if in_text { json!(row.to_string()) } else { row };
            let event = match op {
                "d" => json!({ "op": op, "before": row, "after": null }),
                "x" => json!({ "before": null, "after": row }),
                _ => json!({ "op": op, "before": null, "after": row, "ts_ms": 1 }),
            };
            let message = if has_schema {
                turned(&json!({ "schema": schema, "payload": event }).to_string())
            } else {
                event.to_string()
            };
            let mut slots = vec![Slot::Null; paths.slots()];
            let taken = debezium.fill(message.as_bytes(), &paths, &mut slots);
            let known = taken.map(|taken| taken.then_some(slots));
            assert_same(&message, &known, &filled(debezium.decode(message.as_bytes()), &paths));
        }
    }
}

/// With the schema before the payload.
fn turned(message: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        schema: &'a RawValue,
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    let Envelope { schema, payload } = serde_json::from_str(message).unwrap();
    format!("{{\"schema\": {schema}, \"payload\": {payload} }}\n")
}

const TIMED: &str = r#"{"schema":{"type":"struct","fields":[{"field":"a","type":"int64","name":"io.debezium.time.Timestamp"}]},"payload":"#;

fn envelopes(fronts: impl IntoIterator<Item = String>, paths: &PathTrie) -> Envelopes {
    let mut envelopes = Envelopes::default();
    for front in fronts {
        let message = format!("{front}{{}}}}");
        let mut whole = whole(message.as_bytes()).unwrap();
        envelopes.learn(message.as_bytes(), &whole.remove("schema").unwrap(), paths);
    }
    envelopes
}

#[test]
fn a_schema_is_read_once_and_the_next_message_opened_by_it() {
    let paths = trie(&["a"], false);
    let mut envelopes = envelopes([TIMED.to_owned()], &paths);
    let message = format!("{TIMED}{{\"a\":1}}  }}\n");
    let (payload, meanings) = envelopes.open(message.as_bytes(), &paths).unwrap();
    assert_eq!(payload, br#"{"a":1}  "#);
    assert_eq!(meanings.0, [(0, Logical::Time(1_000_000))]);
    // Of another mapping, and without an end.
    assert!(envelopes.open(message.as_bytes(), &trie(&["b"], false)).is_none());
    assert!(envelopes.open(format!("{TIMED}{{\"a\":1").as_bytes(), &paths).is_none());
}

#[test]
fn more_behind_the_payload_is_no_envelope() {
    let mut connect = Connect::default();
    let paths = trie(&["a"], false);
    for (rest, is_one) in [
        (r#"{"a":1}}"#, true),
        (r#"{"a":1},"more":2}"#, false),
        (r#"{"a":1}}}"#, false),
        (r#"{"a":1}"#, false),
        (r#"{"a":"x"}}"#, false),
        (r#"{"a":2}}"#, true),
    ] {
        let message = format!("{TIMED}{rest}");
        let taken = connect.fill(message.as_bytes(), &paths, &mut [Slot::Missing]);
        assert_eq!(taken.is_ok(), is_one, "{message}");
        assert_eq!(
            taken.map(Some),
            connect::decode(message.as_bytes()).map(|whole| whole.map(|_| true))
        );
    }
}

#[test]
fn many_schemas_and_long_ones_fill_no_memory() {
    let paths = trie(&["a"], false);
    let front = |name: usize, more: &str| {
        format!(r#"{{"schema":{{"type":"struct","name":"{name}{more}"}},"payload":"#)
    };
    let all = envelopes((0..=3 * MOST).map(|name| front(name, "")), &paths);
    assert!((1..=MOST).contains(&all.known.len()));
    let some = (0..3).map(|name| front(name, &"x".repeat(MOST_BYTES / 2)));
    assert_eq!(envelopes(some, &paths).known.len(), 1);
    let long = envelopes([front(1, &"x".repeat(MOST_BYTES))], &paths);
    assert!(long.known.is_empty());
}
