//! Commits that the agent left where its work does not reach: on another branch, in the stash,
//! where HEAD once was. The work holds none of them, so whoever saves the work has to know.
//!
//! Ids are read from the agent's files, as for a rescue, and only their objects are asked about.

use std::collections::{BTreeMap, BTreeSet};

use midwatch_core::path;

use super::commit::Start;
use super::foreign::{Foreign, IDS_MAX};
use super::side::Side;

/// Names that are told; one more says that there are others.
const TOLD: usize = 20;

/// So many refs are asked about one by one: each costs a start of git.
const ASKED: usize = 250;

/// What is told where nobody can say which: too many ids, or objects that are missing.
const UNKNOWN: &str = "history that cannot be read whole";

/// Every commit id that a git directory names.
pub(super) fn ids(foreign: &Foreign) -> BTreeSet<String> {
    let places = places(foreign);
    places.named.into_values().flatten().chain(places.logged).collect()
}

/// Where commits are that neither `head` nor the start has, escaped: branches, the stash, the
/// reflog where it has more than those.
pub(super) fn names(
    side: &Side,
    foreign: &Foreign,
    start: &Start,
    head: Option<&str>,
) -> Vec<String> {
    let mut asker = Asker::new(side, start, head);
    let Places { named, mut logged } = places(foreign);
    asker.drop_known(&mut logged);
    if logged.is_empty() && named.values().flatten().all(|id| asker.not.contains(id)) {
        return Vec::new();
    }
    let all: Vec<&String> = named.values().flatten().chain(&logged).collect();
    if all.len() > IDS_MAX {
        return vec![UNKNOWN.to_owned()];
    }
    if !asker.adds(all) {
        return Vec::new();
    }
    let (mut found, mut asked, mut others) = (Vec::new(), 0, false);
    for (name, ids) in &named {
        if ids.iter().all(|id| asker.not.contains(id)) {
            continue;
        }
        if found.len() > TOLD || asked == ASKED {
            others = true;
            break;
        }
        asked += 1;
        if asker.adds(ids) {
            found.push(path::shown(name.as_bytes()));
        }
        // Told, or found in what is known.
        asker.learn(ids);
    }
    if others || found.len() > TOLD {
        found.truncate(TOLD);
        found.push("others".to_owned());
    } else if asker.adds(&logged) {
        found.push("the reflog".to_owned());
    }
    if found.is_empty() { vec![UNKNOWN.to_owned()] } else { found }
}

/// What a git directory names.
struct Places {
    /// By ref; every entry of the stash under one name.
    named: BTreeMap<String, Vec<String>>,
    /// By HEAD and by reflogs.
    logged: BTreeSet<String>,
}

fn places(foreign: &Foreign) -> Places {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, id) in foreign.refs() {
        let short = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/"));
        // A broken ref names no commit.
        named.entry(short.unwrap_or(&name).to_owned()).or_default().extend(id);
    }
    let mut logged: BTreeSet<String> = foreign.head().into_iter().collect();
    for name in foreign.logged() {
        let ids = foreign.reflog(&name);
        if name == "refs/stash" {
            named.entry("stash".to_owned()).or_default().extend(ids);
        } else {
            logged.extend(ids);
        }
    }
    Places { named, logged }
}

/// Asks git whether ids reach commits that are not known.
struct Asker<'a> {
    side: &'a Side,
    /// What has a place already.
    not: BTreeSet<String>,
    /// Digits of an id.
    length: usize,
}

impl<'a> Asker<'a> {
    fn new(side: &'a Side, start: &Start, head: Option<&str>) -> Self {
        let known = start.known.iter().chain([&start.base]).map(String::as_str).chain(head);
        Self { side, not: known.map(str::to_owned).collect(), length: start.base.len() }
    }

    fn drop_known(&self, ids: &mut BTreeSet<String>) {
        ids.retain(|id| !self.not.contains(id));
    }

    /// Takes ids as known from here on, but for those that git would not take for any.
    fn learn(&mut self, ids: &[String]) {
        self.not.extend(ids.iter().filter(|id| id.len() == self.length).cloned());
    }

    /// What cannot be told counts as more.
    fn adds<'i>(&self, ids: impl IntoIterator<Item = &'i String>) -> bool {
        let mut asked = String::new();
        for id in ids {
            // Ids of the other kind of hash are no ids here, and would be passed over.
            if id.len() != self.length {
                return true;
            }
            asked.extend([id, "\n"]);
        }
        if asked.is_empty() {
            return false;
        }
        asked.extend(self.not.iter().map(|id| format!("^{id}\n")));
        // What is missing is lost already: the entries of reflogs, above all. The agent may have
        // thrown away what is known, too.
        let call = self.side.git().call(["rev-list", "-n1", "--ignore-missing", "--stdin"]);
        call.stdin(asked.as_bytes()).line().map_or(true, |found| !found.is_empty())
    }
}
