//! A look at a connector's messages: those that arrive becoming points, and its dead letters. No group
//! is joined and nothing is committed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connect::named;
use super::route::{Answer, Call, Refusal, Reply, Route, Verb};
use crate::config::{Connector, Topics};
use crate::dead_letter::{Account, DeadLetters, Origin, Replayed};
use crate::excerpt::{Spot, lines};
use crate::kafka::KafkaError;
use crate::kafka::range::Bound;
use crate::record::{OwnedRecord, Record as _, TopicPartition};
use crate::trial::source::{Messages, Place, SourceError};
use crate::trial::{Outcome, Trial, Written, shown};

/// How long brokers may take for each answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Looks at one time, each of which has a consumer.
const MOST_AT_ONCE: usize = 4;
const MOST_MESSAGES: u32 = 100;
/// Letters are looked for among so many, the last of each partition.
const LAST_LETTERS: u32 = 1000;
/// How much of a message is shown, about, in bytes.
const SHOWN: usize = 2048;

pub(super) const ROUTES: &[Route] = &[
    Route {
        verb: Verb::Get,
        path: "/connectors/{name}/preview",
        about: "What the connector makes of messages, as `tidegate preview` does: it joins no group, \
                commits nothing and writes nothing",
        query: &[
            ("n", "integer", "how many messages, from 1 to 100; 10 unless set"),
            ("from", "string", "`latest` (the newest; unless set), `earliest`, or an offset"),
            ("topic", "string", "only this one of the connector's topics"),
            ("partition", "integer", "only this partition"),
        ],
        body: None,
        codes: &[200, 409, 429, 500],
        answer: preview,
    },
    Route {
        verb: Verb::Get,
        path: "/connectors/{name}/dead-letters",
        about: "The newest dead letters, with the place marked that the reason speaks of",
        query: &[
            ("n", "integer", "how many, from 1 to 100; 20 unless set"),
            ("reason", "string", "only those whose reason has this text in it"),
        ],
        body: None,
        codes: &[200, 409, 429, 500],
        answer: dead_letters,
    },
];

/// Turns for those who look.
#[derive(Debug, Clone)]
pub(crate) struct Looks(Arc<Semaphore>);

impl Default for Looks {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_AT_ONCE)))
    }
}

impl Looks {
    fn turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let busy = |_| Refusal::new(429, "others look at messages now; ask again in a second");
        Arc::clone(&self.0).try_acquire_owned().map_err(busy)
    }
}

fn preview(call: &Call) -> Answer {
    let connector = named(call)?.config;
    let count = number(call, "n", 10)?;
    let place = call.query("from").unwrap_or("latest");
    let place = Place::named(place)
        .ok_or_else(|| Refusal::bad("`from` is `latest`, `earliest` or an offset"))?;
    let partition = call.query("partition").map(|text| {
        let number = text.parse().ok().filter(|number: &i32| *number >= 0);
        number.ok_or_else(|| Refusal::bad("`partition` is a whole number from 0"))
    });
    let partition = partition.transpose()?;
    let connector = match call.query("topic") {
        Some(topic) => Arc::new(only(&connector, topic)?),
        None => connector,
    };
    let _turn = call.served.looks.turn()?;
    let mut trial = Trial::new(&connector)
        .map_err(|error| Refusal::new(409, format!("the sink can't be made: {error}")))?;
    let mut messages = Messages::of_topics(&connector, place, partition, count, WITHIN)
        .map_err(|error| unreadable(&error))?;
    let mut all = Vec::new();
    while let Some(record) = messages.next().map_err(|error| unreadable(&error))? {
        let outcome = trial.run(&record).map_err(|error| Refusal::new(409, error.to_string()))?;
        all.push(message(&record, &outcome, &trial.written(&record)));
    }
    Reply::ok(json!({ "messages": all }))
}

