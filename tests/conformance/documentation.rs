//! The table in docs/sinks.md: made from the report of a run, and compared with what each run finds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use super::database::Database;
use super::report;
use super::rows::{ROWS, Row};
use super::table::CASES;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sinks.md");
const BEGIN: &str =
    "<!-- Made by `make conformance-table` from the report of `make conformance`. -->\n";
const END: &str = "<!-- Made until here. -->\n";
const MEND: &str = "mend: make conformance, then make conformance-table, and read what has changed";

/// The columns with what a case has found: their titles, and the case.
type Columns = &'static [(&'static str, &'static str)];

const STORED: Columns = &[
    ("Values", "every_field_type"),
    ("Extreme numbers", "extremes_of_numbers"),
    ("Unicode and escapes", "unicode_and_escapes"),
    ("Line breaks in strings", "newline_in_a_string"),
    ("Times", "the_first_and_the_last_moment"),
    ("Late points", "out_of_order"),
    ("A batch written twice is stored", "the_same_batch_twice"),
    ("Of two values at one time it keeps", "another_value_at_the_same_time"),
    ("Fields of two writes at one time", "fields_of_two_writes"),
];

const FAILURES: Columns = &[
    ("Bad points among good ones", "conflicting_types"),
    ("Wrong login", "a_wrong_login"),
    ("Missing database", "a_missing_database"),
    ("Missing tenant", "a_missing_tenant"),
    ("Killed after it has acknowledged", "a_killed_server"),
];

/// Writes the table of the last run, in which everything must have passed.
pub fn write() {
    let all = report::last();
    let found = |case: &str, row: Row| {
        let is_it = |found: &&serde_json::Value| {
            let is = |key: &str, value: &str| found[key] == value;
            is("case", case)
                && is("sink", row.sink())
                && is("server", row.server())
                && is("version", &Database::version(row))
        };
        let found = all.iter().find(is_it).unwrap_or_else(|| {
            panic!("{case} has not run on {row:?}; run make conformance, as a whole")
        });
        assert_eq!(found["passed"], true, "{case} has failed on {row:?}");
        report::first_note(found)
    };
    for case in &CASES {
        for row in ROWS.iter().filter(|row| (case.not_applicable)(**row).is_none()) {
            found(case.name, *row);
        }
    }
    let text = fs::read_to_string(FILE).expect(FILE);
    let (before, _, after) = parts(&text).expect(FILE);
    let table = table(&found);
    fs::write(FILE, format!("{before}{BEGIN}{table}{END}{after}")).expect(FILE);
}

/// Whether the table has the rows, the columns and the reasons of this suite, whatever its cells say.
pub fn check_form() -> Result<(), String> {
    let text = fs::read_to_string(FILE).map_err(|error| error.to_string())?;
    let (_, said, _) = parts(&text)?;
    let expected = table(&|case, row| cell(said, case, row).unwrap_or_default());
    let differs = said.lines().zip(expected.lines()).find(|(said, expected)| said != expected);
    match differs {
        None if said.lines().count() == expected.lines().count() => Ok(()),
        _ => Err(format!("the table in docs/sinks.md is of another suite: {differs:?}; {MEND}")),
    }
}

/// Whether the table says what a case has found.
pub fn check(case: &str, row: Row, found: &str) -> Result<(), String> {
    if !STORED.iter().chain(FAILURES).any(|(_, of)| *of == case) {
        return Ok(());
    }
    let text = fs::read_to_string(FILE).map_err(|error| error.to_string())?;
    let said = cell(parts(&text)?.1, case, row).unwrap_or_default();
    if said == found {
        return Ok(());
    }
    Err(format!(
        "docs/sinks.md says of {case} on {}: {said:?}; this run has found: {found:?}; {MEND}",
        row.title()
    ))
}

/// What stands before the table, the table, and what stands after it.
fn parts(text: &str) -> Result<(&str, &str, &str), String> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        rest.split_once(END).map(|(table, after)| (before, table, after))
    });
    parts.ok_or_else(|| format!("docs/sinks.md has no {BEGIN} … {END}"))
}

