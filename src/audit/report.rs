//! The report: as JSON, and as text for a person.

use std::fmt;
use std::ops::AddAssign;

use serde::Serialize;

/// What an audit has found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub connector: String,
    pub database: String,
    /// RFC 3339, `beginning` or `end`.
    pub from: String,
    pub to: String,
    pub dead_letter_topic: Option<String>,
    pub strict: bool,
    pub totals: Totals,
    pub partitions: Vec<PartitionReport>,
    /// The first series with something to report, the worst on top.
    pub series: Vec<SeriesReport>,
    /// The first findings of each kind; the counts are of all.
    pub missing: Vec<Absent>,
    pub different: Vec<Absent>,
    pub rejected_without_letter: Vec<Rejected>,
    pub extra: Vec<Extra>,
    /// What the audit has written to temporary files, which are gone.
    pub temporary_bytes: u64,
}

/// Counts of one partition, or of all. Those from `expected` on are of values: a record has one for
/// each field. `expected = found + missing + different + dead_lettered`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub records: u64,
    /// Records with nothing to write, by the configuration.
    pub excluded: u64,
    /// Records that the mapping rejects.
    pub rejected: u64,
    /// Of them, those that the dead-letter topic does not hold.
    pub rejected_without_letter: u64,
    pub expected: u64,
    pub found: u64,
    pub missing: u64,
    /// Another value is there.
    pub different: u64,
    /// Missing or different, but the record is in the dead-letter topic.
    pub dead_lettered: u64,
}

/// All counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    #[serde(flatten)]
    pub counts: Counts,
    /// Expected values that share series and time with another one, of which a database holds one.
    pub collisions: u64,
    /// Values that the database holds once more than needed.
    pub duplicates: u64,
    /// Values in the database, between the first and last expected of their series, that no record
    /// of the range explains.
    pub extra: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    pub topic: String,
    pub partition: i32,
    /// The first offset of the range.
    pub from: i64,
    /// The first offset behind it.
    pub to: i64,
    #[serde(flatten)]
    pub counts: Counts,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SeriesReport {
    pub series: String,
    pub missing: u64,
    pub different: u64,
    pub extra: u64,
}

/// A value that should be there; values are written as in line protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Absent {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub series: String,
    pub time: String,
    pub expected: String,
    /// What is there instead.
    pub found: Option<String>,
}

/// A record that the mapping rejects and the dead-letter topic does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub reason: String,
}

/// A value that no record of the range explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Extra {
    pub series: String,
    pub time: String,
    pub found: String,
}

impl Report {
    /// Whether everything is where it belongs.
    pub fn is_complete(&self) -> bool {
        let Counts { missing, different, rejected_without_letter, .. } = self.totals.counts;
        missing + different + rejected_without_letter == 0
            && !(self.strict && self.totals.extra > 0)
    }

