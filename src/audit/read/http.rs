//! Requests to the database, with a limit on the size of an answer, repeated a few times.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};

use super::ReadError;
use crate::config::Secret;
use crate::sink::{deepest, host};

/// An answer beyond this is asked for in smaller parts.
const MAX_BODY: usize = 32 << 20;
/// Pauses before a request that got no answer, or a server's error, is repeated.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];
/// How much of an answer a message shows.
const SHOWN: usize = 300;

/// A client for the paths below one address.
pub(super) struct Http {
    client: Client,
    base: Url,
    headers: HeaderMap,
    host: String,
}

impl Http {
    pub(super) fn new(
        base: Url,
        token: Option<&Secret>,
        timeout: Duration,
    ) -> Result<Self, ReadError> {
        // Fails when there is one already, which serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .redirect(Policy::none())
            .build()
            .map_err(|error| ReadError::Failed(format!("no HTTP client: {}", deepest(&error))))?;
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            // The configuration has checked that a header can carry it.
            if let Ok(mut value) = HeaderValue::from_str(&format!("Token {}", token.expose())) {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
        }
        let host = host(&base);
        Ok(Self { client, base, headers, host })
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
        let request = if method == Method::GET {
            url.query_pairs_mut().extend_pairs(parameters);
            self.client.get(url)
        } else {
            let mut form = Url::parse("form:").unwrap_or_else(|_| url.clone());
            form.query_pairs_mut().clear().extend_pairs(parameters);
            self.client
                .post(url)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.query().unwrap_or_default().to_owned())
        };
        self.send(request).await
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
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("accept", "application/csv")
            .body(body.to_string());
        match self.send(request).await? {
            (StatusCode::OK, body) => Ok(body),
            (status, body) => Err(ReadError::Failed(summary(status, &body, &self.host))),
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    /// Repeats what got no answer, or one that says that the server can't now.
    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, String), ReadError> {
        let request = request.headers(self.headers.clone());
        let mut pauses = PAUSES.into_iter();
        loop {
            let attempt = request.try_clone().map(|request| self.attempt(request));
            let answer = match attempt {
                Some(attempt) => attempt.await,
                None => return Err(ReadError::Failed("a request that can't be repeated".into())),
            };
            let again = match &answer {
                Ok((status, _)) => {
                    status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
                }
                Err(ReadError::Failed(_)) => true,
                Err(ReadError::TooMuch(_)) => false,
            };
            match pauses.next() {
                Some(pause) if again => tokio::time::sleep(pause).await,
                _ => return answer,
            }
        }
    }

    async fn attempt(&self, request: RequestBuilder) -> Result<(StatusCode, String), ReadError> {
        let failed = |error: reqwest::Error| {
            let what = if error.is_connect() { "can't be reached" } else { "has not answered" };
            ReadError::Failed(format!("{} {what}: {}", self.host, deepest(&error)))
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(ReadError::TooMuch(format!("{} sends over 32 MiB", self.host)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// What a server said instead of an answer, in a line.
pub(super) fn summary(status: StatusCode, body: &str, host: &str) -> String {
    let text = body.split_whitespace().collect::<Vec<_>>().join(" ");
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            " (reading takes a credential that may read; the audit uses the connector's)"
        }
        StatusCode::NOT_FOUND => " (is this where it is read from? --read-url says where)",
        _ => "",
    };
    format!("{host} answered {status}: {}{hint}", &text[..text.floor_char_boundary(SHOWN)])
}
