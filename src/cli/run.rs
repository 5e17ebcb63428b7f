//! `tidegate run`: runs connectors until it is asked to stop, or all have ended.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info};

use super::{BAD_CONFIGURATION, FAILED, STOPPED_AT_ONCE, process_file};
use crate::config::{Configuration, Process, is_address};
use crate::connector::State;
use crate::connectors::Connectors;
use crate::deliver;
use crate::reload::{Files, Mark, Reload};
use crate::server::{self, Looks, Replays, Replicas, Served};
use crate::telemetry::push::Push;
use crate::telemetry::traces::{Closing, Traces};
use crate::telemetry::{self, Levels};

/// How often the connectors' ends are looked for.
const WATCH: Duration = Duration::from_millis(100);
/// How often files are looked at. One that has changed must stay so for a look more: it may be only
/// half written.
const LOOK_AT_FILES: Duration = Duration::from_millis(700);

#[derive(Debug, clap::Args)]
pub(super) struct RunArguments {
    /// What all connectors share. Default: tidegate.yaml in this folder, or else beside PATH.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// Connector files, or folders of them. None are needed where connectors are made over REST.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(super) fn run(arguments: RunArguments) -> ExitCode {
    let process = process_file(arguments.config.as_deref(), &arguments.paths);
    let files = Files { process, paths: arguments.paths };
    // Before they are read: what changes meanwhile must be seen.
    let mark = files.mark();
    let configuration = match files.load() {
        Ok(configuration) => configuration,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    if files.paths.is_empty() && configuration.process.connectors.is_none() {
        eprintln!(
            "error: nothing to run: give connector files or folders, or set `server.connectors` in \
             tidegate.yaml for connectors that are made over REST\n\n\
             Usage: tidegate run [OPTIONS] [PATH]..."
        );
        return ExitCode::from(BAD_CONFIGURATION);
    }
    let levels = telemetry::log_to_stderr(configuration.process.log);
    let is_served = configuration.process.listen.is_some();
    match start(files, mark, configuration, levels) {
        Ok(Started { runtime, connectors, spans, replicas }) => {
            runtime.block_on(until_stopped(&connectors, is_served));
            let failed = connectors.end();
            if let Some(replicas) = replicas {
                replicas.leave();
            }
            if let Some(spans) = spans {
                runtime.block_on(spans.close());
            }
            if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            error!(error, "can't start");
            ExitCode::from(FAILED)
        }
    }
}

/// What runs, and must be ended.
struct Started {
    runtime: Arc<Runtime>,
    connectors: Connectors,
    spans: Option<Closing>,
    replicas: Option<Replicas>,
}

/// Starts everything, or nothing.
fn start(
    files: Files,
    mark: Mark,
    configuration: Configuration,
    levels: Levels,
) -> Result<Started, String> {
    let Configuration { process, connectors } = configuration;
    let workers = connectors.iter().map(|connector| connector.workers.get()).sum();
    let runtime = deliver::runtime(workers).map_err(|error| error.to_string())?;
    // Before the connectors: an address that is taken must be found before anything is consumed.
    let listener = process.listen.map(|address| listen(address, &runtime)).transpose()?;
    let push = process.metrics.clone().map(Push::new).transpose();
    let push = push.map_err(|error| format!("`metrics` in tidegate.yaml: {error}"))?;
    let traces = process.traces.as_ref().map(Traces::new).transpose();
    let traces = traces.map_err(|error| format!("`traces` in tidegate.yaml: {error}"))?;
    let (traces, exporter) = traces.unzip();
    let shared = process.connectors_topic.clone().map(|topic| (process.kafka.clone(), topic));
    let (watch, listen, worker_id) = (process.watch, process.listen, worker_id(&process));
    let (token_file, folder) = (process.token_file.clone(), process.connectors.clone());
    let kept = |name: &str| {
        folder.as_deref().map_or(State::Running, |folder| server::kept_state(folder, name))
    };
    let connectors =
        Connectors::start(connectors, kept, traces, &runtime).map_err(|error| error.to_string())?;
    let spans = exporter.map(|exporter| exporter.start(&runtime));
    let reload = Reload::new(files, connectors.clone(), process);
    runtime.spawn(reload_on_hangup(reload.clone()));
    if watch {
        runtime.spawn(reload_on_change(reload.clone(), mark));
    }
    if let Some(push) = push {
        runtime.spawn(push.run(connectors.clone(), reload.counts.clone()));
    }
    let replicas = shared.zip(folder.clone()).map(|((kafka, topic), folder)| {
        Replicas::start(&kafka, &topic, &worker_id, folder, &connectors, reload.clone())
    });
    let replicas =
        replicas.transpose().map_err(|error| format!("`server.connectors_topic`: {error}"))?;
    if let Some((listener, listen)) = listener.zip(listen) {
        let served = Served {
            connectors: connectors.clone(),
            reload,
            listen,
            worker_id,
            token_file,
            folder,
            levels,
            cluster: Arc::default(),
            runtime: runtime.handle().clone(),
            looks: Looks::default(),
            replays: Replays::default(),
            replicas: replicas.clone(),
        };
        runtime.spawn(server::serve(listener, served));
    }
    Ok(Started { runtime, connectors, spans, replicas })
}

/// What this process is called: where others reach it.
fn worker_id(process: &Process) -> String {
    let told = process.advertise.clone();
    let found = || {
        let listen = process.listen?;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let named = host.filter(|_| listen.ip().is_unspecified());
        let named = named.map(|host| format!("{}:{}", host.trim(), listen.port()));
        Some(named.filter(|named| is_address(named)).unwrap_or_else(|| listen.to_string()))
    };
    told.or_else(found).unwrap_or_default()
}

fn listen(address: SocketAddr, runtime: &Runtime) -> Result<TcpListener, String> {
    runtime.block_on(TcpListener::bind(address)).map_err(|error| {
        format!("can't listen on {address} (`server.listen` in tidegate.yaml): {error}")
    })
}

async fn reload_on_hangup(reload: Reload) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        reload_now(&reload, "SIGHUP").await;
    }
}

async fn reload_on_change(reload: Reload, mut taken_in: Mark) {
    let look = || {
        let reload = reload.clone();
        tokio::task::spawn_blocking(move || reload.files().mark())
    };
    let mut last = taken_in.clone();
    loop {
        tokio::time::sleep(LOOK_AT_FILES).await;
        let Ok(now) = look().await else { return };
        if now != taken_in && now == last {
            taken_in = now.clone();
            reload_now(&reload, "a file has changed").await;
        }
        last = now;
    }
}

/// What becomes of it is in the log, the metrics and the replies.
async fn reload_now(reload: &Reload, why: &'static str) {
    let reload = reload.clone();
    let _ = tokio::task::spawn_blocking(move || reload.now(why)).await;
}

/// Waits for the first signal, or until every connector has failed and nobody could start one again.
/// A second signal ends the process at once: what is not committed is read again at the next start.
async fn until_stopped(connectors: &Connectors, is_served: bool) {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        error!("signals can't be caught");
        return;
    };
    while is_served || !connectors.have_all_failed() {
        tokio::select! {
            () = either(&mut terminate, &mut interrupt) => {
                info!("stopping: delivering what is open; a second signal stops at once");
                tokio::spawn(async move {
                    either(&mut terminate, &mut interrupt).await;
                    std::process::exit(STOPPED_AT_ONCE);
                });
                return;
            }
            () = tokio::time::sleep(WATCH) => {}
        }
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
