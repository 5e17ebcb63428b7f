//! Asking a database what it holds: raw values of some series in a span of time.

mod flux;
mod http;
mod influxql;
mod promql;
mod sql;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use tokio::runtime::Runtime;

use self::http::Reader;
use super::value::{DESTINATION, FIELD, MEASUREMENT, Series, Value};
use crate::config::{self, InfluxApi};
use crate::route::Routing;

/// What to ask for: series with labels of these names and values, and nanoseconds since the epoch,
/// the last included. The answer may have more series in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    pub labels: BTreeMap<String, BTreeSet<String>>,
    pub from: i64,
    pub to: i64,
}

impl Selection {
    /// The labels that are tags in InfluxDB, with all their values.
    fn tags(&self) -> impl Iterator<Item = (&String, &BTreeSet<String>)> {
        self.labels.iter().filter(|(label, _)| ![FIELD, MEASUREMENT].contains(&label.as_str()))
    }
}

/// A series and its values by time, in no order.
pub type Held = (Series, Vec<(i64, Value)>);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The answer would be too large: ask for less.
    #[error("the answer is too large: {0}")]
    TooMuch(String),
    #[error("{0}")]
    Failed(String),
}

/// The measurement that a selection is of. A group's series have one.
fn measurement(selection: &Selection) -> Option<&str> {
    selection.labels.get(MEASUREMENT)?.first().map(String::as_str)
}

/// InfluxDB has answered, but not as it does.
fn unreadable(why: &str) -> ReadError {
    ReadError::Failed(format!("InfluxDB's answer can't be read: {why}"))
}

/// The edge at which the tests put a store of their own.
pub trait Store {
    fn read(&mut self, selection: &Selection) -> Result<Vec<Held>, ReadError>;
    /// How values are told apart.
    fn exactness(&self) -> Exactness;
}

/// How exactly a database gives back what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    /// Types and all digits.
    Typed,
    /// An f64, all digits.
    Floats,
    /// An f64 of about 12 digits: `VictoriaMetrics` keeps decimal numbers, those of a block with one
    /// exponent (its `lib/decimal`).
    Decimals,
}

/// How a database is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    InfluxDb1,
    InfluxDb2,
    InfluxDb3,
    Prometheus,
    VictoriaMetrics,
}

/// A database to be asked.
pub struct Database {
    dialect: Dialect,
    http: Reader,
    runtime: Runtime,
    /// Of `InfluxDB` only.
    api: Option<InfluxApi>,
    /// Of `InfluxDB` 1: the types of the fields of the measurement that was asked for last.
    types: Option<(String, influxql::Types)>,
    /// Of `InfluxDB` 3: the database and measurement that was asked for last, and its columns.
    columns: Option<((String, String), sql::Columns)>,
    routing: Option<Routing>,
}

