//! InfluxDB 3: SQL, answered in JSON (`/api/v3/query_sql`). Numbers don't tell their types there, so
//! those of a measurement's columns are asked for as well; they say which columns are tags, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use super::{Held, ReadError, Selection, measurement, unreadable};
use crate::audit::value::{FIELD, MEASUREMENT, Series, Value};

/// What a column of a measurement holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Tag,
    Float,
    Integer,
    Unsigned,
    Boolean,
    Text,
}

/// Of a measurement, without its time.
pub(super) type Columns = BTreeMap<String, Column>;

/// Asks for the columns of a measurement, which is a table of the schema `iox`.
pub(super) fn columns_query(measurement: &str) -> String {
    format!(
        "SELECT column_name, data_type FROM information_schema.columns \
         WHERE table_schema = 'iox' AND table_name = {}",
        text(measurement)
    )
}

pub(super) fn parse_columns(body: &str) -> Result<Columns, ReadError> {
    let mut columns = Columns::new();
    for row in rows(body)? {
        let text = |name: &str| row.get(name).and_then(Json::as_str);
        let (Some(name), Some(kind)) = (text("column_name"), text("data_type")) else {
            return Err(unreadable("a column has no name or no type"));
        };
        let column = match kind {
            _ if kind.starts_with("Dictionary") => Column::Tag,
            "Float64" => Column::Float,
            "Int64" => Column::Integer,
            "UInt64" => Column::Unsigned,
            "Boolean" => Column::Boolean,
            "Utf8" | "Utf8View" | "LargeUtf8" => Column::Text,
            // The time.
            _ => continue,
        };
        columns.insert(name.to_owned(), column);
    }
    Ok(columns)
}

/// All values of the series; `None` if the measurement has no such series.
pub(super) fn query(selection: &Selection, columns: &Columns) -> Option<String> {
    let measurement = measurement(selection)?;
    let fields = selection.labels.get(FIELD)?;
    let asked =
        |(column, kind): &(&String, &Column)| **kind == Column::Tag || fields.contains(*column);
    let asked: Vec<_> = columns.iter().filter(asked).collect();
    if asked.iter().all(|(_, kind)| **kind == Column::Tag) {
        return None;
    }
    let names: Vec<_> = asked.iter().map(|(column, _)| name(column)).collect();
    let mut query = format!(
        "SELECT CAST(time AS BIGINT) AS time, {} FROM iox.{} \
         WHERE time >= to_timestamp_nanos({}) AND time <= to_timestamp_nanos({})",
        names.join(", "),
        name(measurement),
        selection.from,
        selection.to,
    );
    for (tag, values) in selection.tags() {
        if columns.get(tag) != Some(&Column::Tag) {
            return None;
        }
        let any = values.iter().map(|value| text(value)).collect::<Vec<_>>().join(", ");
        let _ = write!(query, " AND {} IN ({any})", name(tag));
    }
    Some(query)
}

pub(super) fn parse(
    body: &str,
    measurement: &str,
    columns: &Columns,
) -> Result<Vec<Held>, ReadError> {
    let mut held: BTreeMap<Series, Vec<(i64, Value)>> = BTreeMap::new();
    for row in rows(body)? {
        let time = row.get("time").and_then(Json::as_i64);
        let time = time.ok_or_else(|| unreadable("a row has no time"))?;
        let mut tags = Vec::new();
        let mut fields = Vec::new();
        for (name, json) in row.iter().filter(|(_, json)| !json.is_null()) {
            match columns.get(name) {
                Some(Column::Tag) => {
                    tags.push((name.clone(), json.as_str().unwrap_or_default().to_owned()));
                }
                Some(kind) => fields.push((name, value(json, *kind)?)),
                None => {}
            }
        }
        for (field, value) in fields {
            let mut labels = tags.clone();
            labels.push((MEASUREMENT.to_owned(), measurement.to_owned()));
            labels.push((FIELD.to_owned(), field.clone()));
            held.entry(Series::new(labels)).or_default().push((time, value));
        }
    }
    Ok(held.into_iter().collect())
}

