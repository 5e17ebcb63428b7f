//! `tidegate completions` and `tidegate man`: what shells and `man` know of the commands, made from their
//! definitions.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Arguments, FAILED};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArguments {
    #[arg(value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "Examples:
  tidegate completions bash > /etc/bash_completion.d/tidegate
  tidegate completions zsh  > \"${fpath[1]}/_tidegate\"
  tidegate completions fish > ~/.config/fish/completions/tidegate.fish";

#[derive(Debug, clap::Args)]
pub(super) struct ManArguments {
    /// The folder for the pages, such as /usr/local/share/man/man1; made if there is none.
    folder: PathBuf,
}

pub(super) fn completions(arguments: &CompletionsArguments) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "tidegate", &mut text);
    super::dlq::print(&String::from_utf8_lossy(&text));
    ExitCode::SUCCESS
}

pub(super) fn man(arguments: &ManArguments) -> ExitCode {
    match pages(&arguments.folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", arguments.folder.display());
            ExitCode::from(FAILED)
        }
    }
}

fn pages(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Arguments::command().disable_help_subcommand(true), folder)
}
