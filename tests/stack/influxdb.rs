//! InfluxDB 1 and 2.

use std::collections::BTreeMap;

use serde_json::Value;

use super::http::{array, csv, escaped, json, request};
use super::process::{Process, free_port, process_control, start_script, started};
use super::shared;

pub fn shared_influxdb1() -> InfluxDb1 {
    InfluxDb1 { url: shared("TIDEGATE_TEST_INFLUXDB1"), process: None }
}

pub fn shared_influxdb2() -> InfluxDb2 {
    InfluxDb2 { url: shared("TIDEGATE_TEST_INFLUXDB2"), process: None }
}

process_control!(InfluxDb1);
process_control!(InfluxDb2);

/// InfluxDB 1 with a user and a database (made by `tests/stack/start/influxdb1-setup.sh`).
pub struct InfluxDb1 {
    url: String,
    process: Option<Process>,
}

impl InfluxDb1 {
    pub const USER: &'static str = "tidegate";
    pub const PASSWORD: &'static str = "tidegate-tests";
    pub const DATABASE: &'static str = "tests";

    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With a limit on the bytes of a request, if one is given.
    pub fn start_with(options: &[&str]) -> Self {
        let server = started(|| {
            let port = free_port();
            let port = port.to_string();
            let process = Process::start("influxdb1.sh", &[&[port.as_str()], options].concat());
            let mut server =
                Self { url: format!("http://127.0.0.1:{port}"), process: Some(process) };
            server.became_ready().map(|()| server)
        });
        set_up("influxdb1-setup.sh", &server.url);
        server
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The answer to a query in JSON, times in nanoseconds.
    pub fn query(&self, influxql: &str) -> Value {
        json(&self.answer(Self::DATABASE, influxql, "application/json"))
    }

    /// The series of a SELECT with GROUP BY *: name, tags, columns, and rows of texts as InfluxDB prints them.
    pub fn select(&self, database: &str, influxql: &str) -> Vec<(Value, Vec<Vec<String>>)> {
        let answer = json(&self.answer(database, influxql, "application/json"));
        // Numbers in JSON lose digits in a parser of f64s.
        let texts = csv(&self.answer(database, influxql, "application/csv"));
        let is_row = |row: &Vec<String>| row.len() > 2 && row[..2] != ["name", "tags"];
        let mut texts = texts.into_iter().filter(is_row).map(|row| row[2..].to_vec());
        let series = answer["results"][0]["series"].as_array().cloned().unwrap_or_default();
        series
            .into_iter()
            .map(|series| {
                let rows = array(&series["values"]).len();
                let texts = texts.by_ref().take(rows).collect();
                (series, texts)
            })
            .collect()
    }

    fn answer(&self, database: &str, influxql: &str, accept: &str) -> String {
        let (user, password, influxql) = (Self::USER, Self::PASSWORD, escaped(influxql));
        let path = format!("/query?u={user}&p={password}&db={database}&epoch=ns&q={influxql}");
        let (status, body) = request(&self.url, "POST", &path, &[("Accept", accept)], "")
            .unwrap_or_else(|error| panic!("{}: {error}", self.url));
        assert!(status == 200 && !body.contains("\"error\""), "{influxql}: {status} {body}");
        body
    }

    fn is_ready(&self) -> bool {
        request(&self.url, "GET", "/ping", &[], "").is_ok_and(|(status, _)| status == 204)
    }
}

/// InfluxDB 2.7 with one organisation, bucket and token (made by `tests/stack/start/influxdb2-setup.sh`).
pub struct InfluxDb2 {
    url: String,
    process: Option<Process>,
}

impl InfluxDb2 {
    pub const ORG: &'static str = "tidegate";
    pub const BUCKET: &'static str = "tests";
    pub const TOKEN: &'static str = "tidegate-tests-token";