impl Database {
    /// Finds out what answers behind a sink. `read_url` is where to ask if that can't be told from
    /// the sink's own address.
    pub fn open(
        connector: &config::Connector,
        read_url: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, ReadError> {
        let (sink, routing) = (&connector.sink, connector.routing.clone());
        if routing.as_ref().is_some_and(Routing::has_path) {
            let what = "the sink's address is told from the record, and an audit asks one address; \
                        audit a connector of one tenant";
            return Err(ReadError::Failed(what.into()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ReadError::Failed(error.to_string()))?;
        let (base, http, api) = match sink {
            config::Sink::InfluxDb(sink) => {
                let base = read_url.map_or_else(|| parse(&sink.url), parse)?;
                (base, &sink.http, Some(sink.api.clone()))
            }
            config::Sink::Prometheus(sink) => {
                let base = read_url.map_or_else(|| beside_write(&sink.url), parse)?;
                (base, &sink.http, None)
            }
            config::Sink::File(_) | config::Sink::Stdout(_) | config::Sink::Blackhole => {
                let what = "this sink is no database that could be asked; an audit reads influxdb \
                            and prometheus";
                return Err(ReadError::Failed(what.into()));
            }
        };
        let http = Reader::new(base, http, timeout)?;
        let dialect = Dialect::Prometheus;
        let (types, columns) = (None, None);
        let mut database = Self { dialect, http, runtime, api, types, columns, routing };
        database.dialect = database.recognise()?;
        Ok(database)
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// `VictoriaMetrics` alone has an export; `InfluxDB` says its name.
    fn recognise(&self) -> Result<Dialect, ReadError> {
        // Nothing else has its route for writes.
        if let Some(InfluxApi::V3 { .. }) = self.api {
            return Ok(Dialect::InfluxDb3);
        }
        if let Some(api) = &self.api {
            let (status, body) = self.ask(Method::GET, "health", &[])?;
            if status.is_success() && body.contains("\"influxdb\"") {
                let is_first = matches!(api, InfluxApi::V1 { .. });
                return Ok(if is_first { Dialect::InfluxDb1 } else { Dialect::InfluxDb2 });
            }
        }
        let nothing =
            [("match[]", "tidegate_audit_asks_who_is_there"), ("start", "1"), ("end", "2")];
        let (status, body) = self.ask(Method::GET, "api/v1/export", &nothing)?;
        // InfluxDB serves a page on addresses that it doesn't know.
        if status.is_success() && body.trim().is_empty() {
            return Ok(Dialect::VictoriaMetrics);
        }
        if self.api.is_some() {
            return Err(ReadError::Failed(format!(
                "{} is neither an InfluxDB 1 or 2 nor a VictoriaMetrics (its /health and \
                 /api/v1/export say so); give the address to read from with --read-url",
                self.http.host()
            )));
        }
        Ok(Dialect::Prometheus)
    }

    /// Has `VictoriaMetrics` show what it has received, which else takes it some seconds. Whether
    /// all is shown now.
    pub fn shows_all(&self) -> bool {
        self.dialect != Dialect::VictoriaMetrics
            || self
                .ask(Method::GET, "internal/force_flush", &[])
                .is_ok_and(|(status, _)| status.is_success())
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<(StatusCode, String), ReadError> {
        self.runtime.block_on(self.http.ask(method, path, form))
    }

    /// Reads where [`Reader`] has turned to.
    fn read_here(&mut self, selection: &Selection) -> Result<Vec<Held>, ReadError> {
        match self.dialect {
            Dialect::InfluxDb1 => self.read_influxql(selection),
            Dialect::InfluxDb2 => {
                let Some(InfluxApi::V2 { org, bucket }) = &self.api else {
                    return Ok(Vec::new());
                };
                let bucket = self.http.destination().bucket().unwrap_or(bucket);
                let query = flux::query(bucket, selection);
                let body = self.runtime.block_on(self.http.flux(org, query))?;
                flux::parse(&body)
            }
            Dialect::InfluxDb3 => self.read_sql(selection),
            Dialect::Prometheus => {
                let (query, time) = promql::query(selection);
                let form = [("query", query.as_str()), ("time", time.as_str())];
                promql::parse(&self.answer("api/v1/query", &form)?)
            }
            Dialect::VictoriaMetrics => {
                let selector = promql::selector(selection);
                let (start, end) = promql::export_range(selection);
                let form = [("match[]", selector.as_str()), ("start", &start), ("end", &end)];
                promql::parse_export(&self.answer("api/v1/export", &form)?)
            }
        }
    }

    fn read_influxql(&mut self, selection: &Selection) -> Result<Vec<Held>, ReadError> {
        let Some(InfluxApi::V1 { database, retention_policy, .. }) = self.api.clone() else {
            return Ok(Vec::new());
        };
        let destination = self.http.destination().clone();
        let database = destination.database().unwrap_or(&database);
        let policy = destination.retention_policy().or(retention_policy.as_deref());
        let (Some(measurement), Some(query)) =
            (measurement(selection), influxql::query(database, policy, selection))
        else {
            return Err(no_measurement());
        };
        let types = influxql::types_query(database, policy, measurement);
        if self.types.as_ref().is_none_or(|(asked, _)| *asked != types) {
            let found = influxql::parse_types(&self.answer("query", &[("q", &types)])?)?;
            self.types = Some((types, found));
        }
        let body = self.answer("query", &[("q", &query), ("epoch", "ns")])?;
        let types = self.types.as_ref().map(|(_, types)| types);
        influxql::parse(&body, types.unwrap_or(&influxql::Types::new()))
    }

    fn read_sql(&mut self, selection: &Selection) -> Result<Vec<Held>, ReadError> {
        let Some(InfluxApi::V3 { database, .. }) = &self.api else {
            return Ok(Vec::new());
        };
        let database = self.http.destination().database().unwrap_or(database).to_owned();
        let measurement = measurement(selection).ok_or_else(no_measurement)?.to_owned();
        let table = (database, measurement);
        if self.columns.as_ref().is_none_or(|(asked, _)| *asked != table) {
            let body = self.sql(&table.0, &sql::columns_query(&table.1))?;
            self.columns = Some((table.clone(), sql::parse_columns(&body)?));
        }
        let columns = self.columns.as_ref().map(|(_, columns)| columns);
        let Some((columns, query)) =
            columns.and_then(|columns| Some((columns, sql::query(selection, columns)?)))
        else {
            return Ok(Vec::new());
        };
        sql::parse(&self.sql(&table.0, &query)?, &table.1, columns)
    }

    fn sql(&self, database: &str, query: &str) -> Result<String, ReadError> {
        let (status, body) = self.runtime.block_on(self.http.sql(database, query))?;
        if status == StatusCode::OK {
            return Ok(body);
        }
        let message = self.http.summary(status, &body);
        // InfluxDB 3 Core reads so many files for a query and no more.
        let too_much = body.contains("file limit");
        Err(if too_much { ReadError::TooMuch(message) } else { ReadError::Failed(message) })
    }

    /// The body of a 200.
    fn answer(&self, path: &str, form: &[(&str, &str)]) -> Result<String, ReadError> {
        let (status, body) = self.ask(Method::POST, path, form)?;
        if status == StatusCode::OK {
            return Ok(body);
        }
        // Prometheus and those like it, when a query would load more samples than is allowed.
        let limits = ["too many samples", "too many points", "limit", "exceeds", "-search.max"];
        let message = self.http.summary(status, &body);
        let too_much = status == StatusCode::UNPROCESSABLE_ENTITY
            && limits.iter().any(|limit| body.contains(limit));
        Err(if too_much { ReadError::TooMuch(message) } else { ReadError::Failed(message) })
    }
}

impl Store for Database {
    fn read(&mut self, selection: &Selection) -> Result<Vec<Held>, ReadError> {
        let Some(routing) = &self.routing else {
            return self.read_here(selection);
        };
        // A group's series are of one destination.
        let mut selection = selection.clone();
        let keys = selection.labels.remove(DESTINATION).unwrap_or_default();
        let mut held = Vec::new();
        let destinations: Result<Vec<_>, _> =
            keys.iter().map(|key| routing.destination(key)).collect();
        for destination in destinations.map_err(|error| ReadError::Failed(error.to_string()))? {
            self.http.turn_to(destination.clone());
            let found = self.read_here(&selection)?;
            held.extend(
                found.into_iter().map(|(series, values)| (series.at(&destination), values)),
            );
        }
        Ok(held)
    }

    fn exactness(&self) -> Exactness {
        match self.dialect {
            Dialect::InfluxDb1 | Dialect::InfluxDb2 | Dialect::InfluxDb3 => Exactness::Typed,
            Dialect::Prometheus => Exactness::Floats,
            Dialect::VictoriaMetrics => Exactness::Decimals,
        }
    }
}

fn no_measurement() -> ReadError {
    ReadError::Failed("series of no measurement are asked for".into())
}

/// The address to read from beside a receiver of remote write.
fn beside_write(url: &str) -> Result<Url, ReadError> {
    let mut url = parse(url)?;
    let path = url.path().trim_end_matches('/').to_owned();
    let base = if path.contains("/insert/") {
        None
    } else if let Some(base) = path.strip_suffix("/api/v1/write") {
        Some(base.to_owned())
    } else {
        // Mimir serves Prometheus' API under this prefix.
        path.strip_suffix("/api/v1/push").map(|base| format!("{base}/prometheus"))
    };
    let base = base.ok_or_else(|| {
        ReadError::Failed(
            "the address to read from can't be told from the sink's; give it with --read-url \
             (what stands before /api/v1/query)"
                .into(),
        )
    })?;
    url.set_path(&base);
    Ok(url)
}

/// The error shows nothing of the address, which may hold a password.
fn parse(url: &str) -> Result<Url, ReadError> {
    crate::sink::parse_url(url).map_err(|error| ReadError::Failed(error.to_string()))
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InfluxDb1 => "InfluxDB 1",
            Self::InfluxDb2 => "InfluxDB 2",
            Self::InfluxDb3 => "InfluxDB 3",
            Self::Prometheus => "Prometheus",
            Self::VictoriaMetrics => "VictoriaMetrics",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_read_from_stands_beside_the_one_to_write_to() {
        let base = |url| beside_write(url).map(|url| url.to_string());
        assert_eq!(base("http://p:9090/api/v1/write").unwrap(), "http://p:9090/");
        assert_eq!(base("http://p/prom/api/v1/write?key=k").unwrap(), "http://p/prom?key=k");
        assert_eq!(base("http://mimir/api/v1/push").unwrap(), "http://mimir/prometheus");
        for unknown in
            ["http://thanos/api/v1/receive", "http://vm:8480/insert/0/prometheus/api/v1/write"]
        {
            assert!(base(unknown).unwrap_err().to_string().contains("--read-url"), "{unknown}");
        }
    }
}
