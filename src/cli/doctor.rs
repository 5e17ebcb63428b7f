//! `tidegate doctor`: all that a bug report needs, as one text. Secrets are masked where it is made: by
//! the process, and by what reads the files.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::server::{Server, ServerArguments, path_of};
use super::{FAILED, check, load};
use crate::config::flat;
use crate::kafka;

/// How long each broker and each database may take.
const WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// Write it to this file instead of the screen.
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What all connectors share, for PATH. Default: tidegate.yaml in this folder, or else beside PATH.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// Connector files, or folders of them, to check, too: their brokers and databases are looked at.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  tidegate doctor                          of the process at 127.0.0.1:8083, on the screen
  tidegate doctor -o report.md connectors  with a look at what the files name

It asks the process for its state, configuration, offsets, metrics and last errors. Where the process does
not answer, that is in the report. Read it before you send it: names of topics, hosts and connectors are
in it, and of rejected records the reasons.";

pub(super) fn run(arguments: &DoctorArguments) -> ExitCode {
    let mut report = String::from("# Tidegate\n\n");
    report.push_str(&versions());
    match arguments.server.connect() {
        Ok(server) => of_process(&server, &mut report),
        Err(error) => section(&mut report, "The process", &error),
    }
    if !arguments.paths.is_empty() {
        of_files(arguments, &mut report);
    }
    match &arguments.output {
        None => super::dlq::print(&report),
        Some(file) => {
            if let Err(error) = std::fs::write(file, report) {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(FAILED);
            }
        }
    }
    ExitCode::SUCCESS
}

fn versions() -> String {
    let read = |file: &str| {
        std::fs::read_to_string(file)
            .map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
    };
    let system = read("/etc/os-release");
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    format!(
        "- tidegate {}, librdkafka {}\n- {} {}, Linux {}, {} processors\n",
        env!("CARGO_PKG_VERSION"),
        kafka::library_version(),
        system.unwrap_or("unknown").trim_matches('"'),
        std::env::consts::ARCH,
        read("/proc/sys/kernel/osrelease"),
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
    )
}

/// What the process says of itself.
fn of_process(server: &Server, report: &mut String) {
    let summary = server.call(Method::GET, "/summary");
    let connectors = match &summary {
        Ok(summary) => summary["connectors"].as_array().cloned().unwrap_or_default(),
        Err(error) => {
            section(report, &format!("The process at {}", server.address()), error);
            return;
        }
    };
    json(report, &format!("State of the process at {}", server.address()), &summary);
    json(report, "Health", &server.call(Method::GET, "/health/live"));
    for name in connectors.iter().filter_map(|connector| connector["name"].as_str()) {
        for (title, what) in [("Configuration", "config"), ("Place of the group", "offsets")] {
            let answer = server.call(Method::GET, &path_of(name, what));
            json(report, &format!("{title} of {name}"), &answer);
        }
    }
    json(report, "Log levels", &server.call(Method::GET, "/admin/loggers"));
    let metrics = server.text(Method::GET, "/metrics").unwrap_or_else(|error| error);
    section(report, "Metrics", &metrics);
}

/// What the files say, and what they name.
fn of_files(arguments: &DoctorArguments, report: &mut String) {
    match load(arguments.config.as_deref(), &arguments.paths) {
        Err(errors) => section(report, "Files that are wrong", &errors.to_string()),
        Ok(configuration) => {
            for connector in &configuration.connectors {
                let mut text = String::new();
                for (key, value) in flat::flat(connector.written.expose()) {
                    // Writing to a String can't fail.
                    let _ = writeln!(text, "{key}: {value}");
                }
                section(report, &format!("{} as its file says", connector.name), &text);
                section(
                    report,
                    &format!("A look at what {} needs", connector.name),
                    &check::one(connector, WITHIN),
                );
            }
        }
    }
}

fn json(report: &mut String, title: &str, answer: &Result<Value, String>) {
    let text = match answer {
        Ok(value) => format!("{value:#}"),
        Err(error) => error.clone(),
    };
    section(report, title, &text);
}

fn section(report: &mut String, title: &str, text: &str) {
    // Writing to a String can't fail.
    let _ = write!(report, "\n## {title}\n\n```text\n{}\n```\n", text.trim_end());
}
