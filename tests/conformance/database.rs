//! The rows of the table: each database with the sink that writes to it, and what is read back from it.

use std::collections::BTreeMap;
use std::env;
use std::process::Command;

use serde_json::Value as Json;
use tidegate::config::raw::{LineFormat, Precision};
use tidegate::config::{self, InfluxApi};
use tidegate::point::Value;

use super::lines::Lines;
use crate::stack::{self, InfluxDb1, InfluxDb2, Prometheus, Series, VictoriaMetrics};

/// A database by one of its routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    InfluxDb1,
    InfluxDb2,
    VictoriaMetricsByLines,
    VictoriaMetricsByRemoteWrite,
    Prometheus,
    FileOfLineProtocol,
    FileOfJsonLines,
}

/// One value as the database returns it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// A measurement of InfluxDB, the name of a metric elsewhere.
    pub name: String,
    /// Without `case`.
    pub tags: BTreeMap<String, String>,
    /// Of InfluxDB only.
    pub field: String,
    pub nanos: i64,
    /// The type and the value, such as `float -0.0`.
    pub value: String,
}

impl Row {
    pub fn sink(self) -> &'static str {
        match self {
            Self::InfluxDb1 | Self::InfluxDb2 | Self::VictoriaMetricsByLines => "influxdb",
            Self::VictoriaMetricsByRemoteWrite | Self::Prometheus => "prometheus",
            Self::FileOfLineProtocol | Self::FileOfJsonLines => "file",
        }
    }

    pub fn server(self) -> &'static str {
        match self {
            Self::InfluxDb1 => "influxdb1",
            Self::InfluxDb2 => "influxdb2",
            Self::VictoriaMetricsByLines | Self::VictoriaMetricsByRemoteWrite => "victoria-metrics",
            Self::Prometheus => "prometheus",
            Self::FileOfLineProtocol => "line_protocol",
            Self::FileOfJsonLines => "json_lines",
        }
    }

    /// As in the names of the tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::InfluxDb1 => "influxdb1",
            Self::InfluxDb2 => "influxdb2",
            Self::VictoriaMetricsByLines => "victoria_metrics_by_lines",
            Self::VictoriaMetricsByRemoteWrite => "victoria_metrics_by_remote_write",
            Self::Prometheus => "prometheus",
            Self::FileOfLineProtocol => "a_file_of_line_protocol",
            Self::FileOfJsonLines => "a_file_of_json_lines",
        }
    }

    /// Whether it takes text.
    pub fn by_lines(self) -> bool {
        self.sink() != "prometheus"
    }

    pub fn is_file(self) -> bool {
        self.sink() == "file"
    }

    /// Whether it keeps types, and names fields beside measurements.
    pub fn is_influx(self) -> bool {
        matches!(self, Self::InfluxDb1 | Self::InfluxDb2)
    }

    /// What a field becomes, if its names are legal everywhere; the time is in milliseconds.
    pub fn stored(
        self,
        measurement: &str,
        tags: &[(&str, &str)],
        field: &str,
        value: &Value<'_>,
        millis: i64,
    ) -> Stored {
        let tags = tags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let nanos = millis * 1_000_000;
        if self.is_influx() || self.is_file() {
            let (name, field) = (measurement.to_owned(), field.to_owned());
            let mut value = typed(value);
            if self == Self::FileOfJsonLines {
                value = value.replacen("uint ", "int ", 1);
            }
            return Stored { name, tags, field, nanos, value };
        }
        let name = format!("{measurement}_{field}");
        Stored { name, tags, field: String::new(), nanos, value: number(as_number(value)) }
    }
}

/// Every database but InfluxDB has just numbers; a string can't be written by remote write, and is 0 by lines.
fn as_number(value: &Value<'_>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "they keep floats only")]
    match value {
        Value::Float(number) => number.to_f64(),
        Value::Integer(number) => *number as f64,
        Value::Unsigned(number) => *number as f64,
        Value::Boolean(truth) => f64::from(u8::from(*truth)),
        Value::String(_) => 0.0,
    }
}

fn typed(value: &Value<'_>) -> String {
    match value {
        Value::Float(float) => number(float.to_f64()),
        Value::Integer(number) => format!("int {number}"),
        Value::Unsigned(number) => format!("uint {number}"),
        Value::Boolean(truth) => format!("bool {truth}"),
        Value::String(text) => format!("string {text}"),
    }
}

/// Different for any two numbers, 0 and -0 included.
pub fn number(number: f64) -> String {
    format!("float {number:?}")
}

enum Server {
    InfluxDb1(InfluxDb1),
    InfluxDb2(InfluxDb2),
    VictoriaMetrics(VictoriaMetrics),
    Prometheus(Prometheus),
    File(Lines),
}

/// A row with its running server.
pub struct Database {
    pub row: Row,
    server: Server,
}

