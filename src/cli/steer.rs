//! `tidegate status`, `pause`, `resume`, `stop`, `restart`, `offsets` and `reload`: a running process,
//! by its REST interface.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method};
use serde_json::Value;

use super::FAILED;

/// Longer than any answer takes: a reload and a look at offsets wait for files and brokers.
const WITHIN: Duration = Duration::from_mins(1);

/// Where the process is.
#[derive(Debug, clap::Args)]
pub(super) struct ServerArguments {
    /// Its `server.listen`.
    #[arg(long, value_name = "ADDRESS", env = "TIDEGATE_SERVER", default_value = "127.0.0.1:8083")]
    server: String,
    /// The file with its token (`server.token_file`).
    #[arg(long, value_name = "FILE", env = "TIDEGATE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
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
    ended(arguments.server.ask(&[(Method::GET, "/summary".into())]).map(|replies| {
        let summary = replies.into_iter().next().unwrap_or_default();
        match arguments.output {
            Output::Json => format!("{summary:#}\n"),
            Output::Text => table(&summary),
        }
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
    let replies = arguments.server.ask(&arguments.calls(&Method::GET, "offsets"));
    ended(replies.map(|replies| {
        let named = arguments.connectors.iter().cloned().zip(replies);
        let all: Value = Value::Object(named.collect());
        format!("{all:#}\n")
    }))
}

pub(super) fn reload(arguments: &ServerArguments) -> ExitCode {
    let reply = arguments.ask(&[(Method::POST, "/reload".into())]);
    ended(reply.map(|replies| {
        replies.iter().map(|reply| format!("{reply:#}\n")).collect::<Vec<_>>().concat()
    }))
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

/// A line for each connector.
fn table(summary: &Value) -> String {
    let mut lines = vec![
        ["NAME", "STATE", "RECORDS", "POINTS", "LAG", "REJECTED", "REASON"].map(str::to_owned),
    ];
    for connector in summary["connectors"].as_array().into_iter().flatten() {
        let text = |key: &str| match &connector[key] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        lines.push(
            [
                "name",
                "state",
                "records_consumed",
                "points_written",
                "lag",
                "records_rejected",
                "reason",
            ]
            .map(text),
        );
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

impl SteerArguments {
    fn steer(&self, method: &Method, what: &str, doing: &str) -> ExitCode {
        let replies = self.server.ask(&self.calls(method, what));
        ended(replies.map(|_| {
            let lines = self.connectors.iter().map(|name| format!("{name}: {doing}\n"));
            lines.collect::<Vec<_>>().concat()
        }))
    }

    fn calls(&self, method: &Method, what: &str) -> Vec<(Method, String)> {
        let path = |name: &String| {
            format!("/connectors/{}/{what}", utf8_percent_encode(name, NON_ALPHANUMERIC))
        };
        self.connectors.iter().map(|name| (method.clone(), path(name))).collect()
    }
}

impl ServerArguments {
    /// Makes one call after the other; the first that is refused ends it.
    fn ask(&self, calls: &[(Method, String)]) -> Result<Vec<Value>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let token = self.token_file.as_deref().map(|file| {
            std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
        });
        let token = token.transpose()?;
        // Fails when there is one already, which serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        // It is this machine, or a network of one's own: no proxy, no redirect.
        let client = Client::builder()
            .no_proxy()
            .timeout(WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let mut replies = Vec::new();
            for (method, path) in calls {
                let url = format!("http://{}{path}", self.address());
                let mut request = client.request(method.clone(), url);
                if let Some(token) = &token {
                    request = request.bearer_auth(token.trim());
                }
                replies.push(self.reply(request).await?);
            }
            Ok(replies)
        })
    }

    /// A port alone is one of this machine, as in `server.listen`.
    fn address(&self) -> String {
        match self.server.parse::<u16>() {
            Ok(port) => format!("127.0.0.1:{port}"),
            Err(_) => self.server.trim_start_matches("http://").trim_end_matches('/').to_owned(),
        }
    }

    async fn reply(&self, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let failed = |error: reqwest::Error| {
            format!("no answer from {} (`server.listen` of the process): {error}", self.address())
        };
        let reply = request.send().await.map_err(failed)?;
        let status = reply.status();
        let body = reply.bytes().await.map_err(failed)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        Err(body["message"].as_str().map_or_else(|| status.to_string(), str::to_owned))
    }
}
