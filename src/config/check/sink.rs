//! The database and its address.

use reqwest::Url;

use super::{At, Checker, http};
use crate::config::{InfluxDb, Prometheus, Sink, raw};

/// The kind of sink, known even where its details are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    InfluxDb,
    Prometheus,
}

/// `None` unless exactly one is chosen.
pub(super) fn kind(raw: &raw::SinkChoice) -> Option<Kind> {
    match (&raw.influxdb, &raw.prometheus) {
        (Some(_), None) => Some(Kind::InfluxDb),
        (None, Some(_)) => Some(Kind::Prometheus),
        _ => None,
    }
}

pub(super) fn sink(raw: &raw::SinkChoice, checker: &mut Checker<'_>) -> Option<Sink> {
    const CHOICE: &str = "exactly one database is needed: `influxdb` or `prometheus`";
    let influxdb = raw.influxdb.as_ref().map(|raw| influxdb(raw, checker));
    let prometheus = raw.prometheus.as_ref().map(|raw| prometheus(raw, checker));
    match (influxdb, prometheus) {
        (Some(sink), None) => sink.map(Sink::InfluxDb),
        (None, Some(sink)) => sink.map(Sink::Prometheus),
        (None, None) => {
            checker.missing(&["sink"], CHOICE);
            None
        }
        (Some(_), Some(_)) => {
            checker.wrong(&["sink"], format!("{CHOICE}; for two databases write two connectors"));
            None
        }
    }
}

fn influxdb(raw: &raw::InfluxDb, checker: &mut Checker<'_>) -> Option<InfluxDb> {
    if raw.version != 2 {
        checker.wrong(
            &["sink", "influxdb", "version"],
            "version 1 and 3 are not supported yet; only 2 is",
        );
    }
    let at = &["sink", "influxdb", "url"];
    let url = address(&raw.url, checker, at);
    if let Some(url) = &url {
        if url.query().is_some() {
            checker.wrong(at, "the address can't have a query (`?…`); use `org` and `bucket`");
        }
        if url.path().contains("/api/v2/write")
            || url.path().trim_end_matches('/').ends_with("/write")
        {
            checker.wrong(at, "leave the path of the write API out; Tidegate adds it");
        }
    }
    for (key, value) in [("org", &raw.org), ("bucket", &raw.bucket)] {
        if value.is_empty() {
            checker.wrong(&["sink", "influxdb", key], format!("`{key}` is empty"));
        }
    }
    let token = http::InfluxToken { given: raw.token.as_deref(), file: raw.token_file.as_deref() };
    let http = http::http(&raw.http, Some(token), checker, "influxdb", url.as_ref());
    Some(InfluxDb {
        url: url?.as_str().trim_end_matches('/').to_owned(),
        org: raw.org.clone(),
        bucket: raw.bucket.clone(),
        gzip: raw.compression == raw::InfluxCompression::Gzip,
        precision: raw.precision,
        http,
    })
}

fn prometheus(raw: &raw::Prometheus, checker: &mut Checker<'_>) -> Option<Prometheus> {
    let at = &["sink", "prometheus", "url"];
    let url = address(&raw.url, checker, at)?;
    if matches!(url.path(), "" | "/") {
        checker.wrong(
            at,
            "the whole address of the receiver is needed, such as \
             `http://localhost:9090/api/v1/write`",
        );
    }
    let http = http::http(&raw.http, None, checker, "prometheus", Some(&url));
    Some(Prometheus { url: url.into(), http })
}

/// Messages don't show the address: it may hold a password.
fn address(text: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<Url> {
    let message = match Url::parse(text) {
        Err(_) if !text.contains("://") => {
            "not an address; write `http://` or `https://`, a host, and a port".into()
        }
        Err(error) => {
            format!("not an address: {error}; write `http://` or `https://`, a host, and a port")
        }
        // `localhost:8086` parses, as scheme and path.
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            "the address must begin with `http://` or `https://`".into()
        }
        Ok(url) if url.host_str().is_none_or(str::is_empty) => "the address has no host".into(),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "an address with a user and password in it would end up in logs; take them out".into()
        }
        Ok(url) if url.fragment().is_some() => "the address can't have a fragment (`#…`)".into(),
        Ok(url) => return Some(url),
    };
    checker.wrong(at, message);
    None
}