impl Database {
    /// The server of the whole run, or one of its own without such a run. Always its own Prometheus: the newest sample
    /// of any test there decides which times it takes.
    pub fn shared(row: Row) -> Self {
        let is_up = |variable| env::var_os(variable).is_some();
        let server = match row {
            Row::InfluxDb2 if is_up("TIDEGATE_TEST_INFLUXDB2") => {
                Server::InfluxDb2(stack::shared_influxdb2())
            }
            Row::VictoriaMetricsByLines | Row::VictoriaMetricsByRemoteWrite
                if is_up("TIDEGATE_TEST_VICTORIA_METRICS") =>
            {
                Server::VictoriaMetrics(stack::shared_victoria_metrics())
            }
            _ => return Self::own(row),
        };
        Self { row, server }
    }

    /// A server to kill and freeze.
    pub fn own(row: Row) -> Self {
        let server = match row {
            Row::InfluxDb1 => Server::InfluxDb1(InfluxDb1::start()),
            Row::InfluxDb2 => Server::InfluxDb2(InfluxDb2::start()),
            Row::VictoriaMetricsByLines | Row::VictoriaMetricsByRemoteWrite => {
                Server::VictoriaMetrics(VictoriaMetrics::start())
            }
            Row::Prometheus => Server::Prometheus(Prometheus::start()),
            Row::FileOfLineProtocol => Server::File(Lines::new(LineFormat::LineProtocol)),
            Row::FileOfJsonLines => Server::File(Lines::new(LineFormat::JsonLines)),
        };
        Self { row, server }
    }

    /// A Prometheus that takes samples that are late by up to `window`.
    pub fn prometheus_with_window(window: &str) -> Self {
        let server = Server::Prometheus(Prometheus::start_with_out_of_order(window));
        Self { row: Row::Prometheus, server }
    }

    pub fn url(&self) -> &str {
        match &self.server {
            Server::InfluxDb1(server) => server.url(),
            Server::InfluxDb2(server) => server.url(),
            Server::VictoriaMetrics(server) => server.url(),
            Server::Prometheus(server) => server.url(),
            Server::File(_) => panic!("a file is no server"),
        }
    }

    /// The sink's configuration, as a user would have it.
    pub fn config(&self) -> config::Sink {
        if let Server::File(lines) = &self.server {
            lines.config()
        } else if self.row.by_lines() {
            config::Sink::InfluxDb(self.lines())
        } else {
            let url = format!("{}/api/v1/write", self.url());
            config::Sink::Prometheus(config::Prometheus::at(url))
        }
    }

    /// The same, to be changed, for a row that is written by lines.
    pub fn lines(&self) -> config::InfluxDb {
        let unused = || "unused".to_owned();
        let (api, http) = match self.row {
            Row::InfluxDb1 => (v1(InfluxDb1::DATABASE), with_login(InfluxDb1::PASSWORD)),
            Row::InfluxDb2 => (v2(InfluxDb2::BUCKET), with_token(InfluxDb2::TOKEN)),
            _ => (InfluxApi::V2 { org: unused(), bucket: unused() }, config::Http::default()),
        };
        let precision = if self.row.is_influx() { Precision::Ns } else { Precision::Ms };
        config::InfluxDb { url: self.url().to_owned(), api, gzip: true, precision, http }
    }

    /// Where in this InfluxDB another bucket or database is.
    pub fn api_of(&self, bucket: &str) -> InfluxApi {
        if self.row == Row::InfluxDb1 { v1(bucket) } else { v2(bucket) }
    }

    pub fn kill(&mut self) {
        match &mut self.server {
            Server::InfluxDb1(server) => server.kill(),
            Server::InfluxDb2(server) => server.kill(),
            Server::VictoriaMetrics(server) => server.kill(),
            Server::Prometheus(server) => server.kill(),
            Server::File(_) => panic!("a file is no server"),
        }
    }

    pub fn restart(&mut self) {
        match &mut self.server {
            Server::InfluxDb1(server) => server.restart(),
            Server::InfluxDb2(server) => server.restart(),
            Server::VictoriaMetrics(server) => server.restart(),
            Server::Prometheus(server) => server.restart(),
            Server::File(_) => panic!("a file is no server"),
        }
    }

    pub fn freeze(&mut self) {
        match &mut self.server {
            Server::InfluxDb1(server) => server.freeze(),
            Server::InfluxDb2(server) => server.freeze(),
            Server::VictoriaMetrics(server) => server.freeze(),
            Server::Prometheus(server) => server.freeze(),
            Server::File(_) => panic!("a file is no server"),
        }
    }

