//! `tidegate init`: a connector file from what a topic holds.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::{BAD_CONFIGURATION, FAILED, UNFINISHED, process_file};
use crate::config::raw::LogFormat;
use crate::config::{self, Connector, Environment, Process, Secret, Topics};
use crate::infer::{Draft, Given, SinkKind, infer, quoted};
use crate::kafka::range::{Bound, TopicReader};
use crate::record::{Offset, OwnedRecord};
use crate::telemetry;
use crate::trial::source::newest;
use crate::trial::{Outcome, Trial};

/// The largest file of messages that is read.
const MAX_FILE: u64 = 64 << 20;

/// From what, and for what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct InitArguments {
    /// What all connectors share; its brokers are asked. Default: tidegate.yaml in this folder, if
    /// there is one.
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// The topic.
    #[arg(long, value_name = "NAME")]
    topic: String,
    /// The brokers, instead of those of tidegate.yaml, such as `localhost:9092`.
    #[arg(long, value_name = "SERVERS")]
    bootstrap: Option<String>,
    /// Learn from the messages in this file, one a line, and not from Kafka (`-`: from the standard
    /// input).
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The file is one message, whatever is in it, such as CSV with its header.
    #[arg(long, requires = "file")]
    whole: bool,
    /// The schema registry of messages in Avro or Protobuf, such as `http://localhost:8081`; one with a login
    /// as `'${REGISTRY_URL}'`, from the environment.
    #[arg(long, value_name = "URL", conflicts_with = "schema")]
    registry: Option<String>,
    /// The schema of messages in Avro (`.avsc`) or Protobuf (`.proto`, or a set of descriptors) that have no
    /// registry.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The messages' type in a schema of Protobuf, such as `acme.plant.Reading`.
    #[arg(long, value_name = "NAME", requires = "schema")]
    message: Option<String>,
    /// The database.
    #[arg(long, value_enum, default_value = "influxdb")]
    sink: SinkKind,
    /// How many of the newest messages are looked at.
    #[arg(short = 'n', long = "messages", value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Where the file goes; an existing one is not written over. Default: the standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over an existing file.
    #[arg(long, requires = "output")]
    force: bool,
    /// How long Kafka may take for each answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

const EXAMPLES: &str = "Examples:
  tidegate init --topic sensors --bootstrap localhost:9092 -o connectors/sensors.yaml
  tidegate init --topic payments --sink prometheus
  tidegate init --topic sensors --file messages.jsonl
  tidegate init --topic orders --registry http://localhost:8081
  tidegate init --topic readings --schema reading.proto --message acme.plant.Reading

No group is joined and nothing is committed.";

/// Why there is no file, with the exit code.
struct Trouble(u8, String);

pub(super) fn run(arguments: &InitArguments) -> ExitCode {
    telemetry::log_to_stderr(LogFormat::Text);
    match init(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble(code, reason)) => {
            eprintln!("{reason}");
            ExitCode::from(code)
        }
    }
}

fn init(arguments: &InitArguments) -> Result<(), Trouble> {
    let environment = Environment::process();
    let mut shared = match process_file(arguments.config.as_deref(), &[]) {
        None => Process::default(),
        Some(file) => config::load_process(&file, &environment)
            .map_err(|errors| Trouble(BAD_CONFIGURATION, errors.to_string()))?,
    };
    if let Some(servers) = &arguments.bootstrap {
        shared.kafka.insert("bootstrap.servers".into(), Secret::new(servers));
    }
    let records = match &arguments.file {
        Some(file) => of_file(file, arguments).map_err(|error| {
            Trouble(UNFINISHED, format!("{}: can't be read: {error}", file.display()))
        })?,
        None => of_topic(&shared, arguments)?,
    };
    let topic = &arguments.topic;
    let given =
        given(arguments, &environment).map_err(|error| Trouble(BAD_CONFIGURATION, error))?;
    let inferred = infer(&records, arguments.sink, &given)
        .map_err(|error| Trouble(FAILED, format!("the topic {topic}: {error}")))?;
    let draft = Draft { topic, bootstrap: arguments.bootstrap.as_deref(), sink: arguments.sink };
    let text = inferred.draft(&draft);
    write(&text, arguments)?;
    for warning in inferred.warnings() {
        eprintln!("warning: {warning}.");
    }
    // Brokers that are not known yet are no reason against the mapping.
    let servers = shared.kafka.entry("bootstrap.servers".into());
    servers.or_insert_with(|| Secret::new("localhost:9092"));
    let connector = config::load_text("draft.yaml", &text, &shared, &environment);
    let tried = connector.map_err(|errors| errors.to_string()).and_then(|c| tried(&c, &records));
    match tried {
        Ok(remark) => eprintln!("{remark}"),
        Err(error) => return Err(Trouble(FAILED, format!("the draft has to be mended: {error}"))),
    }
    Ok(())
}