fn value(json: &Json, column: Column) -> Result<Value, ReadError> {
    let value = match column {
        Column::Float => json.as_f64().map(Value::Float),
        Column::Integer => json.as_i64().map(Value::Integer),
        Column::Unsigned => json.as_u64().map(Value::Unsigned),
        Column::Boolean => json.as_bool().map(Value::Boolean),
        Column::Text | Column::Tag => json.as_str().map(|text| Value::Text(text.to_owned())),
    };
    value.ok_or_else(|| unreadable("a value is not of its column's type"))
}

/// An array of objects, in which a column without a value may be missing.
fn rows(body: &str) -> Result<Vec<Map<String, Json>>, ReadError> {
    // Of no rows at all, some versions send nothing.
    if body.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(body).map_err(|error| unreadable(&error.to_string()))
}

/// A name in a query.
fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text in a query, where a backslash is one.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn columns() -> Columns {
        let columns = r#"[{"column_name":"t","data_type":"Dictionary(Int32, Utf8)"},
            {"column_name":"u","data_type":"Dictionary(Int32, Utf8)"},
            {"column_name":"time","data_type":"Timestamp(Nanosecond, None)"},
            {"column_name":"f","data_type":"Float64"},{"column_name":"n","data_type":"Int64"},
            {"column_name":"w","data_type":"UInt64"},{"column_name":"other","data_type":"Utf8"}]"#;
        parse_columns(columns).unwrap()
    }

    fn selection(fields: &[&str], tag: &str) -> Selection {
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::from([
            (MEASUREMENT.to_owned(), set(&["m\""])),
            (FIELD.to_owned(), set(fields)),
            (tag.to_owned(), set(&["x'\\", "y"])),
        ]);
        Selection { labels, from: -5, to: 7 }
    }

    #[test]
    fn text_in_a_query_stays_text() {
        assert_eq!(
            query(&selection(&["f", "gone"], "t"), &columns()).unwrap(),
            r#"SELECT CAST(time AS BIGINT) AS time, "f", "t", "u" FROM iox."m""" "#.to_owned()
                + "WHERE time >= to_timestamp_nanos(-5) AND time <= to_timestamp_nanos(7) "
                + r#"AND "t" IN ('x''\', 'y')"#
        );
        assert!(columns_query("m'").ends_with("AND table_name = 'm'''"));
    }

    #[test]
    fn a_field_or_a_tag_that_the_measurement_does_not_have_has_no_series() {
        assert_eq!(query(&selection(&["gone"], "t"), &columns()), None);
        assert_eq!(query(&selection(&["f"], "gone"), &columns()), None);
        assert_eq!(query(&selection(&["f"], "t"), &Columns::new()), None);
    }

    #[test]
    fn columns_of_a_row_are_tags_and_values_of_their_types() {
        let body = r#"[{"time":1,"t":"a","f":1.0,"n":9007199254740993,"w":18446744073709551615},
            {"time":2,"t":"a","u":"b","n":-1}]"#;
        let held = parse(body, "m", &columns()).unwrap();
        let series = |field: &str, tags: &[(&str, &str)]| {
            let labels = [(MEASUREMENT, "m"), (FIELD, field)];
            let labels = labels.iter().chain(tags);
            Series::new(labels.map(|(name, value)| ((*name).into(), (*value).into())).collect())
        };
        let (one, two): (&[_], &[_]) = (&[("t", "a")], &[("t", "a"), ("u", "b")]);
        let mut expected = [
            (series("f", one), vec![(1, Value::Float(1.0))]),
            (series("n", one), vec![(1, Value::Integer(9_007_199_254_740_993))]),
            (series("n", two), vec![(2, Value::Integer(-1))]),
            (series("w", one), vec![(1, Value::Unsigned(u64::MAX))]),
        ];
        expected.sort_by(|one, two| one.0.cmp(&two.0));
        assert_eq!(held, expected);
        assert_eq!(parse("[]", "m", &columns()).unwrap(), []);
        assert!(parse("{\"error\":1}", "m", &columns()).is_err());
    }
}
