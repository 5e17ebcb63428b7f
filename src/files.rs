//! Values made from files, and made anew when the files change.

use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a change is looked for, at most.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// No password, certificate or key is longer; a device file would be read without end.
const MOST: u64 = 1024 * 1024;

/// A value that is made from files when it is first needed.
pub(crate) struct FromFiles<T> {
    files: Vec<PathBuf>,
    make: Box<Make<T>>,
    made: Mutex<Option<Made<T>>>,
}

/// An error names the file and the mend, and has nothing that is in the file.
type Make<T> = dyn Fn() -> Result<T, String> + Send + Sync;

struct Made<T> {
    value: Result<T, String>,
    /// Of each file, as it was before the value was made.
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
}

/// What changes when a file is written or replaced, also by way of a link (Kubernetes swaps links).
#[derive(PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl<T: Clone> FromFiles<T> {
    pub(crate) fn new(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        Self { files, make: Box::new(make), made: Mutex::new(None) }
    }

    /// The value. Files are looked at when the last look is two seconds old, and read when they have
    /// changed.
    pub(crate) fn get(&self) -> Result<T, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match made.as_mut() {
            Some(made) if self.files.is_empty() || now < made.looked + LOOK_AGAIN => {
                made.value.clone()
            }
            Some(made) if made.stamps == self.stamps() => {
                made.looked = now;
                made.value.clone()
            }
            _ => self.make(&mut made),
        }
    }

    /// The value, made anew whatever the files' times say: two writes may fall into one tick.
    pub(crate) fn get_anew(&self) -> Result<T, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        self.make(&mut made)
    }

    fn make(&self, made: &mut Option<Made<T>>) -> Result<T, String> {
        // Before the value, so that a change in between is seen at the next look.
        let stamps = self.stamps();
        let value = (self.make)();
        *made = Some(Made { value: value.clone(), stamps, looked: Instant::now() });
        value
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        self.files.iter().map(|file| Stamp::of(file)).collect()
    }
}

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        let about = file.metadata().ok()?;
        let modified = (about.mtime(), about.mtime_nsec());
        Some(Self { device: about.dev(), inode: about.ino(), length: about.len(), modified })
    }
}

impl<T> fmt::Debug for FromFiles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFiles").field("files", &self.files).finish_non_exhaustive()
    }
}

/// The bytes of a secret's file. `key` is what names it in the configuration.
pub(crate) fn read(file: &Path, key: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
        .and_then(|read| {
            let fits = read as u64 <= MOST;
            fits.then_some(()).ok_or_else(|| io::Error::other("larger than 1 MiB"))
        })
        .map_err(|error| format!("`{key}`: {} can't be read: {error}", file.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn text_of(file: &Path) -> FromFiles<String> {
        let path = file.to_owned();
        FromFiles::new(vec![file.to_owned()], move || {
            read(&path, "key").map(|bytes| String::from_utf8(bytes).unwrap())
        })
    }

    /// As if the last look had been long ago.
    fn let_time_pass(value: &FromFiles<String>) {
        let mut made = value.made.lock().unwrap();
        let looked = &mut made.as_mut().unwrap().looked;
        *looked = looked.checked_sub(LOOK_AGAIN).unwrap();
    }

    #[test]
    fn a_change_is_seen_at_the_next_look_and_no_sooner() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        fs::write(&file, "one").unwrap();
        let value = text_of(&file);
        assert_eq!(value.get().unwrap(), "one");
        fs::write(&file, "other").unwrap();
        assert_eq!(value.get().unwrap(), "one");
        let_time_pass(&value);
        assert_eq!(value.get().unwrap(), "other");
    }

    #[test]
    fn a_file_swapped_by_its_link_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("1"), "one").unwrap();
        fs::write(at("2"), "two").unwrap();
        let same = fs::metadata(at("1")).unwrap().modified().unwrap();
        fs::File::options().append(true).open(at("2")).unwrap().set_modified(same).unwrap();
        std::os::unix::fs::symlink(at("1"), at("link")).unwrap();
        let value = text_of(&at("link"));
        assert_eq!(value.get().unwrap(), "one");
        std::os::unix::fs::symlink(at("2"), at("new")).unwrap();
        fs::rename(at("new"), at("link")).unwrap();
        let_time_pass(&value);
        assert_eq!(value.get().unwrap(), "two");
    }

    #[test]
    fn a_missing_file_is_an_error_until_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        let value = text_of(&file);
        let error = value.get().unwrap_err();
        assert!(error.starts_with("`key`: ") && error.contains("No such file"), "{error}");
        fs::write(&file, "one").unwrap();
        let_time_pass(&value);
        assert_eq!(value.get().unwrap(), "one");
        fs::remove_file(&file).unwrap();
        let_time_pass(&value);
        assert!(value.get().is_err());
    }

    #[test]
    fn anew_is_at_once_and_without_regard_to_times() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        fs::write(&file, "one").unwrap();
        let value = text_of(&file);
        assert_eq!(value.get().unwrap(), "one");
        fs::write(&file, "two").unwrap();
        assert_eq!(value.get_anew().unwrap(), "two");
        assert_eq!(value.get().unwrap(), "two");
    }

    #[test]
    fn a_device_file_is_not_read_without_end() {
        let error = read(Path::new("/dev/zero"), "ca_file").unwrap_err();
        assert!(error.contains("larger than 1 MiB"), "{error}");
    }
}
