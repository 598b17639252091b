use super::*;
use midwatch_api::object::Object;
use midwatch_api::order::Limits;
use midwatch_api::pipeline::{PipelineSpec, shipped};
use midwatch_api::task::{AgentRef, CheckoutRef, CredentialRef, Egress, RepositoryRef};
use midwatch_core::event::EndKind;
use midwatch_core::reason::FailReason;

pub(crate) fn order() -> TaskOrder {
    let pipeline: Object<PipelineSpec> = shipped("quick").unwrap().unwrap();
    TaskOrder {
        goal: "make it green".into(),
        repository: RepositoryRef::Checkout(CheckoutRef {
            identity: "/r/.git".into(),
            path: "/r".into(),
            origin: None,
            head_branch: Some("main".into()),
            ssh_agent: None,
            private_addresses: false,
            login: None,
        }),
        base: "a".repeat(40),
        include_dirty: false,
        branch: None,
        push: false,
        pipeline,
        agent: AgentRef {
            adapter: "custom".into(),
            profile: "custom".into(),
            program: "/bin/true".into(),
            model: None,
            instructions: String::new(),
            credential_kind: "None".into(),
            credential: CredentialRef::None,
            upstream: None,
            max_turns: None,
            max_cost_cents: None,
            custom: None,
            rehearsal: false,
        },
        checks: vec!["make test".into()],
        checks_from: "--check".into(),
        setup: None,
        no_check: false,
        known_failures: false,
        egress: Egress::None,
        registries: vec![],
        toolchains: vec![],
        workspace_path: vec![],
        ca_bundle: None,
        proxy: None,
        client_env: std::collections::BTreeMap::new(),
        check_env: std::collections::BTreeMap::new(),
        client_files: std::collections::BTreeMap::new(),
        limits: Limits::default(),
        accept_missing: vec![],
        priority: 0,
        fallbacks: vec![],
        questions: midwatch_api::task::QuestionPolicy::default(),
        follows: None,
    }
}

/// A folder for a database, and its path there.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("midwatch.db");
    (folder, path)
}

fn task(name: &str) -> TaskName {
    TaskName::parse(name).unwrap()
}

#[test]
fn what_is_appended_is_there_after_opening_again() {
    let (_folder, path) = place();
    let name = task("t");
    let store = SqliteStore::open(&path).unwrap();
    assert!(store.insert("t", &order(), Time(1)).unwrap());
    assert!(!store.insert("t", &order(), Time(2)).unwrap(), "a name is taken once");
    store.append(&name, 0, &[Event::Admitted], Time(3)).unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    let open = store.open_tasks().unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].log.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [1]);
    assert_eq!(store.row("t").unwrap().unwrap().order, order());
    assert_eq!(store.view("t").unwrap().unwrap().result.state.as_deref(), Some("Running"));
    store.append(&name, 1, &[Event::Ended(EndKind::Cancelled)], Time(4)).unwrap();
    assert!(store.open_tasks().unwrap().is_empty());
    let view = store.view("t").unwrap().unwrap();
    assert_eq!((view.ended_ms, view.result.state.as_deref()), (Some(4), Some("Cancelled")));
}

#[test]
fn a_second_writer_is_noticed_before_anything_is_stored() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let name = task("t");
    store.insert("t", &order(), Time(1)).unwrap();
    store.append(&name, 0, &[Event::Admitted], Time(1)).unwrap();
    let raced = store.append(&name, 0, &[Event::Admitted], Time(1));
    assert!(matches!(raced, Err(StoreError::Raced { .. })));
    assert_eq!(store.events("t", 0).unwrap().len(), 1);
}

#[test]
fn the_settings_are_those_that_keep_what_was_acknowledged() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let setting = |name: &str| -> String {
        let inner = store.inner();
        let read = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
        let value = inner.connection.query_row(&format!("PRAGMA {name}"), [], read).unwrap();
        format!("{value:?}")
    };
    assert_eq!(setting("journal_mode"), "Text(\"wal\")");
    assert_eq!(setting("synchronous"), "Integer(2)", "FULL");
    assert_eq!(setting("foreign_keys"), "Integer(1)");
    assert_eq!(setting("busy_timeout"), "Integer(5000)");
    let orphan = store
        .inner()
        .connection
        .execute("INSERT INTO event (task, seq, at, event) VALUES ('nobody', 1, 1, '{}')", []);
    assert!(orphan.is_err(), "foreign keys are held");
}

#[test]
fn times_of_a_log_never_go_back() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    store.insert("t", &order(), Time(500)).unwrap();
    store.append(&task("t"), 0, &[Event::Admitted], Time(1000)).unwrap();
    let kind = EndKind::Failed { reason: FailReason::Disk, detail: "x".into() };
    let late = store.append(&task("t"), 1, &[Event::Ended(kind)], Time(10)).unwrap();
    assert_eq!(late[0].at, Time(1000));
    assert_eq!(store.view("t").unwrap().unwrap().ended_ms, Some(1000));
}

