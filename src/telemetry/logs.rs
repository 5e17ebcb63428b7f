//! The log: lines on standard error, and how much of them, which can be changed while it runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt as lines};

use super::since_epoch;
use crate::config::raw::LogFormat;

/// What the level of everything is called.
const ROOT: &str = "root";
/// Loggers of which a level is set. More than a person would.
const MOST: usize = 100;

/// Sends log lines to standard error. `TIDEGATE_LOG` (such as `debug` or `tidegate=debug`) chooses
/// how much; in normal operation there is nothing to say.
pub fn log_to_stderr(format: LogFormat) -> Levels {
    let given = std::env::var("TIDEGATE_LOG").unwrap_or_default();
    let given = if EnvFilter::try_new(&given).is_ok() { given } else { String::new() };
    let levels = Set { given, own: BTreeMap::new() };
    let (filter, handle) = reload::Layer::new(levels.filter());
    let out = lines::layer().with_writer(std::io::stderr);
    let out = match format {
        LogFormat::Text => out.with_target(false).boxed(),
        LogFormat::Json => out.json().boxed(),
    };
    // An error means that a subscriber is set already, as in tests: it stays.
    let _ = tracing_subscriber::registry().with(filter).with(out).try_init();
    Levels { set: Arc::new(Mutex::new(levels)), handle: Some(handle) }
}

/// How much is logged, by the module that a line comes from. Clones are the same.
#[derive(Clone, Default)]
pub struct Levels {
    set: Arc<Mutex<Set>>,
    handle: Option<Handle<EnvFilter, Registry>>,
}

/// How much, in the words that Kafka Connect's tools use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// A logger's level, and when it was set, in milliseconds since the epoch; never for one that is as it
/// was at the start.
pub type Logger = (Level, Option<u64>);

#[derive(Debug, Default)]
struct Set {
    /// What `TIDEGATE_LOG` says.
    given: String,
    own: BTreeMap<String, (Level, u64)>,
}

impl Set {
    fn filter(&self) -> EnvFilter {
        let given = if self.given.is_empty() { "info" } else { &self.given };
        let own = self.own.iter().map(|(name, (level, _))| match name.as_str() {
            ROOT => level.word().to_lowercase(),
            name => format!("{name}={}", level.word().to_lowercase()),
        });
        let all: Vec<_> = std::iter::once(given.to_owned()).chain(own).collect();
        EnvFilter::new(all.join(","))
    }
}

impl Levels {
    /// Every logger of which a level is set, and the root.
    pub fn all(&self) -> BTreeMap<String, Logger> {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let given = set.given.parse().unwrap_or(Level::Info);
        let root = std::iter::once((ROOT.to_owned(), (given, None)));
        let own = set.own.iter().map(|(name, (level, at))| (name.clone(), (*level, Some(*at))));
        root.chain(own).collect()
    }

    /// Sets a logger's level: of a module such as `tidegate::deliver` or `librdkafka`, with all below
    /// it, or of everything. `false` when that is no module's name, or too many are set.
    pub fn set(&self, logger: &str, level: Level) -> bool {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':');
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        if logger.is_empty() || !logger.bytes().all(legal) || set.own.len() >= MOST {
            return false;
        }
        let now = u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX);
        set.own.insert(logger.to_owned(), (level, now));
        // An error means that the subscriber is gone, and all logging with it.
        let _ = self.handle.as_ref().map(|handle| handle.reload(set.filter()));
        true
    }
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Levels").field(&self.all()).finish()
    }
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }
}

impl std::str::FromStr for Level {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Ok(match word.to_ascii_uppercase().as_str() {
            "OFF" => Self::Off,
            "FATAL" | "ERROR" => Self::Error,
            "WARN" => Self::Warn,
            "INFO" => Self::Info,
            "DEBUG" => Self::Debug,
            "TRACE" | "ALL" => Self::Trace,
            _ => return Err(()),
        })
    }
}
