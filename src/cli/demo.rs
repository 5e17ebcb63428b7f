//! `tidegate demo`: the main job on embedded defaults.

use std::process::ExitCode;

use crate::config::raw::LogFormat;
use crate::{demo, telemetry};

/// How the demo runs.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArguments {
    /// End by itself after so many seconds, with a summary; without a terminal, the store goes down
    /// for a while in the middle.
    #[arg(long, value_parser = clap::value_parser!(u64).range(5..))]
    seconds: Option<u64>,
    /// The page's port. Default: 7070, or any free one.
    #[arg(long)]
    port: Option<u16>,
    /// Print plain lines even on a terminal.
    #[arg(long)]
    no_ui: bool,
}

pub(super) fn run(arguments: &DemoArguments) -> ExitCode {
    let DemoArguments { seconds, port, no_ui } = *arguments;
    let options = demo::Options { seconds, port, no_ui };
    if !options.live() {
        telemetry::log_to_stderr(LogFormat::Text);
    }
    demo::run(&options)
}
