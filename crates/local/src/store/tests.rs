use super::*;
use midwatch_api::object::Object;
use midwatch_api::order::Limits;
use midwatch_api::pipeline::{PipelineSpec, shipped};
use midwatch_api::task::{AgentRef, CredentialRef, Egress, RepositoryRef};
use midwatch_core::event::EndKind;

fn order() -> TaskOrder {
    let pipeline: Object<PipelineSpec> = shipped("quick").unwrap().unwrap();
    TaskOrder {
        goal: "make it green".into(),
        repository: RepositoryRef {
            identity: "/r/.git".into(),
            path: "/r".into(),
            origin: None,
            head_branch: Some("main".into()),
            ssh_agent: None,
        },
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

fn path(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("midwatch-store-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("midwatch.db")
}

#[test]
fn what_is_appended_is_there_after_opening_again() {
    let path = path("again");
    let name = TaskName::parse("t").unwrap();
    let store = SqliteStore::open(&path).unwrap();
    assert!(store.insert("t", &order(), Time(1)).unwrap());
    assert!(!store.insert("t", &order(), Time(2)).unwrap(), "a name is taken once");
    store.append(&name, 0, &[Event::Admitted, Event::Released], Time(3)).unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    let open = store.open_tasks().unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].1.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(store.row("t").unwrap().unwrap().order, order());
    store.append(&name, 2, &[Event::Ended(EndKind::Cancelled)], Time(4)).unwrap();
    assert!(store.open_tasks().unwrap().is_empty());
    assert_eq!(store.rows(10).unwrap()[0].ended, Some(Time(4)));
}

#[test]
fn a_second_writer_is_noticed_before_anything_is_stored() {
    let store = SqliteStore::open(&path("raced")).unwrap();
    let name = TaskName::parse("t").unwrap();
    store.insert("t", &order(), Time(1)).unwrap();
    store.append(&name, 0, &[Event::Admitted], Time(1)).unwrap();
    let raced = store.append(&name, 0, &[Event::Admitted], Time(1));
    assert!(matches!(raced, Err(StoreError::Raced { .. })));
    assert_eq!(store.events("t", 0).unwrap().len(), 1);
}

#[test]
fn a_newer_or_damaged_database_is_refused_and_left_alone() {
    let newer = path("newer");
    SqliteStore::open(&newer).unwrap();
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(SqliteStore::open(&newer), Err(StoreError::Newer { found: 99, known: 1 })));
    let damaged = path("damaged");
    let store = SqliteStore::open(&damaged).unwrap();
    for n in 0..200 {
        store.insert(&format!("t{n}"), &order(), Time(n)).unwrap();
    }
    store.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xa5);
    std::fs::write(&damaged, &bytes).unwrap();
    assert!(SqliteStore::open(&damaged).is_err());
    assert_eq!(std::fs::read(&damaged).unwrap(), bytes, "nothing was repaired behind one's back");
}
