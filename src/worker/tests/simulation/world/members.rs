//! Members of the group: their lives, what the group tells them, and their partitions.

use super::*;

impl World {
    pub(in crate::worker::tests::simulation) fn born(&mut self, process: usize) -> LifeId {
        let id = self.lives.len();
        let faults = self.schedule.faults.clone();
        let within = if self.dice.chance(50) { 40 } else { 300 };
        let crash_at = self.fails(faults.crashes).then(|| 1 + self.dice.below(within));
        let left = self.until.saturating_sub(self.now);
        let stop_at = self.fails(faults.stops).then(|| self.now + self.dice.up_to(left));
        self.lives.push(Life {
            process,
            dead: false,
            steps: 0,
            crash_at,
            stop_at,
            stop: Arc::default(),
            told: VecDeque::new(),
            answers: VecDeque::new(),
            local: BTreeMap::new(),
            kept: Arc::default(),
            writing: BTreeMap::new(),
            last_poll: self.now,
            poll_began: self.now,
            idle_polls: 0,
            drains_since: None,
            last_commit: Duration::ZERO,
            expelled: false,
            generation: 0,
            believed: 0,
        });
        self.count("lives");
        self.note(|| format!("life {id} of process {process} begins"));
        let at = self.now + self.dice.up_to(millis(200));
        self.plan(at, Happening::Joins(id));
        id
    }

    pub(super) fn crash(&mut self, life: LifeId) {
        self.count("crashes");
        self.note(|| format!("life {life} crashes"));
        self.lives[life].dead = true;
        // What was on its way may still arrive.
        for request in self.requests.iter_mut().filter(|request| request.life == life) {
            request.dropped = self.dice.chance(50);
        }
        for letter in self.sent.iter_mut().filter(|letter| letter.life == life) {
            letter.dropped = self.dice.chance(50);
        }
        for commit in self.commits.iter_mut().filter(|commit| commit.life == life) {
            commit.dropped = self.dice.chance(50);
        }
        let at = self.now + self.dice.up_to(SESSION);
        self.plan(at, Happening::SessionEnds(life));
    }

    /// A life that has ended as asked leaves its group.
    pub(in crate::worker::tests::simulation) fn ended(&mut self, life: LifeId, healthy: bool) {
        if self.lives[life].dead {
            return;
        }
        self.note(|| format!("life {life} has ended"));
        if !healthy {
            self.violation(format!("life {life} has failed"));
        }
        let partitions: Vec<i32> = self.lives[life].local.keys().copied().collect();
        self.check_drained(life, &partitions);
        self.lives[life].dead = true;
        self.group.remove(life);
        self.rebalance();
    }

    /// For how long the process stands still now.
    pub(in crate::worker::tests::simulation) fn stall(&mut self, life: LifeId) -> Option<Duration> {
        let process = self.lives[life].process;
        let at = self.stalls.iter().position(|(of, from)| *of == process && *from <= self.now)?;
        self.stalls.swap_remove(at);
        let time = self.dice.up_to(SESSION * 3);
        self.count("stalls");
        self.note(|| format!("life {life} stands still for {time:?}"));
        self.lives[life].last_poll = self.now + time;
        if time > SESSION {
            self.plan(self.now + SESSION, Happening::SessionEnds(life));
        }
        Some(time)
    }

    pub(super) fn tell(&mut self, told: Vec<(LifeId, Told)>) {
        for (life, told) in told {
            self.note(|| format!("the group to life {life}: {told:?}"));
            let due = self.now + self.dice.up_to(millis(300));
            self.lives[life].told.push_back((due, told));
        }
    }

    pub(super) fn rebalance(&mut self) {
        let dice = &mut self.dice;
        let told = self.group.rebalance(|_, owner, members| match owner {
            Some(owner) if members.contains(&owner) && dice.chance(60) => owner,
            _ => members[dice.index(members.len())],
        });
        self.tell(told);
    }

    pub(super) fn move_partitions(&mut self) {
        self.count("revocations");
        if self.dice.chance(50) {
            return self.rebalance();
        }
        let dice = &mut self.dice;
        let partitions: Vec<i32> =
            (0i32..).take(self.logs.len()).filter(|_| dice.chance(60)).collect();
        let told = self.group.shake(&partitions);
        self.tell(told);
    }

