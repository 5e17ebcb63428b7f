//! A consumer group, as its coordinator sees it: who owns which partition, and what is committed.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::NextOffset;

/// A worker's life, from its start to its end or crash; never used twice.
pub(super) type LifeId = usize;

/// What the coordinator tells a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Assigned(Vec<i32>),
    Revoked { partitions: Vec<i32>, lost: bool },
}

#[derive(Debug, Default)]
struct Ownership {
    owner: Option<LifeId>,
    /// The owner has been asked to let go.
    revoking: bool,
    next: Option<LifeId>,
}

#[derive(Debug)]
pub(super) struct Group {
    members: BTreeSet<LifeId>,
    partitions: Vec<Ownership>,
    pub committed: BTreeMap<i32, NextOffset>,
}

impl Group {
    pub(super) fn new(partitions: usize) -> Self {
        let partitions = (0..partitions).map(|_| Ownership::default()).collect();
        Self { members: BTreeSet::new(), partitions, committed: BTreeMap::new() }
    }

    pub(super) fn is_member(&self, life: LifeId) -> bool {
        self.members.contains(&life)
    }

    pub(super) fn members(&self) -> Vec<LifeId> {
        self.members.iter().copied().collect()
    }

    fn of(&self, partition: i32) -> &Ownership {
        &self.partitions[usize::try_from(partition).unwrap()]
    }

    pub(super) fn owns(&self, life: LifeId, partition: i32) -> bool {
        self.of(partition).owner == Some(life)
    }

    pub(super) fn join(&mut self, life: LifeId) {
        self.members.insert(life);
    }

    /// A member is gone, or counts as gone: what it owned is free.
    pub(super) fn remove(&mut self, life: LifeId) -> Vec<i32> {
        self.members.remove(&life);
        let mut freed = Vec::new();
        for (number, partition) in (0i32..).zip(&mut self.partitions) {
            if partition.owner == Some(life) {
                *partition = Ownership::default();
                freed.push(number);
            }
        }
        freed
    }

    /// Gives free partitions to members, and asks owners to let go what `choose` gives to others.
    /// `choose` gets the partition, its owner and the members.
    pub(super) fn rebalance(
        &mut self,
        mut choose: impl FnMut(i32, Option<LifeId>, &[LifeId]) -> LifeId,
    ) -> Vec<(LifeId, Told)> {
        let members = self.members();
        if members.is_empty() {
            return Vec::new();
        }
        let mut given: BTreeMap<LifeId, Vec<i32>> = BTreeMap::new();
        let mut taken: BTreeMap<LifeId, Vec<i32>> = BTreeMap::new();
        for (number, partition) in (0i32..).zip(&mut self.partitions) {
            if partition.revoking {
                continue;
            }
            let chosen = choose(number, partition.owner, &members);
            match partition.owner {
                None => {
                    partition.owner = Some(chosen);
                    given.entry(chosen).or_default().push(number);
                }
                Some(owner) if owner != chosen => {
                    (partition.revoking, partition.next) = (true, Some(chosen));
                    taken.entry(owner).or_default().push(number);
                }
                Some(_) => {}
            }
        }
        let taken = taken
            .into_iter()
            .map(|(life, partitions)| (life, Told::Revoked { partitions, lost: false }));
        let given = given.into_iter().map(|(life, partitions)| (life, Told::Assigned(partitions)));
        taken.chain(given).collect()
    }

    /// Asks the owners of these partitions to let go; each gets its own back afterwards.
    pub(super) fn shake(&mut self, partitions: &[i32]) -> Vec<(LifeId, Told)> {
        let mut taken: BTreeMap<LifeId, Vec<i32>> = BTreeMap::new();
        for &number in partitions {
            let partition = &mut self.partitions[usize::try_from(number).unwrap()];
            if let Some(owner) = partition.owner.filter(|_| !partition.revoking) {
                (partition.revoking, partition.next) = (true, Some(owner));
                taken.entry(owner).or_default().push(number);
            }
        }
        let told = |(life, partitions)| (life, Told::Revoked { partitions, lost: false });
        taken.into_iter().map(told).collect()
    }

    /// A member has let go; who gets what now.
    pub(super) fn let_go(&mut self, life: LifeId, partitions: &[i32]) -> Vec<(LifeId, Told)> {
        let mut given: BTreeMap<LifeId, Vec<i32>> = BTreeMap::new();
        for &number in partitions {
            let partition = &mut self.partitions[usize::try_from(number).unwrap()];
            if partition.owner != Some(life) {
                continue;
            }
            let next = partition.next.filter(|next| self.members.contains(next));
            *partition = Ownership { owner: next, ..Ownership::default() };
            if let Some(next) = next {
                given.entry(next).or_default().push(number);
            }
        }
        given.into_iter().map(|(life, partitions)| (life, Told::Assigned(partitions))).collect()
    }

    /// Takes offsets of a member in, unless it doesn't own all of their partitions: then it is of an
    /// old generation.
    pub(super) fn commit(&mut self, life: LifeId, offsets: &BTreeMap<i32, NextOffset>) -> bool {
        if !offsets.keys().all(|partition| self.owns(life, *partition)) {
            return false;
        }
        self.committed.extend(offsets.iter().map(|(partition, next)| (*partition, *next)));
        true
    }
}
