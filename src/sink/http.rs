//! The HTTP client that all sinks share: one POST, and what came back.

pub(super) mod check;
mod login;
mod tls;

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use reqwest::header::{
    AUTHORIZATION, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Proxy, RequestBuilder, Response, StatusCode, Url};

use self::login::Login;
use super::{BuildError, SinkError};
use crate::config;
use crate::files::FromFiles;
use crate::route::Destination;

/// More of an answer's beginning isn't kept: a reason fits, and some hundred lines of a batch that a
/// database names, and a server's page can't fill the memory.
const MAX_BODY: usize = 64 * 1024;
/// Of a longer answer the end is kept as well, where some databases have the cause after an echo of
/// the points.
const TAIL: usize = 1024;
/// More isn't read: the end of an echo of a batch with every byte escaped is before that.
const MAX_READ: usize = 256 * 1024 * 1024;
/// What of an answer goes into a reason: its beginning and its end.
const REASON_HEAD: usize = 400;
const REASON_TAIL: usize = 200;
/// A longer wait that a server asks for is taken for a mistake.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
const MAX_CONNECT: Duration = Duration::from_secs(10);
/// What is shorter would be found by chance in an answer, and is no secret.
const SHORTEST_SECRET: usize = 4;
/// What hyper says of a proxy's 407 (`client/legacy/connect/proxy/tunnel.rs` of hyper-util).
const PROXY_REFUSES: &str = "proxy authorization required";

/// A client for one address.
pub(crate) struct Http {
    client: FromFiles<Client>,
    login: Option<FromFiles<Login>>,
    url: Url,
    timeout: Duration,
    /// The proxy of the configuration, without its login.
    proxy: Option<String>,
    /// Whether there is a client certificate.
    known: bool,
    /// Whether any server is trusted.
    insecure: bool,
    /// What must never be shown, besides the login.
    secrets: Vec<String>,
}

/// A server's answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Its first 64 KiB.
    pub(super) body: String,
    /// Its end, if it is longer.
    pub(super) tail: String,
}

/// Why there is no answer. Reasons never have the address in them, which may hold a password.
pub(super) enum Failure {
    /// A file with a login can't be used.
    LoginFile(String),
    /// A file of `tls_config` can't be used.
    TlsFile(String),
    /// One side does not accept the other's certificate.
    Certificate(String),
    /// The proxy asks for a login.
    Proxy(String),
    /// No answer came.
    Away { reason: String, perhaps_stored: bool },
}

impl From<Failure> for SinkError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::LoginFile(reason)
            | Failure::TlsFile(reason)
            | Failure::Certificate(reason)
            | Failure::Proxy(reason) => Self::Misconfigured { reason },
            Failure::Away { reason, perhaps_stored } => {
                Self::Unavailable { reason, retry_after: None, perhaps_stored }
            }
        }
    }
}

impl Http {
    /// `timeout` is for one request, with its answer.
    pub(crate) fn new(
        url: Url,
        config: &config::Http,
        timeout: Duration,
    ) -> Result<Self, BuildError> {
        // Fails when there is one already, which serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        let headers = custom_headers(config)?;
        let (tls, proxy) = (config.tls.clone(), config.proxy.clone());
        let client = FromFiles::new(tls::files_of(&tls), move || {
            client(&tls, proxy.as_ref(), headers.clone(), timeout)
        });
        let proxy = config.proxy.as_ref().and_then(|proxy| Url::parse(proxy.expose()).ok());
        Ok(Self {
            client,
            login: config.authorization.as_ref().map(login::login),
            timeout,
            known: config.tls.identity.is_some(),
            insecure: config.tls.insecure,
            secrets: secrets(&url, config, proxy.as_ref()),
            proxy: proxy.as_ref().map(host),
            url,
        })
    }

    /// Sends the body to an address of this server. A failure means that no answer came, so whether
    /// the server has taken the points is unknown.
    pub(super) async fn exchange(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let post =
            |client: &Client| client.post(url.clone()).headers(headers.clone()).body(body.clone());
        self.answer(&post).await
    }

    /// Asks for what stands at an address of this server.
    pub(super) async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Answer, Failure> {
        self.answer(&|client| client.get(url.clone()).headers(headers.clone())).await
    }

    async fn answer(&self, build: &impl Fn(&Client) -> RequestBuilder) -> Result<Answer, Failure> {
        let (response, login) = self.with_login(build).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let (body, tail) = read(response).await;
        let masked = |text| self.masked(text, login.as_ref());
        Ok(Answer { status, headers, body: masked(body), tail: masked(tail) })
    }

    /// The address for a destination, if it has another path.
    pub(super) fn address(&self, destination: &Destination) -> Url {
        let mut url = self.url.clone();
        if let Some(path) = destination.path() {
            url.set_path(&path);
        }
        url
    }

