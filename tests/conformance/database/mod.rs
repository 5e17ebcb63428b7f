//! A row with its running server: where to write to it, and what is read back from it.

mod influxdb;
pub mod lines;
mod questdb;

use std::collections::BTreeMap;
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::process::Command;

use tidegate::config::raw::{InfluxCompression, LineFormat, Precision, ProtobufMessage};
use tidegate::config::{self, InfluxApi};

use super::fake::Fake;
use super::rows::Row;
use crate::stack::{
    self, Control, InfluxDb1, InfluxDb2, Mimir, Prometheus, QuestDb, Series, Thanos,
    VictoriaMetrics,
};
use lines::Lines;

/// One value as the database returns it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// A measurement of InfluxDB, the name of a metric elsewhere.
    pub name: String,
    /// Without `case`.
    pub tags: BTreeMap<String, String>,
    /// Of a database that has fields.
    pub field: String,
    pub nanos: i64,
    /// The type and the value, such as `float -0.0`.
    pub value: String,
}

/// Different for any two numbers, 0 and -0 included.
pub fn number(number: f64) -> String {
    format!("float {number:?}")
}

enum Server {
    /// With the database that is written to.
    InfluxDb1(InfluxDb1, String),
    InfluxDb2(InfluxDb2),
    Fake(Fake),
    VictoriaMetrics(VictoriaMetrics),
    Prometheus(Prometheus),
    /// Or Cortex, with the tenant that is written to.
    Mimir(Mimir, String),
    /// With the tenant that is written to.
    Thanos(Thanos, String),
    QuestDb(QuestDb),
    Lines(Lines),
    Blackhole,
}

pub struct Database {
    pub row: Row,
    server: Server,
    /// It asks who writes and reads, though its row's others don't.
    has_login: bool,
}

impl Database {
    /// The server of the whole run, or one of its own without such a run. Always its own Prometheus: the newest sample
    /// of any test there decides which times it takes. In Mimir and Cortex each test is a tenant.
    pub fn shared(row: Row) -> Self {
        let is_up = |name: &str| env::var_os(format!("TIDEGATE_TEST_{name}")).is_some();
        let server = match row {
            Row::InfluxDb1 if is_up("INFLUXDB1") => in_influxdb1(stack::shared_influxdb1()),
            Row::InfluxDb2 if is_up("INFLUXDB2") => Server::InfluxDb2(stack::shared_influxdb2()),
            Row::QuestDb if is_up("QUESTDB") => Server::QuestDb(stack::shared_questdb()),
            Row::Mimir if is_up("MIMIR") => Server::Mimir(stack::shared_mimir(), tenant()),
            Row::Cortex if is_up("CORTEX") => Server::Mimir(stack::shared_cortex(), tenant()),
            Row::VictoriaMetricsByLines | Row::VictoriaMetricsByRemoteWrite
                if is_up("VICTORIA_METRICS") =>
            {
                Server::VictoriaMetrics(stack::shared_victoria_metrics())
            }
            _ => return Self::own(row),
        };
        Self { row, server, has_login: false }
    }

    /// One that asks for a login.
    pub fn with_login(row: Row) -> Self {
        let server = match row {
            Row::VictoriaMetricsByLines | Row::VictoriaMetricsByRemoteWrite => {
                Server::VictoriaMetrics(VictoriaMetrics::start_with_login())
            }
            Row::Prometheus => Server::Prometheus(Prometheus::start_with_login()),
            Row::Prometheus3 | Row::Prometheus3ByVersion2 => {
                Server::Prometheus(Prometheus::start_version_3_with_login())
            }
            _ => return Self::shared(row),
        };
        Self { row, server, has_login: true }
    }

