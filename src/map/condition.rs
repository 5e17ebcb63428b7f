//! Conditions: which documents, or elements of an array, a rule makes points of.

use regex::Regex;

use super::Source;
use super::convert::Input;

/// A condition, checked. What is missing or null fails every comparison.
#[derive(Debug, Clone)]
pub enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// There is something, and it is not null.
    Exists(Source),
    /// It is the boolean `true`.
    IsTrue(Source),
    Compare(Source, Comparison, Operand),
    In(Source, Vec<Literal>),
    /// Text that the expression is found in.
    Matches(Source, Regex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What a source is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Literal(Literal),
    Source(Source),
}

/// A value that stands in the condition itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Number(f64),
    Text(String),
    Boolean(bool),
}

impl Comparison {
    /// Whether two values compare so. Values of different types are not equal, and neither is less;
    /// what has no value is not even unequal.
    pub(super) fn holds(self, left: &Input<'_>, right: &Input<'_>) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        if matches!(left, Input::Nothing) || matches!(right, Input::Nothing) {
            return false;
        }
        let order = order(left, right);
        match self {
            Self::Equal => order == Some(Equal),
            Self::NotEqual => order != Some(Equal),
            Self::Less => order == Some(Less),
            Self::AtMost => matches!(order, Some(Less | Equal)),
            Self::Greater => order == Some(Greater),
            Self::AtLeast => matches!(order, Some(Greater | Equal)),
        }
    }
}

impl Literal {
    pub(super) fn input(&self) -> Input<'_> {
        match self {
            Self::Number(number) => Input::Float(*number),
            Self::Text(text) => Input::Text(text.into()),
            Self::Boolean(boolean) => Input::Boolean(*boolean),
        }
    }
}

/// `None` where they are of different types. Text from where there are no types, such as a header, is
/// a number beside a number.
fn order(left: &Input<'_>, right: &Input<'_>) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Input::Boolean(left), Input::Boolean(right)) => Some(left.cmp(right)),
        (Input::Integer(left), Input::Integer(right)) => Some(left.cmp(right)),
        (Input::Text(left) | Input::Untyped(left), Input::Text(right) | Input::Untyped(right)) => {
            Some(left.cmp(right))
        }
        _ => left.number()?.partial_cmp(&right.number()?),
    }
}