/// The formats that the arguments name.
fn given(arguments: &InitArguments, environment: &Environment<'_>) -> Result<Vec<Given>, String> {
    let mut texts = Vec::new();
    if let Some(url) = &arguments.registry {
        // A login stays in the environment, for this file and for the one that is drafted.
        let url = quoted(url).replace("$${", "${");
        let kinds = ["avro", "protobuf"];
        texts.extend(kinds.map(|kind| format!("{{ {kind}: {{ registry: {{ url: {url} }} }} }}")));
        texts.push("json_schema".into());
    }
    if let Some(file) = &arguments.schema {
        let path =
            std::path::absolute(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let path = quoted(&path.to_string_lossy());
        texts.push(match (&arguments.message, file.extension()) {
            (Some(name), _) => {
                let name = quoted(name);
                format!("{{ protobuf: {{ schema_file: {path}, message: {name} }} }}")
            }
            (None, Some(kind)) if kind == "proto" => {
                return Err(
                    "a schema of Protobuf has several types: name one with `--message`".into()
                );
            }
            _ => format!("{{ avro: {{ schema_file: {path} }} }}"),
        });
    }
    texts.into_iter().map(|text| checked(text, environment)).collect()
}

/// A format as `decode:` has it, checked like that of a connector's file.
fn checked(text: String, environment: &Environment<'_>) -> Result<Given, String> {
    let file = format!(
        "topics: [t]\nkafka: {{ bootstrap.servers: k }}\ndecode: {text}\n\
         point: {{ measurement: m, fields: {{ f: f }} }}\nsink: {{ stdout: {{}} }}\n"
    );
    let connector = config::load_text("draft.yaml", &file, &Process::default(), environment);
    match connector.map_err(|errors| errors.to_string())?.decode {
        config::Decode::Documents(decode) => Ok(Given { text, decode }),
        config::Decode::Points(_) => Err(format!("{text} is no format of documents")),
    }
}

fn of_topic(process: &Process, arguments: &InitArguments) -> Result<Vec<OwnedRecord>, Trouble> {
    if !process.kafka.contains_key("bootstrap.servers") {
        let reason = "no brokers: give --bootstrap, or a tidegate.yaml with `bootstrap.servers`";
        return Err(Trouble(BAD_CONFIGURATION, reason.into()));
    }
    let kafka = |error: String| Trouble(UNFINISHED, error);
    let topics = Topics::List(vec![arguments.topic.clone()]);
    let (from, to) = (Bound::Last(arguments.count), Bound::End);
    let mut reader = TopicReader::open(&process.kafka, &topics, from, to, arguments.timeout)
        .map_err(|error| kafka(format!("Kafka: {error}")))?;
    newest(&mut reader, arguments.count as usize)
        .map(Into::into)
        .map_err(|error| kafka(format!("Kafka: {error}")))
}

/// A message a line; the records are of now.
fn of_file(file: &Path, arguments: &InitArguments) -> std::io::Result<Vec<OwnedRecord>> {
    #[expect(clippy::disallowed_methods, reason = "a file's line has no timestamp of its own")]
    let now = jiff::Timestamp::now().as_millisecond();
    let input: Box<dyn std::io::Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file)?)
    };
    let mut input = BufReader::new(input.take(MAX_FILE));
    if arguments.whole {
        let mut value = Vec::new();
        input.read_to_end(&mut value)?;
        return Ok(vec![record(0, value, arguments, now)]);
    }
    let lines = input.split(b'\n');
    let lines = (0..).zip(lines).take(arguments.count as usize);
    lines.map(|(offset, line)| Ok(record(offset, line?, arguments, now))).collect()
}

fn record(offset: i64, value: Vec<u8>, arguments: &InitArguments, now: i64) -> OwnedRecord {
    OwnedRecord {
        offset: Offset(offset),
        ..OwnedRecord::new(arguments.topic.as_str(), value, Some(now))
    }
}

fn write(text: &str, arguments: &InitArguments) -> Result<(), Trouble> {
    let Some(file) = &arguments.output else {
        // An error here is a reader that has seen enough, such as `head`.
        let _ = std::io::stdout().write_all(text.as_bytes());
        return Ok(());
    };
    let mut options = OpenOptions::new();
    let options = options.write(true).truncate(true);
    let options = if arguments.force { options.create(true) } else { options.create_new(true) };
    let written = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let mend = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "; --force writes over it",
            _ => "",
        };
        let reason = format!("{}: can't be written: {error}{mend}", file.display());
        Trouble(BAD_CONFIGURATION, reason)
    })
}

/// What the draft makes of the messages that it was made from.
fn tried(connector: &Connector, records: &[OwnedRecord]) -> Result<String, String> {
    let mut trial = Trial::new(connector).map_err(|error| format!("the sink: {error}"))?;
    let (mut good, mut all, mut reason) = (0usize, 0usize, None);
    for record in records {
        match trial.run(record).map_err(|error| error.to_string())? {
            Outcome::Points(_) => good += 1,
            Outcome::Excluded => continue,
            Outcome::Rejected(reject) => {
                let _ = reason.get_or_insert(reject.reason);
            }
        }
        all += 1;
    }
    let such = reason.map(|reason| format!("; one is rejected: {reason}")).unwrap_or_default();
    Ok(format!("{good} of {all} messages give a point with it{such}."))
}
