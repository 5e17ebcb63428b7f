//! The account at the end: every message, and where it is.

use std::fmt;

use crate::kafka::mock::Counted;

/// What was sent, and what is there to show for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Records that Kafka has confirmed.
    pub(crate) sent: u64,
    /// The ones broken on purpose among them.
    pub(crate) broken: u64,
    /// Records that Kafka did not take.
    pub(crate) not_sent: u64,
    /// Distinct points in the store. Each good record is one point, at a time of its own.
    pub(crate) stored: u64,
    /// Points written again over themselves.
    pub(crate) rewritten: u64,
    /// What the dead-letter topic holds.
    pub(crate) dead: Counted,
    /// Records still uncommitted.
    pub(crate) lag: i64,
    /// Times that the alert fired.
    pub(crate) fired: u64,
    /// How often the store was taken down.
    pub(crate) outages: u64,
}

impl Summary {
    /// Good records that are not in the store, and broken ones that are not in the dead-letter
    /// topic.
    pub(crate) fn lost(&self) -> u64 {
        let good = self.sent.saturating_sub(self.broken);
        good.saturating_sub(self.stored) + self.broken.saturating_sub(self.dead.distinct)
    }

    /// Whether every record is where it belongs, and nothing else is there.
    pub(crate) fn holds(&self) -> bool {
        self.lost() == 0
            && self.not_sent == 0
            && self.lag == 0
            && self.sent > 0
            && self.sent == self.stored + self.dead.distinct
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "records produced   {:>9}", self.sent)?;
        writeln!(f, "points stored      {:>9}   each once, counted in the store", self.stored)?;
        let broken = format!("of {} broken on purpose, counted in the topic", self.broken);
        writeln!(f, "dead-lettered      {:>9}   {broken}", self.dead.distinct)?;
        writeln!(f, "lost               {:>9}", self.lost())?;
        let again = self.dead.records - self.dead.distinct;
        let why = if self.outages > 0 {
            "   replies were lost; written over the same points"
        } else {
            ""
        };
        writeln!(f, "written again      {:>9}{why}", self.rewritten)?;
        if again > 0 {
            writeln!(f, "dead-lettered again{again:>9}   at least once, as documented")?;
        }
        if self.not_sent > 0 {
            writeln!(f, "not taken by Kafka {:>9}", self.not_sent)?;
        }
        if self.lag != 0 {
            writeln!(f, "lag left           {:>9}", self.lag)?;
        }
        writeln!(f, "store outages      {:>9}", self.outages)?;
        writeln!(f, "alert fired        {:>9}", self.fired)?;
        let verdict = if self.holds() {
            "every record is accounted for"
        } else {
            "records are NOT accounted for"
        };
        let Self { sent, stored, dead, .. } = self;
        let sign = if *sent == stored + dead.distinct { "=" } else { "≠" };
        write!(f, "{verdict}: {sent} {sign} {stored} + {}", dead.distinct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Summary {
        let dead = Counted { records: 3, distinct: 2 };
        Summary {
            sent: 10_002,
            broken: 2,
            stored: 10_000,
            rewritten: 70,
            dead,
            ..Summary::default()
        }
    }

    #[test]
    fn holds_when_all_is_accounted_for() {
        assert!(good().holds());
        assert_eq!(good().lost(), 0);
        assert!(good().to_string().ends_with("every record is accounted for: 10002 = 10000 + 2"));
    }

    #[test]
    fn does_not_hold_otherwise() {
        let dead = Counted { records: 1, distinct: 1 };
        let wrong = [
            Summary { stored: 9_999, ..good() },
            Summary { dead, ..good() },
            // One too many must not hide one too few.
            Summary { stored: 10_001, dead, ..good() },
            Summary { stored: 10_001, ..good() },
            Summary { not_sent: 1, ..good() },
            Summary { lag: 1, ..good() },
            Summary::default(),
        ];
        for summary in wrong {
            assert!(!summary.holds(), "{summary}");
        }
        assert_eq!(Summary { stored: 9_990, dead, ..good() }.lost(), 11);
    }
}
