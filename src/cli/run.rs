//! `tidegate run`: runs connectors until it is asked to stop, or all have ended.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::{BAD_CONFIGURATION, FAILED, STOPPED_AT_ONCE};
use crate::config::{self, Configuration, Environment};
use crate::connector::{self, Running, State};
use crate::{server, telemetry};

/// How often the connectors' ends are looked for.
const WATCH: Duration = Duration::from_millis(100);

pub(super) fn run(process: Option<&Path>, paths: &[PathBuf]) -> ExitCode {
    let configuration = match config::load(process, paths, &Environment::process()) {
        Ok(configuration) => configuration,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    telemetry::log_to_stderr(configuration.process.log);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => Arc::new(runtime),
            Err(error) => {
                error!(%error, "can't start");
                return ExitCode::from(FAILED);
            }
        };
    // Before the connectors: an address that is taken must be found before anything is consumed.
    let listener = match configuration.process.listen.map(|address| listen(address, &runtime)) {
        None => None,
        Some(Ok(listener)) => Some(listener),
        Some(Err(error)) => {
            error!(%error, "can't start");
            return ExitCode::from(FAILED);
        }
    };
    match start_all(&configuration, &runtime) {
        Ok(connectors) => {
            if let Some(listener) = listener {
                let views = connectors.iter().map(Running::view).collect();
                runtime.spawn(server::serve(listener, views));
            }
            runtime.block_on(until_stopped(&connectors));
            end(connectors)
        }
        Err(error) => {
            error!(%error, "can't start");
            ExitCode::from(FAILED)
        }
    }
}

fn listen(address: SocketAddr, runtime: &Runtime) -> Result<TcpListener, String> {
    runtime.block_on(TcpListener::bind(address)).map_err(|error| {
        format!("can't listen on {address} (`server.listen` in tidegate.yaml): {error}")
    })
}

fn start_all(
    configuration: &Configuration,
    runtime: &Arc<Runtime>,
) -> Result<Vec<Running>, connector::StartError> {
    for connector in &configuration.connectors {
        for advice in connector.advice() {
            warn!(connector = connector.name, "{advice}");
        }
    }
    configuration.connectors.iter().map(|config| connector::start(config, runtime)).collect()
}

/// Waits for the first signal, or until every connector has ended by itself. A second signal ends
/// the process at once: what is not committed is read again at the next start.
async fn until_stopped(connectors: &[Running]) {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        error!("signals can't be caught");
        return;
    };
    while !connectors.iter().all(Running::has_ended) {
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

/// Stops all at once, so that they drain side by side, and says how each has ended.
fn end(connectors: Vec<Running>) -> ExitCode {
    for connector in &connectors {
        connector.stop();
    }
    let mut code = ExitCode::SUCCESS;
    for connector in connectors {
        if let State::Failed(_) = connector.join() {
            code = ExitCode::from(FAILED);
        }
    }
    code
}