    /// Any other request, with the same login, certificates, headers and proxy. What a message shows
    /// of its answer must have gone through [`Http::without_secrets`].
    pub(crate) async fn request(
        &self,
        build: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response, SinkError> {
        Ok(self.with_login(&build).await?.0)
    }

    /// The answer, with the login that was sent last. After a 401 the login's file is read anew:
    /// perhaps it was rotated.
    async fn with_login(
        &self,
        build: &impl Fn(&Client) -> RequestBuilder,
    ) -> Result<(Response, Option<Login>), Failure> {
        let Some(login) = &self.login else {
            return Ok((self.send(build, None).await?, None));
        };
        let sent = login.get().map_err(Failure::LoginFile)?;
        let response = self.send(build, Some(&sent)).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok((response, Some(sent)));
        }
        let new = login.get_anew().map_err(Failure::LoginFile)?;
        if new == sent {
            return Ok((response, Some(sent)));
        }
        Ok((self.send(build, Some(&new)).await?, Some(new)))
    }

    async fn send(
        &self,
        build: &impl Fn(&Client) -> RequestBuilder,
        login: Option<&Login>,
    ) -> Result<Response, Failure> {
        let mut request = build(&self.client.get().map_err(Failure::TlsFile)?);
        if let Some(login) = login {
            request = request.header(AUTHORIZATION, login.header.clone());
        }
        request.send().await.map_err(|error| self.failed(&error))
    }

    /// A server may send back what it was sent.
    pub(crate) fn without_secrets(&self, text: String) -> String {
        let login = self.login.as_ref().and_then(|login| login.get().ok());
        self.masked(text, login.as_ref())
    }

    fn masked(&self, mut text: String, login: Option<&Login>) -> String {
        let secrets = self.secrets.iter().chain(login.iter().flat_map(|login| &login.secrets));
        for secret in secrets.filter(|secret| secret.len() >= SHORTEST_SECRET) {
            if text.contains(secret) {
                text = text.replace(secret, "***");
            }
        }
        text
    }

    fn failed(&self, error: &reqwest::Error) -> Failure {
        let host = host(&self.url);
        if let Some(reason) = tls::explain(error, &host, self.known) {
            return Failure::Certificate(reason);
        }
        let cause = deepest(error);
        let through = self.proxy.as_ref().map(|proxy| format!(" through the proxy {proxy}"));
        let through = through.unwrap_or_default();
        if cause.contains(PROXY_REFUSES) {
            return Failure::Proxy(format!(
                "the proxy on the way to {host} asks for a login; write `proxy_url` as \
                 `http://USER:PASSWORD@HOST:PORT`"
            ));
        }
        let reason = if error.is_connect() {
            format!("can't connect to {host}{through}: {cause}")
        } else if error.is_timeout() {
            format!("{host} has not answered within {:?}", self.timeout)
        } else {
            format!("the exchange with {host}{through} broke off: {cause}")
        };
        Failure::Away { reason, perhaps_stored: !error.is_connect() }
    }
}

/// An error is of the files that `tls` names.
fn client(
    tls: &config::Tls,
    proxy: Option<&config::Secret>,
    headers: HeaderMap,
    timeout: Duration,
) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .timeout(timeout)
        .connect_timeout(timeout.min(MAX_CONNECT))
        // A redirected POST becomes a GET (301, 302, 303), whose 200 would pass for a write.
        .redirect(Policy::none());
    if let Some(proxy) = proxy {
        let proxy = Proxy::all(proxy.expose()).map_err(|_| "`proxy_url` is no address")?;
        builder = builder.proxy(proxy);
    }
    tls::configure(builder, tls)?.build().map_err(|error| {
        let files = tls::files_of(tls);
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        format!("no TLS with {}: {}", files.join(", "), deepest(&error))
    })
}

/// Adds the headers that are told from the record.
pub(super) fn add_headers(
    destination: &Destination,
    headers: &mut HeaderMap,
) -> Result<(), SinkError> {
    for (name, value) in destination.headers() {
        // The configuration's check and the routing have made sure of both.
        let wrong = || SinkError::Misconfigured { reason: format!("{name} can't be sent") };
        let key = HeaderName::try_from(name).map_err(|_| wrong())?;
        headers.insert(key, HeaderValue::try_from(value).map_err(|_| wrong())?);
    }
    Ok(())
}

/// The user's own headers, all of which may be secret.
fn custom_headers(config: &config::Http) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let wrong = || BuildError(format!("the header {name} can't be sent"));
        let key = HeaderName::try_from(name).map_err(|_| wrong())?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// What must not be shown should a server send it back: the values of headers and queries with such
/// names (not a tenant, which a reason needs), and passwords in addresses.
fn secrets(url: &Url, config: &config::Http, proxy: Option<&Url>) -> Vec<String> {
    let hidden = |name: &str| {
        let name = name.to_ascii_lowercase();
        config::is_secret(&name) || name.ends_with("key") || name.contains("cookie")
    };
    let headers = config.headers.iter().filter(|(name, _)| hidden(name));
    let mut secrets: Vec<String> = headers.map(|(_, value)| value.expose().to_owned()).collect();
    for (name, value) in url.query_pairs().filter(|(name, _)| hidden(name)) {
        let written = url.query().unwrap_or_default().split('&').filter_map(|p| p.split_once('='));
        secrets.extend(written.filter(|(n, _)| *n == name).map(|(_, value)| value.to_owned()));
        secrets.push(value.into_owned());
    }
    for address in [Some(url), proxy].into_iter().flatten() {
        let Some(written) = address.password() else { continue };
        let plain = |text| percent_decode_str(text).decode_utf8_lossy();
        let login = format!("{}:{}", plain(address.username()), plain(written));
        secrets.extend([written.to_owned(), plain(written).into_owned()]);
        secrets.push(BASE64_STANDARD.encode(login));
    }
    secrets
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("host", &host(&self.url)).finish_non_exhaustive()
    }
}

