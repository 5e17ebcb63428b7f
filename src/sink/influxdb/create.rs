//! Makes a database or a bucket that is missing, if asked.
//!
//! InfluxDB 1 and 2 say of a write that its place is missing, so that nothing is asked beforehand, and
//! no right is needed where all is there. InfluxDB 3 makes a database by itself with the first write,
//! and without a retention, so it is asked before that.
//!
//! Sources: InfluxDB 1.8's `services/httpd/handler.go` and `services/meta/client.go`, 2.7's
//! `tenant/http_server_bucket.go`, 3's `influxdb3_server/src/http.rs`.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tracing::info;

use super::{add_headers, place};
use crate::config::{self, Create, InfluxApi};
use crate::route::Destination;
use crate::sink::SinkError;
use crate::sink::http::{Answer, Http};

/// What this process has made, and what InfluxDB 3 has said to be there.
#[derive(Debug, Default)]
pub(super) struct Made(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    /// No more than `at_most`.
    made: BTreeSet<Destination>,
    there: BTreeSet<Destination>,
}

/// Beyond these InfluxDB 3 is asked again.
const MOST_THERE: usize = 10_000;

/// A request for one destination.
pub(super) struct Creation<'a> {
    pub(super) http: &'a Http,
    pub(super) config: &'a config::InfluxDb,
    pub(super) create: &'a Create,
    pub(super) made: &'a Made,
    pub(super) destination: &'a Destination,
}

/// Whether a write has failed because its place is missing, which can be made.
pub(super) fn is_missing(answer: &Answer, api: &InfluxApi) -> bool {
    let says = |text: &str| answer.body.contains(text);
    match api {
        InfluxApi::V1 { .. } => {
            (answer.status == StatusCode::NOT_FOUND && says("database not found"))
                || is_policy_missing(answer)
        }
        // An organisation that is missing is a 404, too.
        InfluxApi::V2 { .. } => {
            answer.status == StatusCode::NOT_FOUND && says("bucket ") && says("\"not found\"")
        }
        InfluxApi::V3 { .. } => false,
    }
}

/// InfluxDB 1 answers with a 500.
fn is_policy_missing(answer: &Answer) -> bool {
    answer.status.is_server_error() && answer.body.contains("retention policy not found")
}

