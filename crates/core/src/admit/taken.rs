//! Who has a slot, counted by what limits look at: nothing here walks over all of them, so that a
//! round is as long as the queue and not longer.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{BranchName, TaskName};

use super::Entry;

#[cfg(test)]
use super::tests::rounds::look;

/// Counts one look at who has a slot, for the test that a round stays short.
#[cfg(not(test))]
const fn look() {}

/// The tasks that have a slot.
#[derive(Debug, Default)]
pub(super) struct Taken<'a> {
    count: usize,
    names: BTreeSet<&'a TaskName>,
    writers: BTreeMap<(&'a str, &'a BranchName), &'a TaskName>,
    repositories: BTreeMap<&'a str, usize>,
    credentials: BTreeMap<&'a str, usize>,
}

impl<'a> Taken<'a> {
    pub(super) fn of(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut taken = Self::default();
        entries.for_each(|entry| taken.add(entry));
        taken
    }

    /// One more has a slot.
    pub(super) fn add(&mut self, entry: &'a Entry) {
        look();
        self.count += 1;
        self.names.insert(&entry.name);
        self.writers.entry((&entry.repository, &entry.branch)).or_insert(&entry.name);
        *self.repositories.entry(&entry.repository).or_default() += 1;
        if let Some(key) = &entry.credential {
            *self.credentials.entry(key).or_default() += 1;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn has(&self, name: &TaskName) -> bool {
        look();
        self.names.contains(name)
    }

    /// Who writes to the branch of an entry.
    pub(super) fn writer(&self, entry: &Entry) -> Option<&'a TaskName> {
        look();
        self.writers.get(&(entry.repository.as_str(), &entry.branch)).copied()
    }

    pub(super) fn of_repository(&self, entry: &Entry) -> usize {
        look();
        self.repositories.get(entry.repository.as_str()).copied().unwrap_or(0)
    }

    pub(super) fn of_credential(&self, key: &str) -> usize {
        look();
        self.credentials.get(key).copied().unwrap_or(0)
    }
}
