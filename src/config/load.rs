//! Files and folders → a checked configuration.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::check::{self, Checker};
use super::error::{Error, Errors, Findings, quoted};
use super::expand::{Environment, expand};
use super::schema::{self, FileKind};
use super::source::{Source, Span};
use super::tree::{self, MAX_BYTES, Node, Value};
use super::{Configuration, Connector, Process, Tests, flat, raw, secrets};

/// Reads the process's file, if there is one, and every connector file that the paths name or, for
/// folders, hold: `*.yaml` and `*.yml`, but not those that begin with a dot, `*.test.yaml` and
/// `tidegate.yaml`.
pub fn load(
    process_file: Option<&Path>,
    paths: &[PathBuf],
    environment: &Environment<'_>,
) -> Result<Configuration, Errors> {
    let mut errors = Errors::default();
    let process = match process_file.map(|file| process(file, read(file)?, environment)) {
        None => Some(Process { watch: true, ..Process::default() }),
        Some(Ok(process)) => Some(process),
        Some(Err(wrong)) => {
            errors.extend(wrong);
            None
        }
    };
    let mut connectors = Vec::new();
    let mut files = connector_files(paths, &mut errors);
    if let Some(folder) = process.as_ref().and_then(|process| process.connectors.as_deref()) {
        files.extend(of_requests(folder, &mut errors));
    }
    for file in files {
        let loaded = read(&file).and_then(|text| {
            let text = if is_flat(&file) { flat::nested_file(&file, &text)? } else { text };
            connector(&file, text, process.as_ref(), environment)
        });
        match loaded {
            Ok(Some(loaded)) => connectors.push(loaded),
            Ok(None) => {}
            Err(wrong) => errors.extend(wrong),
        }
    }
    find_twins(&connectors, &mut errors);
    match process {
        Some(process) if errors.is_empty() => Ok(Configuration { process, connectors }),
        _ => Err(errors),
    }
}

/// Reads one connector from a text that is no file, such as an embedded default or the body of a
/// request; `file` stands for it in errors, and gives it its name if it has none.
pub fn load_text(
    file: impl AsRef<Path>,
    text: &str,
    process: &Process,
    environment: &Environment<'_>,
) -> Result<Connector, Errors> {
    let file = file.as_ref();
    let loaded = connector(file, text.to_owned(), Some(process), environment)?;
    loaded.ok_or_else(|| defect(file))
}

/// Reads the process's file alone.
pub fn load_process(file: &Path, environment: &Environment<'_>) -> Result<Process, Errors> {
    process(file, read(file)?, environment)
}

/// Reads a file of a mapping's tests.
pub fn load_tests(file: &Path) -> Result<Tests, Errors> {
    let mut source = Source::new(file, read(file)?);
    let mut findings = Findings::default();
    let nothing = Environment::variables(|_| None);
    let parsed = parse::<raw::TestFile>(&mut source, FileKind::Test, &nothing, &mut findings);
    let tests = parsed.and_then(|(root, raw)| {
        let mut checker = Checker { source: &source, root: &root, findings: &mut findings };
        check::tests(&raw, &mut checker)
    });
    match tests {
        Some(tests) if findings.is_empty() => Ok(tests),
        _ if findings.is_empty() => Err(defect(file)),
        _ => Err(findings.into_errors(&source)),
    }
}

pub(super) fn process(
    file: &Path,
    text: String,
    environment: &Environment<'_>,
) -> Result<Process, Errors> {
    let mut source = Source::new(file, text);
    let mut findings = Findings::default();
    let parsed =
        parse::<raw::ProcessFile>(&mut source, FileKind::Process, environment, &mut findings);
    let process = parsed.map(|(root, raw)| {
        let mut checker = Checker { source: &source, root: &root, findings: &mut findings };
        check::process(&raw, &mut checker)
    });
    match process {
        Some(process) if findings.is_empty() => Ok(process),
        _ if findings.is_empty() => Err(defect(file)),
        _ => Err(findings.into_errors(&source)),
    }
}

/// `Ok(None)` where only the process's file is to blame.
fn connector(
    file: &Path,
    text: String,
    process: Option<&Process>,
    environment: &Environment<'_>,
) -> Result<Option<Connector>, Errors> {
    let mut source = Source::new(file, text);
    let mut findings = Findings::default();
    let kind = FileKind::Connector;
    let parsed = parse::<raw::ConnectorFile>(&mut source, kind, environment, &mut findings);
    let connector = parsed.and_then(|(root, raw)| {
        let mut checker = Checker { source: &source, root: &root, findings: &mut findings };
        check::connector(&raw, &mut checker, process)
    });
    if !findings.is_empty() {
        return Err(findings.into_errors(&source));
    }
    if connector.is_none() && process.is_some() {
        return Err(defect(file));
    }
    Ok(connector)
}

