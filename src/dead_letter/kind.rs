//! Kinds of reasons: a closed set, so that rejected records can be counted by them. The reason itself
//! says more, and differs from record to record.

use super::Stage;

/// Of what kind the reason is why a record was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonKind {
    /// The value is not a message of the declared format.
    Malformed,
    /// The schema that the message names is not there, or can't be used.
    UnknownSchema,
    /// A value that must be there is not.
    MissingValue,
    /// A value is there, and is not of the type that it should have.
    WrongType,
    /// The time is missing, or is none.
    BadTimestamp,
    /// More bytes, elements or values than a limit.
    TooLarge,
    /// A new series, or a new value of a tag, beyond a limit.
    TooManySeries,
    /// A name that a tag or a field would have is another's.
    NameTaken,
    /// All windows that the point lies in have closed.
    TooLate,
    /// The point's time is too far ahead of its record's.
    TooFarAhead,
    /// The destination has no value, or is not allowed.
    BadDestination,
    /// The database has no form for the point.
    NotRepresentable,
    /// The database refused the point.
    Refused,
    /// The database refused the point because of what it has already.
    Superseded,
}

impl ReasonKind {
    pub(crate) const ALL: [Self; 14] = [
        Self::Malformed,
        Self::UnknownSchema,
        Self::MissingValue,
        Self::WrongType,
        Self::BadTimestamp,
        Self::TooLarge,
        Self::TooManySeries,
        Self::NameTaken,
        Self::TooLate,
        Self::TooFarAhead,
        Self::BadDestination,
        Self::NotRepresentable,
        Self::Refused,
        Self::Superseded,
    ];

    /// The word in the metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownSchema => "unknown_schema",
            Self::MissingValue => "missing_value",
            Self::WrongType => "wrong_type",
            Self::BadTimestamp => "bad_timestamp",
            Self::TooLarge => "too_large",
            Self::TooManySeries => "too_many_series",
            Self::NameTaken => "name_taken",
            Self::TooLate => "too_late",
            Self::TooFarAhead => "too_far_ahead",
            Self::BadDestination => "bad_destination",
            Self::NotRepresentable => "not_representable",
            Self::Refused => "refused_by_database",
            Self::Superseded => "superseded",
        }
    }
}

impl Stage {
    /// The kinds of reasons that there are at a stage: their series are there before the first record
    /// is rejected.
    pub(crate) fn kinds(self) -> &'static [ReasonKind] {
        match self {
            Self::Decode => {
                &[ReasonKind::Malformed, ReasonKind::UnknownSchema, ReasonKind::TooLarge]
            }
            Self::Map => &[
                ReasonKind::MissingValue,
                ReasonKind::WrongType,
                ReasonKind::BadTimestamp,
                ReasonKind::TooLarge,
                ReasonKind::TooManySeries,
                ReasonKind::BadDestination,
            ],
            Self::Process => &[
                ReasonKind::MissingValue,
                ReasonKind::WrongType,
                ReasonKind::TooLarge,
                ReasonKind::TooManySeries,
                ReasonKind::NameTaken,
                ReasonKind::TooLate,
                ReasonKind::TooFarAhead,
            ],
            Self::Encode => &[ReasonKind::NotRepresentable],
            Self::Write => &[ReasonKind::Refused, ReasonKind::Superseded, ReasonKind::TooLarge],
        }
    }
}
