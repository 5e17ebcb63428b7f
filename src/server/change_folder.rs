//! The folder of the connectors that were made over REST: `NAME.json` each, a flat map as it was sent.
//! Beside it, of whatever connector was paused or stopped over REST, `.NAME.state`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::config::flat::Flat;
use crate::connector::State;

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
    let mut text = serde_json::to_vec_pretty(config)?;
    text.push(b'\n');
    put(folder, &path(folder, name), &text)
}

/// The connectors that have a file there.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let names = names.filter(|name| !name.starts_with('.'));
    names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect()
}

/// The state that a connector was left in.
pub(crate) fn kept_state(folder: &Path, name: &str) -> State {
    let text = std::fs::read_to_string(state_path(folder, name)).unwrap_or_default();
    let states = [State::Paused, State::Stopped];
    let kept = states.into_iter().find(|state| text.trim() == state.name());
    kept.unwrap_or(State::Running)
}

/// Keeps a connector's state for the next start; to run is what needs no file.
pub(super) fn keep_state(folder: &Path, name: &str, state: &State) -> io::Result<()> {
    let path = state_path(folder, name);
    if matches!(state, State::Paused | State::Stopped) {
        return put(folder, &path, format!("{}\n", state.name()).as_bytes());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn state_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}.state"))
}

fn put(folder: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
