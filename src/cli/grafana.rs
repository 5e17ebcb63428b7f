//! `tidegate grafana`: dashboards and alert rules, into files or into a running Grafana or Mimir.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Url;
use serde_json::Value;

use super::{BAD_CONFIGURATION, ConfigurationArguments, FAILED, load};
use crate::config::{Connector, Secret};
use crate::grafana::apply::Api;
use crate::grafana::rules::{self, Group};
use crate::grafana::{Language, Series, dashboard, operations};

#[derive(Debug, clap::Args)]
pub(super) struct GrafanaArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write dashboards and rules into a folder.
    Export {
        #[command(flatten)]
        common: Common,
        /// The form of the rules. Default: prometheus for PromQL, grafana for the other languages.
        #[arg(long, value_enum)]
        rules: Option<Form>,
        /// The folder to write into; what is there by the same name is replaced.
        #[arg(short, long, value_name = "DIR", default_value = "grafana")]
        output: PathBuf,
    },
    /// Put dashboards and rules into a running Grafana, or rules into a Mimir ruler. Can be repeated.
    Apply {
        #[command(flatten)]
        common: Common,
        /// Grafana's address, such as `http://localhost:3000`.
        #[arg(
            long,
            value_name = "URL",
            required_unless_present = "mimir",
            conflicts_with = "mimir"
        )]
        grafana: Option<Url>,
        /// Mimir's address, such as `http://mimir:8080`: only rules go there.
        #[arg(long, value_name = "URL")]
        mimir: Option<Url>,
        /// The tenant of Mimir.
        #[arg(long, requires = "mimir")]
        tenant: Option<String>,
        /// A file with the token (of a service account of Grafana, or for what stands before Mimir).
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    files: ConfigurationArguments,
    /// The language that the database is asked in. Default: the sink's; `promql` for VictoriaMetrics behind
    /// an influxdb sink.
    #[arg(long, value_enum)]
    language: Option<Language>,
    /// The bucket that Flux asks, where the sink's is told from the record.
    #[arg(long)]
    bucket: Option<String>,
    /// The uid of the data source that Grafana's rules of these connectors ask.
    #[arg(long, value_name = "UID")]
    datasource: Option<String>,
    /// The uid of the data source with Tidegate's own metrics; without it there are no Grafana rules for
    /// the pipeline itself.
    #[arg(long, value_name = "UID")]
    metrics_datasource: Option<String>,
}

/// The form of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A rule file of Prometheus, Mimir and VictoriaMetrics' vmalert.
    Prometheus,
    /// Grafana's provisioning of its own alerting.
    Grafana,
    /// Tasks of InfluxDB 2.
    Flux,
}

pub(super) fn run(arguments: &GrafanaArguments) -> ExitCode {
    let common = match &arguments.command {
        Command::Export { common, .. } | Command::Apply { common, .. } => common,
    };
    let connectors = match load(common.files.config.as_deref(), &common.files.paths) {
        Ok(configuration) => configuration.connectors,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let done = match &arguments.command {
        Command::Export { common, rules, output } => export(&connectors, common, *rules, output),
        Command::Apply { common, grafana, mimir, tenant, token_file } => {
            let token = match token_file.as_deref().map(token).transpose() {
                Ok(token) => token,
                Err(error) => {
                    eprintln!("{error}");
                    return ExitCode::from(BAD_CONFIGURATION);
                }
            };
            match (grafana, mimir) {
                (_, Some(url)) => to_ruler(&connectors, common, url, token, tenant.clone()),
                (Some(url), None) => to_grafana(&connectors, common, url, token),
                // Ruled out by clap.
                (None, None) => Ok(()),
            }
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(FAILED)
        }
    }
}

/// What can be charted, and the rest named on standard error.
fn series_of<'a>(
    connectors: &'a [Connector],
    common: &Common,
) -> Result<Vec<(&'a Connector, Series)>, String> {
    let mut found = Vec::new();
    for connector in connectors {
        match Series::of(connector, common.language, common.bucket.as_deref()) {
            Ok(series) => found.push((connector, series)),
            Err(why) if connectors.len() > 1 => eprintln!("left out: {why}"),
            Err(why) => return Err(why.to_string()),
        }
    }
    Ok(found)
}

