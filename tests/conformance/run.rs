//! Every case on every row, as tests of a runner that any test tool understands.

use std::fs::File;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use super::database::lines::STDOUT_FILE;
use super::rows::{ROWS, Row};
use super::table::{CASES, Case};
use super::{documentation, report};

/// Names a case for the row whose sink writes to this process's own standard output.
const CASE_OF_STDOUT: &str = "TIDEGATE_TEST_CASE_OF_STDOUT";
/// Any value: nothing is run, and the table in docs/sinks.md is made anew from the report of the last run.
const WRITE_TABLE: &str = "TIDEGATE_WRITE_TABLE";

pub fn all() -> ExitCode {
    if let Ok(name) = std::env::var(CASE_OF_STDOUT) {
        let case = CASES.iter().find(|case| case.name == name).expect("a case");
        (case.run)(Row::Stdout);
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(WRITE_TABLE).is_some() {
        documentation::write();
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let mut trials =
        vec![Trial::test("the_table_in_the_documentation_has_every_row_and_case", || {
            documentation::check_form().map_err(Failed::from)
        })];
    for case in &CASES {
        trials.extend(ROWS.iter().map(|row| trial(case, *row)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(case: &'static Case, row: Row) -> Trial {
    let name = format!("{}_on_{}", case.name, row.name());
    let is_applicable = (case.not_applicable)(row).is_none();
    Trial::test(name, move || {
        if row == Row::Stdout {
            in_a_process(case);
        } else {
            (case.run)(row);
        }
        // Of a case that has no column there, nothing is said.
        documentation::check(case.name, row, &report::found(case.name, row)).map_err(Failed::from)
    })
    .with_ignored_flag(!is_applicable)
}

/// What this process prints is read by its test runner, so another one prints points.
fn in_a_process(case: &Case) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("stdout");
    let status = Command::new(std::env::current_exe().expect("this test"))
        .env(CASE_OF_STDOUT, case.name)
        .env(STDOUT_FILE, &file)
        .stdout(File::create(&file).expect("a file"))
        .status()
        .expect("a process");
    assert!(status.success(), "{} failed; see above", case.name);
}
