//! The command line as a person meets it: no broker, no database.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't start the binary or write a file can only panic"
)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const GOOD: &str = "
topics: [sensors]
kafka: { bootstrap.servers: 'localhost:9092' }
point: { measurement: sensor, tags: { site: site }, fields: { temperature: reading.temperature } }
sink: { influxdb: { url: 'http://localhost:8086', org: acme, bucket: plant } }
";

/// Three mistakes that have nothing to do with each other.
const BROKEN: &str = "topics: [sensors]
kafka: { bootstrap.servers: 'localhost:9092' }
point:
  measurement: sensor
  feilds: { temperature: reading.temperature }
sink:
  influxdb: { url: 'localhost', org: acme, bucket: plant }
batch: { linger: soon }
";

const SECRETS: [(&str, &str); 3] = [
    ("SINK_TOKEN", "hunter2-token"),
    ("SASL_PASSWORD", "hunter2-sasl"),
    ("SINK_HOST", "hunter2-host.example"),
];

/// The binary in a folder of its own, with no variable of ours set.
struct Tidegate {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Tidegate {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let tidegate = Self::new();
        for (name, text) in files {
            fs::write(tidegate.path(name), text).unwrap();
        }
        tidegate
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        // In the repository for what is named by a path in it.
        let folder = match arguments.last() {
            Some(last) if last.contains('/') => repository,
            _ => self.folder.path(),
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(arguments).current_dir(folder).env_remove("TIDEGATE_CONFIG");
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(output), stderr(output));
}

/// Each connector file of a folder of the repository has an `ok` line, and there are no others.
#[track_caller]
fn assert_folder_is_valid(tidegate: &Tidegate, options: &[&str], folder: &str) {
    let output = tidegate.run(&[&["validate"], options, &[folder]].concat());
    assert_code(&output, 0);
    let lines = stdout(&output);
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let yaml: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "tidegate.yaml" && !name.ends_with(".test.yaml"))
        .collect();
    assert!(!yaml.is_empty());
    for name in &yaml {
        let ok = lines
            .lines()
            .any(|line| line.starts_with("ok  ") && line.contains(&format!("/{name}  ")));
        assert!(ok, "no line for {name} in:\n{lines}");
    }
    assert_eq!(lines.lines().count(), yaml.len(), "{lines}");
}

#[test]
fn every_ready_connector_file_is_valid() {
    assert_folder_is_valid(
        &Tidegate::new(),
        &["--config", "connectors/tidegate.yaml"],
        "connectors/",
    );
}

#[test]
fn every_connector_file_of_the_tests_is_valid() {
    let mut tidegate = Tidegate::new();
    tidegate.variables = vec![
        ("RUN", "run".into()),
        ("KAFKA", "localhost:9092".into()),
        ("VICTORIA_METRICS", "http://localhost:8428".into()),
    ];
    assert_folder_is_valid(&tidegate, &[], "tests/real_data/");
}

#[test]
fn all_errors_come_at_once_with_file_line_and_column() {
    let tidegate =
        Tidegate::with(&[("broken.yaml", BROKEN), ("good.yaml", GOOD), ("worse.yaml", "x: 1")]);
    let output = tidegate.run(&["validate", "."]);
    assert_code(&output, 2);
    assert_eq!(stdout(&output), "");
    let errors = stderr(&output);
    for start in
        ["broken.yaml:5:3: ", "broken.yaml:7:20: ", "broken.yaml:8:18: ", "worse.yaml:1:1: "]
    {
        assert!(errors.lines().any(|line| line.contains(start)), "no {start:?} in:\n{errors}");
    }
    assert!(errors.contains("unknown key `feilds`; did you mean `fields`?"), "{errors}");
    assert!(!errors.contains("good.yaml"), "{errors}");
    assert!(errors.trim_end().ends_with(" in 2 files"), "{errors}");
}

/// Each file has secrets from variables, from a file, and in plain text; `extra` breaks it.
fn with_secrets(token_file: &Path, extra: &str) -> String {
    format!(
        "topics: [sensors]
kafka: {{ bootstrap.servers: 'localhost:1', sasl.username: me, sasl.password: '${{SASL_PASSWORD}}' }}
point: {{ measurement: sensor, fields: {{ temperature: t }} }}
sink: {{ influxdb: {{ url: 'http://${{SINK_HOST}}:8086', org: '${{SINK_TOKEN}}', bucket: b, token: '${{file:{}}}' }} }}
{extra}
",
        token_file.display()
    )
}

