//! What orders leave in the world, looked at from outside when no server is there.

use std::collections::BTreeMap;
use std::path::Path;

use midwatch_api::kind::Kind;
use midwatch_core::event::Event;
use midwatch_local::store::{Page, SqliteStore};

use super::place::Place;
use super::world::{branches, refs};

/// The most tasks that a story has.
const TASKS: u32 = 100;

/// Everything that may not depend on who died when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// State, commit's presence and the orders that its log holds, by task.
    pub(super) tasks: BTreeMap<String, String>,
    /// Generations, by kind and name.
    pub(super) objects: BTreeMap<String, u32>,
    /// Names of deleted tasks that left something.
    pub(super) reserved: Vec<String>,
    pub(super) branches: BTreeMap<String, String>,
    pub(super) refs: BTreeMap<String, String>,
    pub(super) runs: Vec<String>,
    pub(super) homes: Vec<String>,
    pub(super) credentials: Vec<String>,
    pub(super) trash: Vec<String>,
    /// Bases and layers.
    pub(super) shared: usize,
    /// Who paused everything.
    pub(super) paused: Option<String>,
}

impl Facts {
    pub(super) fn of(place: &Place) -> Self {
        let store = SqliteStore::open(&place.state().database()).unwrap();
        let root = place.state().root().to_owned();
        let names = |folder: &str| names(&root.join(folder));
        let bases = names("bases").into_iter().map(|of| self::names(&root.join("bases").join(of)));
        let mut reserved = store.reserved_names().unwrap();
        reserved.sort();
        Self {
            tasks: tasks(&store),
            objects: objects(&store),
            reserved,
            branches: branches(place),
            refs: refs(place),
            runs: names("runs"),
            homes: names("homes"),
            credentials: names("credentials"),
            trash: names("trash"),
            shared: bases.map(|bases| bases.len()).sum::<usize>() + names("deps").len(),
            paused: std::fs::read_to_string(root.join("paused")).ok(),
        }
    }

    /// Whether nothing is there that no order wants any more.
    pub(super) fn has_no_rest(&self) -> bool {
        self.credentials.is_empty() && self.trash.is_empty() && self.paused.is_none()
    }

    /// What differs from a world in which nothing died.
    pub(super) fn differs(&self, whole: &Self) -> Option<String> {
        (self != whole).then(|| format!("{self:#?}\ninstead of {whole:#?}"))
    }
}

fn tasks(store: &SqliteStore) -> BTreeMap<String, String> {
    let page = Page { limit: TASKS, ..Page::default() };
    let told = store.page(&page).unwrap().into_iter().map(|view| {
        let name = view.result.task.unwrap_or_default();
        let events = store.events(&name, 0).unwrap();
        let orders: Vec<&str> = events.iter().filter_map(|stored| order(&stored.event)).collect();
        let state = view.result.state.unwrap_or_default();
        (name, format!("{state} {}", orders.join(" ")))
    });
    told.collect()
}

/// An event that is somebody's order, or that there may be one of.
fn order(event: &Event) -> Option<&'static str> {
    let names = ["PauseRequested", "Resumed", "CancelRequested", "Approved", "Messaged"];
    let one = ["Landed", "Ended", "FollowedUp"];
    let name = event.name();
    (names.contains(&name) || one.contains(&name)).then_some(name)
}

fn objects(store: &SqliteStore) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for kind in Kind::ALL {
        for (name, row) in store.objects(kind).unwrap() {
            found.insert(format!("{kind} {name}"), row.unwrap().generation);
        }
    }
    found
}

/// What is in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
