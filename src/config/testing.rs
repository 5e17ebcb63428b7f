//! A file of a mapping's tests, checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::dead_letter::Stage;
use crate::record::OwnedRecord;
use crate::trial::{Value, WholePoint};

/// The tests of one connector's mapping.
#[derive(Debug, Clone)]
pub struct Tests {
    /// The file that they stand in.
    pub file: PathBuf,
    /// The connector's file.
    pub connector: PathBuf,
    /// What stands for variables in it.
    pub environment: BTreeMap<String, String>,
    /// At least one.
    pub cases: Vec<Case>,
}

/// A record, and what must become of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Its line in the file, from 1.
    pub line: usize,
    /// The record; its topic is empty where the connector's first is meant.
    pub record: OwnedRecord,
    pub expected: Expected,
}

/// What must become of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// In any order; none means that it is excluded.
    Points(Vec<ExpectedPoint>),
    Rejected {
        stage: Option<Stage>,
        /// In lower case.
        reason: String,
    },
}

/// A point that must be there.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedPoint {
    /// Without a time, or a destination, any will do.
    pub point: WholePoint,
    /// Whether a whole number must be of its very type, or of its value only.
    pub exact: bool,
}

impl ExpectedPoint {
    /// Whether a point is the one that is meant.
    pub fn is(&self, found: &WholePoint) -> bool {
        let Self { point, .. } = self;
        point.measurement == found.measurement
            && point.tags == found.tags
            && point.nanos.is_none_or(|nanos| Some(nanos) == found.nanos)
            && (point.to.is_none() || point.to == found.to)
            && point.fields.len() == found.fields.len()
            && point.fields.iter().all(|(name, value)| {
                found.fields.get(name).is_some_and(|found| self.is_value(value, found))
            })
    }

    /// Whether a value is the one that is meant.
    pub fn is_value(&self, wanted: &Value, found: &Value) -> bool {
        wanted == found || (!self.exact && is_same_number(wanted, found))
    }
}

#[expect(clippy::float_cmp, reason = "a test says which number it wants, to the last bit")]
fn is_same_number(one: &Value, other: &Value) -> bool {
    let whole = |value: &Value| match value {
        Value::Integer(number) => Some(i128::from(*number)),
        Value::Unsigned(number) => Some(i128::from(*number)),
        _ => None,
    };
    #[expect(clippy::cast_precision_loss, reason = "as the number would be as a float")]
    let float = |value: &Value| match value {
        Value::Float(number) => Some(*number),
        _ => whole(value).map(|number| number as f64),
    };
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one == other,
        _ => matches!((float(one), float(other)), (Some(one), Some(other)) if one == other),
    }
}