    pub fn thaw(&mut self) {
        match &mut self.server {
            Server::InfluxDb1(server) => server.thaw(),
            Server::InfluxDb2(server) => server.thaw(),
            Server::VictoriaMetrics(server) => server.thaw(),
            Server::Prometheus(server) => server.thaw(),
            Server::File(_) => panic!("a file is no server"),
        }
    }

    /// All values of the points with this tag `case`, sorted.
    pub fn read(&self, case: &str) -> Vec<Stored> {
        let mut stored = match &self.server {
            Server::InfluxDb1(server) => read_influx1(server, InfluxDb1::DATABASE, case),
            Server::InfluxDb2(server) => read_influx(server, InfluxDb2::BUCKET, case),
            Server::VictoriaMetrics(server) => {
                server.flush();
                samples(server.export(&format!("{{case={case:?}}}")))
            }
            Server::Prometheus(server) => {
                // The 40 days around the time of all cases.
                samples(server.series(&format!("{{case={case:?}}}"), "40d", 1_701_700_000.0))
            }
            Server::File(lines) => lines.read(),
        };
        stored.sort_unstable();
        stored
    }

    /// The same of another bucket of InfluxDB.
    pub fn read_bucket(&self, bucket: &str, case: &str) -> Vec<Stored> {
        match &self.server {
            Server::InfluxDb1(server) => read_influx1(server, bucket, case),
            Server::InfluxDb2(server) => read_influx(server, bucket, case),
            _ => panic!("{:?} has no buckets", self.row),
        }
    }

    /// Makes a bucket in InfluxDB; it keeps points for `hours`, or for ever.
    pub fn create_bucket(&self, name: &str, hours: Option<u32>) {
        if let Server::InfluxDb1(server) = &self.server {
            let duration = hours.map_or("INF".to_owned(), |hours| format!("{hours}h"));
            server.query(&format!("CREATE DATABASE \"{name}\" WITH DURATION {duration}"));
            return;
        }
        let orgs: Json = serde_json::from_str(&self.influx("/api/v2/orgs", None)).expect("JSON");
        let org = orgs["orgs"][0]["id"].as_str().expect("the organisation of the tests");
        let rule = |hours| serde_json::json!({ "type": "expire", "everySeconds": hours * 3600 });
        let rules: Vec<_> = hours.map(rule).into_iter().collect();
        let body = serde_json::json!({ "orgID": org, "name": name, "retentionRules": rules });
        self.influx("/api/v2/buckets", Some(body.to_string()));
    }

    /// The answer to a query in InfluxDB's other language.
    pub fn influxql(&self, query: &str) -> String {
        let query = query.replace(' ', "%20");
        self.influx(&format!("/query?db={}&q={query}", InfluxDb2::BUCKET), None)
    }

    fn influx(&self, path: &str, post: Option<String>) -> String {
        let url = format!("{}{path}", self.url());
        // Fails when there is one already, which serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        let request = match post {
            Some(body) => client.post(&url).header("Content-Type", "application/json").body(body),
            None => client.get(&url),
        };
        let request = request.header("Authorization", format!("Token {}", InfluxDb2::TOKEN));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let answer = request.send().await.expect("an answer");
            let status = answer.status();
            let body = answer.text().await.expect("a body");
            assert!(status.is_success(), "{url}: {status}: {body}");
            body
        })
    }

    /// The version that is installed: a server that was built from its source may not know its own.
    pub fn version(&self) -> String {
        if self.row.is_file() {
            return env!("CARGO_PKG_VERSION").to_owned();
        }
        let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/install.sh");
        let answer = Command::new(install).args(["--where", self.row.server()]).output();
        let folder = String::from_utf8(answer.expect("bash").stdout).expect("UTF-8");
        let version = folder.trim().rsplit('-').next();
        version.filter(|version| !version.is_empty()).expect("an installed server").to_owned()
    }
}

/// The columns of a Flux answer that are no tags.
const NO_TAGS: [&str; 11] = [
    "result",
    "table",
    "_start",
    "_stop",
    "_time",
    "_value",
    "_field",
    "_measurement",
    "case",
    "kind",
    "text",
];

