//! `report/conformance.json` in Cargo's target folder: one row for each case on each database.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::database::Database;
use super::rows::Row;

/// Written when it is dropped, so that a failed case is in the report, too.
pub struct Report {
    name: String,
    row: Row,
    pub notes: Vec<String>,
}

impl Report {
    pub fn new(name: &str, row: Row) -> Self {
        Self { name: name.to_owned(), row, notes: Vec::new() }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let row = json!({
            "sink": self.row.sink(),
            "server": self.row.server(),
            "version": Database::version(self.row),
            "case": self.name,
            "passed": !std::thread::panicking(),
            "note": self.notes.join("; "),
            "run": run(),
        });
        let file = format!("{}_on_{}.json", self.name, self.row.name());
        if let Err(error) = save(&folder(), &file, &row) {
            eprintln!("the report of {file}: {error}");
        }
    }
}

/// What a case has found on a row in this run: the first of its notes.
pub fn found(case: &str, row: Row) -> String {
    let file = folder().join("conformance").join(format!("{case}_on_{}.json", row.name()));
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    first_note(&serde_json::from_str(&text).expect("a row of the report"))
}

/// The rows of the last run's report.
pub fn last() -> Vec<Value> {
    let file = folder().join("conformance.json");
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).expect("an array")
}

pub fn first_note(row: &Value) -> String {
    let note = row["note"].as_str().unwrap_or_default();
    note.split("; ").next().unwrap_or_default().to_owned()
}

/// Each test leaves a file of its own, because nextest gives each a process of its own; the report is put together
/// anew from all files of this run, by one test at a time.
fn save(folder: &Path, file: &str, row: &Value) -> std::io::Result<()> {
    let rows = folder.join("conformance");
    fs::create_dir_all(&rows)?;
    let lock = fs::File::create(folder.join("conformance.lock"))?;
    lock.lock()?;
    replace(&rows.join(file), &row.to_string())?;
    let mut all = Vec::new();
    for entry in fs::read_dir(&rows)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            all.extend(serde_json::from_str::<Value>(&fs::read_to_string(path)?));
        }
    }
    all.retain(|row| row["run"] == run());
    for row in &mut all {
        row.as_object_mut().map(|row| row.remove("run"));
    }
    all.sort_by_key(|row| [&row["case"], &row["server"], &row["sink"]].map(Value::to_string));
    replace(&folder.join("conformance.json"), &format!("{:#}\n", Value::from(all)))
}

/// Whole or not at all, whoever reads it.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    fs::write(&temporary, text)?;
    fs::rename(temporary, path)
}

fn run() -> String {
    std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("report")
}
