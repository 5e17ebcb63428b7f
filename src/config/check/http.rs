//! How a database is reached over HTTP: login, encryption, headers, proxy.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::routing::is_template;
use super::{At, Checker};
use crate::config::error::quoted;
use crate::config::{Authorization, Credential, Http, Secret, Tls, raw};

/// Headers that are Tidegate's or the protocol's own, in lower case, and where to say it instead.
const OWNED: [(&str, &str); 19] = [
    ("authorization", "write `authorization` or `basic_auth` beside `headers` instead"),
    ("connection", PROTOCOL),
    ("content-encoding", BODY),
    ("content-length", BODY),
    ("content-type", BODY),
    ("expect", PROTOCOL),
    ("host", "it follows from the address"),
    ("http2-settings", PROTOCOL),
    ("keep-alive", PROTOCOL),
    ("proxy-authenticate", PROTOCOL),
    ("proxy-authorization", "write the login into `proxy_url` instead"),
    ("proxy-connection", PROTOCOL),
    ("te", PROTOCOL),
    ("trailer", PROTOCOL),
    ("transfer-encoding", BODY),
    ("upgrade", PROTOCOL),
    ("user-agent", "Tidegate says who it is, so that a server's log can be read"),
    ("www-authenticate", PROTOCOL),
    ("x-prometheus-remote-write-version", BODY),
];
const BODY: &str = "it follows from how the body is made";
const PROTOCOL: &str = "it belongs to the HTTP protocol itself";

/// InfluxDB's own keys for `Authorization: Token …`.
pub(super) struct InfluxToken<'a> {
    pub(super) given: Option<&'a str>,
    pub(super) file: Option<&'a str>,
}

/// `at` is where these keys stand, and `url` the server's address, if it is one.
pub(super) fn http(
    raw: &raw::Http,
    token: Option<InfluxToken<'_>>,
    checker: &mut Checker<'_>,
    at: At<'_>,
    url: Option<&Url>,
) -> Http {
    let authorization = authorization(raw, token, checker, at);
    let tls = tls(raw.tls_config.as_ref(), checker, at, url);
    let headers = headers(raw, checker, at);
    proxy(raw, checker, at);
    let proxy = raw.proxy_url.as_deref().map(Secret::new);
    Http { authorization, tls, headers, proxy }
}

fn authorization(
    raw: &raw::Http,
    token: Option<InfluxToken<'_>>,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Authorization> {
    let influx = token.and_then(|token| {
        let place = Place { checker, at, keys: ["token", "token_file"] };
        let token = place.credential(token.given, token.file)?;
        Some(Authorization::Token { kind: "Token".into(), token })
    });
    let basic = raw.basic_auth.as_ref().and_then(|raw| basic(raw, checker, at));
    let header = raw.authorization.as_ref().and_then(|raw| header(raw, checker, at));
    let mut logins = [influx, basic, header].into_iter().flatten();
    let login = logins.next();
    if logins.next().is_some() {
        let keys = ["authorization", "basic_auth"];
        let key = keys.into_iter().find(|key| checker.node(&[at, &[*key]].concat()).is_some());
        let at = [at, &[key.unwrap_or_default()]].concat();
        checker.wrong_key(&at, "there is another login beside this one; keep one of them");
    }
    login
}

fn basic(raw: &raw::BasicAuth, checker: &mut Checker<'_>, at: At<'_>) -> Option<Authorization> {
    let at = &[at, &["basic_auth"]].concat();
    if raw.username.is_empty() || raw.username.contains(':') {
        let at = [at.as_slice(), &["username"]].concat();
        checker.wrong(&at, "a user's name can't be empty, and can't have a colon in it");
    }
    let place = Place { checker, at, keys: ["password", "password_file"] };
    let password = place.needed(raw.password.as_deref(), raw.password_file.as_deref())?;
    Some(Authorization::Basic { username: raw.username.clone(), password })
}

fn header(
    raw: &raw::Authorization,
    checker: &mut Checker<'_>,
    at: At<'_>,
) -> Option<Authorization> {
    let at = &[at, &["authorization"]].concat();
    let kind = [at.as_slice(), &["type"]].concat();
    if raw.kind.eq_ignore_ascii_case("basic") {
        checker.wrong(&kind, "for a user and a password write `basic_auth` instead");
    } else if HeaderName::try_from(&raw.kind).is_err() {
        checker.wrong(&kind, "the type must be one word, such as `Bearer`");
    }
    let place = Place { checker, at, keys: ["credentials", "credentials_file"] };
    let token = place.needed(raw.credentials.as_deref(), raw.credentials_file.as_deref())?;
    Some(Authorization::Token { kind: raw.kind.clone(), token })
}

/// Two keys in a mapping: one for a password or token, one for a file with it.
struct Place<'p, 'a> {
    checker: &'p mut Checker<'a>,
    at: &'p [&'p str],
    keys: [&'p str; 2],
}

