use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::batch::{OpenBatch, RecordIndex};

fn batch(text: &str) -> Batch {
    let mut open = OpenBatch { bytes: text.into(), items: Vec::new() };
    open.end_item(RecordIndex(0));
    open.close()
}

fn config(path: &Path) -> config::File {
    config::File {
        path: path.to_owned(),
        format: LineFormat::LineProtocol,
        max_bytes: NonZeroU64::new(1 << 40).unwrap(),
        max_age: None,
        keep: None,
    }
}

fn write(sink: &FileSink, text: &str) -> Result<(), SinkError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(sink.write(&batch(text)))
}

#[test]
fn lines_are_appended_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.lp");
    for text in ["a\n", "b\nc\n"] {
        write(&FileSink::new(&config(&path)), text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A crash may cut the file anywhere: whole lines stay, the rest goes, and nothing is glued.
    #[test]
    fn a_crash_within_a_line_leaves_no_half_line(
        lines in prop::collection::vec("[a-z]{0,20}", 0..8),
        long in prop::option::of(60_000..140_000_usize),
        cut in 0.0..1.0_f64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut text: String = lines.iter().map(|line| line.clone() + "\n").collect();
        text.push_str(&"x".repeat(long.unwrap_or_default()));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let left = &text[..(text.len() as f64 * cut) as usize];
        fs::write(&path, left).unwrap();
        write(&FileSink::new(&config(&path)), "new\n").unwrap();
        let whole = left.rfind('\n').map_or("", |end| &left[..=end]);
        prop_assert_eq!(fs::read_to_string(&path).unwrap(), format!("{whole}new\n"));
    }
}

#[test]
fn a_file_is_rotated_by_size_and_the_oldest_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let config = config::File {
        max_bytes: NonZeroU64::new(10).unwrap(),
        keep: NonZeroUsize::new(2),
        ..config(&path)
    };
    fs::write(folder.path().join("f.other"), "not ours").unwrap();
    let sink = FileSink::new(&config);
    for number in 0..12 {
        write(&sink, &format!("line{number:02}\n")).unwrap();
    }
    // Longer than a file may be: it gets one of its own.
    write(&sink, "a line of its own\n").unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("f"), "a line of its own\n");
    assert_eq!((read("f.11"), read("f.12")), ("line10\n".into(), "line11\n".into()));
    assert_eq!(read("f.other"), "not ours");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn a_file_is_rotated_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let sink = FileSink::new(&config::File { max_age: Some(Duration::ZERO), ..config(&path) });
    write(&sink, "a\n").unwrap();
    write(&sink, "b\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "b\n");
    assert_eq!(fs::read_to_string(folder.path().join("f.1")).unwrap(), "a\n");
}

#[test]
fn a_file_that_is_moved_away_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let sink = FileSink::new(&config(&path));
    write(&sink, "a\n").unwrap();
    fs::rename(&path, folder.path().join("moved")).unwrap();
    write(&sink, "b\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "b\n");
}

#[test]
fn a_second_writer_is_misconfigured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let first = FileSink::new(&config(&path));
    write(&first, "a\n").unwrap();
    let second = FileSink::new(&config(&path));
    let error = write(&second, "b\n").unwrap_err();
    assert!(matches!(&error, SinkError::Misconfigured { .. }), "{error:?}");
    assert!(error.to_string().contains("another connector or process"), "{error}");
    drop(first);
    write(&second, "b\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
}

#[test]
fn what_a_person_must_mend_is_misconfigured() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing/f");
    for path in [missing.as_path(), folder.path(), Path::new("/dev/full")] {
        let error = write(&FileSink::new(&config(path)), "a\n").unwrap_err();
        assert!(matches!(&error, SinkError::Misconfigured { .. }), "{error:?}");
        assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
    }
    let sink = FileSink::new(&config(&missing));
    assert!(write(&sink, "a\n").is_err());
    fs::create_dir(missing.parent().unwrap()).unwrap();
    write(&sink, "a\n").unwrap();
}

#[test]
fn a_write_that_fails_is_taken_back_and_unavailable() {
    let full = io::Error::from(ErrorKind::StorageFull);
    assert!(matches!(verdict(&full, Path::new("/f")), SinkError::Unavailable { .. }));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let sink = FileSink::new(&config(&path));
    write(&sink, "a\n").unwrap();
    // A handle that can't write, as on a disk that has failed.
    sink.writer.lock().unwrap().open.as_mut().unwrap().file = File::open(&path).unwrap();
    assert!(write(&sink, "b\n").is_err());
    write(&sink, "b\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
}

/// In a process of its own, whose files may have 64 KiB: the system cuts its write short, as a full disk would.
#[test]
fn a_write_that_is_cut_short_is_taken_back() {
    const FOLDER: &str = "TIDEGATE_TEST_FOLDER";
    let Ok(folder) = std::env::var(FOLDER) else {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("{}::a_write_that_is_cut_short_is_taken_back", module_path!());
        let name = name.split_once("::").unwrap().1;
        let limited = "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact \"$1\"";
        let output = std::process::Command::new("bash")
            .args(["-c", limited])
            .arg(std::env::current_exe().unwrap())
            .arg(name)
            .env(FOLDER, folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    };
    let path = Path::new(&folder).join("f");
    let sink = FileSink::new(&config(&path));
    let before = "line\n".repeat(12_000);
    write(&sink, &before).unwrap();
    for _ in 0..2 {
        let error = write(&sink, &"other\n".repeat(2000)).unwrap_err();
        assert!(matches!(&error, SinkError::Unavailable { .. }), "{error:?}");
        assert!(fs::read_to_string(&path).unwrap() == before, "what did not fit is there");
    }
    write(&sink, "fits\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), before + "fits\n");
}
