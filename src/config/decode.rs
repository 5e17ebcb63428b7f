//! The format of a record's value, checked.

/// The format of a record's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Decode {
    /// Whose values the mapping makes points of.
    Documents(Documents),
    /// Which are points already, and have no mapping.
    Points(Points),
}

/// Formats of documents.
#[derive(Debug, Clone, PartialEq)]
pub enum Documents {
    /// One JSON document a record.
    Json,
}

/// Formats of points.
#[derive(Debug, Clone, PartialEq)]
pub enum Points {}
