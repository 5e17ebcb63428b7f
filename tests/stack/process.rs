//! A server's process, its ports and its folder.

use std::fs::File;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{READY_WITHIN, STOPPED_WITHIN};

/// A server's process, with its data and its log in a folder that goes when it goes.
pub(super) struct Process {
    pub(super) script: &'static str,
    pub(super) arguments: Vec<String>,
    pub(super) child: Option<Child>,
    pub(super) folder: TempDir,
}

impl Process {
    pub(super) fn start(script: &'static str, arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("tidegate-test-")
            .tempdir()
            .expect("a temporary folder");
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut process = Self { script, arguments, child: None, folder };
        process.spawn();
        process
    }

    pub(super) fn spawn(&mut self) {
        let log =
            File::options().create(true).append(true).open(self.log_file()).expect("a log file");
        // Not a process group of its own: what ends the test run by signal must reach the servers too.
        let child = start_script(self.script)
            .arg(self.folder.path().join("data"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.script));
        self.child = Some(child);
    }

    pub(super) fn stop(&mut self) {
        self.signal("TERM");
        let deadline = Instant::now() + STOPPED_WITHIN;
        while !self.has_exited() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    /// The start scripts `exec` the server, so that the child's pid is the server's own.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have exited by itself, and then there is nothing to do.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(super) fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("the server is down already");
        let sent =
            Command::new("bash").arg("-c").arg(format!("kill -{name} {}", child.id())).status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "SIG{name} for {} could not be sent",
            self.script
        );
    }

    pub(super) fn has_exited(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    pub(super) fn ready_deadline() -> Instant {
        Instant::now() + READY_WITHIN
    }

    /// A pause in waiting for it to be ready; `Err` says that there is no use in waiting.
    pub(super) fn wait_once(&mut self, deadline: Instant) -> Result<(), String> {
        if self.has_exited() || Instant::now() > deadline {
            return Err(self.report());
        }
        thread::sleep(Duration::from_millis(50));
        Ok(())
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(super) fn report(&self) -> String {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(30)..];
        format!("{} did not become ready; the end of its log:\n{}", self.script, tail.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a test may do to any server, whichever it is.
pub trait Control {
    fn kill(&mut self);
    fn restart(&mut self);
    fn freeze(&mut self);
    fn thaw(&mut self);
}

/// What a test may do to a server's process. On a shared server it panics: other tests are using it.
macro_rules! process_control {
    ($server:ty) => {
        impl $server {
            /// Asks the server to stop (SIGTERM) and waits until it has.
            pub fn stop(&mut self) {
                self.process_mut().stop();
            }

            /// SIGKILL: nothing is flushed, nobody is told.
            pub fn kill(&mut self) {
                self.process_mut().kill();
            }

            /// Starts it again on the same ports and data, killing it first if it still runs.
            pub fn restart(&mut self) {
                let process = self.process_mut();
                process.kill();
                process.spawn();
                self.wait_ready();
            }

            /// SIGSTOP: connections stay open and nobody answers, as on a host that hangs.
            pub fn freeze(&mut self) {
                self.process_mut().signal("STOP");
            }

            /// SIGCONT: the end of `freeze`.
            pub fn thaw(&mut self) {
                self.process_mut().signal("CONT");
            }

            fn process_mut(&mut self) -> &mut Process {
                self.process
                    .as_mut()
                    .expect("a shared server is not this test's to stop: use ::start()")
            }

            fn wait_ready(&mut self) {
                if let Err(log) = self.became_ready() {
                    panic!("{log}");
                }
            }

            /// `Err` carries the end of the server's log.
            pub(in crate::stack) fn became_ready(&mut self) -> Result<(), String> {
                let deadline = Process::ready_deadline();
                while !self.is_ready() {
                    self.process_mut().wait_once(deadline)?;
                }
                Ok(())
            }
        }

        impl $crate::stack::Control for $server {
            fn kill(&mut self) {
                <$server>::kill(self);
            }

            fn restart(&mut self) {
                <$server>::restart(self);
            }

            fn freeze(&mut self) {
                <$server>::freeze(self);
            }

            fn thaw(&mut self) {
                <$server>::thaw(self);
            }
        }
    };
}
pub(super) use process_control;

pub(super) fn start_script(name: &str) -> Command {
    Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stack/start").join(name))
}

/// Tries three times, each with new ports: between our looking and the server's binding, somebody may take one.
pub(super) fn started<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let mut last = String::new();
    for _ in 0..3 {
        match attempt() {
            Ok(server) => return server,
            Err(log) if log.contains("ddress already in use") => last = log,
            Err(log) => panic!("{log}"),
        }
    }
    panic!("{last}")
}

/// A free port below 32768, where Linux' range for outgoing connections begins. A port of that range would do until
/// the server is killed: then another connection may be given it, and a client that reconnects again and again to a
/// dead port of that range ends up connected to itself.
pub fn free_port() -> u16 {
    loop {
        let port = 10_240 + (RandomState::new().hash_one(std::process::id()) % 22_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits for a future on this thread, with or without a runtime around it.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