/// The connector, as if it read this one of its topics.
fn only(connector: &Connector, topic: &str) -> Result<Connector, Refusal> {
    if !connector.topics.matcher()(topic) {
        return Err(Refusal::new(404, format!("the connector does not read the topic {topic}")));
    }
    Ok(Connector { topics: Topics::List(vec![topic.to_owned()]), ..connector.clone() })
}

fn message(record: &OwnedRecord, outcome: &Outcome, written: &[Written]) -> Value {
    let spot = match outcome {
        Outcome::Rejected(reject) => Spot::of(&reject.reason),
        Outcome::Points(_) | Outcome::Excluded => None,
    };
    let mut object = shown::message(record, outcome, written);
    object["shown"] = excerpt(record, spot.as_ref());
    object
}

fn dead_letters(call: &Call) -> Answer {
    let dead = letters_of(call)?;
    let count = number(call, "n", 20)?;
    let _turn = call.served.looks.turn()?;
    let all = dead.reader(Bound::Beginning, Bound::End).map_err(|error| refused(&error))?;
    let replayed = dead.replayed(all.partitions()).map_err(|error| refused(&error))?;
    let (left, _) = replayed.left(all.partitions());
    drop(all);
    let last = Bound::Last(LAST_LETTERS);
    let mut reader = dead.reader(last, Bound::End).map_err(|error| refused(&error))?;
    let newest = dead
        .newest(&mut reader, count as usize, call.query("reason"), |_| {})
        .map_err(|error| refused(&error))?;
    let letters: Vec<_> = newest.iter().map(|one| letter(one, &replayed)).collect();
    Reply::ok(json!({
        "topic": dead.topic,
        "not_replayed": left,
        "replay": call.served.replays.get(&dead.connector.name),
        "letters": letters,
    }))
}

fn letter(letter: &OwnedRecord, replayed: &Replayed) -> Value {
    let partition = TopicPartition { topic: letter.topic.clone(), partition: letter.partition };
    let account = Account::of(letter);
    let spot = account.as_ref().and_then(|account| Spot::of(&account.reason));
    json!({
        "partition": letter.partition,
        "offset": letter.offset.0,
        "timestamp": letter.timestamp_millis
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
            .map(|time| time.to_string()),
        "origin": account.as_ref().and_then(|account| account.origin.as_ref()).map(Origin::to_json),
        "stage": account.as_ref().map(|account| &account.stage),
        "reason": account.as_ref().map(|account| &account.reason),
        "key": letter.key().map(shown::text_or_base64),
        "bytes": letter.value().map(<[u8]>::len),
        "shown": excerpt(letter, spot.as_ref()),
        "replayed": replayed.includes(&partition, letter.offset),
    })
}

/// A message's lines, with the place marked.
fn excerpt(record: &OwnedRecord, spot: Option<&Spot>) -> Value {
    json!(lines(record.value.as_deref().unwrap_or_default(), spot, SHOWN))
}

/// A connector's dead letters.
pub(super) fn letters_of(call: &Call) -> Result<DeadLetters, Refusal> {
    let connector = named(call)?.config;
    DeadLetters::of(connector, None, WITHIN).ok_or_else(|| {
        Refusal::new(409, "the connector has no dead-letter topic: a rejected record stops it")
    })
}

fn number(call: &Call, name: &str, unless_set: u32) -> Result<u32, Refusal> {
    let Some(text) = call.query(name) else { return Ok(unless_set) };
    let number = text.parse().ok().filter(|number| (1..=MOST_MESSAGES).contains(number));
    number.ok_or_else(|| Refusal::bad(format!("`{name}` is a number from 1 to {MOST_MESSAGES}")))
}

fn unreadable(error: &SourceError) -> Refusal {
    match error {
        SourceError::Kafka(error) => refused(error),
        SourceError::NoPartition(_) => Refusal::new(404, error.to_string()),
        SourceError::File { .. } => Refusal::new(500, error.to_string()),
    }
}

fn refused(error: &KafkaError) -> Refusal {
    let code = if error.is_missing() { 409 } else { 500 };
    Refusal::new(code, format!("Kafka: {}", error.reason))
}
