//! The account: what was read, what it stands for, and how each record ends.

use std::collections::HashMap;

use super::entry::{Place, Remark, RemarkKind};
use super::read::Dialect;
use super::report::{
    Absent, Counts, Extra, PartitionReport, Rejected, Report, SeriesReport, Totals, time_text,
};
use super::value::{Series, Value};
use super::{AuditError, Options};
use crate::config::Connector;
use crate::kafka::KafkaError;
use crate::kafka::range::{Bound, TopicReader};
use crate::record::Record;

/// Counts everything, and keeps the first findings of each kind.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) totals: Totals,
    partitions: Vec<PartitionReport>,
    index: HashMap<String, HashMap<i32, u32>>,
    /// The record of the last letter.
    letter: Option<Place>,
    missing: Vec<Absent>,
    different: Vec<Absent>,
    extra: Vec<Extra>,
    rejected: Vec<Rejected>,
    series: HashMap<Series, SeriesReport>,
    limit: usize,
    strict: bool,
    bounds: (Bound, Bound),
    spilled: u64,
}

impl Ledger {
    pub(super) fn new(reader: &TopicReader, options: &Options) -> Self {
        let mut partitions = Vec::new();
        let mut index: HashMap<String, HashMap<i32, u32>> = HashMap::new();
        for (number, range) in (0u32..).zip(reader.partitions()) {
            let (topic, partition) = (range.partition.topic.to_string(), range.partition.partition);
            index.entry(topic.clone()).or_default().insert(partition, number);
            let (from, to) = (range.from.0, range.to.0);
            partitions.push(PartitionReport {
                topic,
                partition,
                from,
                to,
                counts: Counts::default(),
            });
        }
        Self {
            totals: Totals::default(),
            partitions,
            index,
            letter: None,
            missing: Vec::new(),
            different: Vec::new(),
            extra: Vec::new(),
            rejected: Vec::new(),
            series: HashMap::new(),
            limit: options.limit,
            strict: options.strict,
            bounds: (options.from, options.to),
            spilled: 0,
        }
    }

    /// The place of a record of the range.
    pub(super) fn place(&self, topic: &str, partition: i32, offset: i64) -> Option<Place> {
        let partition = *self.index.get(topic)?.get(&partition)?;
        let range = &self.partitions[partition as usize];
        (range.from..range.to).contains(&offset).then_some(Place { partition, offset })
    }

    /// Counts a record that was read.
    pub(super) fn record<R: Record>(&mut self, record: &R) -> Result<Place, AuditError> {
        let (topic, partition, offset) = (record.topic(), record.partition(), record.offset());
        let place = self.place(topic, partition, offset.0).ok_or_else(|| {
            let reason = format!("{topic}[{partition}]@{offset} is outside of the range");
            AuditError::Kafka(KafkaError { reason, fatal: false })
        })?;
        self.counts(place).records += 1;
        Ok(place)
    }

    pub(super) fn excluded(&mut self, place: Place) {
        self.counts(place).excluded += 1;
    }

    pub(super) fn rejected(&mut self, place: Place) {
        self.counts(place).rejected += 1;
    }

    pub(super) fn expect(&mut self, place: Place) {
        self.counts(place).expected += 1;
    }

    /// The values that are expected, so far.
    pub(super) fn expected(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.counts.expected).sum()
    }

    pub(super) fn spilled(&mut self, bytes: u64) {
        self.spilled += bytes;
    }

    pub(super) fn extra(&mut self, series: &Series, time: i64, value: &Value) {
        self.totals.extra += 1;
        if self.extra.len() < self.limit {
            self.extra.push(Extra {
                series: series.to_string(),
                time: time_text(time),
                found: value.to_string(),
            });
        }
        self.of_series(series, |series| series.extra += 1);
    }

    /// Takes the remarks in their order: a record's letter comes first, and explains the others.
    pub(super) fn settle(&mut self, remark: Remark) {
        let Remark { place, kind } = remark;
        let has_letter = self.letter == Some(place);
        match kind {
            RemarkKind::Letter => self.letter = Some(place),
            RemarkKind::Rejected(_) if has_letter => {}
            RemarkKind::Rejected(reason) => {
                self.counts(place).rejected_without_letter += 1;
                if self.rejected.len() < self.limit {
                    let (topic, partition, offset) = self.name(place);
                    self.rejected.push(Rejected { topic, partition, offset, reason });
                }
            }
            RemarkKind::Absent { .. } if has_letter => self.counts(place).dead_lettered += 1,
            RemarkKind::Absent { series, time, expected, found } => {
                self.absent(place, &series, time, &expected, found.as_ref());
            }
        }
    }

    fn absent(
        &mut self,
        place: Place,
        series: &Series,
        time: i64,
        expected: &Value,
        found: Option<&Value>,
    ) {
        let (topic, partition, offset) = self.name(place);
        let finding = || Absent {
            topic,
            partition,
            offset,
            series: series.to_string(),
            time: time_text(time),
            expected: expected.to_string(),
            found: found.map(ToString::to_string),
        };
        let list = if found.is_some() { &mut self.different } else { &mut self.missing };
        if list.len() < self.limit {
            list.push(finding());
        }
        let counts = self.counts(place);
        if found.is_some() {
            counts.different += 1;
            self.of_series(series, |series| series.different += 1);
        } else {
            counts.missing += 1;
            self.of_series(series, |series| series.missing += 1);
        }
    }

    /// Counts for a series, unless too many have something to count.
    fn of_series(&mut self, series: &Series, count: impl FnOnce(&mut SeriesReport)) {
        if let Some(report) = self.series.get_mut(series) {
            count(report);
        } else if self.series.len() < self.limit {
            let mut report = SeriesReport { series: series.to_string(), ..Default::default() };
            count(&mut report);
            self.series.insert(series.clone(), report);
        }
    }

    fn counts(&mut self, place: Place) -> &mut Counts {
        &mut self.partitions[place.partition as usize].counts
    }

    fn name(&self, place: Place) -> (String, i32, i64) {
        let partition = &self.partitions[place.partition as usize];
        (partition.topic.clone(), partition.partition, place.offset)
    }

    pub(super) fn report(mut self, connector: &Connector, dialect: Dialect) -> Report {
        for partition in &mut self.partitions {
            let Counts { expected, missing, different, dead_lettered, .. } = partition.counts;
            partition.counts.found = expected - missing - different - dead_lettered;
            self.totals.counts += partition.counts;
        }
        let mut series: Vec<_> = self.series.into_values().collect();
        series.sort_unstable_by(|a, b| {
            (b.missing + b.different, &a.series).cmp(&(a.missing + a.different, &b.series))
        });
        Report {
            connector: connector.name.clone(),
            database: dialect.to_string(),
            from: bound_text(self.bounds.0),
            to: bound_text(self.bounds.1),
            dead_letter_topic: connector.dead_letter.clone(),
            strict: self.strict,
            totals: self.totals,
            partitions: self.partitions,
            series,
            missing: self.missing,
            different: self.different,
            rejected_without_letter: self.rejected,
            extra: self.extra,
            temporary_bytes: self.spilled,
        }
    }
}

fn bound_text(bound: Bound) -> String {
    match bound {
        Bound::Beginning => "beginning".into(),
        Bound::End => "end".into(),
        Bound::Time(millis) => time_text(millis.saturating_mul(1_000_000)),
        Bound::Offset(offset) => format!("offset {offset}"),
        Bound::Last(count) => format!("the last {count}"),
    }
}