#[test]
fn secrets_never_appear_in_what_is_printed() {
    let mut tidegate = Tidegate::with(&[("token", "hunter2-file\n")]);
    tidegate.variables = SECRETS.map(|(name, value)| (name, value.to_owned())).to_vec();
    let file = tidegate.path("token");
    let plain =
        with_secrets(&file, "").replace("'${SASL_PASSWORD}'", "hunter2-plain, nonsense: [1]");
    let bad_url = with_secrets(&file, "").replace("http://${SINK_HOST}", "${SINK_TOKEN}");
    let bad_token = with_secrets(&file, "").replace("token: '", "tokn: '");
    let files = [
        ("fine.yaml", with_secrets(&file, ""), 0),
        ("unknown.yaml", with_secrets(&file, "frobnicate: ${SINK_TOKEN}"), 2),
        ("kind.yaml", with_secrets(&file, "workers: ${SASL_PASSWORD}"), 2),
        ("choice.yaml", with_secrets(&file, "decode: ${SINK_TOKEN}"), 2),
        ("topic.yaml", with_secrets(&file, "dead_letter: { topic: '${SINK_TOKEN}!' }"), 2),
        ("duration.yaml", with_secrets(&file, "batch: { linger: '${SINK_TOKEN}' }"), 2),
        ("twice.yaml", with_secrets(&file, "sink: { prometheus: { url: '${SINK_TOKEN}' } }"), 2),
        ("plain.yaml", plain, 2),
        ("url.yaml", bad_url, 2),
        ("key.yaml", bad_token, 2),
    ];
    for (name, text, code) in files {
        fs::write(tidegate.path(name), text).unwrap();
        let output = tidegate.run(&["validate", name]);
        let printed = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{name}: {printed}");
        // The address of the database is no secret: the summary of a good file shows it.
        let shown =
            if code == 0 { printed.replace("hunter2-host.example", "") } else { printed.clone() };
        assert!(!shown.contains("hunter2"), "{name}: {printed}");
    }
}

#[test]
fn a_variable_or_file_that_is_not_there_is_named_with_its_place() {
    let text = GOOD
        .replace("'http://localhost:8086'", "'${NOWHERE_URL}', token: '${file:/nowhere/token}'");
    let output = Tidegate::with(&[("a.yaml", &text)]).run(&["validate", "a.yaml"]);
    assert_code(&output, 2);
    let errors = stderr(&output);
    assert!(
        errors.contains("a.yaml:5:") && errors.contains("`NOWHERE_URL` is not set"),
        "{errors}"
    );
    assert!(errors.contains("`/nowhere/token`"), "{errors}");
}