    /// A server to kill and freeze.
    pub fn own(row: Row) -> Self {
        let server = match row {
            Row::InfluxDb1 => in_influxdb1(InfluxDb1::start()),
            Row::InfluxDb2 => Server::InfluxDb2(InfluxDb2::start()),
            Row::InfluxDb3 | Row::GreptimeDb => Server::Fake(Fake::start(row, usize::MAX)),
            Row::VictoriaMetricsByLines | Row::VictoriaMetricsByRemoteWrite => {
                Server::VictoriaMetrics(VictoriaMetrics::start())
            }
            Row::Prometheus => Server::Prometheus(Prometheus::start()),
            Row::Prometheus3 | Row::Prometheus3ByVersion2 => {
                Server::Prometheus(Prometheus::start_version_3(None))
            }
            Row::Mimir => Server::Mimir(Mimir::start(), tenant()),
            Row::Cortex => Server::Mimir(Mimir::start_cortex(&[]), tenant()),
            Row::Thanos => Server::Thanos(Thanos::start(), tenant()),
            Row::QuestDb => Server::QuestDb(QuestDb::start()),
            Row::FileOfLineProtocol => Server::Lines(Lines::file(LineFormat::LineProtocol)),
            Row::FileOfJsonLines => Server::Lines(Lines::file(LineFormat::JsonLines)),
            Row::Stdout => Server::Lines(Lines::stdout()),
            Row::Blackhole => Server::Blackhole,
        };
        Self { row, server, has_login: false }
    }

    /// One that takes samples that are late by up to 30 minutes.
    pub fn with_window(row: Row) -> Self {
        let server = match row {
            Row::Mimir if env::var_os("TIDEGATE_TEST_MIMIR").is_some() => {
                Server::Mimir(stack::shared_mimir(), Mimir::LATE.to_owned())
            }
            Row::Mimir => Server::Mimir(Mimir::start(), Mimir::LATE.to_owned()),
            Row::Cortex if env::var_os("TIDEGATE_TEST_CORTEX").is_some() => {
                Server::Mimir(stack::shared_cortex(), Mimir::LATE.to_owned())
            }
            Row::Cortex => Server::Mimir(Mimir::start_cortex(&[]), Mimir::LATE.to_owned()),
            Row::Thanos => Server::Thanos(Thanos::start_with_out_of_order("30m"), tenant()),
            Row::Prometheus3 | Row::Prometheus3ByVersion2 => {
                Server::Prometheus(Prometheus::start_version_3(Some("30m")))
            }
            _ => Server::Prometheus(Prometheus::start_with_out_of_order("30m")),
        };
        Self { row, server, has_login: false }
    }

    /// One that takes requests of 32 KiB at most.
    pub fn with_limit(row: Row) -> Self {
        let bytes = "32768";
        let options = |names: &[&str]| names.iter().map(|name| format!("{name}={bytes}")).collect();
        let server = match row {
            Row::InfluxDb1 => in_influxdb1(InfluxDb1::start_with(&[bytes])),
            Row::QuestDb => Server::QuestDb(QuestDb::start_with(&[bytes])),
            Row::Mimir | Row::Cortex => {
                let options: Vec<String> = options(&["-distributor.max-recv-msg-size"]);
                let options = [options[0].as_str()];
                let is_mimir = row == Row::Mimir;
                let start = if is_mimir { Mimir::start_with } else { Mimir::start_cortex };
                Server::Mimir(start(&options), tenant())
            }
            Row::Thanos => Server::Thanos(Thanos::start_with_limit(bytes), tenant()),
            Row::VictoriaMetricsByLines | Row::VictoriaMetricsByRemoteWrite => {
                let options: Vec<String> =
                    options(&["-influx.maxRequestSize", "-maxInsertRequestSize"]);
                Server::VictoriaMetrics(VictoriaMetrics::start_with(&[&options[0], &options[1]]))
            }
            _ => Server::Fake(Fake::start(row, 32_768)),
        };
        Self { row, server, has_login: false }
    }

    pub fn url(&self) -> &str {
        match &self.server {
            Server::InfluxDb1(server, _) => server.url(),
            Server::InfluxDb2(server) => server.url(),
            Server::Fake(server) => server.url(),
            Server::VictoriaMetrics(server) => server.url(),
            Server::Prometheus(server) => server.url(),
            Server::Mimir(server, _) => server.url(),
            Server::Thanos(server, _) => server.url(),
            Server::QuestDb(server) => server.url(),
            Server::Lines(_) | Server::Blackhole => panic!("{:?} is no server", self.row),
        }
    }

    /// The sink's configuration, as a user would have it.
    pub fn config(&self) -> config::Sink {
        match &self.server {
            Server::Lines(lines) => lines.config(),
            Server::Blackhole => config::Sink::Blackhole,
            _ if self.row.by_lines() => config::Sink::InfluxDb(self.lines()),
            _ => config::Sink::Prometheus(self.remote_write()),
        }
    }