/// The steps that both kinds of file go through: YAML, expansion, schema, raw types.
fn parse<T: DeserializeOwned>(
    source: &mut Source,
    kind: FileKind,
    environment: &Environment<'_>,
    findings: &mut Findings,
) -> Option<(Node, T)> {
    if source.text.len() > MAX_BYTES {
        findings.add(None, "larger than 1 MiB: no configuration file");
        return None;
    }
    let mut root = tree::parse(source, findings)?;
    if kind != FileKind::Process && is_empty(&root) && findings.is_empty() {
        findings.add(None, "the file is empty");
        return None;
    }
    if kind != FileKind::Test {
        expand(&mut root, environment, findings);
    }
    schema::check(&kind.schema(), &mut root, findings);
    // Can't fail, because the schema was made from the same types. Serde's own words are left out:
    // they may quote a secret.
    match serde_json::from_value(root.to_json()) {
        Ok(raw) => Some((root, raw)),
        Err(_) if findings.is_empty() => {
            findings.add(None, DEFECT);
            None
        }
        Err(_) => None,
    }
}

fn is_empty(root: &Node) -> bool {
    matches!(&root.value, Value::Table(table) if table.entries.is_empty() && !table.incomplete)
}

const DEFECT: &str = "this file can't be read, by a defect of Tidegate; please report it";

fn defect(file: &Path) -> Errors {
    let mut errors = Errors::default();
    errors.push(Error::of_file(file, DEFECT));
    errors
}

fn read(file: &Path) -> Result<String, Errors> {
    let wrong = |message: String| {
        let mut errors = Errors::default();
        errors.push(Error::of_file(file, message));
        errors
    };
    let mut bytes = Vec::new();
    fs::File::open(file)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(format!("can't be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        if at + 4 > MAX_BYTES {
            return wrong("larger than 1 MiB: no configuration file".into());
        }
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let mut findings = Findings::default();
        findings.add(Span::new(at, at + 1), "not UTF-8 text from here on");
        let mut source = Source::new(file, text);
        let (line, _) = source.place(at);
        secrets::mask_by_look(&mut source, line);
        findings.into_errors(&source)
    })
}

/// The connector files that the paths name, folders in the order of their files' names.
fn connector_files(paths: &[PathBuf], errors: &mut Errors) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        match in_folder(path) {
            Ok(found) if found.is_empty() => {
                errors.push(Error::of_file(
                    path,
                    "there is no connector file (`*.yaml`) in this folder",
                ));
            }
            Ok(found) => files.extend(found),
            Err(error) => errors.push(Error::of_file(path, format!("can't be read: {error}"))),
        }
    }
    files
}

/// The files that connectors made by requests are kept in.
fn of_requests(folder: &Path, errors: &mut Errors) -> Vec<PathBuf> {
    files_in(folder, |name| is_flat(Path::new(name))).unwrap_or_else(|error| {
        let message = format!("can't be read (`server.connectors` in tidegate.yaml): {error}");
        errors.push(Error::of_file(folder, message));
        Vec::new()
    })
}

fn is_flat(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "json")
}

/// Every file that a configuration comes from now: for whoever wants to see that one has changed.
/// What can't be read is left out.
pub fn sources(process_file: Option<&Path>, paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files: Vec<_> = process_file.map(Path::to_owned).into_iter().collect();
    files.extend(connector_files(paths, &mut Errors::default()));
    files
}

fn in_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    files_in(folder, is_connector)
}

fn files_in(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // `is_file` follows links: Kubernetes mounts a ConfigMap's files as such.
        if is_wanted(name) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_connector(name: &str) -> bool {
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    let is_test = |stem: &str| stem.split('.').next_back() == Some("test");
    stem.is_some_and(|stem| !name.starts_with('.') && !is_test(stem) && stem != "tidegate")
}

/// Two connectors of one name would share metrics and, by default, a group; two in one group would
/// each see a part of the records only.
fn find_twins(connectors: &[Connector], errors: &mut Errors) {
    let mut names = BTreeMap::new();
    let mut groups = BTreeMap::new();
    for connector in connectors {
        if let Some(first) = names.insert(&connector.name, &connector.file) {
            let (name, first) = (quoted(&connector.name), first.display());
            let message = format!("the name {name} is taken by {first}; set another `name`");
            errors.push(Error::of_file(&connector.file, message));
        } else if let Some(first) = groups.insert(&connector.group, &connector.file) {
            let (group, first) = (quoted(&connector.group), first.display());
            let message = format!(
                "the group {group} is taken by {first}: each of the two would see a part of the \
                 records only; set another `group`"
            );
            errors.push(Error::of_file(&connector.file, message));
        }
    }
}
