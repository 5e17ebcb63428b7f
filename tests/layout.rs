//! Every file of the program and of its tests belongs to a module: one that none names is compiled by nobody, and a
//! test in it looks as if it passed.
#![allow(clippy::expect_used, reason = "a test can only panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let of_path = |path: PathBuf| {
        if path.is_dir() {
            sources(&path)
        } else {
            Vec::from_iter(path.extension().is_some_and(|end| end == "rs").then_some(path))
        }
    };
    paths.flat_map(of_path).collect()
}

/// The files that a file's `mod` lines may mean.
fn named(file: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(file).expect("a source file");
    let folder = file.parent().expect("its folder");
    let is_root = ["mod", "lib", "main"].iter().any(|name| file.file_stem() == Some(name.as_ref()));
    let inner = if is_root { folder.to_owned() } else { file.with_extension("") };
    let mut files = Vec::new();
    let mut path = None;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            path = rest.split('"').next();
        } else if let Some((_, name)) =
            line.strip_suffix(';').and_then(|line| line.rsplit_once("mod "))
        {
            match path.take() {
                Some(path) => files.push(folder.join(path)),
                None => files
                    .extend([inner.join(format!("{name}.rs")), inner.join(name).join("mod.rs")]),
            }
        }
    }
    files
}

#[test]
fn no_source_file_is_without_a_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = sources(&root.join("src"));
    let canonical = |path: &PathBuf| path.canonicalize().ok();
    let named: BTreeSet<_> =
        files.iter().flat_map(|file| named(file)).filter_map(|path| canonical(&path)).collect();
    let roots = ["src/lib.rs", "src/main.rs"].map(|name| root.join(name));
    let lost: Vec<_> = files
        .iter()
        .filter(|file| !roots.contains(file))
        .filter(|file| canonical(file).is_none_or(|file| !named.contains(&file)))
        .collect();
    assert!(lost.is_empty(), "no `mod` names {lost:?}");
    assert!(files.len() > 100, "{} files are not all", files.len());
}