    /// The same, to be changed, for a row that is written by remote write.
    pub fn remote_write(&self) -> config::Prometheus {
        let (path, tenant) = match &self.server {
            Server::Mimir(_, tenant) => ("push", Some(tenant)),
            Server::Thanos(_, tenant) => ("receive", Some(tenant)),
            _ => ("write", None),
        };
        let mut config = config::Prometheus::at(format!("{}/api/v1/{path}", self.url()));
        config.http = self.login(None);
        if let Some(tenant) = tenant {
            config.http.headers = self.tenant_header(tenant);
        }
        if self.row == Row::Prometheus3ByVersion2 {
            config.message = ProtobufMessage::V2;
        }
        config
    }

    /// Its way to name a tenant.
    pub fn tenant_header(&self, tenant: &str) -> Vec<(String, config::Secret)> {
        let name = if self.row == Row::Thanos { "THANOS-TENANT" } else { "X-Scope-OrgID" };
        vec![(name.to_owned(), config::Secret::new(tenant))]
    }

    /// The same, to be changed, for a row that is written by lines.
    pub fn lines(&self) -> config::InfluxDb {
        let http = self.login(None);
        let mut url = self.url().to_owned();
        let (api, precision) = match self.row {
            Row::InfluxDb1 => (v1(self.influxdb1()), Precision::Ns),
            Row::InfluxDb2 => (v2(InfluxDb2::ORG, InfluxDb2::BUCKET), Precision::Ns),
            Row::InfluxDb3 => (v3(Fake::DATABASE), Precision::Ns),
            Row::QuestDb => (v1("unused"), Precision::Ns),
            Row::GreptimeDb => {
                url += "/v1/influxdb";
                (v2("unused", Fake::DATABASE), Precision::Ns)
            }
            _ => (v2("unused", "unused"), Precision::Ms),
        };
        config::InfluxDb {
            url,
            api,
            compression: InfluxCompression::Gzip,
            precision,
            http,
            create: None,
        }
    }

    fn influxdb1(&self) -> &str {
        match &self.server {
            Server::InfluxDb1(_, database) => database,
            _ => panic!("{:?} is no InfluxDB 1", self.row),
        }
    }

    /// The login that it asks for, or one with another password or token.
    pub fn login(&self, other: Option<&str>) -> config::Http {
        match self.row {
            Row::InfluxDb1 => basic(InfluxDb1::USER, other.unwrap_or(InfluxDb1::PASSWORD)),
            Row::QuestDb => basic(QuestDb::USER, other.unwrap_or(QuestDb::PASSWORD)),
            Row::InfluxDb2 => token("Token", other.unwrap_or(InfluxDb2::TOKEN)),
            Row::InfluxDb3 => token("Bearer", other.unwrap_or(Fake::TOKEN)),
            Row::GreptimeDb => token("token", other.unwrap_or(Fake::TOKEN)),
            _ if self.has_login => basic(stack::USER, other.unwrap_or(stack::PASSWORD)),
            _ => config::Http::default(),
        }
    }

    /// Where in this InfluxDB another bucket or database is.
    pub fn api_of(&self, bucket: &str) -> InfluxApi {
        match self.row {
            Row::InfluxDb1 => v1(bucket),
            Row::InfluxDb3 => v3(bucket),
            Row::GreptimeDb => v2("unused", bucket),
            _ => v2(InfluxDb2::ORG, bucket),
        }
    }

    /// To kill it, to freeze it …
    pub fn process(&mut self) -> &mut dyn Control {
        match &mut self.server {
            Server::InfluxDb1(server, _) => server,
            Server::InfluxDb2(server) => server,
            Server::VictoriaMetrics(server) => server,
            Server::Prometheus(server) => server,
            Server::Mimir(server, _) => server,
            Server::Thanos(server, _) => server,
            Server::QuestDb(server) => server,
            Server::Fake(_) | Server::Lines(_) | Server::Blackhole => {
                panic!("{:?} is no process", self.row)
            }
        }
    }

