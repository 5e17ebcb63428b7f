//! Commits: on their way to the coordinator, and held against what is durable.

use super::*;

/// Neither what is done nor what has to be read again goes back.
fn is_back(before: NextOffset, next: NextOffset) -> bool {
    before.get() > next.get() || before.committed().0 > next.committed().0
}

impl World {
    /// A commit begins. When it will have an answer, or why it can't even begin.
    pub(in crate::worker::tests::simulation) fn commit(
        &mut self,
        life: LifeId,
        offsets: BTreeMap<i32, NextOffset>,
        waits: bool,
    ) -> Result<(usize, Duration), KafkaError> {
        self.check_commit(life, &offsets);
        let percent = self.schedule.faults.commit_fails;
        let failure = |reason: &str| KafkaError { reason: reason.into(), fatal: false };
        if self.fails(percent / 4) {
            return Err(failure("the queue is full"));
        }
        let delay = if self.fails(percent) { millis(2000) } else { millis(20) };
        let due = (self.now + self.dice.up_to(delay)).max(self.lives[life].last_commit);
        self.lives[life].last_commit = due;
        let (arrives, result) = if self.fails(percent) {
            self.count("failed commits");
            (self.dice.chance(50), Err(failure("timed out")))
        } else {
            (true, Ok(()))
        };
        let late = if self.fails(percent) { millis(3000) } else { millis(10) };
        let event_after = (!waits).then(|| self.dice.up_to(late));
        self.commits.push(Commit {
            life,
            generation: self.lives[life].believed,
            offsets,
            arrives,
            result,
            event_after,
            dropped: false,
            over: false,
        });
        self.plan(due, Happening::Commit(self.commits.len() - 1));
        Ok((self.commits.len() - 1, due))
    }

    /// The promise.
    pub(super) fn check_commit(&mut self, life: LifeId, offsets: &BTreeMap<i32, NextOffset>) {
        self.note(|| format!("life {life} commits {offsets:?}"));
        for (&number, &next) in offsets {
            let durable = self.durable_until(number);
            let next = next.get();
            if next > durable {
                self.violation(format!(
                    "{next} is committed for partition {number}, and only what is before {durable} \
                     is durable"
                ));
            }
            match self.lives[life].local.get_mut(&number) {
                Some(local) => local.attempted = local.attempted.max(Some(next)),
                None => self.violation(format!(
                    "life {life} commits for partition {number}, which it has let go"
                )),
            }
        }
    }

    pub(super) fn commit_arrives(&mut self, number: usize) {
        let commit = &mut self.commits[number];
        let life = commit.life;
        if commit.dropped || std::mem::replace(&mut commit.over, true) {
            return;
        }
        let commit = &self.commits[number];
        if commit.arrives {
            let offsets = commit.offsets.clone();
            let before = self.group.committed.clone();
            let current = commit.generation == self.lives[life].generation;
            if !current || !self.group.commit(life, &offsets) {
                self.count("fenced commits");
                let reason = "the member is of an old generation".into();
                self.commits[number].result = Err(KafkaError { reason, fatal: false });
            } else if let Some((partition, _)) = offsets
                .iter()
                .find(|(p, next)| before.get(p).is_some_and(|before| is_back(*before, **next)))
            {
                self.violation(format!("the commit of partition {partition} went back"));
            }
        }
        let (result, after) =
            (self.commits[number].result.clone(), self.commits[number].event_after);
        if let Some(after) = after {
            self.lives[life].answers.push_back((self.now + after, result));
        }
    }

    pub(in crate::worker::tests::simulation) fn commit_result(
        &self,
        number: usize,
    ) -> Result<(), KafkaError> {
        self.commits[number].result.clone()
    }

    /// The first offset of a partition that is not durable.
    pub(super) fn durable_until(&mut self, number: i32) -> i64 {
        let index = usize::try_from(number).unwrap();
        while self.logs[index].entries.get(self.durable[index]).is_some_and(|e| self.is_durable(e))
        {
            self.durable[index] += 1;
        }
        let log = &self.logs[index];
        log.entries.get(self.durable[index]).map_or(log.end(), |entry| entry.place.offset)
    }

    pub(super) fn is_durable(&self, entry: &Entry) -> bool {
        let written = || {
            self.database.stored.contains(&entry.place) || self.letters.contains_key(&entry.place)
        };
        let is_stored = |key| self.database.windows.contains_key(key);
        let windows = self.windows.closed_by.get(&entry.place);
        if !windows.is_none_or(|keys| keys.iter().all(is_stored)) {
            return false;
        }
        match entry.kind {
            Kind::Empty => true,
            // What has no place any more among those of its series is settled by that.
            Kind::Late | Kind::Twin | Kind::Twinned => {
                written() || self.database.is_settled(&entry.series, entry.millis)
            }
            _ => written(),
        }
    }
}
