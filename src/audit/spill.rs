//! A sort that needs a fixed amount of memory: entries are bytes, sorted in runs, each spilled to a
//! temporary file, and merged when they are read.
//!
//! A run repeats no prefix that an entry shares with the one before it, so entries with long keys in
//! common take little disk. The files have no name in any folder: they are gone with the process,
//! however it ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Bytes of entries that are sorted in memory.
const RUN: usize = 16 << 20;
/// Runs that are merged at once: so many files are open, each with a buffer.
const MAX_RUNS: usize = 64;
const BUFFER: usize = 64 << 10;

/// Takes entries in any order.
#[derive(Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    bytes: Vec<u8>,
    /// Start and end of each entry in `bytes`.
    entries: Vec<(u32, u32)>,
    run: usize,
    runs: Vec<File>,
    spilled: u64,
}

/// Gives the entries back in the order of their bytes.
#[derive(Debug)]
pub(super) struct Sorted {
    runs: Vec<Run>,
    /// The next entry of each run.
    heap: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    spilled: u64,
}

#[derive(Debug)]
struct Run {
    reader: BufReader<File>,
    last: Vec<u8>,
}

impl Spill {
    /// Temporary files go into `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self::with_run(folder, RUN)
    }

    fn with_run(folder: &Path, run: usize) -> Self {
        let folder = folder.to_owned();
        Self { folder, bytes: Vec::new(), entries: Vec::new(), run, runs: Vec::new(), spilled: 0 }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When a temporary file can't be written.
    pub(super) fn push(&mut self, entry: &[u8]) -> io::Result<()> {
        if self.bytes.len() + entry.len() > self.run && !self.entries.is_empty() {
            self.end_run()?;
        }
        let start = position(self.bytes.len())?;
        self.bytes.extend_from_slice(entry);
        self.entries.push((start, position(self.bytes.len())?));
        Ok(())
    }

    /// Ends the adding.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        if !self.entries.is_empty() {
            self.end_run()?;
        }
        let mut sorted = Sorted::of(self.runs)?;
        sorted.spilled = self.spilled;
        Ok(sorted)
    }

    fn end_run(&mut self) -> io::Result<()> {
        let Self { bytes, entries, .. } = self;
        let entry = |&(start, end): &(u32, u32)| &bytes[start as usize..end as usize];
        entries.sort_unstable_by(|a, b| entry(a).cmp(entry(b)));
        let mut writer = RunWriter::new(&self.folder)?;
        for range in entries.iter() {
            writer.write(entry(range))?;
        }
        let (file, len) = writer.finish()?;
        self.spilled += len;
        self.runs.push(file);
        self.bytes.clear();
        self.entries.clear();
        if self.runs.len() == MAX_RUNS { self.merge() } else { Ok(()) }
    }

    /// All runs into one.
    fn merge(&mut self) -> io::Result<()> {
        let mut sorted = Sorted::of(std::mem::take(&mut self.runs))?;
        let mut writer = RunWriter::new(&self.folder)?;
        while let Some(entry) = sorted.next()? {
            writer.write(&entry)?;
        }
        let (file, len) = writer.finish()?;
        self.spilled += len;
        self.runs.push(file);
        Ok(())
    }
}

impl Sorted {
    fn of(files: Vec<File>) -> io::Result<Self> {
        let runs = Vec::with_capacity(files.len());
        let mut sorted = Self { runs, heap: BinaryHeap::new(), spilled: 0 };
        for (index, file) in files.into_iter().enumerate() {
            let mut run = Run { reader: BufReader::with_capacity(BUFFER, file), last: Vec::new() };
            run.reader.rewind()?;
            sorted.runs.push(run);
            sorted.refill(index)?;
        }
        Ok(sorted)
    }

    /// Bytes that were written to temporary files.
    pub(super) fn spilled(&self) -> u64 {
        self.spilled
    }

    /// The next entry, or `None` behind the last one.
    ///
    /// # Errors
    /// When a temporary file can't be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(Reverse((entry, run))) = self.heap.pop() else {
            return Ok(None);
        };
        self.refill(run)?;
        Ok(Some(entry))
    }

    fn refill(&mut self, run: usize) -> io::Result<()> {
        if let Some(entry) = self.runs[run].next()? {
            self.heap.push(Reverse((entry, run)));
        }
        Ok(())
    }
}

