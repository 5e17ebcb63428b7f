//! The other replicas, asked for their figures when somebody wants to see them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, header};
use reqwest::Client;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::debug;

use super::Replicas;
use crate::server::client;
use crate::server::figures::{Figures, Summary};

/// How long all of them may take, together.
const WITHIN: Duration = Duration::from_secs(1);
/// One that has not answered is left alone for so long: whoever looks must not wait each time.
const SILENT: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// A way to ask them; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Peers {
    client: Client,
    /// Those that have not answered, and when that was.
    silent: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl Peers {
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self { client: client(WITHIN)?, silent: Arc::default() })
    }

    /// What one of them has to say of its connectors.
    async fn ask(&self, worker: &str, shown: Option<&HeaderValue>) -> Result<Summary, String> {
        let mut request = self.client.get(format!("http://{worker}/summary?replica=this"));
        if let Some(shown) = shown {
            request = request.header(header::AUTHORIZATION, shown);
        }
        let failed = |error: reqwest::Error| error.to_string();
        let mut reply = request.send().await.map_err(failed)?;
        if !reply.status().is_success() {
            return Err(reply.status().to_string());
        }
        let mut body = Vec::new();
        while let Some(part) = reply.chunk().await.map_err(failed)? {
            body.extend_from_slice(&part);
            if body.len() > MOST_BYTES {
                return Err("the answer is too long".into());
            }
        }
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    }

    fn note(&self, worker: &str, answers: bool) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|_, since| since.elapsed() < SILENT);
        if !answers {
            silent.insert(worker.to_owned(), Instant::now());
        }
    }

    fn is_silent(&self, worker: &str) -> bool {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.get(worker).is_some_and(|since| since.elapsed() < SILENT)
    }
}

impl Replicas {
    /// The figures of the connectors at the other replicas: of those that answer. They are shown what
    /// this one was.
    pub(in crate::server) fn figures(
        &self,
        shown: Option<&HeaderValue>,
        runtime: &Handle,
    ) -> Vec<Figures> {
        let workers = self.table().others();
        let mut asked = JoinSet::new();
        for worker in workers.into_iter().filter(|worker| !self.peers.is_silent(worker)) {
            let (peers, shown) = (self.peers.clone(), shown.cloned());
            let ask = async move {
                let answer = peers.ask(&worker, shown.as_ref()).await;
                peers.note(&worker, answer.is_ok());
                if let Err(reason) = &answer {
                    debug!(worker, reason, "a replica has not answered");
                }
                answer
            };
            asked.spawn_on(ask, runtime);
        }
        let answers = runtime.block_on(asked.join_all());
        answers.into_iter().flatten().flat_map(|summary| summary.connectors).collect()
    }
}
