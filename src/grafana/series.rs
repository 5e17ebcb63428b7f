//! What a connector writes, by the names that the database has for it.

use std::borrow::Cow;

use super::query::Side;
use crate::config::raw::FieldKind;
use crate::config::{Connector, InfluxApi, Sink};
use crate::encode::SeriesRules;
use crate::map::{Piece, PointRule, Template};
use crate::process::{Shape, Watched};

/// The language that the database is asked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Prometheus, Mimir, Thanos, `VictoriaMetrics`.
    #[value(name = "promql")]
    PromQl,
    /// `InfluxDB` 2.
    Flux,
    /// `InfluxDB` 1 and 3.
    #[value(name = "influxql")]
    InfluxQl,
}

impl Language {
    /// The type of the data source in Grafana.
    pub fn data_source(self) -> &'static str {
        match self {
            Self::PromQl => "prometheus",
            Self::Flux | Self::InfluxQl => "influxdb",
        }
    }
}

/// Why there is nothing to chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unchartable(String);

/// The series of one connector.
#[derive(Debug, Clone)]
pub struct Series {
    /// The connector's name.
    pub connector: String,
    /// How the database is asked.
    pub language: Language,
    /// All tags of all fields.
    pub tags: Vec<Tag>,
    /// Fields of all points, as they are after the processors.
    pub fields: Vec<Field>,
    /// Of Flux only.
    pub bucket: Option<String>,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// In the database.
    pub name: String,
    /// In Grafana, whose variables have letters, digits and underscores only.
    pub variable: String,
}

/// A field.
#[derive(Debug, Clone)]
pub struct Field {
    /// In the points.
    pub name: String,
    /// Its type.
    pub kind: FieldKind,
    /// The measurement, of which PromQL knows nothing.
    pub measurement: Name,
    /// Its series' tags.
    pub tags: Vec<Tag>,
    /// The metric's name, of PromQL only.
    pub metric: Option<Name>,
    /// The unit that is known for its metric, in the configuration's words.
    pub unit: Option<String>,
    /// The fields of the same points that tell its anomalies.
    pub watched: Option<Watched>,
}

/// A name, or the regular expression of names that are told from the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// Always the same.
    Is(String),
    /// A regular expression of the whole name.
    Matches(String),
}

/// Stands for what is told from the record while a metric's name is made. Letters, because the naming rule
/// leaves them as they are.
const TOLD: &str = "zzToldFromTheRecordzz";

impl Series {
    /// What a connector writes. `language` and `bucket` go before what its sink tells.
    pub fn of(
        connector: &Connector,
        language: Option<Language>,
        bucket: Option<&str>,
    ) -> Result<Self, Unchartable> {
        let (own, rules) = match &connector.sink {
            Sink::InfluxDb(sink) => match sink.api {
                InfluxApi::V1 { .. } | InfluxApi::V3 { .. } => (Language::InfluxQl, None),
                InfluxApi::V2 { .. } => (Language::Flux, None),
            },
            Sink::Prometheus(sink) => (Language::PromQl, Some(&sink.series)),
            _ => {
                return Err(Unchartable(format!(
                    "{}: its sink is no database that Grafana could ask",
                    connector.name
                )));
            }
        };
        let language = language.unwrap_or(own);
        let points = connector.mapping.points.iter();
        let points: Vec<_> =
            points.map(|point| (point, Shape::of(point, &connector.process))).collect();
        if points.iter().all(|(_, shape)| shape.fields.is_empty()) {
            return Err(Unchartable(format!(
                "{}: its configuration names no fields, because its messages hold points already or \
                 it takes whatever a message has; make its dashboard by hand",
                connector.name
            )));
        }
        if rules.is_some() && language != Language::PromQl {
            let name = &connector.name;
            return Err(Unchartable(format!("{name}: a prometheus sink is asked in promql only")));
        }
        // `VictoriaMetrics` joins measurement and field by an underscore and keeps all characters.
        let of_line_protocol = SeriesRules {
            scheme: crate::config::raw::NameScheme::Utf8,
            metric_name: Some(vec![
                crate::encode::NamePiece::Measurement,
                crate::encode::NamePiece::Text("_".into()),
                crate::encode::NamePiece::Field,
            ]),
            ..SeriesRules::default()
        };
        let rules = rules.unwrap_or(&of_line_protocol);
        let tags = tags(&points, language, rules);
        let fields = points
            .iter()
            .flat_map(|(point, shape)| fields(connector, point, shape, language, rules, &tags));
        Ok(Self {
            connector: connector.name.clone(),
            language,
            fields: fields.collect(),
            bucket: bucket_of(connector, language, bucket)?,
            tags: tags.into_iter().map(|(_, tag)| tag).collect(),
        })
    }

    /// The field that tells a field's anomalies.
    pub fn anomaly(&self, field: &Field) -> Option<&Field> {
        self.beside(field, &field.watched.as_ref()?.anomaly)
    }

