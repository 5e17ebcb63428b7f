//! A running process, by its REST interface.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::server::client;

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

/// A way to ask the process.
#[derive(Debug)]
pub(super) struct Server {
    runtime: Runtime,
    client: Client,
    address: String,
    token: Option<String>,
}

/// The path of a call about a connector.
pub(super) fn path_of(connector: &str, what: &str) -> String {
    format!("/connectors/{}/{what}", utf8_percent_encode(connector, NON_ALPHANUMERIC))
}

impl ServerArguments {
    pub(super) fn connect(&self) -> Result<Server, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let token = self.token_file.as_deref().map(|file| {
            std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
        });
        let token = token.transpose()?.map(|token| token.trim().to_owned());
        Ok(Server { runtime, client: client(WITHIN)?, address: self.address(), token })
    }

    /// A port alone is one of this machine, as in `server.listen`.
    fn address(&self) -> String {
        match self.server.parse::<u16>() {
            Ok(port) => format!("127.0.0.1:{port}"),
            Err(_) => self.server.trim_start_matches("http://").trim_end_matches('/').to_owned(),
        }
    }
}

impl Server {
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The JSON of a reply; nothing where it has none.
    pub(super) fn call(&self, method: Method, path: &str) -> Result<Value, String> {
        let text = self.text(method, path)?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// A reply as it is. An error is what the process has said, or that it has not.
    pub(super) fn text(&self, method: Method, path: &str) -> Result<String, String> {
        let mut request = self.client.request(method, format!("http://{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let failed = |error: reqwest::Error| {
            format!("no answer from {} (`server.listen` of the process): {error}", self.address)
        };
        self.runtime.block_on(async {
            let reply = request.send().await.map_err(failed)?;
            let status = reply.status();
            let body = reply.text().await.map_err(failed)?;
            if status.is_success() {
                return Ok(body);
            }
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            Err(body["message"].as_str().map_or_else(|| status.to_string(), str::to_owned))
        })
    }
}
