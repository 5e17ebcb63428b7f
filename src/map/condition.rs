//! Conditions: which documents, or elements of an array, a rule makes points of.

use regex::Regex;

use super::Source;
use super::convert::Input;

/// A condition over values that an `S` names, checked. What is missing or null fails every comparison.
#[derive(Debug, Clone)]
pub enum Condition<S = Source> {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// There is something, and it is not null.
    Exists(S),
    /// It is the boolean `true`.
    IsTrue(S),
    Compare(S, Comparison, Operand<S>),
    In(S, Vec<Literal>),
    /// Text that the expression is found in.
    Matches(S, Regex),
}

impl<S> Condition<S> {
    /// The same condition over other names.
    pub(super) fn map<T>(&self, name: &mut impl FnMut(&S) -> T) -> Condition<T> {
        let mut all = |all: &[Self]| all.iter().map(|one| one.map(name)).collect();
        match self {
            Self::All(list) => Condition::All(all(list)),
            Self::Any(list) => Condition::Any(all(list)),
            Self::Not(condition) => Condition::Not(Box::new(condition.map(name))),
            Self::Exists(of) => Condition::Exists(name(of)),
            Self::IsTrue(of) => Condition::IsTrue(name(of)),
            Self::Compare(of, how, with) => {
                let of = name(of);
                let with = match with {
                    Operand::Literal(literal) => Operand::Literal(literal.clone()),
                    Operand::Source(of) => Operand::Source(name(of)),
                };
                Condition::Compare(of, *how, with)
            }
            Self::In(of, literals) => Condition::In(name(of), literals.clone()),
            Self::Matches(of, regex) => Condition::Matches(name(of), regex.clone()),
        }
    }

    /// Whether it holds of these values. One that is no single value, such as an object or array, is an
    /// error of `value`: it is something, and compares with nothing.
    pub(crate) fn holds<'a>(&'a self, value: &impl Fn(&'a S) -> Result<Input<'a>, String>) -> bool {
        let input = |of| value(of).unwrap_or(Input::Nothing);
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(value)),
            Self::Any(any) => any.iter().any(|one| one.holds(value)),
            Self::Not(condition) => !condition.holds(value),
            Self::Exists(of) => !matches!(value(of), Ok(Input::Nothing)),
            Self::IsTrue(of) => matches!(input(of), Input::Boolean(true)),
            Self::Compare(of, how, with) => {
                let with = match with {
                    Operand::Literal(literal) => literal.input(),
                    Operand::Source(of) => input(of),
                };
                how.holds(&input(of), &with)
            }
            Self::In(of, literals) => {
                let found = input(of);
                literals.iter().any(|one| Comparison::Equal.holds(&found, &one.input()))
            }
            Self::Matches(of, regex) => input(of).text().is_some_and(|text| regex.is_match(&text)),
        }
    }
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
pub enum Operand<S = Source> {
    Literal(Literal),
    Source(S),
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