    /// All values of the points with this tag `case`, sorted.
    pub fn read(&self, case: &str) -> Vec<Stored> {
        // The 40 days around the time of all cases.
        let (range, end) = ("40d", 1_701_700_000.0);
        let selector = format!("{{case={case:?}}}");
        let mut stored = match &self.server {
            Server::InfluxDb1(server, database) => influxdb::read1(server, database, case),
            Server::InfluxDb2(server) => influxdb::read2(server, InfluxDb2::BUCKET, case),
            Server::Fake(server) => server.read(case),
            Server::VictoriaMetrics(server) => {
                server.flush();
                samples(server.export(&selector))
            }
            Server::Prometheus(server) => samples(server.series(&selector, range, end)),
            Server::Mimir(server, tenant) => samples(server.series(tenant, &selector, range, end)),
            Server::Thanos(server, tenant) => samples(server.series(tenant, &selector, range, end)),
            Server::QuestDb(server) => questdb::read(server, case),
            Server::Lines(lines) => lines.read(),
            Server::Blackhole => Vec::new(),
        };
        stored.sort_unstable();
        stored
    }

    /// The same of another bucket or database.
    pub fn read_bucket(&self, bucket: &str, case: &str) -> Vec<Stored> {
        match &self.server {
            Server::InfluxDb1(server, _) => influxdb::read1(server, bucket, case),
            Server::InfluxDb2(server) => influxdb::read2(server, bucket, case),
            _ => panic!("{:?} has no buckets", self.row),
        }
    }

    /// Makes a bucket or database; it keeps points for `hours`, or for ever.
    pub fn create_bucket(&self, name: &str, hours: Option<u32>) {
        match &self.server {
            Server::InfluxDb1(server, _) => {
                let duration = hours.map_or("INF".to_owned(), |hours| format!("{hours}h"));
                server.query(&format!("CREATE DATABASE \"{name}\" WITH DURATION {duration}"));
            }
            Server::InfluxDb2(server) => server.create_bucket(name, hours),
            _ => panic!("{:?} has no buckets", self.row),
        }
    }

    /// Before a measurement's repeats are written: makes its series and time the key of QuestDB's table, without which
    /// it keeps every copy. The other databases do so by themselves.
    pub fn dedup(&self, measurement: &str, tags: &[&str]) {
        if let Server::QuestDb(server) = &self.server {
            questdb::dedup(server, measurement, tags);
        }
    }

    /// The texts of InfluxDB 2's times in its other language, which shows the very last moment.
    pub fn influxql(&self, query: &str) -> Option<String> {
        match &self.server {
            Server::InfluxDb2(server) => Some(server.influxql(query)),
            _ => None,
        }
    }

    /// The version that is installed: a server that was built from its source may not know its own.
    pub fn version(row: Row) -> String {
        if row.is_local() {
            return env!("CARGO_PKG_VERSION").to_owned();
        }
        if let Some(source) = row.fake() {
            return format!("a fake, by {source}");
        }
        let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/install.sh");
        let answer = Command::new(install).args(["--version-of", row.server()]).output();
        let version = String::from_utf8(answer.expect("bash").stdout).expect("UTF-8");
        assert!(!version.trim().is_empty(), "{install} knows no {}", row.server());
        let by = if row == Row::Prometheus3ByVersion2 { ", by remote write 2.0" } else { "" };
        version.trim().to_owned() + by
    }
}

/// A tenant of its own.
fn tenant() -> String {
    format!("tenant-{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// A database of its own: `SHOW FIELD KEYS` leaves fields out where other tests write to years far apart.
fn in_influxdb1(server: InfluxDb1) -> Server {
    let database = tenant();
    server.query(&format!("CREATE DATABASE \"{database}\""));
    Server::InfluxDb1(server, database)
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

fn v2(org: &str, bucket: &str) -> InfluxApi {
    InfluxApi::V2 { org: org.to_owned(), bucket: bucket.to_owned() }
}

fn v3(database: &str) -> InfluxApi {
    InfluxApi::V3 { database: database.to_owned(), no_sync: false, accept_partial: true }
}

fn basic(username: &str, password: &str) -> config::Http {
    let password = config::Credential::Given(config::Secret::new(password));
    let username = username.to_owned();
    let authorization = Some(config::Authorization::Basic { username, password });
    config::Http { authorization, ..config::Http::default() }
}

fn token(kind: &str, token: &str) -> config::Http {
    let token = config::Credential::Given(config::Secret::new(token));
    let authorization = Some(config::Authorization::Token { kind: kind.into(), token });
    config::Http { authorization, ..config::Http::default() }
}
