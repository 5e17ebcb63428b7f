//! Dashboards and rules into a running Grafana, or rules into a Mimir ruler, by their APIs.
//!
//! Idempotent: everything has the same uid or group at every run, and is replaced. What is there and does not
//! bear Tidegate's mark is left alone, and is an error.
//! <https://grafana.com/docs/grafana/latest/developers/http_api/>,
//! <https://grafana.com/docs/mimir/latest/references/http-api/#ruler>

use std::time::Duration;

use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};

use super::rules::{self, Group};
use super::{FOLDER, FOLDER_UID, OWNED};
use crate::config::Secret;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an answer a message shows.
const SHOWN: usize = 300;

/// What could not be put in its place, and why.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct ApplyError {
    what: String,
    why: String,
}

/// A server's API, below one address.
pub struct Api {
    client: Client,
    base: Url,
    token: Option<Secret>,
    tenant: Option<String>,
}

impl Api {
    /// `token` goes into `Authorization: Bearer`, `tenant` into `X-Scope-OrgID`.
    pub fn new(
        base: Url,
        token: Option<Secret>,
        tenant: Option<String>,
    ) -> Result<Self, ApplyError> {
        // Fails when there is one already, which serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| failed("the HTTP client", &error))?;
        Ok(Self { client, base, token, tenant })
    }

    /// Makes the folder, puts the dashboards into it, and the groups' rules, which ask `data_source`.
    /// Returns what was done, a line each.
    pub async fn apply_to_grafana(
        &self,
        dashboards: &[Value],
        groups: &[(Group, String)],
    ) -> Result<Vec<String>, ApplyError> {
        let mut done = Vec::new();
        self.folder().await?;
        for dashboard in dashboards {
            self.dashboard(dashboard).await?;
            done.push(format!("dashboard {}", dashboard["title"].as_str().unwrap_or_default()));
        }
        for (group, data_source) in groups {
            self.rule_group(group, data_source).await?;
            done.push(format!("alert rules {FOLDER}/{}", group.name));
        }
        Ok(done)
    }

    /// Puts the groups into the ruler's namespace, which is Tidegate's.
    pub async fn apply_to_ruler(&self, groups: &[Group]) -> Result<Vec<String>, ApplyError> {
        let mut done = Vec::new();
        for group in groups {
            let what = format!("rule group {FOLDER_UID}/{}", group.name);
            let path = ["prometheus", "config", "v1", "rules", FOLDER_UID];
            let body = rules::prometheus::one(group);
            let (status, answer) =
                self.send(Method::POST, &path, "application/yaml", Some(body), &what).await?;
            if !status.is_success() {
                return Err(refused(&what, status, &answer));
            }
            done.push(what);
        }
        Ok(done)
    }

    async fn folder(&self) -> Result<(), ApplyError> {
        let what = format!("folder {FOLDER}");
        let (status, answer) = self.get(&["api", "folders", FOLDER_UID], &what).await?;
        if status.is_success() {
            return Ok(());
        }
        if status != StatusCode::NOT_FOUND {
            return Err(refused(&what, status, &answer));
        }
        let folder = json!({ "uid": FOLDER_UID, "title": FOLDER });
        let (status, answer) = self.json(Method::POST, &["api", "folders"], &folder, &what).await?;
        // Another run has made it meanwhile.
        if status.is_success() || status == StatusCode::CONFLICT {
            return Ok(());
        }
        Err(refused(&what, status, &answer))
    }

    async fn dashboard(&self, dashboard: &Value) -> Result<(), ApplyError> {
        let uid = dashboard["uid"].as_str().unwrap_or_default();
        let what = format!("dashboard {uid}");
        let (status, answer) = self.get(&["api", "dashboards", "uid", uid], &what).await?;
        if status.is_success() {
            let there: Value = serde_json::from_str(&answer).unwrap_or_default();
            let tags = there["dashboard"]["tags"].as_array();
            if !tags.is_some_and(|tags| tags.contains(&Value::from(OWNED.1))) {
                let why = format!("one with this uid is there without the tag `{}`", OWNED.1);
                return Err(failed(&what, &(why + "; rename it, or the connector")));
            }
        } else if status != StatusCode::NOT_FOUND {
            return Err(refused(&what, status, &answer));
        }
        let body = json!({ "dashboard": dashboard, "folderUid": FOLDER_UID, "overwrite": true,
            "message": "tidegate grafana apply" });
        let (status, answer) =
            self.json(Method::POST, &["api", "dashboards", "db"], &body, &what).await?;
        if status.is_success() { Ok(()) } else { Err(refused(&what, status, &answer)) }
    }

    async fn rule_group(&self, group: &Group, data_source: &str) -> Result<(), ApplyError> {
        let what = format!("rule group {}", group.name);
        let path = ["api", "v1", "provisioning", "folder", FOLDER_UID, "rule-groups", &group.name];
        let (status, answer) = self.get(&path, &what).await?;
        if status.is_success() {
            let there: Value = serde_json::from_str(&answer).unwrap_or_default();
            let mut rules = there["rules"].as_array().into_iter().flatten();
            if rules.any(|rule| rule["labels"][OWNED.0] != OWNED.1) {
                let why = format!("it has a rule without the label {}={}", OWNED.0, OWNED.1);
                return Err(failed(&what, &(why + "; move that rule to another group")));
            }
        } else if status != StatusCode::NOT_FOUND {
            return Err(refused(&what, status, &answer));
        }
        let body = rules::grafana::group(group, data_source);
        let (status, answer) = self.json(Method::PUT, &path, &body, &what).await?;
        if status.is_success() { Ok(()) } else { Err(refused(&what, status, &answer)) }
    }

    async fn get(&self, path: &[&str], what: &str) -> Result<(StatusCode, String), ApplyError> {
        self.send(Method::GET, path, "application/json", None, what).await
    }

    async fn json(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
        what: &str,
    ) -> Result<(StatusCode, String), ApplyError> {
        self.send(method, path, "application/json", Some(body.to_string()), what).await
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        kind: &str,
        body: Option<String>,
        what: &str,
    ) -> Result<(StatusCode, String), ApplyError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", kind).body(body);
        }
        // Without the address, which may hold a password.
        let no_answer = |error: reqwest::Error| failed(what, &error.without_url());
        let answer = request.send().await.map_err(no_answer)?;
        let status = answer.status();
        let text = answer.text().await.map_err(no_answer)?;
        Ok((status, text))
    }
}

fn failed(what: &str, why: &impl ToString) -> ApplyError {
    ApplyError { what: what.into(), why: why.to_string() }
}

fn refused(what: &str, status: StatusCode, answer: &str) -> ApplyError {
    let answer: String = answer.trim().chars().take(SHOWN).collect();
    failed(what, &format!("{status}: {answer}"))
}
