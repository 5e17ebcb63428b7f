//! The folder of the connectors that were made over REST: `NAME.json` each, a flat map as it was sent.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::config::flat::Flat;

pub(super) fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

pub(super) fn read(folder: &Path, name: &str) -> Option<Flat> {
    serde_json::from_slice(&std::fs::read(path(folder, name)).ok()?).ok()
}

/// Puts the whole file in place at once, readable by its owner only: it may hold secrets. `None`
/// removes it.
pub(super) fn write(folder: &Path, name: &str, config: Option<&Flat>) -> io::Result<()> {
    let Some(config) = config else {
        return std::fs::remove_file(path(folder, name));
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, config)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path(folder, name)).map(drop).map_err(|error| error.error)
}
