//! The database and its address.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::{At, Checker, http, prometheus, units};
use crate::config::{Create, File, InfluxApi, InfluxDb, Sink, raw};

/// The kind of sink, known even where its details are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whatever is written by line protocol.
    InfluxDb,
    Prometheus,
    JsonLines,
}

/// `None` unless exactly one is chosen.
pub(super) fn kind(raw: &raw::SinkChoice) -> Option<Kind> {
    let of_lines = |format| match format {
        raw::LineFormat::LineProtocol => Kind::InfluxDb,
        raw::LineFormat::JsonLines => Kind::JsonLines,
    };
    let kinds = [
        raw.influxdb.as_ref().map(|_| Kind::InfluxDb),
        raw.prometheus.as_ref().map(|_| Kind::Prometheus),
        raw.file.as_ref().map(|file| of_lines(file.format)),
        raw.stdout.as_ref().map(|stdout| of_lines(stdout.format)),
        raw.blackhole.as_ref().map(|_| Kind::InfluxDb),
    ];
    let mut chosen = kinds.into_iter().flatten();
    chosen.next().filter(|_| chosen.next().is_none())
}

pub(super) fn sink(raw: &raw::SinkChoice, checker: &mut Checker<'_>) -> Option<Sink> {
    const CHOICE: &str = "exactly one database is needed: `influxdb` or `prometheus` (or `file`, \
                          `stdout` or `blackhole`)";
    let sinks = [
        raw.influxdb.as_ref().map(|raw| influxdb(raw, checker).map(Sink::InfluxDb)),
        raw.prometheus
            .as_ref()
            .map(|raw| prometheus::prometheus(raw, checker).map(Sink::Prometheus)),
        raw.file.as_ref().map(|raw| file(raw, checker).map(Sink::File)),
        raw.stdout.as_ref().map(|raw| Some(Sink::Stdout(raw.format))),
        raw.blackhole.as_ref().map(|_| Some(Sink::Blackhole)),
    ];
    let mut chosen = sinks.into_iter().flatten();
    let Some(sink) = chosen.next() else {
        checker.missing(&["sink"], CHOICE);
        return None;
    };
    if chosen.next().is_some() {
        checker.wrong(&["sink"], format!("{CHOICE}; for two databases write two connectors"));
        return None;
    }
    sink
}

fn file(raw: &raw::File, checker: &mut Checker<'_>) -> Option<File> {
    let path = PathBuf::from(&raw.path);
    if !path.is_absolute() || path.file_name().is_none() || raw.path.ends_with('/') {
        let message = "an absolute path of a file is needed, such as `/var/lib/tidegate/points.lp`";
        checker.wrong(&["sink", "file", "path"], message);
    }
    let at = &["sink", "file", "max_bytes"];
    let max_bytes = units::bytes(checker, at, &raw.max_bytes, &units::OF_A_FILE);
    let ages = Duration::from_secs(1)..=Duration::from_hours(24 * 366);
    let at = &["sink", "file", "max_age"];
    let max_age = raw.max_age.as_ref().map(|age| units::duration(checker, at, age, ages));
    let keep = raw.keep.and_then(|keep| NonZeroUsize::new(keep as usize));
    Some(File { path, format: raw.format, max_bytes: max_bytes?, max_age: max_age.flatten(), keep })
}

fn influxdb(raw: &raw::InfluxDb, checker: &mut Checker<'_>) -> Option<InfluxDb> {
    let api = api(raw, checker);
    let at = &["sink", "influxdb", "url"];
    let url = address(&raw.url, checker, at);
    if let Some(url) = &url {
        if url.query_pairs().any(|(key, _)| OWN_QUERY.contains(&key.as_ref())) {
            checker.wrong(
                at,
                "the address has a query (`?…`) with something in it that has a key of its own here, \
                 such as `database`, `precision` or `basic_auth`",
            );
        }
        let path = url.path().trim_end_matches('/');
        if path.ends_with("/write") || path.ends_with("/write_lp") {
            checker.wrong(at, "leave the path of the write API out; Tidegate adds it");
        }
    }
    let token = http::InfluxToken { given: raw.token.as_deref(), file: raw.token_file.as_deref() };
    let http = http::http(&raw.http, Some(token), checker, &["sink", "influxdb"], url.as_ref());
    Some(InfluxDb {
        url: url?.as_str().trim_end_matches('/').to_owned(),
        api: api?,
        compression: raw.compression,
        precision: raw.precision,
        http,
        create: raw.create.as_ref().and_then(|raw| create(raw, checker)),
    })
}

