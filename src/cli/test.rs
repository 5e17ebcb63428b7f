//! `tidegate test`: whether a mapping makes of messages what its tests say.

mod diff;
mod junit;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::paint::Paint;
use super::{BAD_CONFIGURATION, FAILED, process_file};
use crate::config::{self, Case, Connector, Environment, Expected, Process, Secret, Tests, Topics};
use crate::excerpt::printable;
use crate::trial::{Outcome, Trial};

/// What is tested.
#[derive(Debug, clap::Args)]
pub(super) struct TestArguments {
    /// What all connectors share. Default: tidegate.yaml in this folder, or else beside PATH.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// Test files (`*.test.yaml`), connector files with a test file beside them, or folders of test
    /// files.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Also write the results to this file, as XML for CI systems (`JUnit`).
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Only cases whose name has this text in it, in capitals or not; those before it in a file still
    /// run, because they may be remembered.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// The cases of a file.
struct Suite {
    file: PathBuf,
    results: Vec<CaseResult>,
}

/// What came of a case.
struct CaseResult {
    name: String,
    line: usize,
    seconds: f64,
    /// What is wrong, for people; plain text.
    failure: Option<String>,
}

pub(super) fn run(arguments: &TestArguments) -> ExitCode {
    let suites = match suites(arguments) {
        Ok(suites) => suites,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let mut text = String::new();
    let paint = Paint::stdout();
    for suite in &suites {
        text.push_str(&shown(suite, paint));
    }
    let all = || suites.iter().flat_map(|suite| &suite.results);
    let failed = all().filter(|result| result.failure.is_some()).count();
    let plural = if all().count() == 1 { "" } else { "s" };
    let count = all().count();
    // Writing to a String can't fail.
    let _ = match failed {
        0 => writeln!(text, "{count} case{plural} passed"),
        _ => writeln!(text, "{failed} of {count} case{plural} failed"),
    };
    // An error here is a reader that has seen enough, such as `head`.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if let Some(file) = &arguments.junit
        && let Err(error) = std::fs::write(file, junit::report(&suites))
    {
        eprintln!("{}: can't be written: {error}", file.display());
        return ExitCode::from(BAD_CONFIGURATION);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// Runs all files, or says all that is wrong with them.
fn suites(arguments: &TestArguments) -> Result<Vec<Suite>, String> {
    let file = process_file(arguments.config.as_deref(), &arguments.paths);
    let process = process_of(file.as_deref())?;
    let (mut suites, mut errors) = (Vec::new(), Vec::new());
    let filter = arguments.filter.as_ref().map(|text| text.to_lowercase());
    for file in files(&arguments.paths)? {
        let suite = config::load_tests(&file)
            .map_err(|errors| errors.to_string())
            .and_then(|tests| suite(&tests, &process, filter.as_deref()));
        match suite {
            Ok(suite) if filter.is_some() && suite.results.is_empty() => {}
            Ok(suite) => suites.push(suite),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    if suites.is_empty() {
        return Err("no case has this text in its name".into());
    }
    Ok(suites)
}

/// What all connectors share, with what a test has no need of filled in.
fn process_of(file: Option<&Path>) -> Result<Process, String> {
    let mut process = match file {
        None => Process::default(),
        Some(file) => config::load_process(file, &environment(&BTreeMap::new()))
            .map_err(|errors| errors.to_string())?,
    };
    let servers = process.kafka.entry("bootstrap.servers".into());
    servers.or_insert_with(|| Secret::new("localhost:9092"));
    Ok(process)
}

/// Variables of a test file first, and a stand-in for each secret's file that is not there.
fn environment(own: &BTreeMap<String, String>) -> Environment<'_> {
    Environment::new(
        |name| own.get(name).cloned().or_else(|| std::env::var(name).ok()),
        |file| Ok(std::fs::read_to_string(file).unwrap_or_else(|_| "secret".into())),
    )
}

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = name.rsplit_once('.').filter(|(_, ending)| matches!(*ending, "yaml" | "yml"));
        match stem {
            _ if path.is_dir() => {
                let found = in_folder(path)
                    .map_err(|error| format!("{}: can't be read: {error}", path.display()))?;
                if found.is_empty() {
                    let path = path.display();
                    return Err(format!(
                        "{path}: there is no test file (`*.test.yaml`) in this folder"
                    ));
                }
                files.extend(found);
            }
            Some((stem, ending)) if !is_test(name) && path.is_file() => {
                let beside = path.with_file_name(format!("{stem}.test.{ending}"));
                // A file of another name may be a test file, too, if it names its connector.
                files.push(if beside.is_file() { beside } else { path.clone() });
            }
            _ => files.push(path.clone()),
        }
    }
    Ok(files)
}

fn is_test(name: &str) -> bool {
    name.ends_with(".test.yaml") || name.ends_with(".test.yml")
}

fn in_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_test) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn suite(tests: &Tests, process: &Process, filter: Option<&str>) -> Result<Suite, String> {
    let file = tests.file.display();
    let environment = environment(&tests.environment);
    let text = std::fs::read_to_string(&tests.connector).map_err(|error| {
        format!("{file}: its connector, {}, can't be read: {error}", tests.connector.display())
    })?;
    let connector = config::load_text(&tests.connector, &text, process, &environment)
        .map_err(|errors| errors.to_string())?;
    // A case's record has a time that nobody has chosen, unless it says one.
    let connector = Connector { max_ahead: Duration::MAX, ..connector };
    let mut trial = Trial::new(&connector).map_err(|error| format!("{file}: the sink: {error}"))?;
    let mut results = Vec::new();
    for case in &tests.cases {
        let begun = Instant::now();
        let failure = failure(case, &connector, &mut trial)
            .map_err(|error| format!("{file}:{}: {}: {error}", case.line, case.name))?;
        let (name, line, seconds) = (case.name.clone(), case.line, begun.elapsed().as_secs_f64());
        if filter.is_none_or(|text| name.to_lowercase().contains(text)) {
            results.push(CaseResult { name, line, seconds, failure });
        }
    }
    Ok(Suite { file: tests.file.clone(), results })
}

/// What is wrong with what becomes of a case's record.
fn failure(
    case: &Case,
    connector: &Connector,
    trial: &mut Trial,
) -> Result<Option<String>, String> {
    let mut record = case.record.clone();
    if record.topic.is_empty() {
        record.topic = match &connector.topics {
            Topics::List(topics) => topics.first().map_or("", String::as_str).into(),
            Topics::Pattern(_) => {
                return Err(
                    "the connector reads topics by a pattern; say which one with `topic`".into()
                );
            }
        };
    }
    let outcome = trial.run(&record).map_err(|error| error.to_string())?;
    Ok(match (&case.expected, &outcome) {
        (Expected::Points(expected), Outcome::Points(found)) => diff::points(expected, found),
        (Expected::Points(expected), Outcome::Excluded) => diff::points(expected, &[]),
        (Expected::Rejected { stage, reason }, Outcome::Rejected(reject)) => {
            let is_meant = stage.is_none_or(|stage| stage == reject.stage)
                && reject.reason.to_lowercase().contains(reason);
            (!is_meant).then(|| diff::rejection(*stage, reason, reject))
        }
        (Expected::Rejected { stage, reason }, Outcome::Points(found)) => {
            Some(diff::not_rejected(*stage, reason, found))
        }
        (Expected::Rejected { stage, reason }, Outcome::Excluded) => {
            Some(diff::not_rejected(*stage, reason, &[]))
        }
        (Expected::Points(expected), Outcome::Rejected(reject)) => {
            Some(diff::rejected(expected.len(), reject, &record))
        }
    })
}

/// A line for each case, and below it what is wrong.
fn shown(suite: &Suite, paint: Paint) -> String {
    let mut text = String::new();
    for CaseResult { name, line, failure, .. } in &suite.results {
        let (place, name) = (format!("{}:{line}", suite.file.display()), printable(name));
        // Writing to a String can't fail.
        let Some(failure) = failure else {
            let _ = writeln!(text, "{}  {place}  {name}", paint.good("ok  "));
            continue;
        };
        let _ = writeln!(text, "{}  {place}  {name}", paint.bad("FAIL"));
        for line in failure.lines() {
            let line = match line.trim_start().chars().next() {
                Some('-') => paint.bad(line),
                Some('+') => paint.good(line),
                _ => line.into(),
            };
            let _ = writeln!(text, "      {line}");
        }
    }
    text
}
