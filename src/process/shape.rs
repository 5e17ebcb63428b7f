//! What points have after the processors, as far as the configuration tells: for dashboards and alerts, which
//! name series before there is one.

use std::collections::BTreeMap;

use super::window::{Aggregate, Rules};
use super::{Names, Processor};
use crate::config::raw::FieldKind;
use crate::map::PointRule;

/// The names that a connector's points have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    pub tags: Vec<String>,
    /// With their types.
    pub fields: Vec<(String, FieldKind)>,
    /// Fields that are watched for anomalies.
    pub watched: Vec<Watched>,
}

/// A field that is watched for anomalies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Its name.
    pub field: String,
    /// The boolean field that tells its anomalies.
    pub anomaly: String,
    /// The field with the least value that is usual.
    pub low: Option<String>,
    /// The field with the greatest one.
    pub high: Option<String>,
}

impl Shape {
    /// Of a rule's points, when all processors have had them. Tags and fields that a wildcard takes are not
    /// known.
    pub fn of(rule: &PointRule, processors: &[Processor]) -> Self {
        let mapped = Self {
            tags: rule.tags.iter().map(|tag| tag.name.clone()).collect(),
            fields: rule.fields.iter().map(|field| (field.name.clone(), field.kind)).collect(),
            watched: Vec::new(),
        };
        processors.iter().fold(mapped, |shape, processor| processor.shape(shape))
    }

    /// A field's type.
    pub fn kind(&self, field: &str) -> Option<FieldKind> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, kind)| *kind)
    }

    fn has(&self, name: &str) -> bool {
        self.tags.iter().any(|tag| tag == name) || self.kind(name).is_some()
    }

    fn rename(&mut self, names: &BTreeMap<String, String>) {
        let of_watched = self.watched.iter_mut().flat_map(Watched::names);
        let of_fields = self.fields.iter_mut().map(|(field, _)| field);
        for name in self.tags.iter_mut().chain(of_fields).chain(of_watched) {
            if let Some(new) = names.get(name) {
                name.clone_from(new);
            }
        }
        self.tags.sort_unstable();
    }

    /// Gives a field, or another type to one that is there.
    fn set(&mut self, field: &str, kind: FieldKind) {
        match self.fields.iter_mut().find(|(name, _)| name == field) {
            Some((_, there)) => *there = kind,
            None => self.fields.push((field.to_owned(), kind)),
        }
    }
}

impl Watched {
    fn names(&mut self) -> impl Iterator<Item = &mut String> {
        [&mut self.field, &mut self.anomaly].into_iter().chain(&mut self.low).chain(&mut self.high)
    }
}

impl Processor {
    /// What comes out of points of this shape.
    fn shape(&self, mut shape: Shape) -> Shape {
        match self {
            Self::Filter(_) | Self::Sample(_) | Self::Deduplicate(_) | Self::Route(_) => {}
            Self::Rename(rename) => shape.rename(&rename.names),
            Self::Cast(cast) => {
                for (field, kind) in &mut shape.fields {
                    *kind = cast.kinds.get(field).copied().unwrap_or(*kind);
                }
            }
            Self::Drop(drop) => {
                shape.tags.retain(|tag| !drop.names.contains(tag));
                shape.fields.retain(|(field, _)| !drop.names.contains(field));
            }
            Self::Enrich(enrich) => {
                for (tag, _) in &enrich.tags {
                    if !shape.has(tag) {
                        shape.tags.push(tag.clone());
                    }
                }
                for (field, (_, kind)) in &enrich.fields {
                    if !shape.has(field) {
                        shape.set(field, *kind);
                    }
                }
            }
            Self::Rate(rate) => {
                for (_, added) in &rate.growth().fields {
                    shape.set(added, FieldKind::Float);
                }
            }
            Self::Anomaly(anomaly) => {
                let names = anomaly.names();
                shape.set(&names.score, FieldKind::Float);
                shape.set(&names.anomaly, FieldKind::Boolean);
                for bound in names.low.iter().chain(&names.high) {
                    shape.set(bound, FieldKind::Float);
                }
                let Names { field, anomaly, low, high, .. } = names.clone();
                shape.watched.push(Watched { field, anomaly, low, high });
            }
            Self::Window(window) => return windows(window.rules(), shape),
        }
        shape
    }
}

fn windows(rules: &Rules, shape: Shape) -> Shape {
    let of = |field: &str| shape.kind(field);
    let aggregated: Vec<_> = rules
        .fields
        .iter()
        .flat_map(|field| {
            // A float, where a wildcard may have taken it.
            let kind = of(&field.field).unwrap_or_default();
            field
                .aggregates
                .iter()
                .map(move |(aggregate, name)| (name.clone(), typed(aggregate, kind)))
        })
        .collect();
    let mut after = if rules.keep { shape } else { Shape { tags: shape.tags, ..Shape::default() } };
    for (name, kind) in aggregated {
        after.set(&name, kind);
    }
    after
}

/// An aggregate's type, of values of a type.
fn typed(aggregate: &Aggregate, kind: FieldKind) -> FieldKind {
    match aggregate {
        Aggregate::Count => FieldKind::Integer,
        Aggregate::Min | Aggregate::Max | Aggregate::First | Aggregate::Last => kind,
        Aggregate::Sum | Aggregate::Mean | Aggregate::Stddev | Aggregate::Quantile(_) => {
            FieldKind::Float
        }
    }
}

#[cfg(test)]
mod tests;
