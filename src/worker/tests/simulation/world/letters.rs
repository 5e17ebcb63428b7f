//! Dead letters on their way to their topic.

use super::*;

impl World {
    /// A dead letter leaves. When its confirmation comes, or why it can't even begin.
    pub(in crate::worker::tests::simulation) fn send_letter(
        &mut self,
        life: LifeId,
        place: Place,
    ) -> Result<(usize, Duration), KafkaError> {
        let now = self.now;
        let percent = self.schedule.faults.letter_fails;
        let outage = self.letter_outages.iter().any(|(from, to)| (*from..*to).contains(&now));
        let failed = self.fails(percent) || outage;
        if failed && self.dice.chance(30) {
            self.count("failed letters");
            return Err(KafkaError { reason: "the queue is full".into(), fatal: false });
        }
        let delay = if self.fails(percent) { millis(5000) } else { millis(50) };
        let due = now + self.dice.up_to(delay);
        // A confirmation that fails may be of a letter that was stored.
        let stored = !failed || (!outage && self.dice.chance(20));
        let result = if failed { Err("not enough replicas".into()) } else { Ok(()) };
        if failed {
            self.count("failed letters");
        }
        if failed && stored {
            *self.letters_allowed.entry(place).or_default() += 1;
        }
        self.note(|| format!("life {life} dead-letters {place:?}, stored {stored}, {result:?}"));
        self.sent.push(Letter { life, place, stored, result, dropped: false });
        self.plan(due, Happening::Letter(self.sent.len() - 1));
        Ok((self.sent.len() - 1, due))
    }

    pub(super) fn letter_arrives(&mut self, number: usize) {
        let Letter { life, place, stored, dropped, .. } = self.sent[number];
        if !stored || dropped {
            return;
        }
        self.count("dead letters");
        let times = self.letters.entry(place).or_default();
        *times += 1;
        if *times > self.letters_allowed.get(&place).copied().unwrap_or(0) {
            self.violation(format!("{place:?} was dead-lettered more often than it was read"));
        }
        let log = &self.logs[usize::try_from(place.partition).unwrap()];
        match log.at(place.offset).unwrap().kind {
            // A process that stood still until its session was over, and finds its points superseded
            // by those of the next owner, takes them for late before it hears of its loss.
            Kind::Good
                if self.database.stored.contains(&place)
                    && !self.group.owns(life, place.partition) =>
            {
                self.outlived.insert(place);
            }
            Kind::Good => self.violation(format!("{place:?} is good, and was dead-lettered")),
            Kind::Empty => self.violation(format!("{place:?} is empty, and was dead-lettered")),
            _ => {}
        }
    }

    pub(in crate::worker::tests::simulation) fn letter_result(
        &self,
        number: usize,
    ) -> Result<(), String> {
        self.sent[number].result.clone()
    }
}
