//! `tidegate dlq`: a connector's dead letters: what they are, and through the connector again.

mod list;
mod replay;
mod show;

pub(super) use replay::stop_on_signal;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{BAD_CONFIGURATION, FAILED, one_connector};
use crate::config::raw::LogFormat;
use crate::connector::StartError;
use crate::dead_letter::DeadLetters;
use crate::kafka::KafkaError;
use crate::telemetry;

/// Dead letters: records that were rejected, in the connector's dead-letter topic.
#[derive(Debug, clap::Args)]
pub(super) struct DlqArguments {
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DlqCommand {
    /// Group the letters by reason.
    List(list::ListArguments),
    /// Show letters whole: origin, reason, headers, key and value.
    Show(show::ShowArguments),
    /// Send the letters through the connector again; what was written is not repeated by a further run.
    Replay(replay::ReplayArguments),
}

/// Whose letters.
#[derive(Debug, clap::Args)]
struct Target {
    /// What all connectors share. Default: tidegate.yaml in this folder, or else beside the connector's file.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// The connector's file.
    connector: PathBuf,
    /// Letters that another connector of this name has written to the topic, such as one of Kafka
    /// Connect, instead of this one's own.
    #[arg(long, value_name = "NAME")]
    written_by: Option<String>,
    /// How long Kafka may take for each answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Why a command has ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Configuration(String),
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Other(String),
}

pub(super) fn run(arguments: DlqArguments) -> ExitCode {
    telemetry::log_to_stderr(LogFormat::Text);
    let ended = match arguments.command {
        DlqCommand::List(arguments) => list::run(arguments),
        DlqCommand::Show(arguments) => show::run(arguments),
        DlqCommand::Replay(arguments) => replay::run(arguments),
    };
    ended.unwrap_or_else(|trouble| trouble.told())
}

impl Trouble {
    /// Says what it is; the exit code.
    pub(super) fn told(&self) -> ExitCode {
        eprintln!("{self}");
        ExitCode::from(match self {
            Self::Configuration(_) => BAD_CONFIGURATION,
            _ => FAILED,
        })
    }
}

/// The letters of a connector's file.
fn dead_letters(target: Target) -> Result<DeadLetters, Trouble> {
    let Target { config, connector: file, written_by, timeout } = target;
    let connector = one_connector(config.as_deref(), &file).map_err(Trouble::Configuration)?;
    let name = connector.name.clone();
    DeadLetters::of(Arc::new(connector), written_by, timeout).ok_or_else(|| {
        Trouble::Configuration(format!(
            "{}: the connector {name} has no dead-letter topic: it stops at the first rejected record; \
             to set such records aside, write `dead_letter: {{ topic: … }}`",
            file.display(),
        ))
    })
}

/// Prints. An error is a reader that has seen enough, such as `head`.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The progress, on a terminal only.
pub(super) fn bar(length: u64, doing: &'static str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    if let Ok(style) =
        ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len}, {elapsed}{msg}")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(doing);
    bar
}

/// `1 letter`, `2 letters`.
fn letters(count: u64) -> String {
    format!("{count} letter{}", if count == 1 { "" } else { "s" })
}

/// A record's timestamp, for people.
fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| format!("{millis} ms"), |timestamp| timestamp.to_string())
}