/// Tasks in several states, two of them submitted in the same moment.
fn some(store: &SqliteStore) {
    for (name, at) in [("a", 1), ("b", 2), ("c", 2), ("d", 3), ("e", 4)] {
        store.insert(name, &order(), Time(at)).unwrap();
    }
    store.append(&task("b"), 0, &[Event::Admitted], Time(9)).unwrap();
    for name in ["a", "d"] {
        let ended = Event::Ended(EndKind::Cancelled);
        store.append(&task(name), 0, &[ended], Time(10)).unwrap();
    }
}

fn names(views: &[midwatch_api::control::TaskView]) -> String {
    views.iter().map(|view| view.result.task.clone().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn pages_show_every_task_once_and_states_choose() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    some(&store);
    for states in [vec![], vec!["Queued", "Cancelled"], vec!["Running"], vec!["Done"]] {
        let states: Vec<String> = states.into_iter().map(ToOwned::to_owned).collect();
        let all = Page { limit: 100, states: states.clone(), ..Page::default() };
        let whole = names(&store.page(&all).unwrap());
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = Page { limit: 2, after, states: states.clone() };
            let views = store.page(&page).unwrap();
            let Some(last) = views.last() else { break };
            let name = last.result.task.clone().unwrap();
            after = Some(Cursor { submitted: Time(last.submitted_ms), name });
            seen.extend(views);
        }
        assert_eq!(names(&seen), whole, "{states:?}");
    }
    let all = Page { limit: 100, ..Page::default() };
    assert_eq!(names(&store.page(&all).unwrap()), "e d b c a");
    let ended = store.ended_between(Time(5), Time(11), 1).unwrap();
    assert_eq!((names(&ended.views).as_str(), ended.count), ("d", 2));
    assert_eq!(store.ended_between(Time(5), Time(10), 9).unwrap().count, 0, "the end is out");
    let counts = store.counts().unwrap();
    assert_eq!(counts, [("Cancelled".into(), 2), ("Queued".into(), 2), ("Running".into(), 1)]);
}

#[test]
fn what_waits_for_its_next_attempt_is_found_and_is_running_or_queued_too() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    some(&store);
    store.append(&task("e"), 0, &[Event::Admitted], Time(11)).unwrap();
    let waits = r#"{"reason":"AgentFailed","detail":"","position":null,"of":null,"untilMs":7}"#;
    let set =
        "UPDATE summary SET view = json_set(view, '$.waiting', json(?1)) WHERE task IN ('c', 'e')";
    store.inner().connection.execute(set, [waits]).unwrap();
    let found = |states: &[&str]| {
        let states = states.iter().map(|state| (*state).to_owned()).collect();
        names(&store.page(&Page { limit: 100, after: None, states }).unwrap())
    };
    // Both, and the control: who runs or is queued and waits for no attempt.
    assert_eq!((found(&["Waiting"]), found(&["Running"])), ("e c".into(), "e b".into()));
    assert_eq!(found(&["Waiting", "Running"]), "e b c", "each once");
}

#[test]
fn a_summary_that_is_lost_or_late_is_written_anew() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    some(&store);
    let all = Page { limit: 100, ..Page::default() };
    let before = store.page(&all).unwrap();
    store
        .inner()
        .connection
        .execute_batch(
            "DELETE FROM summary WHERE task = 'a';
             UPDATE summary SET seq = 0, state = 'Done', view = '{}' WHERE task = 'b';
             UPDATE summary SET shape = 0, view = 'x' WHERE task = 'c';",
        )
        .unwrap();
    assert_ne!(store.page(&all).unwrap(), before, "the control: a summary really was broken");
    drop(store);
    assert_eq!(SqliteStore::open(&path).unwrap().page(&all).unwrap(), before);
}

#[test]
fn open_tasks_come_in_the_order_of_their_submission() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    for (name, at) in [("zeta", 7), ("alpha", 7), ("first", 3)] {
        assert!(store.insert(name, &order(), Time(at)).unwrap());
    }
    let open: Vec<_> = store.open_tasks().unwrap();
    let shown: Vec<_> = open.iter().map(|open| (open.spec.name.as_str(), open.submitted)).collect();
    assert_eq!(shown, [("first", Time(3)), ("zeta", Time(7)), ("alpha", Time(7))]);
}

#[test]
fn a_damaged_task_rests_and_the_others_go_on() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    some(&store);
    store
        .inner()
        .connection
        .execute_batch("UPDATE event SET event = '{' WHERE task = 'b'; DELETE FROM summary;")
        .unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    let open: Vec<String> =
        store.open_tasks().unwrap().iter().map(|open| open.spec.name.to_string()).collect();
    assert_eq!(open, ["c", "e"]);
    let view = store.view("b").unwrap().unwrap();
    assert!(view.explain.contains("task b, event 1: the stored row is damaged"), "{view:?}");
}
