//! The seeds, which every test run repeats.

use std::fs;
use std::path::Path;

use super::TARGETS;

#[test]
fn every_seed_of_every_target_holds() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (target, check) in TARGETS {
        let folder = seeds.join(target);
        let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut count = 0;
        for file in files {
            let file = file.unwrap().path();
            println!("{}", file.display());
            check(&fs::read(file).unwrap());
            count += 1;
        }
        assert!(count > 0, "{target} has no seed");
    }
}

#[test]
fn every_target_has_a_program_of_its_own() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    for (target, _) in TARGETS {
        assert!(folder.join(format!("{target}.rs")).is_file(), "{target}");
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), TARGETS.len());
}