fn read_influx(server: &InfluxDb2, bucket: &str, case: &str) -> Vec<Stored> {
    // An answer in CSV has the same text for 1, 1i and 1u, and for any end of a line.
    let flux = format!(
        r#"import "strings"
import "types"
kind = (v) => if types.isType(v: v, type: "float") then "float"
  else if types.isType(v: v, type: "int") then "int"
  else if types.isType(v: v, type: "uint") then "uint"
  else if types.isType(v: v, type: "bool") then "bool"
  else "string"
replaced = (v, t, u) => strings.replaceAll(v: v, t: t, u: u)
text = (v) => replaced(v: replaced(v: string(v: v), t: "\n", u: "␤"), t: "\r", u: "␍")
from(bucket: {bucket:?})
  |> range(start: 1677-09-21T00:12:43.145224194Z, stop: 2262-04-11T23:47:16.854775807Z)
  |> filter(fn: (r) => r.case == {case:?})
  |> map(fn: (r) => ({{r with kind: kind(v: r._value), text: text(v: r._value)}}))"#
    );
    let rows = server.query_flux(&flux);
    rows.iter()
        .map(|row| {
            let column = |name: &str| {
                row.get(name).unwrap_or_else(|| panic!("no {name} in {row:?}")).as_str()
            };
            let time: jiff::Timestamp = column("_time").parse().expect("a time");
            let value = match column("kind") {
                "float" => number(column("text").parse().expect("a number")),
                kind => {
                    format!("{kind} {}", column("text").replace('␤', "\n").replace('␍', "\r"))
                }
            };
            let tags = row.iter().filter(|(name, value)| {
                // A tag that another series of the table has.
                !NO_TAGS.contains(&name.as_str()) && !value.is_empty()
            });
            Stored {
                name: column("_measurement").to_owned(),
                tags: tags.map(|(name, value)| (name.clone(), value.clone())).collect(),
                field: column("_field").to_owned(),
                nanos: i64::try_from(time.as_nanosecond()).expect("a time that InfluxDB has"),
                value,
            }
        })
        .collect()
}

/// The types of InfluxDB 1's fields.
fn types(server: &InfluxDb1, database: &str) -> BTreeMap<(String, String), String> {
    let answer = server.query(&format!("SHOW FIELD KEYS ON \"{database}\""));
    let series = answer["results"][0]["series"].as_array().cloned().unwrap_or_default();
    let mut types = BTreeMap::new();
    for series in series {
        for field in series["values"].as_array().expect("fields") {
            let text = |json: &Json| json.as_str().expect("a text").to_owned();
            types.insert((text(&series["name"]), text(&field[0])), text(&field[1]));
        }
    }
    types
}

fn read_influx1(server: &InfluxDb1, database: &str, case: &str) -> Vec<Stored> {
    let types = types(server, database);
    let select = format!("SELECT * FROM /.*/ WHERE \"case\" = '{case}' GROUP BY *");
    let mut stored = Vec::new();
    for (series, rows) in server.select(database, &select) {
        let name = series["name"].as_str().expect("a measurement").to_owned();
        let columns = series["columns"].as_array().expect("columns");
        let tags: BTreeMap<_, _> = series["tags"]
            .as_object()
            .expect("tags")
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().expect("a tag").to_owned()))
            // A tag that another series of the measurement has is empty.
            .filter(|(name, value)| name != "case" && !value.is_empty())
            .collect();
        let values = series["values"].as_array().expect("values");
        for (row, texts) in values.iter().zip(rows) {
            let nanos = texts[0].parse().expect("nanoseconds");
            for (at, column) in columns.iter().enumerate().skip(1) {
                let field = column.as_str().expect("a field").to_owned();
                let (text, is_there) = (&texts[at], !row[at].is_null());
                let value = match types[&(name.clone(), field.clone())].as_str() {
                    "float" if is_there => number(text.parse().expect("a number")),
                    "integer" => format!("int {text}"),
                    "boolean" => format!("bool {text}"),
                    kind => format!("{kind} {text}"),
                };
                let (name, tags) = (name.clone(), tags.clone());
                stored.extend(is_there.then_some(Stored { name, tags, field, nanos, value }));
            }
        }
    }
    stored
}

fn samples(all: Vec<Series>) -> Vec<Stored> {
    let mut stored = Vec::new();
    for (mut tags, samples) in all {
        let name = tags.remove("__name__").unwrap_or_default();
        tags.remove("case");
        stored.extend(samples.into_iter().map(|(millis, value)| Stored {
            name: name.clone(),
            tags: tags.clone(),
            field: String::new(),
            nanos: millis * 1_000_000,
            value: number(value),
        }));
    }
    stored
}

fn v1(database: &str) -> InfluxApi {
    let database = database.to_owned();
    InfluxApi::V1 { database, retention_policy: None, consistency: None }
}

fn v2(bucket: &str) -> InfluxApi {
    InfluxApi::V2 { org: InfluxDb2::ORG.to_owned(), bucket: bucket.to_owned() }
}

/// InfluxDB 1's login.
pub fn with_login(password: &str) -> config::Http {
    let password = config::Credential::Given(config::Secret::new(password));
    let username = InfluxDb1::USER.to_owned();
    let authorization = Some(config::Authorization::Basic { username, password });
    config::Http { authorization, ..config::Http::default() }
}

/// InfluxDB 2's own kind of login.
pub fn with_token(token: &str) -> config::Http {
    let token = config::Credential::Given(config::Secret::new(token));
    let authorization = Some(config::Authorization::Token { kind: "Token".into(), token });
    config::Http { authorization, ..config::Http::default() }
}