impl Creation<'_> {
    /// Makes what a write was refused for, unless it is there meanwhile.
    pub(super) async fn make_missing(&self, refusal: &Answer) -> Result<(), SinkError> {
        self.limit()?;
        match &self.config.api {
            InfluxApi::V1 { .. } if is_policy_missing(refusal) => self.influxql(true).await,
            InfluxApi::V1 { .. } => self.influxql(false).await,
            InfluxApi::V2 { org, bucket } => {
                self.bucket(org, self.destination.bucket().unwrap_or(bucket)).await
            }
            InfluxApi::V3 { .. } => Ok(()),
        }
    }

    /// Has InfluxDB 3 make its database before the first write of this process.
    pub(super) async fn make_first(&self) -> Result<(), SinkError> {
        let InfluxApi::V3 { database, .. } = &self.config.api else {
            return Ok(());
        };
        if self.places().is_there(self.destination) {
            return Ok(());
        }
        self.limit()?;
        let database = self.destination.database().unwrap_or(database);
        let mut body = json!({ "db": database });
        if let Some(retention) = self.create.retention {
            body["retention_period"] = in_hours(retention).into();
        }
        let answer = self.post("api/v3/configure/database", &body).await?;
        match answer.status {
            status if status.is_success() => self.has_made(),
            StatusCode::CONFLICT => self.places().take_there(self.destination),
            _ => return Err(self.refused(&answer)),
        }
        Ok(())
    }

    async fn bucket(&self, org: &str, bucket: &str) -> Result<(), SinkError> {
        let mut url = self.url("api/v2/orgs");
        url.query_pairs_mut().append_pair("org", org);
        let answer = self.http.get(&url, self.headers("application/json")?).await?;
        let found: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let org_id = match found["orgs"][0]["id"].as_str() {
            Some(id) if answer.status.is_success() => id,
            // A write takes an id for a name.
            _ if answer.status == StatusCode::NOT_FOUND => org,
            _ => return Err(self.refused(&answer)),
        };
        let retention = self.create.retention.map_or(0, |retention| retention.as_secs());
        let rules = json!([{ "type": "expire", "everySeconds": retention }]);
        let body = json!({ "orgID": org_id, "name": bucket, "retentionRules": rules });
        let answer = self.post("api/v2/buckets", &body).await?;
        // By another worker.
        let is_there = answer.status == StatusCode::UNPROCESSABLE_ENTITY
            && answer.body.contains("already exists");
        match answer.status {
            status if status.is_success() => self.has_made(),
            _ if is_there => {}
            _ => return Err(self.refused(&answer)),
        }
        Ok(())
    }

    /// InfluxDB 1: a database with its first retention policy, or another policy of it.
    async fn influxql(&self, policy_only: bool) -> Result<(), SinkError> {
        let InfluxApi::V1 { database, retention_policy, .. } = &self.config.api else {
            return Ok(());
        };
        let database = self.destination.database().unwrap_or(database);
        let policy = self.destination.retention_policy().or(retention_policy.as_deref());
        let query = statement(database, policy, self.create.retention, policy_only);
        let mut form = self.url("query");
        form.query_pairs_mut().clear().append_pair("q", &query);
        let body = form.query().unwrap_or_default().to_owned();
        let headers = self.headers("application/x-www-form-urlencoded")?;
        let answer = self.http.exchange(&self.url("query"), headers, Bytes::from(body)).await?;
        let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        match said["results"][0].as_object() {
            Some(result) if answer.status.is_success() && !result.contains_key("error") => {
                self.has_made();
                Ok(())
            }
            _ => Err(self.refused(&answer)),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Answer, SinkError> {
        let headers = self.headers("application/json")?;
        let body = Bytes::from(body.to_string());
        Ok(self.http.exchange(&self.url(path), headers, body).await?)
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.http.address(self.destination);
        let base = self.destination.path();
        let base = base.unwrap_or_else(|| super::base_path(self.config));
        url.set_path(&format!("{}/{path}", base.trim_end_matches('/')));
        url.set_query(None);
        url
    }

    fn headers(&self, kind: &'static str) -> Result<HeaderMap, SinkError> {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        add_headers(self.destination, &mut headers)?;
        Ok(headers)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.made.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_made(&self) {
        let retention = self.create.retention.map(in_hours);
        let place = self.place();
        info!(place, retention, "was missing, and is created");
        self.places().made.insert(self.destination.clone());
    }

    fn place(&self) -> String {
        place(&self.config.api, self.destination).name
    }

    /// Records that name ever new places by mistake would make them all.
    fn limit(&self) -> Result<(), SinkError> {
        let most = self.create.at_most.get();
        let places = self.places();
        if places.made.contains(self.destination) || places.made.len() < most {
            return Ok(());
        }
        let place = self.place();
        let reason = format!(
            "{place} is missing, and is not created: this process has created {most} already, which \
             is the limit (`create.at_most`)"
        );
        Err(SinkError::Misconfigured { reason })
    }

    fn refused(&self, answer: &Answer) -> SinkError {
        if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
            return answer.unavailable();
        }
        let (place, said) = (self.place(), answer.reason());
        let reason = format!(
            "{place} is missing, and can't be created: {said}; create it, or give this login the \
             right to"
        );
        SinkError::Misconfigured { reason }
    }
}

impl Places {
    fn is_there(&self, destination: &Destination) -> bool {
        self.made.contains(destination) || self.there.contains(destination)
    }

    fn take_there(&mut self, destination: &Destination) {
        if self.there.len() >= MOST_THERE {
            self.there.clear();
        }
        self.there.insert(destination.clone());
    }
}

fn statement(
    database: &str,
    policy: Option<&str>,
    retention: Option<Duration>,
    policy_only: bool,
) -> String {
    let database = quoted(database);
    let duration = retention.map(in_hours);
    if let (true, Some(policy)) = (policy_only, policy) {
        let duration = duration.unwrap_or_else(|| "INF".into());
        let policy = quoted(policy);
        return format!(
            "CREATE RETENTION POLICY {policy} ON {database} DURATION {duration} REPLICATION 1"
        );
    }
    let duration = duration.map(|duration| format!(" DURATION {duration}"));
    let name = policy.map(|policy| format!(" NAME {}", quoted(policy)));
    let with = [duration, name].into_iter().flatten().collect::<String>();
    let with = if with.is_empty() { with } else { format!(" WITH{with}") };
    format!("CREATE DATABASE {database}{with}")
}

/// A name as a statement has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// As all three versions read it; the configuration has whole hours.
fn in_hours(retention: Duration) -> String {
    format!("{}h", retention.as_secs() / 3600)
}

/// What a check says of a place that is missing.
pub(super) fn would_be(create: &Create) -> String {
    let kept = create.retention.map_or_else(
        || "for ever".to_owned(),
        |retention| format!("for {}", humantime::format_duration(retention)),
    );
    format!("is missing, and would be created, to keep points {kept}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names_in_a_statement() {
        let month = Some(Duration::from_hours(720));
        let table = [
            (statement("a", None, None, false), "CREATE DATABASE \"a\""),
            (statement("a", None, month, false), "CREATE DATABASE \"a\" WITH DURATION 720h"),
            (
                statement("a\"; DROP", Some("w\\"), month, false),
                "CREATE DATABASE \"a\\\"; DROP\" WITH DURATION 720h NAME \"w\\\\\"",
            ),
            (statement("a", Some("w"), None, false), "CREATE DATABASE \"a\" WITH NAME \"w\""),
            (
                statement("a", Some("w"), None, true),
                "CREATE RETENTION POLICY \"w\" ON \"a\" DURATION INF REPLICATION 1",
            ),
        ];
        for (statement, expected) in table {
            assert_eq!(statement, expected);
        }
    }
}