/// What the table says of a case on a row.
fn cell(table: &str, case: &str, row: Row) -> Option<String> {
    let (columns, fixed) = [(STORED, 4), (FAILURES, 1)]
        .into_iter()
        .find(|(columns, _)| columns.iter().any(|(_, of)| *of == case))?;
    let at = fixed + columns.iter().position(|(_, of)| *of == case)?;
    let lines = table.split(&format!("\n{}", head(columns, fixed == 4))).nth(1)?;
    let line = lines.lines().find(|line| line.starts_with(&format!("| {} |", row.title())))?;
    line.trim_matches('|').split('|').nth(at).map(|cell| cell.trim().to_owned())
}

fn head(columns: Columns, is_first: bool) -> String {
    let fixed: &[&str] =
        if is_first { &["Database", "Sink", "Tested with", "Cases"] } else { &["Database"] };
    let titles = fixed.iter().copied().chain(columns.iter().map(|(title, _)| *title));
    format!("| {} |", titles.collect::<Vec<_>>().join(" | "))
}

fn table(found: &dyn Fn(&str, Row) -> String) -> String {
    let mut out = String::new();
    for (columns, is_first) in [(STORED, true), (FAILURES, false)] {
        let head = head(columns, is_first);
        let rule = "|---".repeat(head.matches('|').count() - 1);
        _ = write!(out, "\n{head}\n{rule}|\n");
        // A local row has nothing in the second table.
        for row in ROWS.iter().filter(|row| is_first || !row.is_local()) {
            let mut cells = vec![row.title().to_owned()];
            if is_first {
                cells.push(format!("`{}`", row.sink()));
                cells.push(match row.fake() {
                    Some(_) => "a fake".to_owned(),
                    None if row.is_local() => "–".to_owned(),
                    None => Database::version(*row),
                });
                cells.push(
                    CASES
                        .iter()
                        .filter(|case| (case.not_applicable)(*row).is_none())
                        .count()
                        .to_string(),
                );
            }
            cells.extend(columns.iter().map(|(_, of)| {
                let case = CASES.iter().find(|case| case.name == *of).expect("a case of the table");
                if (case.not_applicable)(*row).is_some() {
                    "–".to_owned()
                } else {
                    found(of, *row)
                }
            }));
            _ = writeln!(out, "| {} |", cells.join(" | "));
        }
    }
    format!("{out}\n{}\n{}\n", fakes(), reasons())
}

fn fakes() -> String {
    let of_row = |row: &Row| row.fake().map(|source| format!("{}: {source}", row.title()));
    let sources: Vec<_> = ROWS.iter().filter_map(of_row).collect();
    format!(
        "Versions are those of real servers. A fake gives the answers that stand in a database's source. {}.\n",
        sources.join("; ")
    )
}

/// Which cases have no meaning for which rows; rows of which the same is to be said stand together.
fn reasons() -> String {
    let mut rows_of: Vec<(String, Vec<&str>)> = Vec::new();
    for row in ROWS {
        let said = reasons_of(row);
        match rows_of.iter_mut().find(|(other, _)| *other == said) {
            Some((_, rows)) => rows.push(row.title()),
            None => rows_of.push((said, vec![row.title()])),
        }
    }
    let mut out =
        "<details><summary>Cases that are not applicable, and why</summary>\n\n".to_owned();
    for (said, rows) in rows_of {
        _ = writeln!(out, "- {}: {said}.", rows.join("; "));
    }
    out + "\n</details>\n"
}

fn reasons_of(row: Row) -> String {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for case in &CASES {
        if let Some(reason) = (case.not_applicable)(row) {
            all.entry(reason).or_default().push(format!("`{}`", case.name));
        }
    }
    let all = all.iter().map(|(reason, cases)| format!("{} ({reason})", cases.join(", ")));
    all.collect::<Vec<_>>().join("; ")
}
