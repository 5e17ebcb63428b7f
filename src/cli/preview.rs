//! `tidegate preview`: what a connector makes of messages, before it runs.

mod show;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::paint::Paint;
use super::{BAD_CONFIGURATION, FAILED, UNFINISHED, one_connector, time};
use crate::config::raw::LogFormat;
use crate::kafka::range::Bound;
use crate::telemetry;
use crate::trial::source::{Messages, Place};
use crate::trial::{Outcome, Trial};

use show::{Show, Tally};

/// What is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PreviewArguments {
    /// What all connectors share. Default: tidegate.yaml in this folder, or else beside the connector's file.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// The connector's file.
    connector: PathBuf,
    /// Where to begin: `earliest`, `latest` (the newest messages that there are), an offset, or a
    /// time: RFC 3339, a date (UTC), or so long ago (`-1h`, `1h ago`).
    #[arg(long, value_name = "PLACE", default_value = "latest", allow_hyphen_values = true, value_parser = place)]
    from: Place,
    /// How many messages.
    #[arg(short = 'n', long = "messages", value_name = "N", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Only this partition.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Messages from this file instead of Kafka (`-`: from the standard input): one a line, or the
    /// whole file where it is one JSON document.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "partition"])]
    file: Option<PathBuf>,
    /// The file is one message, whatever is in it.
    #[arg(long, requires = "file")]
    whole: bool,
    /// For people, or as a JSON object a message.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Points as the sink writes them, or all alike in line protocol with nanoseconds.
    #[arg(long = "as", value_enum, default_value_t = Form::Sink)]
    form: Form,
    /// Show the messages that give points, too, not only those that are rejected.
    #[arg(long)]
    input: bool,
    /// How much of each message is shown, about.
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    max_bytes: usize,
    /// How long Kafka may take for each answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

const EXAMPLES: &str = "Examples:
  tidegate preview sensors.yaml                      the newest ten messages
  tidegate preview sensors.yaml --from earliest -n 1 the oldest message
  tidegate preview sensors.yaml --from -1h -n 1000   of the last hour
  tidegate preview sensors.yaml --from 4711 --partition 0 -n 1
  tidegate preview sensors.yaml --file message.json
  kcat -C -t sensors -c 5 | tidegate preview sensors.yaml --file -

No group is joined, nothing is committed, and the database is not asked. The exit code is 1 if a
message is rejected.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Sink,
    Points,
}

fn place(text: &str) -> Result<Place, String> {
    Place::named(text).map_or_else(
        || {
            let time = time::millis(text).map(|millis| Place::From(Bound::Time(millis)));
            time.map_err(|error| format!("neither `earliest`, `latest` nor an offset, and {error}"))
        },
        Ok,
    )
}

pub(super) fn run(arguments: &PreviewArguments) -> ExitCode {
    telemetry::log_to_stderr(LogFormat::Text);
    let connector = one_connector(arguments.config.as_deref(), &arguments.connector);
    let prepared = connector.and_then(|connector| {
        let trial = Trial::new(&connector).map_err(|error| format!("the sink: {error}"))?;
        Ok((connector, trial))
    });
    let (connector, mut trial) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let messages = match &arguments.file {
        Some(file) => Messages::of_file(file, arguments.whole, arguments.count, &connector),
        None => Messages::of_topics(
            &connector,
            arguments.from,
            arguments.partition,
            arguments.count,
            arguments.timeout,
        ),
    };
    let shown = messages
        .map_err(|error| error.to_string())
        .and_then(|mut messages| show_all(&mut messages, &mut trial, arguments));
    match shown {
        Ok(tally) if tally.rejected > 0 => ExitCode::from(FAILED),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", connector.name);
            ExitCode::from(UNFINISHED)
        }
    }
}

fn show_all(
    messages: &mut Messages,
    trial: &mut Trial,
    arguments: &PreviewArguments,
) -> Result<Tally, String> {
    let show = Show {
        is_json: arguments.output == Output::Json,
        as_sink: arguments.form == Form::Sink,
        input: arguments.input,
        max_bytes: arguments.max_bytes,
        paint: if arguments.output == Output::Json { Paint::none() } else { Paint::stdout() },
    };
    let mut tally = Tally::default();
    while let Some(record) = messages.next().map_err(|error| error.to_string())? {
        let outcome = trial.run(&record).map_err(|error| error.to_string())?;
        match &outcome {
            Outcome::Points(points) => {
                tally.messages += 1;
                tally.points += points.len();
            }
            Outcome::Excluded => tally.excluded += 1,
            Outcome::Rejected(_) => tally.rejected += 1,
        }
        let written = trial.written(&record);
        if print(&show.message(&record, &outcome, &written)).is_err() {
            // A reader that has seen enough, such as `head`.
            return Ok(tally);
        }
    }
    if !show.is_json {
        let _ = print(&tally.to_string());
    }
    Ok(tally)
}

fn print(text: &str) -> std::io::Result<()> {
    std::io::stdout().write_all(text.as_bytes())
}