/// What the write APIs have in their queries.
const OWN_QUERY: [&str; 10] = [
    "accept_partial",
    "bucket",
    "consistency",
    "db",
    "no_sync",
    "org",
    "p",
    "precision",
    "rp",
    "u",
];

fn create(raw: &raw::Create, checker: &mut Checker<'_>) -> Option<Create> {
    let at = &["sink", "influxdb", "create", "retention"];
    // All versions have this minimum.
    let range = Duration::from_hours(1)..=Duration::from_hours(24 * 366 * 100);
    let retention =
        raw.retention.as_ref().and_then(|text| units::duration(checker, at, text, range));
    if retention.is_some_and(|retention| retention.as_secs() % 3600 != 0) {
        checker.wrong(at, "whole hours are needed, such as `36h` or `30d`");
    }
    Some(Create { retention, at_most: NonZeroUsize::new(raw.at_most as usize)? })
}

/// What each version needs, and that nothing of another version is there.
fn api(raw: &raw::InfluxDb, checker: &mut Checker<'_>) -> Option<InfluxApi> {
    let texts = [
        ("org", &raw.org, &[2][..]),
        ("bucket", &raw.bucket, &[2]),
        ("database", &raw.database, &[1, 3]),
        ("retention_policy", &raw.retention_policy, &[1]),
    ];
    let others = [
        ("consistency", raw.consistency.is_some(), &[1][..]),
        ("no_sync", raw.no_sync, &[3]),
        ("accept_partial", !raw.accept_partial, &[3]),
    ];
    for (key, value, _) in texts {
        if value.as_ref().is_some_and(String::is_empty) {
            checker.wrong(&["sink", "influxdb", key], format!("`{key}` is empty"));
        }
    }
    // Of a version that is none, which has been reported, nothing follows.
    if checker.node(&["sink", "influxdb", "version"]).is_some_and(|version| version.standin) {
        return None;
    }
    let texts = texts.map(|(key, value, versions)| (key, value.is_some(), versions));
    for (key, is_there, versions) in texts.into_iter().chain(others) {
        if is_there && !versions.contains(&raw.version) {
            let versions = versions.iter().map(u32::to_string).collect::<Vec<_>>().join(" and ");
            let message = format!("`{key}` is for version {versions} of InfluxDB only");
            checker.wrong_key(&["sink", "influxdb", key], message);
        }
    }
    let mut needed = |key: &str, value: &Option<String>| {
        if value.is_none() {
            let message = format!("`{key}` is missing: version {} needs it", raw.version);
            checker.missing(&["sink", "influxdb"], message);
        }
        value.clone()
    };
    match raw.version {
        1 => Some(InfluxApi::V1 {
            database: needed("database", &raw.database)?,
            retention_policy: raw.retention_policy.clone(),
            consistency: raw.consistency,
        }),
        2 => {
            let (org, bucket) = (needed("org", &raw.org), needed("bucket", &raw.bucket));
            Some(InfluxApi::V2 { org: org?, bucket: bucket? })
        }
        3 => Some(InfluxApi::V3 {
            database: needed("database", &raw.database)?,
            no_sync: raw.no_sync,
            accept_partial: raw.accept_partial,
        }),
        // The schema has said it.
        _ => None,
    }
}

/// Messages don't show the address: it may hold a password.
pub(super) fn address(text: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<Url> {
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
