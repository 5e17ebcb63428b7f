//! Requests to the database, with a limit on the size of an answer, repeated a few times.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};

use super::ReadError;
use crate::config;
use crate::route::Destination;
use crate::sink::{Http, SinkError, host};

/// An answer beyond this is asked for in smaller parts.
const MAX_BODY: usize = 32 << 20;
/// Pauses before a request that got no answer, or a server's error, is repeated.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];
/// How much of an answer a message shows.
const SHOWN: usize = 300;

/// The paths below one address.
pub(super) struct Reader {
    http: Http,
    base: Url,
    host: String,
    /// Where to read, if it is not always the same place.
    destination: Destination,
}

impl Reader {
    /// With the login, certificates, headers and proxy that the sink writes with.
    pub(super) fn new(
        base: Url,
        config: &config::Http,
        timeout: Duration,
    ) -> Result<Self, ReadError> {
        let http = Http::new(base.clone(), config, timeout)
            .map_err(|error| ReadError::Failed(error.to_string()))?;
        let host = host(&base);
        Ok(Self { http, base, host, destination: Destination::default() })
    }

    /// Reads from this destination from now on.
    pub(super) fn turn_to(&mut self, destination: Destination) {
        self.destination = destination;
    }

    pub(super) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The server's name and port, for messages.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// A request with parameters: in the address of a GET, in the body of a POST, where they may be
    /// long.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<(StatusCode, String), ReadError> {
        let mut url = self.url(path);
        if method == Method::GET {
            url.query_pairs_mut().extend_pairs(parameters);
            return self.send(|client| client.get(url.clone())).await;
        }
        let mut form = Url::parse("form:").unwrap_or_else(|_| url.clone());
        form.query_pairs_mut().clear().extend_pairs(parameters);
        let body = form.query().unwrap_or_default();
        let kind = "application/x-www-form-urlencoded";
        self.send(|client| {
            client.post(url.clone()).header("content-type", kind).body(body.to_owned())
        })
        .await
    }

    /// A Flux query; its answer is annotated CSV.
    pub(super) async fn flux(&self, org: &str, query: String) -> Result<String, ReadError> {
        let mut url = self.url("api/v2/query");
        url.query_pairs_mut().append_pair("org", org);
        let body = serde_json::json!({
            "query": query,
            "type": "flux",
            "dialect": { "header": true, "annotations": ["datatype"] },
        });
        match self.post_json(url, "application/csv", &body).await? {
            (StatusCode::OK, body) => Ok(body),
            (status, body) => Err(ReadError::Failed(self.summary(status, &body))),
        }
    }

    /// A query of SQL; its answer is an array of objects.
    pub(super) async fn sql(
        &self,
        database: &str,
        query: &str,
    ) -> Result<(StatusCode, String), ReadError> {
        let body = serde_json::json!({ "db": database, "q": query, "format": "json" });
        self.post_json(self.url("api/v3/query_sql"), "application/json", &body).await
    }

    async fn post_json(
        &self,
        url: Url,
        accept: &str,
        body: &serde_json::Value,
    ) -> Result<(StatusCode, String), ReadError> {
        let body = body.to_string();
        let post = |client: &Client| {
            client
                .post(url.clone())
                .header("content-type", "application/json")
                .header("accept", accept)
                .body(body.clone())
        };
        self.send(post).await
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    /// Repeats what got no answer, or one that says that the server can't now.
    async fn send(
        &self,
        build: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<(StatusCode, String), ReadError> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let answer = self.attempt(&build).await;
            let again = match &answer {
                Ok((status, _)) => {
                    status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
                }
                Err(error) => matches!(error, Failure::Silent(_)),
            };
            match pauses.next() {
                Some(pause) if again => tokio::time::sleep(pause).await,
                _ => return Ok(answer?),
            }
        }
    }

    async fn attempt(
        &self,
        build: &impl Fn(&Client) -> RequestBuilder,
    ) -> Result<(StatusCode, String), Failure> {
        let with_headers = |client: &Client| {
            let headers = self.destination.headers();
            headers.fold(build(client), |request, (name, value)| request.header(name, value))
        };
        let mut response = self.http.request(with_headers).await?;
        let status = response.status();
        let mut body = Vec::new();
        let broken = |_| Failure::Silent(format!("{} broke off its answer", self.host));
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Failure::Final(ReadError::TooMuch(format!(
                    "{} sends over 32 MiB",
                    self.host
                ))));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// What a server said instead of an answer, in a line.
    pub(super) fn summary(&self, status: StatusCode, body: &str) -> String {
        let text = body.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = self.http.without_secrets(text);
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                " (the audit reads with the connector's credentials: may they read?)"
            }
            StatusCode::NOT_FOUND => " (is this where it is read from? --read-url says where)",
            _ => "",
        };
        let text = &text[..text.floor_char_boundary(SHOWN)];
        format!("{} answered {status}: {text}{hint}", self.host)
    }
}

/// Why there is no answer to one request.
enum Failure {
    /// There may be one the next time.
    Silent(String),
    Final(ReadError),
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Unavailable { reason, .. } => Self::Silent(reason),
            other => Self::Final(ReadError::Failed(other.to_string())),
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Silent(reason) => Self::Failed(reason),
            Failure::Final(error) => error,
        }
    }
}