    /// The group counts a member as gone. If it isn't, it learns that later, and comes back.
    pub(super) fn expel(&mut self, life: LifeId) {
        if !self.group.is_member(life) {
            return;
        }
        let partitions = self.group.remove(life);
        if self.lives[life].dead {
            return self.rebalance();
        }
        self.count("evictions");
        self.lives[life].generation += 1;
        self.note(|| format!("life {life} is expelled from the group"));
        let due = self.now + self.dice.up_to(millis(3000));
        let told = Told::Revoked { partitions, lost: true };
        self.lives[life].told.push_back((due, told));
        self.rebalance();
    }

    pub(in crate::worker::tests::simulation) fn assign(
        &mut self,
        life: LifeId,
        partitions: &[TopicPartition],
    ) {
        for partition in partitions {
            let number = partition.partition;
            let committed = self.group.committed.get(&number);
            let position = committed.map_or(0, |next| next.committed().0.0);
            // What is read again before that is not to be committed again.
            let attempted = committed.map(|next| next.get());
            let local = Local { position, taken: None, attempted, paused: false };
            self.lives[life].local.insert(number, local);
        }
    }

    pub(in crate::worker::tests::simulation) fn unassign(
        &mut self,
        life: LifeId,
        partitions: &[TopicPartition],
    ) {
        let numbers: Vec<i32> = partitions.iter().map(|partition| partition.partition).collect();
        // What is lost already is not drained.
        if !self.lives[life].expelled {
            self.check_drained(life, &numbers);
        }
        // librdkafka waits for its commits first (`rdkafka_assignment.c`).
        for number in 0..self.commits.len() {
            if self.commits[number].life == life {
                self.commit_arrives(number);
            }
        }
        if !self.lives[life].stop.load(Ordering::Acquire) {
            self.lives[life].drains_since = None;
        }
        for number in &numbers {
            self.lives[life].local.remove(number);
        }
        if std::mem::take(&mut self.lives[life].expelled) {
            // It comes back only now.
            self.lives[life].believed = self.lives[life].generation;
            let at = self.now + self.dice.up_to(millis(3000));
            self.plan(at, Happening::Joins(life));
        } else {
            let told = self.group.let_go(life, &numbers);
            self.tell(told);
            self.give_free();
        }
    }

    /// Partitions that nobody owns, to somebody.
    pub(super) fn give_free(&mut self) {
        let dice = &mut self.dice;
        let told = self.group.rebalance(|_, owner, members| {
            owner.unwrap_or_else(|| members[dice.index(members.len())])
        });
        self.tell(told);
    }

    /// A drain that has not run into its deadline has ended everything, so it has to be committed,
    /// or tried to be.
    pub(super) fn check_drained(&mut self, life: LifeId, partitions: &[i32]) {
        let state = &self.lives[life];
        let Some(since) = state.drains_since else { return };
        // An outage's deadline is one second.
        if self.now.saturating_sub(since) >= millis(1000) {
            return;
        }
        let idle = |number: &&i32| {
            let local = state.local.get(*number);
            local.is_some_and(|local| local.taken > local.attempted)
        };
        if let Some(number) = partitions.iter().find(idle) {
            self.violation(format!("life {life} has drained partition {number}, not committed it"));
        }
    }

    pub(in crate::worker::tests::simulation) fn pause(
        &mut self,
        life: LifeId,
        partitions: &[TopicPartition],
        paused: bool,
    ) {
        if paused {
            self.count("pauses");
        }
        self.note(|| format!("life {life} pauses: {paused}"));
        for partition in partitions {
            if let Some(local) = self.lives[life].local.get_mut(&partition.partition) {
                local.paused = paused;
            }
        }
    }

    pub(in crate::worker::tests::simulation) fn committed(
        &mut self,
        life: LifeId,
        partitions: &[TopicPartition],
    ) -> Result<Covers, KafkaError> {
        if self.fails(self.schedule.faults.commit_fails) {
            // The record at hand waits for the answer.
            for local in self.lives[life].local.values_mut() {
                local.attempted = local.attempted.max(local.taken);
            }
            return Err(KafkaError { reason: "timed out".into(), fatal: false });
        }
        let committed = |partition: &TopicPartition| {
            Some((partition.clone(), *self.group.committed.get(&partition.partition)?))
        };
        Ok(partitions.iter().filter_map(committed).collect())
    }

    pub(in crate::worker::tests::simulation) fn look_up(
        &self,
        partitions: &[TopicPartition],
    ) -> Vec<Extent> {
        let extent = |partition: &TopicPartition| Extent {
            partition: partition.clone(),
            committed: self.group.committed.get(&partition.partition).copied(),
            first: Offset(0),
            end: Offset(self.logs[usize::try_from(partition.partition).unwrap()].end()),
        };
        partitions.iter().map(extent).collect()
    }
}