fn export(
    connectors: &[Connector],
    common: &Common,
    form: Option<Form>,
    output: &Path,
) -> Result<(), String> {
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    for (connector, series) in series_of(connectors, common)? {
        let name = &connector.name;
        let path = format!("dashboards/{name}.json").into();
        files.push((path, pretty(&dashboard::dashboard(&series))));
        let group = Group::of_connector(&series, &connector.alerts);
        let usual =
            if series.language == Language::PromQl { Form::Prometheus } else { Form::Grafana };
        if !group.is_empty() {
            files.extend(rules_of(&series, group, form.unwrap_or(usual), common)?);
        }
    }
    let path = format!("dashboards/{}.json", operations::NAME).into();
    files.push((path, pretty(&operations::dashboard())));
    let pipeline = [Group::of_pipeline()];
    match (form.unwrap_or(Form::Prometheus), common.metrics_datasource.as_deref()) {
        (Form::Prometheus, _) => {
            files.push(("rules/pipeline.yaml".into(), rules::prometheus::file(&pipeline)));
        }
        (Form::Grafana, Some(uid)) => {
            files.push(("alerting/pipeline.yaml".into(), rules::grafana::file(&pipeline, uid)));
        }
        // Tidegate's metrics are not in InfluxDB.
        (Form::Grafana, None) | (Form::Flux, _) => {}
    }
    for (file, text) in files {
        let file = output.join(file);
        let written = file.parent().map_or(Ok(()), fs::create_dir_all);
        written
            .and_then(|()| fs::write(&file, text))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{}", file.display());
    }
    Ok(())
}

fn rules_of(
    series: &Series,
    group: Group,
    form: Form,
    common: &Common,
) -> Result<Vec<(PathBuf, String)>, String> {
    let name = series.connector.clone();
    match (form, series.language) {
        (Form::Prometheus, Language::PromQl) => {
            Ok(vec![(format!("rules/{name}.yaml").into(), rules::prometheus::file(&[group]))])
        }
        (Form::Flux, Language::Flux) => {
            let tasks = rules::flux::tasks(series, &group).into_iter();
            let file = |alert: &str| format!("tasks/{name}-{}.flux", alert.replace(' ', "-"));
            Ok(tasks.map(|(alert, task)| (file(&alert).into(), task)).collect())
        }
        (Form::Grafana, _) => {
            let uid = data_source(common)?;
            Ok(vec![(format!("alerting/{name}.yaml").into(), rules::grafana::file(&[group], uid))])
        }
        (Form::Prometheus, _) => {
            Err(format!("{name}: its database is not asked in promql; use --rules grafana"))
        }
        (Form::Flux, _) => Err(format!("{name}: its database has no Flux; use --rules grafana")),
    }
}

fn data_source(common: &Common) -> Result<&str, String> {
    common.datasource.as_deref().ok_or_else(|| {
        "Grafana's alert rules name the data source that they ask: give its uid by --datasource \
         (it is in the address of the data source's page)"
            .into()
    })
}

fn to_grafana(
    connectors: &[Connector],
    common: &Common,
    url: &Url,
    token: Option<Secret>,
) -> Result<(), String> {
    let mut dashboards = vec![operations::dashboard()];
    let mut groups = Vec::new();
    for (connector, series) in series_of(connectors, common)? {
        dashboards.push(dashboard::dashboard(&series));
        let group = Group::of_connector(&series, &connector.alerts);
        if !group.is_empty() {
            groups.push((group, data_source(common)?.to_owned()));
        }
    }
    if let Some(uid) = &common.metrics_datasource {
        groups.push((Group::of_pipeline(), uid.clone()));
    }
    let api = Api::new(url.clone(), token, None).map_err(|error| error.to_string())?;
    told(&block_on(api.apply_to_grafana(&dashboards, &groups))?);
    Ok(())
}

fn to_ruler(
    connectors: &[Connector],
    common: &Common,
    url: &Url,
    token: Option<Secret>,
    tenant: Option<String>,
) -> Result<(), String> {
    let mut groups = vec![Group::of_pipeline()];
    for (connector, series) in series_of(connectors, common)? {
        let group = Group::of_connector(&series, &connector.alerts);
        if series.language != Language::PromQl {
            eprintln!("left out: {}: it is not asked in promql", connector.name);
        } else if !group.is_empty() {
            groups.push(group);
        }
    }
    let api = Api::new(url.clone(), token, tenant).map_err(|error| error.to_string())?;
    told(&block_on(api.apply_to_ruler(&groups))?);
    Ok(())
}

fn block_on<T, E: ToString>(work: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work).map_err(|error| error.to_string())
}

fn told(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}

fn token(file: &Path) -> Result<Secret, String> {
    let text = fs::read_to_string(file);
    let text = text.map_err(|error| format!("--token-file {}: {error}", file.display()))?;
    Ok(Secret::new(text.trim()))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