    /// The fields with the least and the greatest value that are usual for a field.
    pub fn band(&self, field: &Field) -> Vec<(Side, &Field)> {
        let Some(Watched { low, high, .. }) = &field.watched else { return Vec::new() };
        let sides = [(Side::Low, low), (Side::High, high)].into_iter();
        sides.filter_map(|(side, name)| Some((side, self.beside(field, name.as_ref()?)?))).collect()
    }

    /// Whether a field is a side of another one's band.
    pub fn is_of_band(&self, field: &Field) -> bool {
        let mut sides = self.fields.iter().flat_map(|other| self.band(other));
        sides.any(|(_, side)| std::ptr::eq(side, field))
    }

    /// Another field of the same points.
    fn beside(&self, field: &Field, name: &str) -> Option<&Field> {
        let mut fields = self.fields.iter();
        fields.find(|other| other.name == name && other.measurement == field.measurement)
    }

    /// A field, by its name in the points.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

fn bucket_of(
    connector: &Connector,
    language: Language,
    given: Option<&str>,
) -> Result<Option<String>, Unchartable> {
    if language != Language::Flux {
        return Ok(None);
    }
    match (given, &connector.sink) {
        (Some(bucket), _) => Ok(Some(bucket.to_owned())),
        (None, Sink::InfluxDb(sink)) if connector.routing.is_none() => match &sink.api {
            InfluxApi::V2 { bucket, .. } => Ok(Some(bucket.clone())),
            _ => Err(Unchartable(format!("{}: Flux needs --bucket", connector.name))),
        },
        _ => Err(Unchartable(format!(
            "{}: its bucket is told from the record; name one with --bucket",
            connector.name
        ))),
    }
}

/// Every tag once, by its name in the points.
fn tags(
    points: &[(&PointRule, Shape)],
    language: Language,
    rules: &SeriesRules,
) -> Vec<(String, Tag)> {
    let mut tags: Vec<(String, Tag)> = Vec::new();
    for tag in points.iter().flat_map(|(_, shape)| &shape.tags) {
        if tags.iter().any(|(name, _)| name == tag) {
            continue;
        }
        let name = match language {
            Language::PromQl => rules.label(tag),
            _ => Cow::Borrowed(tag.as_str()),
        };
        let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let mut variable: String = name.chars().map(legal).collect();
        while tags.iter().any(|(_, other)| other.variable == variable) || variable == "datasource" {
            variable.push('_');
        }
        tags.push((tag.clone(), Tag { name: name.into_owned(), variable }));
    }
    tags
}

fn fields(
    connector: &Connector,
    point: &PointRule,
    shape: &Shape,
    language: Language,
    rules: &SeriesRules,
    tags: &[(String, Tag)],
) -> Vec<Field> {
    let told = point.measurement.0.iter().map(|piece| match piece {
        Piece::Text(text) => text,
        Piece::Source(_) | Piece::Route => TOLD,
    });
    let told: String = told.collect();
    let named = |field: &str| {
        let metric = rules.metric(&told, field);
        if metric.contains(TOLD) {
            Name::Matches(regex::escape(&metric).replace(TOLD, ".+"))
        } else {
            Name::Is(metric)
        }
    };
    let of_promql = language == Language::PromQl;
    let own = tags.iter().filter(|(name, _)| shape.tags.contains(name)).map(|(_, tag)| tag.clone());
    let own: Vec<_> = own.collect();
    let watched = |field: &str| shape.watched.iter().find(|watched| watched.field == field);
    let fields = shape.fields.iter();
    fields
        // Remote write carries no texts: see `strings` of the sink.
        .filter(|(_, kind)| !of_promql || *kind != FieldKind::String)
        .map(|(name, kind)| {
            let metric = of_promql.then(|| named(name));
            Field {
                unit: unit(connector, metric.as_ref()),
                name: name.clone(),
                kind: *kind,
                measurement: measurement(&point.measurement),
                tags: own.clone(),
                watched: watched(name).cloned(),
                metric,
            }
        })
        .collect()
}

/// What `metadata` of the sink tells of a metric.
fn unit(connector: &Connector, metric: Option<&Name>) -> Option<String> {
    match (&connector.sink, metric) {
        (Sink::Prometheus(sink), Some(Name::Is(metric))) => sink
            .metadata
            .0
            .get(metric)
            .map(|known| known.unit.clone())
            .filter(|unit| !unit.is_empty()),
        _ => None,
    }
}

fn measurement(template: &Template) -> Name {
    let mut text = String::new();
    let mut pattern = String::new();
    let mut told = false;
    for piece in &template.0 {
        match piece {
            Piece::Text(piece) => {
                text.push_str(piece);
                pattern.push_str(&regex::escape(piece));
            }
            Piece::Source(_) | Piece::Route => {
                told = true;
                pattern.push_str(".+");
            }
        }
    }
    if told { Name::Matches(pattern) } else { Name::Is(text) }
}