    /// As one JSON document; `complete` is the verdict.
    ///
    /// # Errors
    /// None that are known: every key is a text.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut json = serde_json::to_value(self)?;
        if let Some(object) = json.as_object_mut() {
            object.insert("complete".into(), self.is_complete().into());
        }
        serde_json::to_string_pretty(&json)
    }

    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = |text: &str| text.to_owned();
        let mut rows = vec![(head("partition"), head("offsets"), HEADS.map(head))];
        for partition in &self.partitions {
            let name = format!("{}[{}]", partition.topic, partition.partition);
            let offsets = format!("{}..{}", partition.from, partition.to);
            rows.push((name, offsets, cells(partition.counts)));
        }
        rows.push((head("all"), String::new(), cells(self.totals.counts)));
        let width = |of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or_default();
        let (name, offsets) = (width(&|row| row.0.len()), width(&|row| row.1.len()));
        for row in &rows {
            write!(f, "{:name$}  {:offsets$}", row.0, row.1)?;
            for (column, cell) in row.2.iter().enumerate() {
                write!(f, "  {cell:>width$}", width = width(&|row| row.2[column].len()))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { counts, extra, .. } = self.totals;
        list(f, "missing", counts.missing, &self.missing)?;
        list(f, "different", counts.different, &self.different)?;
        let without_letter = match &self.dead_letter_topic {
            Some(topic) => format!("rejected by the mapping and not in {topic}"),
            None => "rejected by the mapping, and there is no dead-letter topic".into(),
        };
        let count = counts.rejected_without_letter;
        list(f, &without_letter, count, &self.rejected_without_letter)?;
        let unexplained = "extra, explained by no record of the range (one outside of it may)";
        list(f, unexplained, extra, &self.extra)?;
        if !self.series.is_empty() {
            writeln!(f, "\nby series:")?;
        }
        for SeriesReport { series, missing, different, extra } in &self.series {
            writeln!(f, "  {series}: {missing} missing, {different} different, {extra} extra")?;
        }
        Ok(())
    }

    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { counts, collisions, duplicates, extra } = self.totals;
        if collisions > 0 {
            writeln!(
                f,
                "{collisions} values share series and time with another; any one of them will do."
            )?;
        }
        if duplicates > 0 {
            writeln!(f, "{duplicates} values are stored more than once.")?;
        }
        if self.is_complete() {
            let Counts { found, dead_lettered, .. } = counts;
            return writeln!(
                f,
                "All there: {found} values found, {dead_lettered} explained by dead letters."
            );
        }
        let Counts { missing, different, rejected_without_letter, .. } = counts;
        write!(f, "NOT all there: {missing} values missing, {different} different")?;
        if rejected_without_letter > 0 {
            write!(f, ", {rejected_without_letter} rejected records without a dead letter")?;
        }
        if self.strict && extra > 0 {
            write!(f, ", {extra} extra")?;
        }
        writeln!(f, ".")
    }
}

type Row = (String, String, [String; COLUMNS]);

const COLUMNS: usize = 8;
const HEADS: [&str; COLUMNS] = [
    "records",
    "excluded",
    "rejected",
    "expected",
    "found",
    "missing",
    "different",
    "dead-lettered",
];

fn cells(counts: Counts) -> [String; COLUMNS] {
    let Counts { records, excluded, rejected, expected, .. } = counts;
    let Counts { found, missing, different, dead_lettered, .. } = counts;
    [records, excluded, rejected, expected, found, missing, different, dead_lettered]
        .map(|count| count.to_string())
}

fn list<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    count: u64,
    findings: &[T],
) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    writeln!(f, "\n{what}: {count}")?;
    for finding in findings {
        writeln!(f, "  {finding}")?;
    }
    match count - findings.len() as u64 {
        0 => Ok(()),
        more => writeln!(f, "  … and {more} more"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connector, database, from, to, .. } = self;
        writeln!(f, "{connector} in {database}: records from {from} to {to}\n")?;
        self.table(f)?;
        self.findings(f)?;
        writeln!(f)?;
        self.verdict(f)
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offset, series, time, expected, found } = self;
        write!(f, "{topic}[{partition}]@{offset}  {series}  {time}  expected {expected}")?;
        match found {
            Some(found) => write!(f, ", found {found}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offset, reason } = self;
        write!(f, "{topic}[{partition}]@{offset}  {reason}")
    }
}

impl fmt::Display for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { series, time, found } = self;
        write!(f, "{series}  {time}  found {found}")
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.excluded += other.excluded;
        self.rejected += other.rejected;
        self.rejected_without_letter += other.rejected_without_letter;
        self.expected += other.expected;
        self.found += other.found;
        self.missing += other.missing;
        self.different += other.different;
        self.dead_lettered += other.dead_lettered;
    }
}

/// A time in RFC 3339.
pub(super) fn time_text(nanos: i64) -> String {
    // Every i64 is within jiff's range.
    jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default().to_string()
}
