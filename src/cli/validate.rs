//! `tidegate validate`: checks configuration files, and touches no broker and no database.

use std::process::ExitCode;

use super::{BAD_CONFIGURATION, ConfigurationArguments, load};
use crate::config::{Configuration, Connector, Errors, Sink, Topics};

/// Prints a line for each connector, with what is likely not meant, or every error there is.
pub(super) fn run(files: &ConfigurationArguments) -> ExitCode {
    match load(files.config.as_deref(), &files.paths) {
        Ok(Configuration { connectors, .. }) => {
            for connector in &connectors {
                println!("{}", summary(connector));
                for advice in connector.advice() {
                    println!("      warning: {advice}.");
                }
            }
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}\n\n{}", count(&errors));
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

fn count(errors: &Errors) -> String {
    let number = |count: usize, one: &str| {
        let ending = if count == 1 { "" } else { "s" };
        format!("{count} {one}{ending}")
    };
    format!("{} in {}", number(errors.len(), "error"), number(errors.files(), "file"))
}

/// `ok  FILE  NAME: topics … → SINK ADDRESS (n tags, n fields)`
fn summary(connector: &Connector) -> String {
    let topics = match &connector.topics {
        Topics::List(topics) => format!("topics {}", topics.join(", ")),
        Topics::Pattern(pattern) => format!("topics {pattern}"),
    };
    // A query may hold a key, and the address may come from a secret.
    let address = |url: &str| url.split(['?', '#']).next().unwrap_or_default().to_owned();
    let sink = match &connector.sink {
        Sink::InfluxDb(sink) => format!("influxdb {}", address(&sink.url)),
        Sink::Prometheus(sink) => format!("prometheus {}", address(&sink.url)),
        Sink::File(file) => format!("file {}", file.path.display()),
        Sink::Stdout(_) => "stdout".into(),
        Sink::Blackhole => "blackhole".into(),
    };
    let rules = &connector.mapping.points;
    let tags =
        connector.mapping.tags.len() + rules.iter().map(|rule| rule.tags.len()).sum::<usize>();
    let fields = rules.iter().map(|rule| rule.fields.len()).sum::<usize>();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!(
        "ok  {}  {}: {topics} → {sink} ({tags} tag{}, {fields} field{})",
        connector.file.display(),
        connector.name,
        plural(tags),
        plural(fields),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Process, load_text};

    const FILE: &str = "
topics: [a, b]
kafka: { bootstrap.servers: localhost }
point: { measurement: m, tags: { t: t }, fields: { f: f, g: g } }
sink: { prometheus: { url: 'http://vm:8428/api/v1/write?key=hunter2' } }
";

    #[test]
    fn a_good_connector_is_one_line_without_secrets() {
        let environment = Environment::variables(|_| None);
        let connector = load_text("x/a.yaml", FILE, &Process::default(), &environment).unwrap();
        assert_eq!(
            summary(&connector),
            "ok  x/a.yaml  a: topics a, b → prometheus http://vm:8428/api/v1/write (1 tag, 2 fields)"
        );
    }

    #[test]
    fn errors_are_counted_with_their_files() {
        let environment = Environment::variables(|_| None);
        let process = Process::default();
        let errors = load_text("a.yaml", "x: 1", &process, &environment).unwrap_err();
        assert_eq!(count(&errors), "3 errors in 1 file");
        let errors = load_text("a.yaml", "", &process, &environment).unwrap_err();
        assert_eq!(count(&errors), "1 error in 1 file");
    }
}