#[test]
fn help_says_what_the_exit_codes_mean() {
    let help = Tidegate::new().run(&["--help"]);
    assert_code(&help, 0);
    let help = stdout(&help);
    assert!(help.contains("Exit codes:"), "{help}");
    for code in ["  0  ", "  1  ", "  2  ", "  130  "] {
        assert!(help.lines().any(|line| line.starts_with(code)), "no {code:?} in:\n{help}");
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_the_usage() {
    for arguments in [&[][..], &["frobnicate"], &["run"], &["validate", "--frobnicate", "a.yaml"]] {
        let output = Tidegate::new().run(arguments);
        assert_code(&output, 2);
        assert!(stderr(&output).contains("Usage: tidegate"), "{arguments:?}: {}", stderr(&output));
    }
}

/// A file whose broker and database are this listener.
fn listened(listener: &TcpListener, text: &str) -> String {
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    text.replace("localhost:9092", &address).replace("localhost:8086", &address)
}

#[track_caller]
fn assert_nobody_called(listener: &TcpListener) {
    let call = listener.accept().map(|(_, from)| from);
    assert_eq!(call.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn run_with_a_bad_file_exits_with_2_before_it_touches_a_broker() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (good, broken) = (listened(&listener, GOOD), listened(&listener, BROKEN));
    let tidegate = Tidegate::with(&[("good.yaml", &good), ("broken.yaml", &broken)]);
    let output = tidegate.run(&["run", "good.yaml", "broken.yaml"]);
    assert_code(&output, 2);
    assert!(
        stderr(&output).contains("broken.yaml:5:3: unknown key `feilds`"),
        "{}",
        stderr(&output)
    );
    assert_nobody_called(&listener);
}

#[test]
fn validate_touches_no_broker_and_no_database() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tidegate = Tidegate::with(&[("good.yaml", &listened(&listener, GOOD))]);
    assert_code(&tidegate.run(&["validate", "good.yaml"]), 0);
    assert_nobody_called(&listener);
}

#[test]
fn the_schemas_are_json_that_knows_the_top_level_keys() {
    for (arguments, keys) in [
        (&["schema"][..], &["topics", "point", "sink", "dead_letter", "batch", "delivery"][..]),
        (&["schema", "--process"], &["kafka", "log"]),
    ] {
        let output = Tidegate::new().run(arguments);
        assert_code(&output, 0);
        let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"));
        for key in keys {
            assert!(schema["properties"][key].is_object(), "{arguments:?}: no {key} in {schema}");
        }
    }
}

#[test]
fn a_path_that_is_not_there_or_holds_no_connector_is_named() {
    let tidegate = Tidegate::with(&[("good.yaml", GOOD)]);
    fs::create_dir(tidegate.path("empty")).unwrap();
    for command in ["run", "validate"] {
        let output = tidegate.run(&[command, "good.yaml", "nowhere.yaml", "empty"]);
        assert_code(&output, 2);
        let errors = stderr(&output);
        assert!(errors.contains("nowhere.yaml: can't be read: No such file"), "{errors}");
        assert!(errors.contains("empty: there is no connector file"), "{errors}");
    }
}

#[test]
fn what_connectors_share_comes_from_the_process_file() {
    let shared = "kafka: { bootstrap.servers: 'localhost:9092' }\n";
    let text = GOOD.replace(shared, "");
    let tidegate = Tidegate::with(&[("a.yaml", &text)]);
    let alone = tidegate.run(&["validate", "a.yaml"]);
    assert_code(&alone, 2);
    assert!(stderr(&alone).contains("bootstrap.servers"), "{}", stderr(&alone));
    fs::write(tidegate.path("elsewhere.yaml"), shared).unwrap();
    assert_code(&tidegate.run(&["validate", "--config", "elsewhere.yaml", "a.yaml"]), 0);
    // The default, without an option; in a folder it is not taken for a connector.
    fs::rename(tidegate.path("elsewhere.yaml"), tidegate.path("tidegate.yaml")).unwrap();
    assert_code(&tidegate.run(&["validate", "a.yaml"]), 0);
    assert_code(&tidegate.run(&["validate", "."]), 0);
}

#[test]
fn the_file_beside_the_connectors_is_taken_from_elsewhere_too_and_told_where_it_is_not() {
    let shared = "kafka: { bootstrap.servers: 'localhost:9092' }\n";
    let text = GOOD.replace(shared, "");
    let tidegate = Tidegate::new();
    let plant = tidegate.path("plant");
    fs::create_dir(&plant).unwrap();
    fs::write(plant.join("a.yaml"), &text).unwrap();
    fs::write(plant.join("tidegate.yaml"), shared).unwrap();
    let validate = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("validate").args(options).current_dir(tidegate.folder.path());
        command.env_remove("TIDEGATE_CONFIG").output().unwrap()
    };
    for path in ["plant", "plant/a.yaml"] {
        let taken = validate(&[path]);
        assert_code(&taken, 0);
        assert_eq!(stderr(&taken), "");
    }
    fs::write(tidegate.path("tidegate.yaml"), "log: json\n").unwrap();
    let left_out = validate(&["plant"]);
    assert_code(&left_out, 2);
    let warning = "warning: plant/tidegate.yaml is not read, because tidegate.yaml is";
    assert!(stderr(&left_out).contains(warning), "{}", stderr(&left_out));
    let meant = validate(&["--config", "plant/tidegate.yaml", "plant"]);
    assert_code(&meant, 0);
    assert_eq!(stderr(&meant), "");
}

#[test]
fn dead_letters_of_a_connector_without_a_topic_for_them_are_a_clear_error() {
    let tidegate = Tidegate::with(&[("good.yaml", GOOD)]);
    for command in ["list", "show", "replay"] {
        let output = tidegate.run(&["dlq", command, "good.yaml"]);
        assert_code(&output, 2);
        let error = stderr(&output);
        assert!(error.contains("the connector good has no dead-letter topic"), "{error}");
        assert!(error.contains("`dead_letter: { topic: … }`"), "{error}");
    }
}

#[test]
fn every_command_is_completed_in_three_shells_and_has_a_manual_page() {
    let tidegate = Tidegate::new();
    let help = tidegate.run(&["--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> = listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() > 20 && commands.contains(&"top"), "{commands:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(tidegate.run(&["completions", shell]).stdout).unwrap();
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let output = tidegate.run(&["man", "pages"]);
    assert!(output.status.success(), "{output:?}");
    for command in &commands {
        let page =
            fs::read_to_string(tidegate.path(&format!("pages/tidegate-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{command}: {page}");
    }
    assert!(tidegate.path("pages/tidegate.1").is_file());
}

#[test]
fn a_report_without_a_process_says_so_and_has_the_files_without_their_secrets() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = GOOD.replace("bucket: plant", "bucket: plant, token: hunter2");
    let tidegate = Tidegate::with(&[("c.yaml", &text)]);
    let server = free.to_string();
    let output = tidegate.run(&["doctor", "--server", &server, "-o", "report.md", "c.yaml"]);
    assert!(output.status.success(), "{output:?}");
    let report = fs::read_to_string(tidegate.path("report.md")).unwrap();
    for text in
        ["tidegate 0", "no answer from", "sink.influxdb.token: ***", "## A look at what c needs"]
    {
        assert!(report.contains(text), "{text}: {report}");
    }
    assert!(!report.contains("hunter2"), "{report}");
}
