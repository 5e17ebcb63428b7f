//! `tidegate check`: looks at the brokers and the databases of connectors, and says item by item what
//! works. Joins no group, commits nothing and writes nothing.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::{BAD_CONFIGURATION, ConfigurationArguments, FAILED, load};
use crate::check::{Finding, State};
use crate::config::{Configuration, Connector};
use crate::kafka;
use crate::sink::Sink;

#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    files: ConfigurationArguments,
    /// How the findings are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// How long each answer may take, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// What was found of one connector.
#[derive(Serialize)]
struct Checked<'a> {
    connector: &'a str,
    file: String,
    findings: Vec<Finding>,
}

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let loaded = load(arguments.files.config.as_deref(), &arguments.files.paths);
    let Configuration { connectors, .. } = match loaded {
        Ok(configuration) => configuration,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("can't start: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let within = Duration::from_secs(arguments.timeout);
    let mut checked = Vec::new();
    for connector in &connectors {
        let one = runtime.block_on(check(connector, within));
        if arguments.output == Output::Text {
            print(&text(&one));
        }
        checked.push(one);
    }
    if arguments.output == Output::Json {
        print(&(serde_json::json!({ "connectors": checked }).to_string() + "\n"));
    }
    let mut findings = checked.iter().flat_map(|checked| &checked.findings);
    if findings.any(|finding| finding.state == State::Failed) {
        return ExitCode::from(FAILED);
    }
    ExitCode::SUCCESS
}

/// What was found of one connector, for people.
pub(super) fn one(connector: &Connector, within: Duration) -> String {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => text(&runtime.block_on(check(connector, within))),
        Err(error) => format!("can't start: {error}"),
    }
}

async fn check(connector: &Connector, within: Duration) -> Checked<'_> {
    let mut findings = kafka::check::check(connector, within).await;
    match Sink::new(&connector.sink, within) {
        Ok(sink) => findings.extend(sink.check(connector.routing.as_ref()).await),
        Err(error) => {
            findings.push(Finding::failed("database", error.to_string(), "correct `sink`"));
        }
    }
    Checked { connector: &connector.name, file: connector.file.display().to_string(), findings }
}

fn text(checked: &Checked<'_>) -> String {
    let width = checked.findings.iter().map(|f| f.item.chars().count()).max().unwrap_or_default();
    let mut text = format!("{}  {}\n", checked.connector, checked.file);
    for Finding { item, state, reason, mend } in &checked.findings {
        let state = match state {
            State::Ok => "ok     ",
            State::Failed => "FAILED ",
            State::Unknown => "unknown",
        };
        let _ = writeln!(text, "  {state}  {item:width$}  {reason}");
        if let Some(mend) = mend {
            let _ = writeln!(text, "           {:width$}  → {mend}", "");
        }
    }
    text
}

/// An error here is a reader that has seen enough, such as `head`.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
