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
    count: Count,
    names: BTreeSet<&'a TaskName>,
    writers: BTreeMap<(&'a str, &'a BranchName), &'a TaskName>,
    repositories: BTreeMap<&'a str, Count>,
    credentials: BTreeMap<&'a str, Count>,
}

/// How many have a slot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Count {
    /// All of them.
    pub(super) all: usize,
    /// Those that only pause before their next attempt.
    pauses: usize,
}

impl Count {
    fn add(&mut self, entry: &Entry) {
        self.all += 1;
        self.pauses += usize::from(entry.running && entry.again);
    }

    /// Who has the slots of a limit, in words.
    pub(super) fn of(self, limit: usize, what: &str) -> String {
        let run = self.all - self.pauses;
        match self.pauses {
            0 => format!("{run} of {limit} {what} run"),
            1 => format!("{run} of {limit} {what} run, and 1 waits for its next attempt"),
            more => format!("{run} of {limit} {what} run, and {more} wait for their next attempt"),
        }
    }
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
        self.count.add(entry);
        self.names.insert(&entry.name);
        self.writers.entry((&entry.repository, &entry.branch)).or_insert(&entry.name);
        self.repositories.entry(&entry.repository).or_default().add(entry);
        if let Some(key) = &entry.credential {
            self.credentials.entry(key).or_default().add(entry);
        }
    }

    pub(super) fn count(&self) -> Count {
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

    pub(super) fn of_repository(&self, entry: &Entry) -> Count {
        look();
        self.repositories.get(entry.repository.as_str()).copied().unwrap_or_default()
    }

    pub(super) fn of_credential(&self, key: &str) -> Count {
        look();
        self.credentials.get(key).copied().unwrap_or_default()
    }
}
