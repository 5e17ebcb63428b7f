//! Reload: changed files → just those connectors that are others now, without losing their place.
//!
//! SIGHUP, a changed file and `POST /reload` all end here, one after the other. All files are read and
//! checked before anything is touched: where one is broken, everything runs on as it was.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{error, info, warn};

use crate::config::{self, Configuration, Environment, Errors, Process};
use crate::connector::StartError;
use crate::connectors::{Changes, Connectors, Order};
use crate::telemetry::Reloads;

/// Where a process's configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// `tidegate.yaml`, if there is one.
    pub process: Option<PathBuf>,
    /// Connector files, and folders of them.
    pub paths: Vec<PathBuf>,
}

impl Files {
    pub fn load(&self) -> Result<Configuration, Errors> {
        config::load(self.process.as_deref(), &self.paths, &Environment::process())
    }

    /// Something that is another when a file is: written anew, put in place of another, or reached
    /// over a link that leads elsewhere now, as Kubernetes changes a `ConfigMap`.
    pub fn mark(&self) -> Mark {
        let of = |file: &Path| {
            let found = std::fs::metadata(file).ok()?;
            Some([
                found.dev(),
                found.ino(),
                found.len(),
                found.ctime_nsec().cast_unsigned(),
                found.ctime().cast_unsigned(),
            ])
        };
        let files = config::sources(self.process.as_deref(), &self.paths);
        Mark(files.into_iter().map(|file| (of(&file), file)).collect())
    }
}

/// See [`Files::mark`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(Vec<(Option<[u64; 5]>, PathBuf)>);

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("{0}")]
    Configuration(#[from] Errors),
    #[error("{0}")]
    Start(#[from] StartError),
}

/// Something that was wrong in the last reload.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Mistake {
    /// None where it is no file's.
    pub file: Option<String>,
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub message: String,
}

impl ReloadError {
    fn mistakes(&self) -> Vec<Mistake> {
        let of = |error: &config::Error| Mistake {
            file: Some(error.file.display().to_string()),
            line: error.place.map(|(line, _)| line),
            column: error.place.map(|(_, column)| column),
            message: error.message.clone(),
        };
        match self {
            Self::Configuration(errors) => errors.iter().map(of).collect(),
            Self::Start(error) => {
                vec![Mistake { file: None, line: None, column: None, message: error.to_string() }]
            }
        }
    }
}

/// Takes changed files in. Clones are the same one.
#[derive(Clone)]
pub struct Reload {
    files: Arc<Files>,
    connectors: Connectors,
    pub counts: Reloads,
    /// What `tidegate.yaml` said at the start, of what can't be changed later.
    started: Arc<Process>,
    /// What it says now; and that there is one reload at a time.
    process: Arc<Mutex<Process>>,
    mistakes: Arc<Mutex<Vec<Mistake>>>,
}

impl Reload {
    pub fn new(files: Files, connectors: Connectors, process: Process) -> Self {
        let (files, started) = (Arc::new(files), Arc::new(process.clone()));
        let process = Arc::new(Mutex::new(process));
        let (counts, mistakes) = (Reloads::default(), Arc::default());
        Self { files, connectors, counts, started, process, mistakes }
    }

    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What all connectors share, as it was taken in last.
    pub fn process(&self) -> Process {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was wrong in the last reload; empty after one that was taken in.
    pub fn mistakes(&self) -> Vec<Mistake> {
        self.mistakes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads all files, and changes what they say otherwise than before. `why` is for the log.
    pub fn now(&self, why: &str) -> Result<Changes, ReloadError> {
        self.with(why, None)
    }

    /// The same, and a connector that is new then gets this order first.
    pub fn with(&self, why: &str, first: Option<(&str, &Order)>) -> Result<Changes, ReloadError> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.files.load().map_err(ReloadError::from).and_then(|loaded| {
            tell_what_waits(&self.started, &loaded.process);
            let changes = self.connectors.apply(loaded.connectors, first)?;
            *process = loaded.process;
            Ok(changes)
        });
        self.counts.ended(changes.is_ok());
        *self.mistakes.lock().unwrap_or_else(PoisonError::into_inner) =
            changes.as_ref().err().map(ReloadError::mistakes).unwrap_or_default();
        match &changes {
            Ok(changes) if changes.is_empty() => {}
            Ok(Changes { added, changed, removed }) => {
                info!(why, ?added, ?changed, ?removed, "the configuration was reloaded");
            }
            Err(reason) => {
                error!(why, %reason, "the configuration was not reloaded; all runs on as before");
            }
        }
        changes
    }
}

/// What a running process can't change.
fn tell_what_waits(old: &Process, new: &Process) {
    let server = |process: &Process| {
        let Process { listen, advertise, token_file, connectors, connectors_topic, .. } =
            process.clone();
        (listen, advertise, token_file, connectors, connectors_topic)
    };
    if server(old) != server(new) || old.log != new.log || old.watch != new.watch {
        warn!("`server`, `log` or `watch` in tidegate.yaml has changed: that waits for a restart");
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("files", &self.files).finish_non_exhaustive()
    }
}
