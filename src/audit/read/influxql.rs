//! InfluxDB 1: `InfluxQL`, answered in JSON. Numbers don't tell their types there, so those of a
//! measurement's fields are asked for as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::{Held, ReadError, Selection, measurement, unreadable};
use crate::audit::value::{FIELD, MEASUREMENT, Series, Value};

/// The types that a measurement's fields have, by field: several where shards differ.
pub(super) type Types = BTreeMap<String, BTreeSet<String>>;

/// A measurement in a database, and in its default retention policy if none is given.
fn source(database: &str, policy: Option<&str>, measurement: &str) -> String {
    let policy = policy.map(name).unwrap_or_default();
    format!("{}.{policy}.{}", name(database), name(measurement))
}

/// All values of the series.
pub(super) fn query(database: &str, policy: Option<&str>, selection: &Selection) -> Option<String> {
    let fields = selection.labels.get(FIELD)?.iter().map(|field| name(field));
    let mut query = format!(
        "SELECT {} FROM {} WHERE time >= {} AND time <= {}",
        fields.collect::<Vec<_>>().join(", "),
        source(database, policy, measurement(selection)?),
        selection.from,
        selection.to,
    );
    for (tag, values) in selection.tags() {
        let one = |value: &String| format!("{} = {}", name(tag), text(value));
        let any = values.iter().map(one).collect::<Vec<_>>().join(" OR ");
        let _ = write!(query, " AND ({any})");
    }
    Some(query + " GROUP BY *")
}

/// Asks for the types of a measurement's fields.
pub(super) fn types_query(database: &str, policy: Option<&str>, measurement: &str) -> String {
    format!("SHOW FIELD KEYS FROM {}", source(database, policy, measurement))
}

pub(super) fn parse_types(body: &str) -> Result<Types, ReadError> {
    let mut types = Types::new();
    for series in series(body)? {
        for row in rows(&series) {
            if let (Some(field), Some(kind)) = (row[0].as_str(), row[1].as_str()) {
                types.entry(field.to_owned()).or_default().insert(kind.to_owned());
            }
        }
    }
    Ok(types)
}

pub(super) fn parse(body: &str, types: &Types) -> Result<Vec<Held>, ReadError> {
    let mut held = Vec::new();
    for series in series(body)? {
        let measurement =
            series["name"].as_str().ok_or_else(|| unreadable("a series has no name"))?;
        let tags = series["tags"].as_object().into_iter().flatten();
        // A tag that the series doesn't have is empty beside series that have it.
        let tags = tags.filter_map(|(tag, value)| Some((tag, value.as_str()?)));
        let tags: Vec<_> = tags.filter(|(_, value)| !value.is_empty()).collect();
        let columns = series["columns"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (at, column) in columns.iter().enumerate().skip(1) {
            let field = column.as_str().unwrap_or_default();
            let mut labels: Vec<_> =
                tags.iter().map(|(tag, value)| ((*tag).clone(), (*value).to_owned())).collect();
            labels.push((MEASUREMENT.to_owned(), measurement.to_owned()));
            labels.push((FIELD.to_owned(), field.to_owned()));
            let mut values = Vec::new();
            for row in rows(&series).filter(|row| !row[at].is_null()) {
                let time = row[0].as_i64().ok_or_else(|| unreadable("a row has no time"))?;
                values.push((time, value(&row[at], types.get(field))?));
            }
            if !values.is_empty() {
                held.push((Series::new(labels), values));
            }
        }
    }
    Ok(held)
}

fn value(json: &Json, types: Option<&BTreeSet<String>>) -> Result<Value, ReadError> {
    let integer = types.is_some_and(|types| types.contains("integer"));
    Ok(match json {
        Json::Bool(truth) => Value::Boolean(*truth),
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => match number.as_i64().filter(|_| integer) {
            Some(number) => Value::Integer(number),
            None => Value::Float(number.as_f64().ok_or_else(|| unreadable("a number is none"))?),
        },
        _ => return Err(unreadable("a value is neither a text nor a number")),
    })
}

/// The series of the only statement. An error comes with a 200.
fn series(body: &str) -> Result<Vec<Json>, ReadError> {
    let mut answer: Json =
        serde_json::from_str(body).map_err(|error| unreadable(&error.to_string()))?;
    let result = &mut answer["results"][0];
    if let Some(error) = result["error"].as_str() {
        return Err(ReadError::Failed(format!("InfluxDB: {error}")));
    }
    if result["partial"] == true {
        return Err(ReadError::TooMuch("InfluxDB leaves rows out (max-row-limit)".into()));
    }
    match result["series"].take() {
        Json::Null => Ok(Vec::new()),
        Json::Array(series) => Ok(series),
        _ => Err(unreadable("it has no series")),
    }
}

fn rows(series: &Json) -> impl Iterator<Item = &Json> {
    series["values"].as_array().into_iter().flatten()
}

/// A name in a query.
fn name(text: &str) -> String {
    format!("\"{}\"", escaped(text, '"'))
}

/// A text in a query.
fn text(text: &str) -> String {
    format!("'{}'", escaped(text, '\''))
}

fn escaped(text: &str, quote: char) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\\' => escaped.push_str("\\\\"),
            c if c == quote => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_a_query_stays_text() {
        let one = |text: &str| BTreeSet::from([text.to_owned()]);
        let labels = BTreeMap::from([
            (MEASUREMENT.to_owned(), one("m\"")),
            (FIELD.to_owned(), BTreeSet::from(["a".to_owned(), "b c".to_owned()])),
            ("t".to_owned(), BTreeSet::from(["x'\\".to_owned(), "y".to_owned()])),
        ]);
        let selection = Selection { labels, from: -5, to: 7 };
        assert_eq!(
            query("d", Some("p"), &selection).unwrap(),
            r#"SELECT "a", "b c" FROM "d"."p"."m\"" WHERE time >= -5 AND time <= 7 "#.to_owned()
                + r#"AND ("t" = 'x\'\\' OR "t" = 'y') GROUP BY *"#
        );
        assert_eq!(source("d", None, "m"), r#""d".."m""#);
    }

    #[test]
    fn fields_of_a_row_are_values_of_their_types() {
        let types = r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":
            ["fieldKey","fieldType"],"values":[["f","float"],["n","integer"]]}]}]}"#;
        let types = parse_types(types).unwrap();
        let body = r#"{"results":[{"statement_id":0,"series":[{"name":"m","tags":{"t":"a","u":""},
            "columns":["time","f","n"],"values":[[1,1,9007199254740993],[2,null,-1]]}]}]}"#;
        let held = parse(body, &types).unwrap();
        let series = |field: &str| {
            let labels = [(MEASUREMENT, "m"), (FIELD, field), ("t", "a")];
            Series::new(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
        };
        let numbers = vec![(1, Value::Integer(9_007_199_254_740_993)), (2, Value::Integer(-1))];
        assert_eq!(held, [(series("f"), vec![(1, Value::Float(1.0))]), (series("n"), numbers)]);
        assert_eq!(parse(r#"{"results":[{"statement_id":0}]}"#, &types).unwrap(), []);
        let error =
            parse(r#"{"results":[{"error":"database not found: d"}]}"#, &types).unwrap_err();
        assert!(error.to_string().contains("database not found"), "{error}");
    }
}
