//! What InfluxDB 1 and 2 have stored, by InfluxQL and by Flux.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Stored, number};
use crate::stack::{InfluxDb1, InfluxDb2};

/// The columns of a Flux answer that are no tags.
const NO_TAGS: [&str; 11] = [
    "result",
    "table",
    "_start",
    "_stop",
    "_time",
    "_value",
    "_field",
    "_measurement",
    "case",
    "kind",
    "text",
];

pub fn read2(server: &InfluxDb2, bucket: &str, case: &str) -> Vec<Stored> {
    // An answer in CSV has the same text for 1, 1i and 1u, and for any end of a line.
    let flux = format!(
        r#"import "strings"
import "types"
kind = (v) => if types.isType(v: v, type: "float") then "float"
  else if types.isType(v: v, type: "int") then "int"
  else if types.isType(v: v, type: "uint") then "uint"
  else if types.isType(v: v, type: "bool") then "bool"
  else "string"
replaced = (v, t, u) => strings.replaceAll(v: v, t: t, u: u)
text = (v) => replaced(v: replaced(v: string(v: v), t: "\n", u: "␤"), t: "\r", u: "␍")
from(bucket: {bucket:?})
  |> range(start: 1677-09-21T00:12:43.145224194Z, stop: 2262-04-11T23:47:16.854775807Z)
  |> filter(fn: (r) => r.case == {case:?})
  |> map(fn: (r) => ({{r with kind: kind(v: r._value), text: text(v: r._value)}}))"#
    );
    let rows = server.query_flux(&flux);
    rows.iter()
        .map(|row| {
            let column = |name: &str| {
                row.get(name).unwrap_or_else(|| panic!("no {name} in {row:?}")).as_str()
            };
            let time: jiff::Timestamp = column("_time").parse().expect("a time");
            let value = match column("kind") {
                "float" => number(column("text").parse().expect("a number")),
                kind => {
                    format!("{kind} {}", column("text").replace('␤', "\n").replace('␍', "\r"))
                }
            };
            let tags = row.iter().filter(|(name, value)| {
                // A tag that another series of the table has.
                !NO_TAGS.contains(&name.as_str()) && !value.is_empty()
            });
            Stored {
                name: column("_measurement").to_owned(),
                tags: tags.map(|(name, value)| (name.clone(), value.clone())).collect(),
                field: column("_field").to_owned(),
                nanos: i64::try_from(time.as_nanosecond()).expect("a time that InfluxDB has"),
                value,
            }
        })
        .collect()
}

/// The types of InfluxDB 1's fields.
fn types(server: &InfluxDb1, database: &str) -> BTreeMap<(String, String), String> {
    let answer = server.query(&format!("SHOW FIELD KEYS ON \"{database}\""));
    let series = answer["results"][0]["series"].as_array().cloned().unwrap_or_default();
    let mut types = BTreeMap::new();
    for series in series {
        for field in series["values"].as_array().expect("fields") {
            let text = |json: &Json| json.as_str().expect("a text").to_owned();
            types.insert((text(&series["name"]), text(&field[0])), text(&field[1]));
        }
    }
    types
}

pub fn read1(server: &InfluxDb1, database: &str, case: &str) -> Vec<Stored> {
    let types = types(server, database);
    let select = format!("SELECT * FROM /.*/ WHERE \"case\" = '{case}' GROUP BY *");
    let mut stored = Vec::new();
    for (series, rows) in server.select(database, &select) {
        let name = series["name"].as_str().expect("a measurement").to_owned();
        let columns = series["columns"].as_array().expect("columns");
        let tags: BTreeMap<_, _> = series["tags"]
            .as_object()
            .expect("tags")
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().expect("a tag").to_owned()))
            // A tag that another series of the measurement has is empty.
            .filter(|(name, value)| name != "case" && !value.is_empty())
            .collect();
        let values = series["values"].as_array().expect("values");
        for (row, texts) in values.iter().zip(rows) {
            let nanos = texts[0].parse().expect("nanoseconds");
            for (at, column) in columns.iter().enumerate().skip(1) {
                let field = column.as_str().expect("a field").to_owned();
                let (text, is_there) = (&texts[at], !row[at].is_null());
                let value = match types[&(name.clone(), field.clone())].as_str() {
                    "float" if is_there => number(text.parse().expect("a number")),
                    "integer" => format!("int {text}"),
                    "boolean" => format!("bool {text}"),
                    kind => format!("{kind} {text}"),
                };
                let (name, tags) = (name.clone(), tags.clone());
                stored.extend(is_there.then_some(Stored { name, tags, field, nanos, value }));
            }
        }
    }
    stored
}