/// An address from the configuration; the error has nothing of it, which may hold a password.
pub(crate) fn parse_url(url: &str) -> Result<Url, BuildError> {
    let url = Url::parse(url).map_err(|error| BuildError(format!("the sink's url: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(BuildError("the sink's url is not an http or https address".into()));
    }
    Ok(url)
}

impl Answer {
    /// The answer in a line.
    pub(super) fn reason(&self) -> String {
        let mut text = self.body.split_whitespace().collect::<Vec<_>>().join(" ");
        text.extend(self.tail.split_whitespace().flat_map(|word| [" ", word]));
        let status = self.status;
        match self.header(&LOCATION) {
            Some(location) if status.is_redirection() => {
                format!("{status}: redirects to {}, and a write is not redirected", place(location))
            }
            _ if text.is_empty() => status.to_string(),
            _ => format!("{status}: {}", shorten(&text)),
        }
    }

    /// Whether its middle is missing.
    pub(super) fn is_cut(&self) -> bool {
        !self.tail.is_empty()
    }

    /// Whether it is a page for people, such as a proxy's or a login's, and no database's word.
    pub(super) fn is_page(&self) -> bool {
        self.body.trim_start().starts_with('<')
    }

    pub(super) fn unavailable(&self) -> SinkError {
        SinkError::Unavailable {
            reason: self.reason(),
            retry_after: self.retry_after(),
            // These two are said before anything is stored.
            perhaps_stored: !matches!(
                self.status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
            ),
        }
    }

    /// `Retry-After` in either form (RFC 9110, 10.2.3). A date is taken against the answer's own
    /// `Date`, so that neither clock needs to be right; one that has passed is no wait at all.
    fn retry_after(&self) -> Option<Duration> {
        let after = self.header(&RETRY_AFTER)?;
        let wait = if let Ok(seconds) = after.parse() {
            Duration::from_secs(seconds)
        } else {
            let until = httpdate::parse_http_date(after).ok()?;
            let now = httpdate::parse_http_date(self.header(&DATE)?).ok()?;
            until.duration_since(now).unwrap_or_default()
        };
        Some(wait.min(MAX_RETRY_AFTER))
    }

    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    }

    pub(super) fn misconfigured(&self) -> SinkError {
        SinkError::Misconfigured { reason: self.reason() }
    }

    pub(super) fn too_large(&self) -> SinkError {
        SinkError::TooLarge { reason: self.reason() }
    }

    /// What every sink takes from an answer that is not its database's own verdict on points.
    ///
    /// An answer that nobody can place stops the writing loudly. It is never a reason to dead-letter
    /// records: a proxy's or a login page's 400 says nothing about them.
    pub(super) fn general(&self) -> SinkError {
        match self.status {
            StatusCode::PAYLOAD_TOO_LARGE => self.too_large(),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                self.unavailable()
            }
            status if status.is_server_error() => self.unavailable(),
            _ => self.misconfigured(),
        }
    }
}

/// The beginning of the body, and its end if that is not all. What can't be read any more is left out:
/// the status is the verdict.
async fn read(mut response: Response) -> (String, String) {
    let (mut body, mut tail) = (Vec::new(), Vec::new());
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        let (head, rest) = chunk.split_at(chunk.len().min(MAX_BODY - body.len()));
        body.extend_from_slice(head);
        tail.extend_from_slice(&rest[rest.len().saturating_sub(TAIL)..]);
        tail.drain(..tail.len().saturating_sub(TAIL));
        read += chunk.len();
        if read >= MAX_READ {
            break;
        }
    }
    (String::from_utf8_lossy(&body).into_owned(), String::from_utf8_lossy(&tail).into_owned())
}

/// Its beginning and its end, as far as they go into a reason.
pub(super) fn shorten(text: &str) -> String {
    let head = text.floor_char_boundary(REASON_HEAD);
    let tail = text.ceil_char_boundary(text.len().saturating_sub(REASON_TAIL));
    if head >= tail { text.to_owned() } else { format!("{} … {}", &text[..head], &text[tail..]) }
}

/// Where a redirection leads, without a query or a password.
fn place(location: &str) -> String {
    Url::parse(location).map_or_else(
        |_| location.split(['?', '#']).next().unwrap_or_default().to_owned(),
        |url| format!("{}://{}{}", url.scheme(), host(&url), url.path()),
    )
}

pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The cause at the bottom: the layers above it repeat each other, and one has the address.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
pub(super) mod tests;