    pub fn start() -> Self {
        let server = started(|| {
            let port = free_port();
            let process = Process::start("influxdb2.sh", &[&port.to_string()]);
            let mut server =
                Self { url: format!("http://127.0.0.1:{port}"), process: Some(process) };
            server.became_ready().map(|()| server)
        });
        set_up("influxdb2-setup.sh", &server.url);
        server
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes lines, past Tidegate; timestamps are nanoseconds.
    pub fn write(&self, lines: &str) {
        let path = format!("/api/v2/write?org={}&bucket={}&precision=ns", Self::ORG, Self::BUCKET);
        let (status, body) = self.request("POST", &path, &[], lines);
        assert_eq!(status, 204, "{lines}: {body}");
    }

    /// Makes another bucket, which keeps points for `hours`, or for ever.
    pub fn create_bucket(&self, name: &str, hours: Option<u32>) {
        let (status, orgs) = self.request("GET", "/api/v2/orgs", &[], "");
        assert_eq!(status, 200, "{orgs}");
        let rule = |hours| serde_json::json!({ "type": "expire", "everySeconds": hours * 3600 });
        let rules: Vec<_> = hours.map(rule).into_iter().collect();
        let org = &json(&orgs)["orgs"][0]["id"];
        let body = serde_json::json!({ "orgID": org, "name": name, "retentionRules": rules });
        let kind = [("Content-Type", "application/json")];
        let (status, answer) = self.request("POST", "/api/v2/buckets", &kind, &body.to_string());
        assert_eq!(status, 201, "{body}: {answer}");
    }

    /// Takes points out, by RFC 3339 times and a predicate such as `_measurement="m" AND "t"="a"`.
    pub fn delete(&self, start: &str, stop: &str, predicate: &str) {
        self.delete_in(Self::BUCKET, start, stop, predicate);
    }

    /// The same in another bucket.
    pub fn delete_in(&self, bucket: &str, start: &str, stop: &str, predicate: &str) {
        let path = format!("/api/v2/delete?org={}&bucket={bucket}", Self::ORG);
        let predicate = predicate.replace('"', "\\\"");
        let body = format!(r#"{{"start":"{start}","stop":"{stop}","predicate":"{predicate}"}}"#);
        let kind = [("Content-Type", "application/json")];
        let (status, answer) = self.request("POST", &path, &kind, &body);
        assert_eq!(status, 204, "{body}: {answer}");
    }

    /// Runs a query of InfluxDB's other language: CSV with a line for each row, after one with the columns' names.
    pub fn influxql(&self, query: &str) -> String {
        let path = format!("/query?db={}&q={}", Self::BUCKET, escaped(query));
        let (status, body) = self.request("GET", &path, &[("Accept", "application/csv")], "");
        assert_eq!(status, 200, "{query}: {body}");
        body
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let authorization = format!("Token {}", Self::TOKEN);
        let headers = [headers, &[("Authorization", authorization.as_str())]].concat();
        request(&self.url, method, path, &headers, body)
            .unwrap_or_else(|error| panic!("{}{path}: {error}", self.url))
    }

    /// Runs a Flux query: one map from column to text for each row of each table.
    pub fn query_flux(&self, flux: &str) -> Vec<BTreeMap<String, String>> {
        let path = format!("/api/v2/query?org={}", Self::ORG);
        let headers = [("Content-Type", "application/vnd.flux"), ("Accept", "text/csv")];
        let (status, body) = self.request("POST", &path, &headers, flux);
        assert_eq!(status, 200, "{flux}: {body}");
        // Tables are separated by an empty line, and each begins with the names of its columns.
        let mut rows = Vec::new();
        let mut columns: Vec<String> = Vec::new();
        for row in csv(&body) {
            if row.iter().all(String::is_empty) {
                columns.clear();
            } else if columns.is_empty() {
                columns = row;
            } else {
                rows.push(
                    columns
                        .iter()
                        .cloned()
                        .zip(row)
                        .filter(|(column, _)| !column.is_empty())
                        .collect(),
                );
            }
        }
        rows
    }

    fn is_ready(&self) -> bool {
        request(&self.url, "GET", "/health", &[], "").is_ok_and(|(status, _)| status == 200)
    }
}

fn set_up(script: &str, url: &str) {
    let output = start_script(script).arg(url).output().expect("bash and curl are needed");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&said));
}
