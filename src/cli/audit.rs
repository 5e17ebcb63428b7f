//! `tidegate audit`: whether the database holds what a range of the topics stands for.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{BAD_CONFIGURATION, FAILED, UNFINISHED, one_connector, time};
use crate::audit::{self, Options, Step};
use crate::config::raw::LogFormat;
use crate::kafka::range::Bound;
use crate::telemetry;

/// What is audited.
#[derive(Debug, clap::Args)]
pub(super) struct AuditArguments {
    /// What all connectors share. Default: tidegate.yaml in this folder, or else beside the connector's file.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// The connector's file.
    connector: PathBuf,
    /// Records from this time on: RFC 3339, a date (UTC), or so long ago (`-1h`, `1h ago`).
    /// Default: the oldest record.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = time::millis)]
    from: Option<i64>,
    /// Records before this time. Default: all that are there now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = time::millis)]
    to: Option<i64>,
    /// Where the database is read. Default: told from the sink's address.
    #[arg(long, value_name = "URL", value_parser = url)]
    read_url: Option<String>,
    /// The report as a table and lists, or as a JSON document.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// How many findings of each kind, and series, the report shows; the counts are of all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u16,
    /// Exit with 1 also for values in the database that no record of the range explains.
    #[arg(long)]
    strict: bool,
    /// Where temporary files go: at most about 100 bytes for each value. Default: TMPDIR, or /tmp.
    #[arg(long, value_name = "FOLDER")]
    temp_dir: Option<PathBuf>,
    /// How long Kafka and the database may take for each answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(arguments: AuditArguments) -> ExitCode {
    let connector = match one_connector(arguments.config.as_deref(), &arguments.connector) {
        Ok(connector) => connector,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    if let (Some(from), Some(to)) = (arguments.from, arguments.to)
        && from > to
    {
        eprintln!("--from is later than --to");
        return ExitCode::from(BAD_CONFIGURATION);
    }
    telemetry::log_to_stderr(LogFormat::Text);
    let (output, options) = (arguments.output, options(arguments));
    let bar = Bar::new();
    let report = audit::run(&connector, &options, &mut |step, done, all| bar.tell(step, done, all));
    bar.end();
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{}: the audit could not be finished: {error}", connector.name);
            return ExitCode::from(UNFINISHED);
        }
    };
    let text = match output {
        Output::Text => report.to_string(),
        Output::Json => match report.to_json() {
            Ok(json) => json + "\n",
            Err(error) => {
                eprintln!("the report can't be written: {error}");
                return ExitCode::from(UNFINISHED);
            }
        },
    };
    // An error here is a reader that has seen enough, such as `head`.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

fn options(arguments: AuditArguments) -> Options {
    Options {
        from: arguments.from.map_or(Bound::Beginning, Bound::Time),
        to: arguments.to.map_or(Bound::End, Bound::Time),
        read_url: arguments.read_url,
        folder: arguments.temp_dir.unwrap_or_else(std::env::temp_dir),
        limit: usize::from(arguments.limit),
        strict: arguments.strict,
        timeout: arguments.timeout,
    }
}

fn url(text: &str) -> Result<String, String> {
    // The address isn't shown: it may hold a key.
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("not an http or https address".into()),
    }
}

/// The progress, on a terminal only.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{msg:14} [{bar:30}] {pos}/{len}, {elapsed}, {eta} to go";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    fn tell(&self, step: Step, done: u64, all: u64) {
        let message = match step {
            Step::Reading => "reading",
            Step::Letters => "dead letters",
            Step::Comparing => "comparing",
        };
        if self.0.message() != message {
            self.0.reset();
            self.0.set_message(message);
        }
        self.0.set_length(all);
        self.0.set_position(done);
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
