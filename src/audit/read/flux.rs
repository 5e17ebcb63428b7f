//! InfluxDB 2: Flux, answered in annotated CSV.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Held, ReadError, Selection, unreadable};
use crate::audit::value::{Series, Value};

/// All values of the series, each series as a table of its own, as storage holds them.
pub(super) fn query(bucket: &str, selection: &Selection) -> String {
    let mut query = format!(
        "from(bucket: {}) |> range(start: {}, stop: {})",
        quoted(bucket),
        time(selection.from),
        // The stop is excluded.
        time(selection.to.saturating_add(1)),
    );
    for (name, values) in &selection.labels {
        let one = |value: &String| format!("r[{}] == {}", quoted(name), quoted(value));
        let any = values.iter().map(one).collect::<Vec<_>>().join(" or ");
        let _ = write!(query, " |> filter(fn: (r) => {any})");
    }
    query
}

/// A string of Flux. `${` would begin an interpolation.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' => quoted.push_str("\\x24"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A time of Flux: RFC 3339 with nanoseconds.
fn time(nanos: i64) -> String {
    // Every i64 is within jiff's range.
    jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default().to_string()
}

/// Columns before those of a table: an empty one, `result` and `table`, which tags may be called,
/// too.
const LEADING: usize = 3;

pub(super) fn parse(body: &str) -> Result<Vec<Held>, ReadError> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body.as_bytes());
    let (mut types, mut columns) = (Vec::new(), None::<Vec<String>>);
    let mut held: BTreeMap<Series, Vec<(i64, Value)>> = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(|error| unreadable(&error.to_string()))?;
        if row.get(0) == Some("#datatype") {
            types = row.iter().map(str::to_owned).collect();
            columns = None;
            continue;
        }
        let Some(columns) = &columns else {
            columns = Some(row.iter().map(str::to_owned).collect());
            continue;
        };
        // A query that fails on its way says so in a table of its own.
        if columns.get(1).is_some_and(|column| column == "error") {
            let said = row.iter().collect::<Vec<_>>().join(" ");
            return Err(ReadError::Failed(format!("InfluxDB: {}", said.trim())));
        }
        let (series, time, value) = read(&types, columns, &row)?;
        held.entry(series).or_default().push((time, value));
    }
    Ok(held.into_iter().collect())
}

fn read(
    types: &[String],
    columns: &[String],
    row: &csv::StringRecord,
) -> Result<(Series, i64, Value), ReadError> {
    let (mut labels, mut time, mut value) = (Vec::new(), None, None);
    for ((column, kind), text) in columns.iter().zip(types).zip(row).skip(LEADING) {
        match column.as_str() {
            "_time" => time = text.parse::<jiff::Timestamp>().ok(),
            "_value" => value = typed(kind, text),
            "_start" | "_stop" => {}
            // A tag that the series doesn't have is an empty column beside series that have it.
            _ if text.is_empty() => {}
            name => labels.push((name.to_owned(), text.to_owned())),
        }
    }
    let nanos = time.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
    let (Some(nanos), Some(value)) = (nanos, value) else {
        return Err(unreadable("a row has no time or no value"));
    };
    Ok((Series::new(labels), nanos, value))
}

fn typed(kind: &str, text: &str) -> Option<Value> {
    Some(match kind {
        "double" => Value::Float(text.parse().ok()?),
        "long" => Value::Integer(text.parse().ok()?),
        "unsignedLong" => Value::Unsigned(text.parse().ok()?),
        "boolean" => Value::Boolean(text.parse().ok()?),
        // InfluxDB writes a line break as `\r\n`, and leaves out a `\r` that was there.
        "string" => Value::Text(text.replace("\r\n", "\n")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_a_query_stays_text() {
        let labels = BTreeMap::from([
            ("_measurement".to_owned(), ["m".to_owned()].into()),
            ("a\"b".to_owned(), ["x\\".to_owned(), "${1}".to_owned()].into()),
        ]);
        let selection = Selection { labels, from: 1, to: 1_000_000_000 };
        assert_eq!(
            query("the bucket", &selection),
            "from(bucket: \"the bucket\") |> range(start: 1970-01-01T00:00:00.000000001Z, \
             stop: 1970-01-01T00:00:01.000000001Z) \
             |> filter(fn: (r) => r[\"_measurement\"] == \"m\") \
             |> filter(fn: (r) => r[\"a\\\"b\"] == \"\\x24{1}\" or r[\"a\\\"b\"] == \"x\\\\\")"
        );
    }

    /// As InfluxDB 2.7 answers: a header for each kind of table.
    const ANSWER: &str = "\
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\r
,result,table,_start,_stop,_time,_value,_field,_measurement,site\r
,_result,0,1970-01-01T00:00:00Z,1970-01-02T00:00:00Z,1970-01-01T00:00:00.000000001Z,0.1,t,m,\"a, \"\"b\"\"\"\r
\r
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,string,string,string\r
,result,table,_start,_stop,_time,_value,_field,_measurement\r
,_result,1,1970-01-01T00:00:00Z,1970-01-02T00:00:00Z,1970-01-01T00:00:01Z,\"two\r\nlines\",s,m\r
\r
";

    #[test]
    fn each_table_has_its_own_columns_and_types() {
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let number = Series::new(vec![
            label("_field", "t"),
            label("_measurement", "m"),
            label("site", "a, \"b\""),
        ]);
        let text = Series::new(vec![label("_field", "s"), label("_measurement", "m")]);
        let expected = vec![
            (text, vec![(1_000_000_000, Value::Text("two\nlines".into()))]),
            (number, vec![(1, Value::Float(0.1))]),
        ];
        let mut held = parse(ANSWER).unwrap();
        held.sort_by_key(|(series, _)| series.label("_field").map(str::to_owned));
        assert_eq!(held, expected);
        assert_eq!(parse("\r\n").unwrap(), []);
    }

    #[test]
    fn an_error_within_the_answer_is_one() {
        let answer = "#datatype,string,string\r\n,error,reference\r\n,bucket is gone,897\r\n";
        let error = parse(answer).unwrap_err().to_string();
        assert!(error.contains("bucket is gone"), "{error}");
    }
}
