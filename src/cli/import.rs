//! `tidegate import`: connector files from the configuration of another connector.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{BAD_CONFIGURATION, FAILED};
use crate::import::{Imported, import};

/// The largest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// From what.
#[derive(Debug, clap::Args)]
#[command(after_help = KNOWN)]
pub(super) struct ImportArguments {
    /// The configuration; `-` is the standard input.
    file: PathBuf,
    /// The folder for the connector files, which must be there; an existing file is not written over.
    /// Default: the standard output, for a single connector.
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

const KNOWN: &str = "Known configurations:
  Stream Reactor's InfluxDB sink (KCQL), as properties or as JSON
  Confluent's InfluxDB sink, as properties or as JSON
  Telegraf: inputs.kafka_consumer with json_v2, into outputs.influxdb or outputs.influxdb_v2

What could not be carried over stands in the file and on standard error. Secrets are not copied.";

pub(super) fn run(arguments: &ImportArguments) -> ExitCode {
    let text = match read(&arguments.file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{}: can't be read: {error}", arguments.file.display());
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let imported = match import(&text) {
        Ok(imported) => imported,
        Err(error) => {
            eprintln!("{}: {error}", arguments.file.display());
            return ExitCode::from(FAILED);
        }
    };
    if let Err(reason) = write(&imported, arguments.output.as_deref()) {
        eprintln!("{reason}");
        return ExitCode::from(BAD_CONFIGURATION);
    }
    for Imported { name, notes, .. } in &imported {
        for note in notes {
            eprintln!("{name}.yaml: {note}.");
        }
    }
    ExitCode::SUCCESS
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().take(MAX_FILE).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(file)?.take(MAX_FILE).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn write(imported: &[Imported], folder: Option<&Path>) -> Result<(), String> {
    let Some(folder) = folder else {
        let [only] = imported else {
            let count = imported.len();
            return Err(format!("this is {count} connectors; say with -o in which folder they go"));
        };
        // An error here is a reader that has seen enough, such as `head`.
        let _ = std::io::stdout().write_all(only.draft().as_bytes());
        return Ok(());
    };
    for connector in imported {
        let file = folder.join(format!("{}.yaml", connector.name));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&file)
            .and_then(|mut opened| opened.write_all(connector.draft().as_bytes()))
            .map_err(|error| format!("{}: can't be written: {error}", file.display()))?;
    }
    Ok(())
}