impl Run {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let shared = read_number(&mut self.reader)?;
        let rest = read_number(&mut self.reader)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a temporary file is damaged");
        let shared = self.last.get(..shared).ok_or_else(damaged)?;
        let mut entry = Vec::with_capacity(shared.len() + rest);
        entry.extend_from_slice(shared);
        entry.resize(shared.len() + rest, 0);
        let start = entry.len() - rest;
        self.reader.read_exact(&mut entry[start..])?;
        self.last.clone_from(&entry);
        Ok(Some(entry))
    }
}

struct RunWriter {
    writer: BufWriter<File>,
    last: Vec<u8>,
    len: u64,
}

impl RunWriter {
    fn new(folder: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(|error| {
            let kind = error.kind();
            io::Error::new(kind, format!("no temporary file in {}: {error}", folder.display()))
        })?;
        Ok(Self { writer: BufWriter::with_capacity(BUFFER, file), last: Vec::new(), len: 0 })
    }

    fn write(&mut self, entry: &[u8]) -> io::Result<()> {
        let shared = self.last.iter().zip(entry).take_while(|(a, b)| a == b).count();
        self.len += write_number(&mut self.writer, shared)?;
        self.len += write_number(&mut self.writer, entry.len() - shared)?;
        self.writer.write_all(&entry[shared..])?;
        self.len += (entry.len() - shared) as u64;
        self.last.truncate(shared);
        self.last.extend_from_slice(&entry[shared..]);
        Ok(())
    }

    fn finish(self) -> io::Result<(File, u64)> {
        let len = self.len;
        Ok((self.writer.into_inner().map_err(io::IntoInnerError::into_error)?, len))
    }
}

/// A position in the run in memory, which is far below 4 GiB.
fn position(len: usize) -> io::Result<u32> {
    u32::try_from(len).map_err(|_| io::Error::other("an entry is larger than 4 GiB"))
}

/// As a varint; says how many bytes.
fn write_number(writer: &mut impl Write, number: usize) -> io::Result<u64> {
    let (mut rest, mut len) = (number, 1);
    while rest >= 0x80 {
        writer.write_all(&[rest.to_le_bytes()[0] | 0x80])?;
        rest >>= 7;
        len += 1;
    }
    writer.write_all(&[rest.to_le_bytes()[0]])?;
    Ok(len)
}

fn read_number(reader: &mut impl Read) -> io::Result<usize> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let mut byte = [0];
        reader.read_exact(&mut byte)?;
        number |= usize::from(byte[0] & 0x7F) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(number);
        }
        shift += 7;
        if shift > 56 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a temporary file is damaged"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(entries: &[Vec<u8>], run: usize) -> Vec<Vec<u8>> {
        let folder = std::env::temp_dir();
        let mut spill = Spill::with_run(&folder, run);
        for entry in entries {
            spill.push(entry).unwrap();
        }
        let mut sorted = spill.sorted().unwrap();
        std::iter::from_fn(|| sorted.next().unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_entry_comes_back_in_order(
            entries in prop::collection::vec(prop::collection::vec(0u8..3, 0..12), 0..400),
            run in 1usize..200,
        ) {
            let mut expected = entries.clone();
            expected.sort();
            // With small runs there are more than can be merged at once.
            prop_assert_eq!(sorted(&entries, run), expected);
        }
    }

    #[test]
    fn long_keys_in_common_take_little_disk() {
        let mut spill = Spill::with_run(&std::env::temp_dir(), 1 << 20);
        let key = "k".repeat(1000);
        for number in 0..10_000u32 {
            spill.push(format!("{key}{number:05}").as_bytes()).unwrap();
        }
        let spilled = spill.sorted().unwrap().spilled();
        assert!((10_000..100_000).contains(&spilled), "{spilled} bytes");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let mut spill = Spill::with_run(Path::new("/nowhere/at/all"), 1);
        spill.push(b"a").unwrap();
        let error = spill.push(b"b").unwrap_err().to_string();
        assert!(error.starts_with("no temporary file in /nowhere/at/all: "), "{error}");
    }
}
