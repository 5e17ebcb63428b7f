//! The command line: one file a command.

mod audit;
mod backfill;
mod check;
mod demo;
mod dlq;
mod doctor;
mod grafana;
mod import;
mod init;
mod manual;
mod paint;
mod preview;
mod run;
mod server;
mod steer;
mod test;
mod time;
mod top;
mod validate;

use std::io::Write;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Configuration, Connector, Environment, Errors, FileKind};
use crate::telemetry;

/// Reads Kafka topics into a time-series database; an offset is committed only when its points are
/// durable.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The meaning of exit codes, also in docs/operations.md.
const EXIT_CODES: &str = "Exit codes:
  0  done, or stopped as asked
  1  a connector has failed, or could not be started; an audit or a check found something wrong;
     a replay did not write every letter; a backfill has stopped before its end; a test has failed;
     a previewed message is rejected
  2  wrong arguments or configuration
  3  an audit, a preview or a draft could not be finished: Kafka or the database can't be read
  130  stopped at once by a second signal; what was not committed is read again";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run connectors until SIGTERM or SIGINT.
    Run(run::RunArguments),
    /// Check configuration files; touches no broker and no database.
    Validate(ConfigurationArguments),
    /// Write a connector file from what a topic holds.
    Init(init::InitArguments),
    /// Write connector files from the configuration of Kafka Connect's InfluxDB sinks or of Telegraf.
    Import(import::ImportArguments),
    /// Show what a connector makes of messages, before it runs; joins no group and writes nothing.
    Preview(preview::PreviewArguments),
    /// Test mappings: messages, and the points that a connector must make of them.
    Test(test::TestArguments),
    /// Compare what the database holds with what a range of the topics stands for.
    Audit(audit::AuditArguments),
    /// Send a part of the topics' history through a connector once more; ends by itself.
    Backfill(backfill::BackfillArguments),
    /// Look at the brokers and the databases, item by item; joins no group and writes nothing.
    Check(check::CheckArguments),
    /// Look at a connector's dead letters, and send them through it again.
    Dlq(dlq::DlqArguments),
    /// Show the state of a running process's connectors.
    Status(steer::StatusArguments),
    /// Watch a running process's connectors in a terminal, and steer them.
    Top(server::ServerArguments),
    /// Let connectors of a running process read nothing more; they stay in their groups.
    Pause(steer::SteerArguments),
    /// Let connectors of a running process go on after a pause or a stop.
    Resume(steer::SteerArguments),
    /// End the workers of connectors of a running process; they leave their groups.
    Stop(steer::SteerArguments),
    /// Restart connectors of a running process, also those that have failed.
    Restart(steer::SteerArguments),
    /// Show what connectors of a running process have committed.
    Offsets(steer::SteerArguments),
    /// Let a running process take in its changed files.
    Reload(server::ServerArguments),
    /// Write down all that a bug report needs; secrets are masked.
    Doctor(doctor::DoctorArguments),
    /// Make dashboards and alert rules of connector files, or put them into Grafana or Mimir.
    Grafana(grafana::GrafanaArguments),
    /// Show the main job at work on embedded defaults: no broker, no database, nothing to install.
    Demo(demo::DemoArguments),
    /// Print what completes commands and options in a shell.
    Completions(manual::CompletionsArguments),
    /// Write the manual pages, one a command.
    Man(manual::ManArguments),
    /// Print the JSON Schema of a connector file, of tidegate.yaml, or of a test file.
    Schema {
        /// Print the schema of tidegate.yaml.
        #[arg(long)]
        process: bool,
        /// Print the schema of a test file.
        #[arg(long, conflicts_with = "process")]
        test: bool,
        /// Print the reference page instead, docs/configuration.md.
        #[arg(long, conflicts_with_all = ["process", "test"])]
        reference: bool,
        /// Print the reference page of the metrics instead, docs/metrics.md.
        #[arg(long, conflicts_with_all = ["process", "test", "reference"])]
        metrics: bool,
    },
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
struct ConfigurationArguments {
    /// What all connectors share. Default: tidegate.yaml in this folder, or else beside PATH.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// Connector files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

const FAILED: u8 = 1;
const BAD_CONFIGURATION: u8 = 2;
const UNFINISHED: u8 = 3;
const STOPPED_AT_ONCE: i32 = 130;

/// Runs a command to its end.
pub fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Validate(files) => validate::run(&files),
        Command::Init(arguments) => init::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Preview(arguments) => preview::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Audit(arguments) => audit::run(arguments),
        Command::Backfill(arguments) => backfill::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Dlq(arguments) => dlq::run(arguments),
        Command::Status(arguments) => steer::status(&arguments),
        Command::Pause(arguments) => steer::pause(&arguments),
        Command::Resume(arguments) => steer::resume(&arguments),
        Command::Stop(arguments) => steer::stop(&arguments),
        Command::Restart(arguments) => steer::restart(&arguments),
        Command::Offsets(arguments) => steer::offsets(&arguments),
        Command::Reload(arguments) => steer::reload(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Completions(arguments) => manual::completions(&arguments),
        Command::Man(arguments) => manual::man(&arguments),
        Command::Grafana(arguments) => grafana::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Schema { process, test, reference, metrics } => {
            let kind = match (process, test) {
                (true, _) => FileKind::Process,
                (_, true) => FileKind::Test,
                _ => FileKind::Connector,
            };
            let text = match (reference, metrics) {
                (true, _) => config::reference::reference_page(),
                (_, true) => telemetry::exposition::reference_page(),
                _ => config::schema::json_schema(kind) + "\n",
            };
            // An error here is a reader that has seen enough, such as `head`.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
    }
}

/// The file with what all connectors share: the one that was given, or else the one of this folder, or else the one
/// beside the connectors.
fn process_file(given: Option<&Path>, paths: &[PathBuf]) -> Option<PathBuf> {
    if given.is_some() {
        return given.map(Path::to_owned);
    }
    let beside =
        paths.iter().filter_map(|path| if path.is_dir() { Some(&**path) } else { path.parent() });
    let folders = iter::once(Path::new("")).chain(beside);
    let mut found =
        folders.map(|folder| folder.join("tidegate.yaml")).filter(|file| file.is_file());
    let taken = found.next()?;
    let is_other = |file: &PathBuf| file.canonicalize().ok() != taken.canonicalize().ok();
    if let Some(other) = found.find(is_other) {
        let (other, taken) = (other.display(), taken.display());
        eprintln!("warning: {other} is not read, because {taken} is; --config says which is meant");
    }
    Some(taken)
}

/// Reads connectors' files, with what all connectors share.
fn load(config: Option<&Path>, paths: &[PathBuf]) -> Result<Configuration, Errors> {
    config::load(process_file(config, paths).as_deref(), paths, &Environment::process())
}

/// The one connector of a file.
fn one_connector(config: Option<&Path>, path: &Path) -> Result<Connector, String> {
    let configuration = load(config, &[path.to_owned()]).map_err(|errors| errors.to_string())?;
    let mut connectors = configuration.connectors.into_iter();
    match (connectors.next(), connectors.next()) {
        (Some(connector), None) => Ok(connector),
        _ => Err(format!("{} has several connectors; give one's file", path.display())),
    }
}
