//! The registry's REST API.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Fetched, Id, Trouble};
use crate::config;
use crate::sink::BuildError;
use crate::sink::http::Http;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json, application/json";
const TIMEOUT: Duration = Duration::from_secs(10);
/// A schema and all that it refers to may have so much text.
const MOST_TEXT: usize = 8 * 1024 * 1024;
const MOST_REFERENCES: usize = 200;
/// The codes of the API for a schema, a subject and a version that are not there.
const NOT_FOUND: [u32; 3] = [40403, 40401, 40402];

/// The addresses of one registry.
pub(super) struct Client {
    /// At least one.
    servers: Vec<(Url, Http)>,
}

#[derive(Debug, Deserialize)]
struct Schema {
    #[serde(rename = "schema")]
    text: String,
    #[serde(rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

#[derive(Debug, Deserialize)]
struct Problem {
    error_code: u32,
    #[serde(default)]
    message: String,
}

impl Client {
    pub(super) fn new(config: &config::Registry) -> Result<Self, BuildError> {
        let server = |url: &String| {
            let url = crate::sink::http::parse_url(url)?;
            Ok((url.clone(), Http::new(url, &config.http, TIMEOUT)?))
        };
        Ok(Self { servers: config.urls.iter().map(server).collect::<Result<_, _>>()? })
    }

    /// A schema, with those that it refers to.
    pub(super) async fn fetch(&self, id: Id) -> Result<Fetched, Trouble> {
        let id_text = id.to_string();
        let path = match id {
            Id::Number(_) => ["schemas", "ids", &id_text],
            Id::Guid(_) => ["schemas", "guids", &id_text],
        };
        let main: Schema = self.get(&path, None).await?;
        let mut texts = main.text.len();
        let mut references = Vec::new();
        let mut seen = HashSet::new();
        // What is still to be looked at; a schema goes into the list behind those that it needs.
        let mut open: Vec<(Reference, Option<String>)> =
            main.references.into_iter().rev().map(|reference| (reference, None)).collect();
        while let Some((reference, text)) = open.pop() {
            if let Some(text) = text {
                references.push((reference.name, text));
                continue;
            }
            if !seen.insert((reference.name.clone(), reference.subject.clone(), reference.version))
            {
                continue;
            }
            let version = reference.version.to_string();
            let path = ["subjects", &reference.subject, "versions", &version];
            // What was deleted since may still be referred to.
            let found: Schema = self.get(&path, Some("deleted=true")).await?;
            texts += found.text.len();
            if seen.len() > MOST_REFERENCES || texts > MOST_TEXT {
                let why =
                    format!("it refers to more than {MOST_REFERENCES} schemas, or 8 MiB of them");
                return Err(Trouble::Unknown(why));
            }
            open.push((reference, Some(found.text)));
            open.extend(found.references.into_iter().rev().map(|reference| (reference, None)));
        }
        let kind = main.kind.unwrap_or_else(|| "AVRO".into());
        Ok(Fetched { kind, text: main.text, references })
    }

    /// The first answer of the registry's servers. An address that is away says nothing of what the others
    /// know.
    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Option<&str>,
    ) -> Result<T, Trouble> {
        let mut last = Trouble::Away("the registry has no address".into());
        for (url, http) in &self.servers {
            match ask(url, http, path, query).await {
                Err(Trouble::Away(reason)) => last = Trouble::Away(reason),
                answered => return answered,
            }
        }
        Err(last)
    }
}

async fn ask<T: DeserializeOwned>(
    url: &Url,
    http: &Http,
    path: &[&str],
    query: Option<&str>,
) -> Result<T, Trouble> {
    let mut url = url.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    if query.is_some() {
        url.set_query(query);
    }
    let response = http.request(|client| client.get(url.clone()).header(ACCEPT, MEDIA_TYPE)).await;
    let mut response = response.map_err(|error| Trouble::Away(error.to_string()))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(part) =
        response.chunk().await.map_err(|_| Trouble::Away("the answer broke off".into()))?
    {
        body.extend_from_slice(&part);
        if body.len() > MOST_TEXT {
            return Err(Trouble::Unknown("it has more than 8 MiB".into()));
        }
    }
    if status.is_success() {
        // Something else than a registry answers here, perhaps for now only.
        return serde_json::from_slice(&body)
            .map_err(|error| Trouble::Away(format!("the answer is no schema: {error}")));
    }
    let problem = serde_json::from_slice::<Problem>(&body).ok();
    Err(match problem {
        Some(problem)
            if status == StatusCode::NOT_FOUND && NOT_FOUND.contains(&problem.error_code) =>
        {
            let path = path.join("/");
            Trouble::Unknown(format!(
                "the registry does not have it (/{path}: {})",
                problem.error_code
            ))
        }
        Some(problem) => {
            let said = http.without_secrets(problem.message.chars().take(200).collect());
            Trouble::Away(format!("the registry answers {status}: {} {said}", problem.error_code))
        }
        None => Trouble::Away(format!("the registry answers {status}")),
    })
}