impl Place<'_, '_> {
    fn needed(self, given: Option<&str>, file: Option<&str>) -> Option<Credential> {
        if given.is_none() && file.is_none() {
            let [given, file] = self.keys;
            self.checker.missing(self.at, format!("`{given}` or `{file}` is missing"));
        }
        self.credential(given, file)
    }

    fn credential(self, given: Option<&str>, file: Option<&str>) -> Option<Credential> {
        let [given_key, file_key] = self.keys;
        let child = |key| [self.at, &[key]].concat();
        match (given, file) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                let message = format!("`{given_key}` and `{file_key}` are both given; keep one");
                self.checker.wrong_key(&child(file_key), message);
                None
            }
            (None, Some(file)) => {
                let path = absolute(file, self.checker, &child(file_key))?;
                Some(Credential::File(path))
            }
            (Some(text), None) => {
                if let Some(message) = unfit(text, given_key) {
                    self.checker.wrong(&child(given_key), message);
                }
                Some(Credential::Given(Secret::new(text)))
            }
        }
    }
}

/// A password is sent in base64, a token as it is.
fn unfit(text: &str, key: &str) -> Option<String> {
    if text.is_empty() {
        return Some(format!("`{key}` is empty; leave it out if the server asks for none"));
    }
    let fits = key == "password" || text.bytes().all(|byte| byte.is_ascii_graphic());
    let message = || format!("`{key}` has a space, a line break or a sign outside ASCII in it");
    (!fits).then(message)
}

pub(super) fn absolute(path: &str, checker: &mut Checker<'_>, at: &[&str]) -> Option<PathBuf> {
    let path = Path::new(path);
    if !path.is_absolute() {
        // Not shown: it may be the secret itself, under the wrong key.
        checker.wrong(at, "an absolute path is needed, such as `/run/secrets/token`");
        return None;
    }
    Some(path.to_owned())
}

fn tls(
    raw: Option<&raw::TlsConfig>,
    checker: &mut Checker<'_>,
    at: At<'_>,
    url: Option<&Url>,
) -> Tls {
    let Some(raw) = raw else { return Tls::default() };
    let at = [at, &["tls_config"]].concat();
    if url.is_some_and(|url| url.scheme() != "https") {
        checker.wrong_key(
            &at,
            "nothing of this would be used: the address begins with `http://`; write `https://`",
        );
    }
    let mut file = |key, path: &Option<String>| {
        absolute(path.as_deref()?, checker, &[at.as_slice(), &[key]].concat())
    };
    let ca = file("ca_file", &raw.ca_file);
    let identity = (file("cert_file", &raw.cert_file), file("key_file", &raw.key_file));
    if raw.cert_file.is_some() != raw.key_file.is_some() {
        checker.wrong_key(&at, "`cert_file` and `key_file` are needed together");
    }
    if raw.insecure_skip_verify && raw.ca_file.is_some() {
        let message =
            "`insecure_skip_verify` trusts any server, whatever `ca_file` holds; keep one";
        checker.wrong_key(&at, message);
    }
    Tls { ca, identity: identity.0.zip(identity.1), insecure: raw.insecure_skip_verify }
}

fn headers(raw: &raw::Http, checker: &mut Checker<'_>, at: At<'_>) -> Vec<(String, Secret)> {
    let mut seen = BTreeSet::new();
    for (name, value) in &raw.headers {
        let lower = name.to_ascii_lowercase();
        let owned = OWNED.iter().find(|(owned, _)| *owned == lower);
        let at = [at, &["headers", name.as_str()]].concat();
        let shown = quoted(name);
        if let Some((_, why)) = owned {
            checker.wrong_key(&at, format!("the header {shown} can't be set: {why}"));
        } else if HeaderName::try_from(name).is_err() {
            checker.wrong_key(&at, format!("{shown} can't be a header's name"));
        } else if !seen.insert(lower) {
            checker.wrong_key(&at, format!("the header {shown} is there twice"));
        }
        // What a template gives is looked at record by record.
        if is_template(value) {
            continue;
        }
        let fits = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if value.is_empty() || !fits || HeaderValue::try_from(value).is_err() {
            checker.wrong(&at, "a header's value must be printable ASCII, and not empty");
        }
    }
    let constant = raw.headers.iter().filter(|(_, value)| !is_template(value));
    constant.map(|(name, value)| (name.clone(), Secret::new(value))).collect()
}

/// Messages don't show the address: it may hold a password.
fn proxy(raw: &raw::Http, checker: &mut Checker<'_>, at: At<'_>) {
    let Some(text) = &raw.proxy_url else { return };
    let url = Url::parse(text).ok();
    let fits = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
    };
    if !url.as_ref().is_some_and(fits) {
        let message = "a proxy's address is `http://` or `https://`, a host, and a port";
        checker.wrong(&[at, &["proxy_url"]].concat(), message);
    }
}
