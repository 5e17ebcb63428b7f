//! A Confluent-compatible schema registry: schemas by the ids that messages have.
//!
//! A registry that can't be reached is an outage: the record waits for it. A schema that it says it doesn't
//! have is a fault of the record. Since a decoder runs on its worker's thread, which has to look after its
//! partitions, a thread of its own asks the registry, and the decoder waits for a moment only.
//!
//! The API: <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>.

mod client;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::config;
use crate::dead_letter::ReasonKind;
use crate::decode::{DecodeError, Refusal};

use client::Client;

/// How many schemas are kept. A topic has a few; a message can name any.
const MOST_SCHEMAS: usize = 1000;
/// How long a decoder waits for an answer that is on its way.
const PATIENCE: Duration = Duration::from_secs(2);
/// After this, an id that the registry did not have is asked for again: it may have been behind.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// What a message calls its schema by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Id {
    Number(u32),
    Guid([u8; 16]),
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(out),
            Self::Guid(guid) => {
                for (index, byte) in guid.iter().enumerate() {
                    out.write_str(if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" })?;
                    write!(out, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

/// A schema as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// `AVRO`, `PROTOBUF` or `JSON`.
    pub kind: String,
    pub text: String,
    /// The schemas that it refers to, by the names that it has for them; each after those that it needs
    /// itself.
    pub references: Vec<(String, String)>,
}

impl Fetched {
    /// An error unless it is of this kind.
    pub fn check_kind(&self, kind: &str) -> Result<(), String> {
        if self.kind == kind { Ok(()) } else { Err(format!("it is {}, not {kind}", self.kind)) }
    }
}

/// Why there is no schema.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    /// The registry doesn't have it.
    Unknown(String),
    /// Nobody knows whether it has.
    Away(String),
}

type Answer = (Id, Result<Fetched, Trouble>);

/// The schemas of a registry, each read once.
pub struct Registry<S> {
    config: config::Registry,
    read: fn(&Fetched) -> Result<S, String>,
    schemas: HashMap<Id, Known<S>>,
    asked: HashSet<Id>,
    thread: Option<Thread>,
}

enum Known<S> {
    Schema(S),
    /// Why not, and since when.
    Wrong(String, Instant),
}

/// Ends when it is let go.
struct Thread {
    questions: Sender<Id>,
    answers: Receiver<Answer>,
}

impl<S> Registry<S> {
    /// Asks nothing yet. `read` makes a schema of what the registry has.
    pub fn new(config: config::Registry, read: fn(&Fetched) -> Result<S, String>) -> Self {
        let (schemas, asked) = (HashMap::new(), HashSet::new());
        Self { config, read, schemas, asked, thread: None }
    }

    /// The schema of this id.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] while it is not known whether there is one.
    pub fn schema(&mut self, id: Id) -> Result<&S, Refusal> {
        self.forget_what_may_have_changed(id);
        if !self.schemas.contains_key(&id) {
            self.fetch(id)?;
        }
        match self.schemas.get(&id) {
            Some(Known::Schema(schema)) => Ok(schema),
            Some(Known::Wrong(why, _)) => {
                let error = DecodeError::new(format!("schema {id}: {why}"));
                Err(error.of_kind(ReasonKind::UnknownSchema).into())
            }
            None => Err(Refusal::Unavailable(format!("schema {id} is being fetched"))),
        }
    }

    fn forget_what_may_have_changed(&mut self, id: Id) {
        if let Some(Known::Wrong(_, since)) = self.schemas.get(&id)
            && since.elapsed() > UNKNOWN_FOR
        {
            self.schemas.remove(&id);
        }
    }

    /// Asks, and takes in what is answered until the schema is there or patience ends.
    fn fetch(&mut self, id: Id) -> Result<(), Refusal> {
        let thread = match self.thread.take() {
            Some(thread) => thread,
            None => start(self.config.clone()).map_err(Refusal::Unavailable)?,
        };
        let thread = self.thread.insert(thread);
        let gone = || Refusal::Unavailable("the thread that asks the registry has ended".into());
        if self.asked.insert(id) && thread.questions.send(id).is_err() {
            self.thread = None;
            self.asked.clear();
            return Err(gone());
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let answer = match &self.thread {
                Some(thread) => thread.answers.recv_timeout(left),
                None => return Err(gone()),
            };
            match answer {
                Ok((answered, answer)) => {
                    let trouble = self.take_in(answered, answer);
                    if answered == id {
                        return trouble.map_or(Ok(()), |reason| Err(Refusal::Unavailable(reason)));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    self.thread = None;
                    self.asked.clear();
                    return Err(gone());
                }
            }
        }
    }

    /// Gives the reason of an outage.
    fn take_in(&mut self, id: Id, answer: Result<Fetched, Trouble>) -> Option<String> {
        self.asked.remove(&id);
        let known = match answer {
            Ok(fetched) => match (self.read)(&fetched) {
                Ok(schema) => Known::Schema(schema),
                Err(why) => Known::Wrong(why, Instant::now()),
            },
            Err(Trouble::Unknown(why)) => Known::Wrong(why, Instant::now()),
            Err(Trouble::Away(reason)) => return Some(format!("schema {id}: {reason}")),
        };
        if self.schemas.len() >= MOST_SCHEMAS {
            self.schemas.clear();
        }
        self.schemas.insert(id, known);
        None
    }
}

/// The reason can't be the configuration's: it has been checked.
fn start(config: config::Registry) -> Result<Thread, String> {
    let (questions, asked) = mpsc::channel::<Id>();
    let (answer, answers) = mpsc::channel();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let client = Client::new(&config);
        for id in asked {
            let answered = match (&runtime, &client) {
                (Ok(runtime), Ok(client)) => runtime.block_on(client.fetch(id)),
                (Err(error), _) => Err(Trouble::Away(error.to_string())),
                (_, Err(error)) => Err(Trouble::Away(error.to_string())),
            };
            if answer.send((id, answered)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("registry".into())
        .spawn(run)
        .map_err(|error| format!("can't start a thread: {error}"))?;
    Ok(Thread { questions, answers })
}

impl<S> fmt::Debug for Registry<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("schemas", &self.schemas.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
