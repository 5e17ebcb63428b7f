//! The process's standard output, for pipes. The log is on standard error.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::{BuildError, Durability, SinkError};
use crate::batch::Batch;
use crate::check::Finding;
use crate::config::raw::LineFormat;
use crate::encode::Encoder;

/// Where `tidegate run` is piped to.
#[derive(Debug)]
pub struct Stdout {
    format: LineFormat,
    output: Arc<Mutex<Output>>,
}

#[derive(Debug)]
struct Output {
    /// Without a buffer, which would keep what a failed write has left over.
    file: File,
    /// The last write has ended within a line.
    broken: bool,
}

impl Stdout {
    /// The operating system has it, and whoever reads may lose it.
    pub const DURABILITY: Durability = Durability::Memory;

    pub fn new(format: LineFormat) -> Result<Self, BuildError> {
        let file = io::stdout().as_fd().try_clone_to_owned();
        let file = file.map_err(|error| BuildError(format!("the standard output: {error}")))?;
        Ok(Self::to(file.into(), format))
    }

    fn to(file: File, format: LineFormat) -> Self {
        Self { format, output: Arc::new(Mutex::new(Output { file, broken: false })) }
    }

    pub fn encoder(&self) -> Encoder {
        Encoder::of_lines(self.format)
    }

    /// One attempt. A reader that does not read holds it up.
    pub async fn write(&self, batch: &Batch) -> Result<(), SinkError> {
        let (output, body) = (Arc::clone(&self.output), batch.body());
        let written = tokio::task::spawn_blocking(move || {
            output.lock().unwrap_or_else(PoisonError::into_inner).write(&body)
        });
        let result = written.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        result.map_err(|error| SinkError::Unavailable {
            reason: format!("the standard output takes nothing: {error}"),
            retry_after: None,
            perhaps_stored: true,
        })
    }

    #[expect(clippy::unused_self, reason = "every sink has this method")]
    pub fn check(&self) -> Vec<Finding> {
        vec![Finding::ok("standard output", "is open")]
    }
}

impl Output {
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        if self.broken {
            // So that the line that was begun is not glued to the next.
            self.file.write_all(b"\n")?;
        }
        self.broken = true;
        self.file.write_all(body)?;
        self.broken = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{OpenBatch, RecordIndex};

    fn batch(line: &str) -> Batch {
        let mut open = OpenBatch { bytes: line.into(), items: Vec::new() };
        open.end_item(RecordIndex(0));
        open.close()
    }

    #[tokio::test]
    async fn lines_come_in_order() {
        let mut file = tempfile::tempfile().unwrap();
        let stdout = Stdout::to(file.try_clone().unwrap(), LineFormat::JsonLines);
        stdout.write(&batch("a\n")).await.unwrap();
        stdout.write(&batch("b\n")).await.unwrap();
        io::Seek::rewind(&mut file).unwrap();
        assert_eq!(io::read_to_string(file).unwrap(), "a\nb\n");
    }

    #[tokio::test]
    async fn what_takes_nothing_is_unavailable_and_the_next_line_stands_alone() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let stdout = Stdout::to(full, LineFormat::LineProtocol);
        let error = stdout.write(&batch("a\n")).await.unwrap_err();
        assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
        let mut file = tempfile::tempfile().unwrap();
        stdout.output.lock().unwrap().file = file.try_clone().unwrap();
        stdout.write(&batch("b\n")).await.unwrap();
        io::Seek::rewind(&mut file).unwrap();
        assert_eq!(io::read_to_string(file).unwrap(), "\nb\n");
    }
}
