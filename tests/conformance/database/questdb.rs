//! What QuestDB has stored, by SQL. A measurement is a table, a tag a column of symbols.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Stored, number};
use crate::stack::QuestDb;

/// How long QuestDB may take until what it has acknowledged is seen by queries.
const APPLIED_WITHIN: Duration = Duration::from_secs(30);

pub fn read(server: &QuestDb, case: &str) -> Vec<Stored> {
    // The names of all tables of a case contain its id.
    let tables = server.rows("SELECT table_name FROM tables()");
    let tables = tables.iter().skip(1).map(|row| row[0].as_str());
    tables
        .filter(|table| table.contains(case))
        .flat_map(|table| {
            wait_applied(server, table);
            read_table(server, table, case)
        })
        .collect()
}

/// A table of a database without such a key keeps every copy of a row.
pub fn dedup(server: &QuestDb, table: &str, tags: &[&str]) {
    let tags: Vec<_> = tags.iter().chain(&["case"]).map(|tag| format!("\"{tag}\"")).collect();
    let columns: Vec<_> = tags.iter().map(|tag| format!("{tag} SYMBOL")).collect();
    server.exec(&format!(
        "CREATE TABLE \"{table}\" ({}, timestamp TIMESTAMP) TIMESTAMP(timestamp) PARTITION BY DAY WAL \
         DEDUP UPSERT KEYS(timestamp, {})",
        columns.join(", "),
        tags.join(", ")
    ));
}

fn wait_applied(server: &QuestDb, table: &str) {
    let deadline = Instant::now() + APPLIED_WITHIN;
    let sql = format!("SELECT writerTxn = sequencerTxn FROM wal_tables() WHERE name = '{table}'");
    while server.rows(&sql).get(1).is_none_or(|row| row[0] != "true") {
        assert!(Instant::now() < deadline, "QuestDB has not applied its log to {table}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn read_table(server: &QuestDb, table: &str, case: &str) -> Vec<Stored> {
    let columns = server.rows(&format!("SELECT \"column\", type FROM table_columns('{table}')"));
    let types: BTreeMap<_, _> =
        columns.iter().skip(1).map(|row| (row[0].as_str(), row[1].as_str())).collect();
    let rows = server.rows(&format!("SELECT * FROM \"{table}\" WHERE \"case\" = '{case}'"));
    let (names, rows) = rows.split_first().expect("the names of the columns");
    let mut stored = Vec::new();
    for row in rows {
        let columns = || names.iter().map(String::as_str).zip(row.iter().map(String::as_str));
        let types = &types;
        let of =
            |kind| columns().filter(move |(name, text)| types[name] == kind && !text.is_empty());
        let tags = of("SYMBOL").filter(|(name, _)| *name != "case");
        let tags: BTreeMap<_, _> =
            tags.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        let time = columns().find(|(name, _)| *name == "timestamp").expect("a time").1;
        let time: jiff::Timestamp = time.parse().expect("a time");
        let nanos = time.as_nanosecond().try_into().expect("a time of these centuries");
        for (kind, name) in
            [("DOUBLE", ""), ("LONG", "int "), ("BOOLEAN", "bool "), ("VARCHAR", "string ")]
        {
            for (field, text) in of(kind) {
                let value = match kind {
                    "DOUBLE" => number(text.parse().expect("a number")),
                    // Its CSV has each backslash twice.
                    "VARCHAR" => format!("{name}{}", text.replace("\\\\", "\\")),
                    _ => format!("{name}{text}"),
                };
                let (name, tags, field) = (table.to_owned(), tags.clone(), field.to_owned());
                stored.push(Stored { name, tags, field, nanos, value });
            }
        }
    }
    stored
}
