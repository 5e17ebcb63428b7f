//! The labels of a point, encoded once for all its fields.

use std::borrow::Cow;
use std::ops::Range;

use super::super::EncodeError;
use super::NAME;
use super::names::{LabelLimits, SeriesRules, is_legal_name};
use super::wire::push_label;
use crate::config::raw::NameScheme;

/// The labels of one point's tags, encoded, split where `__name__` has its place: labels are sorted
/// bytewise, and capitals sort before an underscore.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub(super) before_name: Vec<u8>,
    pub(super) after_name: Vec<u8>,
    /// Names made legal, one after the other, for points that have one that isn't.
    names: Vec<u8>,
    /// The part of `names` and the index of each label's source.
    sorted: Vec<(Range<usize>, usize)>,
}

/// What labels are made of: tags, and string fields where these become labels.
struct Sources<'a> {
    tags: &'a [(Cow<'a, str>, Cow<'a, str>)],
    strings: &'a [(&'a str, &'a str)],
}

impl Sources<'_> {
    fn len(&self) -> usize {
        self.tags.len() + self.strings.len()
    }

    fn get(&self, at: usize) -> (&'static str, &str, &str) {
        if let Some((name, value)) = self.tags.get(at) {
            return ("tag", name, value);
        }
        let (name, value) = self.strings[at - self.tags.len()];
        ("field", name, value)
    }

    /// A source for a message: `tag "a"`.
    fn shown(&self, at: usize) -> String {
        let (what, name, _) = self.get(at);
        format!("{what} {name:?}")
    }
}

impl Labels {
    /// Takes a point's tags, and those of its strings (without empty ones) that become labels.
    pub(super) fn encode(
        &mut self,
        rules: &SeriesRules,
        tags: &[(Cow<'_, str>, Cow<'_, str>)],
        strings: &[(&str, &str)],
    ) -> Result<(), EncodeError> {
        self.before_name.clear();
        self.after_name.clear();
        check_count(tags.len() + strings.len() + 1, &rules.limits)?;
        let legal = |name: &str| match rules.scheme {
            NameScheme::Legacy => is_legal_name(name, false),
            NameScheme::Utf8 => !name.is_empty(),
        };
        if strings.is_empty()
            && tags.iter().all(|(name, _)| legal(name))
            && tags.is_sorted_by(|(one, _), (other, _)| one <= other)
        {
            // An empty value is a label that isn't there: Prometheus leaves it out, Thanos refuses it.
            for (name, value) in tags.iter().filter(|(_, value)| !value.is_empty()) {
                if *name == NAME {
                    return Err(EncodeError(format!("a tag can't have the name {NAME:?}")));
                }
                self.push(name.as_bytes(), value, &rules.limits)?;
            }
            return Ok(());
        }
        let sources = Sources { tags, strings };
        self.make_legal(rules, &sources);
        self.refuse_equal(&sources)?;
        for at in 0..self.sorted.len() {
            let (name, source) = self.sorted[at].clone();
            check_name(&self.names[name.clone()], &rules.limits)?;
            let value = sources.get(source).2;
            if value.is_empty() {
                continue;
            }
            check_value(&self.names[name.clone()], value, &rules.limits)?;
            let side = side(&mut self.before_name, &mut self.after_name, &self.names[name.clone()]);
            push_label(side, &self.names[name], value.as_bytes());
        }
        Ok(())
    }

    fn push(&mut self, name: &[u8], value: &str, limits: &LabelLimits) -> Result<(), EncodeError> {
        check_name(name, limits)?;
        check_value(name, value, limits)?;
        push_label(side(&mut self.before_name, &mut self.after_name, name), name, value.as_bytes());
        Ok(())
    }

    /// Fills `sorted` with the sources in the order of their legal names.
    fn make_legal(&mut self, rules: &SeriesRules, sources: &Sources<'_>) {
        self.names.clear();
        self.sorted.clear();
        for index in 0..sources.len() {
            let start = self.names.len();
            rules.push_label_name(&mut self.names, sources.get(index).1);
            self.sorted.push((start..self.names.len(), index));
        }
        let names = &self.names;
        self.sorted.sort_unstable_by(|a, b| {
            names[a.0.clone()].cmp(&names[b.0.clone()]).then(a.1.cmp(&b.1))
        });
    }

    /// Two labels of one name: receivers drop the series with a 204, or keep either label.
    fn refuse_equal(&self, sources: &Sources<'_>) -> Result<(), EncodeError> {
        let name = |entry: &(Range<usize>, usize)| &self.names[entry.0.clone()];
        for (at, entry) in self.sorted.iter().enumerate() {
            let label = String::from_utf8_lossy(name(entry));
            let this = sources.shown(entry.1);
            if label.is_empty() {
                return Err(EncodeError(format!("{this} has an empty name")));
            }
            if label == NAME {
                return Err(EncodeError(format!(
                    "{this} becomes the label {NAME:?}, which is the metric's name"
                )));
            }
            if let Some(next) = self.sorted.get(at + 1).filter(|next| name(next) == name(entry)) {
                let next = sources.shown(next.1);
                return Err(EncodeError(format!(
                    "{this} and {next} both become the label {label:?}"
                )));
            }
        }
        Ok(())
    }
}

/// The labels that a label of this name belongs to.
fn side<'a>(before: &'a mut Vec<u8>, after: &'a mut Vec<u8>, name: &[u8]) -> &'a mut Vec<u8> {
    if name < NAME.as_bytes() { before } else { after }
}

fn check_count(labels: usize, limits: &LabelLimits) -> Result<(), EncodeError> {
    let limit = limits.labels;
    if labels <= limit {
        return Ok(());
    }
    Err(EncodeError(format!(
        "{labels} labels, with the metric's name, are more than `label_limit` ({limit})"
    )))
}

fn check_name(name: &[u8], limits: &LabelLimits) -> Result<(), EncodeError> {
    let (len, limit) = (name.len(), limits.name);
    if len <= limit {
        return Ok(());
    }
    Err(EncodeError(format!(
        "the name of label {:?} has {len} bytes, which is more than `label_name_length_limit` \
         ({limit})",
        start_of(name)
    )))
}

fn check_value(name: &[u8], value: &str, limits: &LabelLimits) -> Result<(), EncodeError> {
    let (len, limit) = (value.len(), limits.value);
    if len <= limit {
        return Ok(());
    }
    Err(EncodeError(format!(
        "the value of label {:?} has {len} bytes, which is more than `label_value_length_limit` \
         ({limit})",
        start_of(name)
    )))
}

/// A metric's name is the value of a label.
pub(super) fn check_metric(metric: &[u8], limits: &LabelLimits) -> Result<(), EncodeError> {
    let (len, limit) = (metric.len(), limits.value);
    if len <= limit {
        return Ok(());
    }
    Err(EncodeError(format!(
        "the metric's name {:?} has {len} bytes, which is more than `label_value_length_limit` \
         ({limit})",
        start_of(metric)
    )))
}

/// A reason is a header and a log line, not a place for a long name.
fn start_of(name: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(name);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
