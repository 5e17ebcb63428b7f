//! What is produced, planned beforehand: so the message at each offset is known before anybody reads it.

use std::sync::Arc;

use crate::support::Random;
use crate::support::produce::ToProduce;
use crate::support::proxy::Point;

pub const PARTITIONS: usize = 6;
const SERIES: u32 = 120;
/// Longer than a tag of InfluxDB may be, and no trouble to Prometheus.
const TOO_LONG: usize = 70_000;

/// What a message is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Good,
    /// No JSON.
    Garbage,
    /// JSON that the mapping can make no point of.
    Unmapped,
    /// A point whose field has another type in InfluxDB already.
    TypeConflict,
    /// A point with a tag that is too long for InfluxDB.
    TooLong,
}

impl Kind {
    pub const POISON: [Self; 4] =
        [Self::Garbage, Self::Unmapped, Self::TypeConflict, Self::TooLong];

    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Garbage => "poison_garbage",
            Self::Unmapped => "poison_unmapped",
            Self::TypeConflict => "poison_type_conflict",
            Self::TooLong => "poison_too_long",
        }
    }

    /// About one message in a hundred is bad; those that cost a database much are rare.
    fn random(random: &mut Random) -> Self {
        match random.below(12_000) {
            0..40 => Self::Garbage,
            40..80 => Self::Unmapped,
            80..90 => Self::TypeConflict,
            90..93 => Self::TooLong,
            _ => Self::Good,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Message {
    series: u32,
    kind: Kind,
}

/// Messages by number, and by partition and offset.
pub struct Stream {
    /// The time of message 0; each is a millisecond younger than the one before.
    first_at: i64,
    messages: Vec<Message>,
    partitions: Vec<Vec<usize>>,
}

impl Stream {
    /// `first_at` in milliseconds.
    pub fn new(count: usize, first_at: i64, random: &mut Random) -> Self {
        let message = |_| Message { series: random.below(SERIES), kind: Kind::random(random) };
        let messages: Vec<Message> = (0..count).map(message).collect();
        let mut partitions = vec![Vec::new(); PARTITIONS];
        for (number, message) in messages.iter().enumerate() {
            partitions[partition(message.series)].push(number);
        }
        Self { first_at, messages, partitions }
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.messages.iter().filter(|message| message.kind == kind).count()
    }

    pub fn ends(&self) -> Vec<usize> {
        self.partitions.iter().map(Vec::len).collect()
    }

    /// The number of the message at an offset.
    pub fn at_offset(&self, partition: usize, offset: usize) -> Option<usize> {
        self.partitions.get(partition)?.get(offset).copied()
    }

    pub fn kind(&self, number: usize) -> Kind {
        self.messages[number].kind
    }

    pub fn point(&self, number: usize) -> Point {
        let at = self.first_at + i64::try_from(number).expect("a small number");
        Point { series: self.messages[number].series, at }
    }

    /// No two messages have the same.
    pub fn value(number: usize) -> f64 {
        f64::from(u32::try_from(number).expect("a small number")) + 0.5
    }

    /// The number of the message that a point comes from.
    pub fn of_point(&self, point: Point) -> Option<usize> {
        let number = usize::try_from(point.at - self.first_at).ok()?;
        (self.messages.get(number)?.series == point.series).then_some(number)
    }

    pub fn payload(&self, number: usize) -> Vec<u8> {
        let (Point { series, at }, value) = (self.point(number), Self::value(number));
        let good =
            format!(r#"{{"kind":"chaos","series":"{series}","at":{at},"reading":{value:?}}}"#);
        match self.kind(number) {
            Kind::Good => good.into_bytes(),
            Kind::TypeConflict => good.replace("chaos", "conflict").into_bytes(),
            Kind::TooLong => {
                let note = "x".repeat(TOO_LONG);
                good.replace(r#""at""#, &format!(r#""note":"{note}","at""#)).into_bytes()
            }
            Kind::Garbage => match number % 3 {
                0 => good.as_bytes()[..good.len() / 2].to_vec(),
                1 => vec![0xFF, 0x00, 0xFE, b'{'],
                _ => good.replace(':', " ").into_bytes(),
            },
            Kind::Unmapped => match number % 3 {
                0 => good.replace("reading", "writing").into_bytes(),
                1 => good.replace(r#""at""#, r#""when""#).into_bytes(),
                _ => good.replace(&format!("{value:?}"), r#""much""#).into_bytes(),
            },
        }
    }

    pub fn to_produce(self: &Arc<Self>) -> impl Iterator<Item = ToProduce> + Send + use<> {
        let stream = Arc::clone(self);
        (0..stream.len()).map(move |number| {
            let series = stream.messages[number].series;
            ToProduce {
                partition: partition(series),
                key: series.to_string(),
                payload: stream.payload(number),
            }
        })
    }
}

fn partition(series: u32) -> usize {
    series as usize % PARTITIONS
}
