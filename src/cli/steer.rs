//! `tidegate status`, `pause`, `resume`, `stop`, `restart`, `offsets` and `reload`: a running process,
//! by its REST interface.

use std::io::Write as _;
use std::process::ExitCode;

use reqwest::Method;
use serde_json::Value;

use super::FAILED;
use super::server::{ServerArguments, path_of};

#[derive(Debug, clap::Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// Only ask whether it is well, as a container's health check does: exit code 1 if not.
    #[arg(long, value_enum, conflicts_with = "output")]
    health: Option<Health>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// What `/health` answers to.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Health {
    /// No worker is stuck.
    Live,
    /// No connector has failed.
    Ready,
}

#[derive(Debug, clap::Args)]
pub(super) struct SteerArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// Connectors, by name.
    #[arg(required = true, value_name = "CONNECTOR")]
    connectors: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

pub(super) fn status(arguments: &StatusArguments) -> ExitCode {
    let asked = |path: &str| arguments.server.connect().and_then(|to| to.call(Method::GET, path));
    if let Some(health) = arguments.health {
        let path = match health {
            Health::Live => "/health/live",
            Health::Ready => "/health/ready",
        };
        return ended(asked(path).map(|_| String::new()));
    }
    ended(asked("/summary").map(|summary| match arguments.output {
        Output::Json => format!("{summary:#}\n"),
        Output::Text => table(&summary),
    }))
}

pub(super) fn pause(arguments: &SteerArguments) -> ExitCode {
    arguments.steer(&Method::PUT, "pause", "pausing")
}

pub(super) fn resume(arguments: &SteerArguments) -> ExitCode {
    arguments.steer(&Method::PUT, "resume", "going on")
}

pub(super) fn stop(arguments: &SteerArguments) -> ExitCode {
    arguments.steer(&Method::PUT, "stop", "stopping")
}

pub(super) fn restart(arguments: &SteerArguments) -> ExitCode {
    arguments.steer(&Method::POST, "restart", "restarting")
}

pub(super) fn offsets(arguments: &SteerArguments) -> ExitCode {
    ended(arguments.ask(&Method::GET, "offsets").map(|replies| {
        let named = arguments.connectors.iter().cloned().zip(replies);
        let all: Value = Value::Object(named.collect());
        format!("{all:#}\n")
    }))
}

pub(super) fn reload(arguments: &ServerArguments) -> ExitCode {
    let reply = arguments.connect().and_then(|to| to.call(Method::POST, "/reload"));
    ended(reply.map(|reply| format!("{reply:#}\n")))
}

fn ended(result: Result<String, String>) -> ExitCode {
    match result {
        Ok(text) => {
            // An error here is a reader that has seen enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(FAILED)
        }
    }
}

/// A line for each connector, and below it one for each replica, where there are several.
fn table(summary: &Value) -> String {
    let mut lines = vec![
        ["NAME", "STATE", "RECORDS", "POINTS", "LAG", "REJECTED", "REASON"].map(str::to_owned),
    ];
    for connector in summary["connectors"].as_array().into_iter().flatten() {
        let counts = ["records_consumed", "points_written", "lag", "records_rejected"];
        let line = |name: String, of: &Value, figures: &Value| {
            let [records, points, lag, rejected] = counts.map(|key| shown(&figures[key]));
            [name, shown(&of["state"]), records, points, lag, rejected, shown(&of["reason"])]
        };
        lines.push(line(shown(&connector["name"]), connector, connector));
        let replicas = connector["replicas"].as_array().filter(|replicas| replicas.len() > 1);
        for replica in replicas.into_iter().flatten() {
            let (worker, tasks) = (shown(&replica["worker_id"]), &replica["tasks"]);
            let name = format!("  {worker} ({tasks} tasks)");
            lines.push(line(name, replica, &replica["figures"]));
        }
    }
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..7).map(width).collect();
    let line = |cells: &[String; 7]| {
        let padded: Vec<_> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    lines.iter().map(line).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl SteerArguments {
    fn steer(&self, method: &Method, what: &str, doing: &str) -> ExitCode {
        ended(self.ask(method, what).map(|_| {
            let lines = self.connectors.iter().map(|name| format!("{name}: {doing}\n"));
            lines.collect::<Vec<_>>().concat()
        }))
    }

    /// Makes one call after the other; the first that is refused ends it.
    fn ask(&self, method: &Method, what: &str) -> Result<Vec<Value>, String> {
        let to = self.server.connect()?;
        let call = |name: &String| to.call(method.clone(), &path_of(name, what));
        self.connectors.iter().map(call).collect()
    }
}
