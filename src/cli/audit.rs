//! `tidegate audit`: whether the database holds what a range of the topics stands for.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{BAD_CONFIGURATION, FAILED, UNFINISHED};
use crate::audit::{self, Options, Step};
use crate::config::raw::LogFormat;
use crate::config::{self, Connector, Environment};
use crate::kafka::range::Bound;
use crate::telemetry;

/// What is audited.
#[derive(Debug, clap::Args)]
pub(super) struct AuditArguments {
    /// What all connectors share. Default: tidegate.yaml in this folder, if there is one.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// The connector's file.
    connector: PathBuf,
    /// Records from this time on: RFC 3339, a date (UTC), or so long ago (`-1h`, `1h ago`).
    /// Default: the oldest record.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = time)]
    from: Option<i64>,
    /// Records before this time. Default: all that are there now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = time)]
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

pub(super) fn run(process: Option<&Path>, arguments: AuditArguments) -> ExitCode {
    let connector = match connector(process, &arguments.connector) {
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

fn connector(process: Option<&Path>, path: &Path) -> Result<Connector, String> {
    let configuration = config::load(process, &[path.to_owned()], &Environment::process())
        .map_err(|errors| errors.to_string())?;
    let mut connectors = configuration.connectors.into_iter();
    match (connectors.next(), connectors.next()) {
        (Some(connector), None) => Ok(connector),
        _ => Err(format!("{} has several connectors; give one's file", path.display())),
    }
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

/// Milliseconds since the epoch.
fn time(text: &str) -> Result<i64, String> {
    #[expect(clippy::disallowed_methods, reason = "the user speaks of the time of day")]
    let now = jiff::Timestamp::now();
    time_at(text, now)
}

fn time_at(text: &str, now: jiff::Timestamp) -> Result<i64, String> {
    let text = text.trim();
    let ago = text.strip_prefix('-').or_else(|| text.strip_suffix("ago"));
    if let Some(ago) = ago {
        let ago = humantime::parse_duration(ago.trim())
            .map_err(|error| format!("{error}; write it like `-1h` or `90m ago`"))?;
        let ago = i64::try_from(ago.as_millis()).map_err(|_| "too long ago".to_owned())?;
        return Ok(now.as_millisecond().saturating_sub(ago));
    }
    if text == "now" {
        return Ok(now.as_millisecond());
    }
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    let civil: jiff::civil::DateTime = text.parse().map_err(|_| {
        "not a time; write it like `2026-11-24T08:00:00Z`, `2026-11-24`, `-1h` or `now`".to_owned()
    })?;
    let utc = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(utc.timestamp().as_millisecond())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_a_moment_or_so_long_ago() {
        let now: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let at = |text: &str| time_at(text, now).map(|millis| millis / 1000);
        let moment = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        assert_eq!(at("2026-11-24"), Ok(moment("2026-11-24T00:00:00Z")));
        assert_eq!(at("2026-11-24T08:00"), Ok(moment("2026-11-24T08:00:00Z")));
        assert_eq!(at("2026-11-24T08:00:00+02:00"), Ok(moment("2026-11-24T06:00:00Z")));
        assert_eq!(at("-90m"), Ok(moment("2026-11-24T10:30:00Z")));
        assert_eq!(at("2 days ago"), Ok(moment("2026-11-22T12:00:00Z")));
        assert_eq!(at("now"), Ok(moment("2026-11-24T12:00:00Z")));
        for wrong in ["", "yesterday", "-", "12", "-5 parsecs"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
