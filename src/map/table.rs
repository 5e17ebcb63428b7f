//! Tables: values that are looked up in a file by a key, such as the site of a device.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::files::FromFiles;

/// A larger file is no table to be held in memory.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A CSV file with a header. It is read again when it changes.
#[derive(Debug)]
pub struct Table {
    name: String,
    columns: Vec<String>,
    file: FromFiles<Arc<Rows>>,
    /// As of the last look.
    rows: Mutex<Arc<Rows>>,
}

/// By key, the values of the table's columns.
type Rows = HashMap<String, Vec<String>>;

impl Table {
    /// A table that is read when it is first looked at. `columns` are those that are asked for.
    pub fn new(name: &str, file: PathBuf, key: String, columns: Vec<String>) -> Self {
        let wanted = columns.clone();
        let (path, table) = (file.clone(), name.to_owned());
        let make = move || {
            let read = read(&path, &key, &wanted).map(Arc::new);
            read.map_err(|why| format!("the table {table}, {}: {why}", path.display()))
        };
        let file = FromFiles::new(vec![file], make);
        Self { name: name.into(), columns, file, rows: Mutex::default() }
    }

    /// The place of a column among those that are asked for.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// Looks whether the file has changed.
    ///
    /// # Errors
    /// When the file can't be used now: what is looked up in it must wait.
    pub(crate) fn look(&self) -> Result<(), String> {
        let rows = self.file.get()?;
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
        Ok(())
    }

    /// What stands in a column of the row with this key; nothing where there is no such row, or where
    /// its column is empty.
    pub(crate) fn get(&self, key: &str, column: usize) -> Option<String> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.get(key)?.get(column).filter(|value| !value.is_empty()).cloned()
    }

    /// Whether there is a row with this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn read(file: &Path, key: &str, columns: &[String]) -> Result<Rows, String> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    opened.map_err(|error| format!("can't be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("larger than 16 MiB".into());
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let place = |name: &str| {
        let place = header.iter().position(|column| column == name);
        place.ok_or_else(|| format!("its header has no column {name:?}"))
    };
    let key = place(key)?;
    let columns = columns.iter().map(|name| place(name)).collect::<Result<Vec<_>, _>>()?;
    let mut rows = Rows::new();
    for row in reader.records() {
        let row = row.map_err(|error| error.to_string())?;
        let value = |place: usize| row.get(place).unwrap_or_default().to_owned();
        let values = columns.iter().map(|place| value(*place)).collect();
        if rows.insert(value(key), values).is_some() {
            let line = row.position().map_or(0, csv::Position::line);
            return Err(format!(
                "line {line}: the key {:?} is here for the second time",
                value(key)
            ));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_table_is_read_again_when_it_changes_and_what_is_wrong_with_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sites.csv");
        let columns = vec!["site".to_owned(), "floor".to_owned()];
        let table = || Table::new("sites", file.clone(), "device".into(), columns.clone());
        assert!(table().look().unwrap_err().contains("can't be read"));
        for (text, why) in [
            ("device,site\na,b\n", "no column \"floor\""),
            ("device,site,floor\na,b\n", "found record with 2 fields"),
            ("device,site,floor\na,b,1\na,c,1\n", "line 3: the key \"a\" is here for the second"),
        ] {
            fs::write(&file, text).unwrap();
            let found = table().look().unwrap_err();
            assert!(found.contains(why), "{found}");
        }
        fs::write(&file, "\u{feff}floor, device ,site\n1,a,\"x, y\"\n,b,z\n").unwrap();
        let table = table();
        table.look().unwrap();
        assert_eq!(table.get("a", 0).as_deref(), Some("x, y"));
        assert_eq!((table.get("a", 1).as_deref(), table.get("b", 1)), (Some("1"), None));
        assert_eq!(table.get("c", 0), None);
    }
}
