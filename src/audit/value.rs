//! What a database holds and what the audit expects of it, in the same terms: a value of a series
//! at a time.

use std::fmt;

use crate::route::Destination;

/// A series by its labels, sorted by name; the name of the measurement or metric is one of them, as
/// each database calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series(Vec<(String, String)>);

/// The label of a metric's name in the Prometheus family.
pub(super) const METRIC: &str = "__name__";
/// The labels of a measurement and of a field in InfluxDB.
pub(super) const MEASUREMENT: &str = "_measurement";
pub(super) const FIELD: &str = "_field";

/// The label of a destination, if it is told from the record. No database has a label of this name.
pub(super) const DESTINATION: &str = "\0";

/// A stored value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    Text(String),
}

impl Series {
    pub fn new(mut labels: Vec<(String, String)>) -> Self {
        labels.sort_unstable();
        Self(labels)
    }

    /// Sorted by name.
    pub fn labels(&self) -> &[(String, String)] {
        &self.0
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|label| label.0 == name).map(|label| label.1.as_str())
    }

    /// The series that `VictoriaMetrics` makes of a measurement's field: `{measurement}_{field}`.
    pub fn into_metric(self) -> Self {
        let (Some(measurement), Some(field)) = (self.label(MEASUREMENT), self.label(FIELD)) else {
            return self;
        };
        let name = (METRIC.to_owned(), format!("{measurement}_{field}"));
        let mut labels = self.0;
        labels.retain(|(name, _)| name != MEASUREMENT && name != FIELD);
        labels.push(name);
        Self::new(labels)
    }

    /// The same series in one of several destinations.
    pub fn at(self, destination: &Destination) -> Self {
        if destination.is_constant() {
            return self;
        }
        let mut labels = self.0;
        labels.push((DESTINATION.to_owned(), destination.key().to_owned()));
        Self::new(labels)
    }

    /// Whether both have labels of the same names.
    pub fn is_like(&self, other: &Self) -> bool {
        self.0.iter().map(|label| &label.0).eq(other.0.iter().map(|label| &label.0))
    }
}

impl fmt::Display for Series {
    /// `metric{label="value"}`, or `measurement,tag=value field` of InfluxDB; behind `destination: ` if
    /// that is told from the record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(destination) = self.label(DESTINATION) {
            write!(f, "{}: ", destination.replace('\n', "/"))?;
        }
        let others = |own: &'static [&str]| {
            self.0.iter().filter(move |label| !own.contains(&label.0.as_str()))
        };
        if let Some(measurement) = self.label(MEASUREMENT) {
            f.write_str(measurement)?;
            for (name, value) in others(&[MEASUREMENT, FIELD, DESTINATION]) {
                write!(f, ",{name}={value}")?;
            }
            return write!(f, " {}", self.label(FIELD).unwrap_or_default());
        }
        f.write_str(self.label(METRIC).unwrap_or_default())?;
        let mut separator = '{';
        for (name, value) in others(&[METRIC, DESTINATION]) {
            write!(f, "{separator}{name}={value:?}")?;
            separator = ',';
        }
        if separator == ',' { f.write_str("}") } else { Ok(()) }
    }
}

impl Value {
    /// What a database makes of it that stores floats only. A text becomes 0, as in
    /// VictoriaMetrics.
    #[expect(clippy::cast_precision_loss, reason = "it is all that such a database can store")]
    pub fn to_float(&self) -> f64 {
        match self {
            Self::Float(number) => *number,
            Self::Integer(number) => *number as f64,
            Self::Unsigned(number) => *number as f64,
            Self::Boolean(truth) => f64::from(u8::from(*truth)),
            Self::Text(_) => 0.0,
        }
    }
}

impl fmt::Display for Value {
    /// As in line protocol, so that types can be told apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(number) => write!(f, "{number}"),
            Self::Integer(number) => write!(f, "{number}i"),
            Self::Unsigned(number) => write!(f, "{number}u"),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}
