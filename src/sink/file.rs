//! A file of lines, fsynced before a write is acknowledged, and rotated by size and age.
//!
//! The file ends with a whole line whenever it is opened: what a crash has left of a line was never
//! acknowledged, and is cut off. A write that fails is taken back.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::warn;

use super::{Durability, SinkError};
use crate::batch::Batch;
use crate::check::Finding;
use crate::config;
use crate::config::raw::LineFormat;
use crate::encode::Encoder;

/// How much is looked at in one step for the end of the last whole line.
const STEP: u64 = 64 * 1024;

/// A file that lines are appended to.
#[derive(Debug)]
pub struct FileSink {
    format: LineFormat,
    writer: Arc<Mutex<Writer>>,
}

#[derive(Debug)]
struct Writer {
    config: config::File,
    open: Option<Open>,
}

/// The file as it is now; nobody else writes to it.
#[derive(Debug)]
struct Open {
    file: File,
    /// Its length: whole lines, all synced.
    length: u64,
    born: Instant,
    /// To notice when somebody has moved or removed it.
    inode: (u64, u64),
}

impl FileSink {
    /// `fdatasync` comes before the acknowledgement, and the folder's own sync after a new file.
    pub const DURABILITY: Durability = Durability::Synced;

    /// Opens nothing yet.
    pub fn new(config: &config::File) -> Self {
        let writer = Writer { config: config.clone(), open: None };
        Self { format: config.format, writer: Arc::new(Mutex::new(writer)) }
    }

    pub fn encoder(&self) -> Encoder {
        Encoder::of_lines(self.format)
    }

    /// One attempt.
    pub async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let body = batch.body();
        self.blocking(move |writer| writer.write(&body)).await
    }

    /// Opens the file, and leaves it as it is but for half a line at its end.
    pub async fn check(&self) -> Vec<Finding> {
        let item = {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            format!("file {}", writer.config.path.display())
        };
        let mend = "correct `path`, or let Tidegate write there";
        match self.blocking(|writer| writer.opened().map(|_| ())).await {
            Ok(()) => vec![Finding::ok(item, "can be written")],
            Err(error) => vec![Finding::failed(item, error.to_string(), mend)],
        }
    }

    async fn blocking(
        &self,
        work: impl FnOnce(&mut Writer) -> io::Result<()> + Send + 'static,
    ) -> Result<(), SinkError> {
        let writer = Arc::clone(&self.writer);
        let done = tokio::task::spawn_blocking(move || {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut writer).map_err(|error| verdict(&error, &writer.config.path))
        });
        done.await.unwrap_or_else(|error| {
            let reason = error.to_string();
            Err(SinkError::Unavailable { reason, retry_after: None, perhaps_stored: true })
        })
    }
}

/// What only a person can mend, and what may heal by itself, such as a full disk.
fn verdict(error: &io::Error, path: &Path) -> SinkError {
    let reason = format!("{}: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::InvalidInput
        | ErrorKind::ResourceBusy => SinkError::Misconfigured { reason },
        _ => SinkError::Unavailable { reason, retry_after: None, perhaps_stored: true },
    }
}

impl Writer {
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        if self.is_due(body.len() as u64)? {
            self.rotate()?;
        }
        let written = self.opened()?.append(body);
        if written.is_err() {
            // Opening it anew cuts off what could not be taken back.
            self.open = None;
        }
        written
    }

    /// The file, opened if it isn't, or if its name stands for another one by now.
    fn opened(&mut self) -> io::Result<&mut Open> {
        let path = &self.config.path;
        let there = fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
        match self.open.take().filter(|open| there == Some(open.inode)) {
            Some(open) => Ok(self.open.insert(open)),
            None => Ok(self.open.insert(Open::new(path)?)),
        }
    }

    fn is_due(&mut self, more: u64) -> io::Result<bool> {
        let (most, oldest) = (self.config.max_bytes.get(), self.config.max_age);
        let open = self.opened()?;
        let old = oldest.is_some_and(|oldest| open.born.elapsed() >= oldest);
        Ok(open.length > 0 && (old || open.length.saturating_add(more) > most))
    }

    /// Moves the file to the next number, and removes those that are not to be kept.
    fn rotate(&mut self) -> io::Result<()> {
        let path = self.config.path.clone();
        let mut numbers = rotated(&path)?;
        let next = numbers.last().map_or(1, |last| last + 1);
        fs::rename(&path, numbered(&path, next))?;
        self.open = None;
        sync_folder(&path)?;
        numbers.push(next);
        if let Some(keep) = self.config.keep {
            for number in &numbers[..numbers.len().saturating_sub(keep.get())] {
                fs::remove_file(numbered(&path, *number))?;
            }
        }
        Ok(())
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        let is_new = !path.exists();
        let file = File::options().create(true).append(true).read(true).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(
                ErrorKind::ResourceBusy,
                "another connector or process writes to this file; give each its own",
            ),
            TryLockError::Error(error) => error,
        })?;
        let about = file.metadata()?;
        if !about.is_file() {
            let what = "no ordinary file; for the standard output there is the sink `stdout`";
            return Err(io::Error::new(ErrorKind::InvalidInput, what));
        }
        let length = whole_lines(&file, about.len())?;
        if length < about.len() {
            let bytes = about.len() - length;
            warn!(path = %path.display(), bytes, "cut off half a line that a crash has left");
            file.set_len(length)?;
        }
        // What is there may have been written but not synced, and is not acknowledged then.
        file.sync_all()?;
        if is_new {
            sync_folder(path)?;
        }
        let age = about.created().ok().and_then(|born| born.elapsed().ok()).unwrap_or_default();
        let now = Instant::now();
        let born = now.checked_sub(age).unwrap_or(now);
        Ok(Self { file, length, born, inode: (about.dev(), about.ino()) })
    }

    fn append(&mut self, body: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(body).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.length += body.len() as u64,
            // A retry writes all of it. Cutting needs no room, so a full disk is no hindrance.
            Err(_) => self.file.set_len(self.length)?,
        }
        written
    }
}

/// The length of a file up to the end of its last whole line.
fn whole_lines(file: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let mut bytes = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, start)?;
        if let Some(at) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// `points.lp.3`
fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// The numbers of the files that were rotated before, ascending.
fn rotated(path: &Path) -> io::Result<Vec<u64>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned() + ".";
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder(path))? {
        let entry = entry?.file_name();
        let number: Option<u64> =
            entry.to_str().and_then(|entry| entry.strip_prefix(&name)?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// So that a new name survives a loss of power.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests;
