//! A record's way through a connector, without a database at its end: for whoever shows what becomes of
//! a record, such as `tidegate test` and `tidegate preview`.

mod point;
pub(crate) mod shown;
pub(crate) mod source;
#[cfg(test)]
mod tests;
mod written;

pub use point::{ParseError, Value, WholePoint, lines};
pub use written::Written;

use crate::batch::{OpenParts, RecordIndex};
use crate::config;
use crate::connector;
use crate::dead_letter::Reject;
use crate::decode::Refusal;
use crate::map::Scratch;
use crate::record::Record;
use crate::sink::{BuildError, Sink};
use crate::worker::Transform;

/// A connector's decoder, mapping and encoder.
#[derive(Debug)]
pub struct Trial {
    /// Only asked whether the database's encoder takes the points.
    encoding: Transform,
    /// Asked for the points. Another one, because a stage may remember what it has seen.
    showing: Transform,
    scratch: Scratch,
    open: OpenParts,
}

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// At least one, in the order in which they are written.
    Points(Vec<WholePoint>),
    /// Nothing is written, by the configuration.
    Excluded,
    /// It is for the dead-letter topic.
    Rejected(Reject),
}

/// Something that a decoder takes can't be reached, such as a schema registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record can't be decoded now: {0}")]
pub struct Unavailable(pub String);

impl Trial {
    /// Neither Kafka nor the database is asked for anything.
    ///
    /// # Errors
    /// When the sink can't be built from its configuration.
    pub fn new(connector: &config::Connector) -> Result<Self, BuildError> {
        let sink = Sink::new(&connector.sink, connector.delivery.timeout)?;
        Ok(Self {
            encoding: connector::transform(connector, &sink),
            showing: connector::transform(connector, &sink),
            scratch: Scratch::default(),
            open: OpenParts::default(),
        })
    }

    /// What was written of the record of the last [`Trial::run`], in the sink's own form.
    pub fn written<R: Record>(&mut self, record: &R) -> Vec<Written> {
        written::written(&mut self.encoding.encoder, &mut self.open, record)
    }

    /// What becomes of a record. The order counts: some stages remember earlier records.
    ///
    /// # Errors
    /// When it can't be known now.
    pub fn run<R: Record>(&mut self, record: &R) -> Result<Outcome, Unavailable> {
        self.open.clear();
        let Self { encoding, showing, scratch, open } = self;
        let mut points = Vec::new();
        let taken = encoding.apply(record, RecordIndex(0), scratch, open).and_then(|_| {
            showing.points(record, scratch, &mut |point| {
                points.push(WholePoint::of(point));
                Ok(())
            })
        });
        match taken {
            Ok(()) if points.is_empty() => Ok(Outcome::Excluded),
            Ok(()) => Ok(Outcome::Points(points)),
            Err(Refusal::Rejected(reject)) => Ok(Outcome::Rejected(reject)),
            Err(Refusal::Unavailable(reason)) => Err(Unavailable(reason)),
        }
    }
}
