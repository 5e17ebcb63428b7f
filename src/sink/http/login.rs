//! What goes into `Authorization`, from the configuration or a file.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::HeaderValue;

use crate::config::{Authorization, Credential};
use crate::files::{self, FromFiles};

/// A login, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// Marked as sensitive.
    pub(super) header: HeaderValue,
    /// What of it must never be shown, should a server send it back.
    pub(super) secrets: Vec<String>,
}

/// The login of every request.
pub(super) fn login(config: &Authorization) -> FromFiles<Login> {
    let credential = match config {
        Authorization::Basic { password, .. } => password,
        Authorization::Token { token, .. } => token,
    };
    let files = match credential {
        Credential::Given(_) => Vec::new(),
        Credential::File(file) => vec![file.clone()],
    };
    let config = config.clone();
    FromFiles::new(files, move || match &config {
        Authorization::Basic { username, password } => {
            let password = text(password, "password_file")?;
            let encoded = BASE64_STANDARD.encode(format!("{username}:{password}"));
            Login::new("Basic", vec![encoded, password])
        }
        Authorization::Token { kind, token } => {
            let key = if kind == "Token" { "token_file" } else { "credentials_file" };
            Login::new(kind, vec![text(token, key)?])
        }
    })
}

impl Login {
    /// The first of the secrets is the one that is sent.
    fn new(kind: &str, secrets: Vec<String>) -> Result<Self, String> {
        let sent = secrets.first().map(String::as_str).unwrap_or_default();
        // The error would show the secret.
        let mut header = HeaderValue::from_str(&format!("{kind} {sent}"))
            .map_err(|_| "the login has a character that a header can't carry".to_owned())?;
        header.set_sensitive(true);
        Ok(Self { header, secrets })
    }
}

/// The secret, without the line break that editors and `echo` put at a file's end.
fn text(credential: &Credential, key: &str) -> Result<String, String> {
    let file = match credential {
        Credential::Given(secret) => return Ok(secret.expose().to_owned()),
        Credential::File(file) => file,
    };
    let bytes = files::read(file, key)?;
    let wrong = |what: &str| Err(format!("`{key}`: {} {what}", file.display()));
    let Ok(text) = std::str::from_utf8(&bytes) else { return wrong("is not text") };
    match text.trim_end_matches(['\r', '\n']) {
        // Perhaps it is being written at the moment.
        "" => wrong("is empty"),
        text if text.contains(char::is_control) => {
            wrong("has more than one line, or a control character, in it")
        }
        text => Ok(text.to_owned()),
    }
}
