//! A server beside its state folder: what a start removes of what a server before it left, and what
//! is kept of what was refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use midwatch_api::control::{Apply, ApplyTask};
use midwatch_local::folder::StateFolder;
use midwatch_local::server::{Server, Settings};
use midwatch_local::store::SqliteStore;
use serde_json::json;
use tokio::task::JoinHandle;

use super::world::{Closed, Home, Lands, V1, submit};

/// A server over the state folder of a home, and what drives it. Nothing lands.
fn start(home: &Home) -> (Arc<Server<Closed, Lands>>, JoinHandle<()>, StateFolder) {
    let folder = StateFolder::new(home.database().parent().unwrap().to_owned());
    folder.make().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.database()).unwrap());
    let settings = Settings::new("/bin/false".into());
    let (server, driven) =
        Server::start(folder.clone(), store, Closed, Lands::default(), settings).unwrap();
    (server, tokio::spawn(async { drop(driven.await) }), folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_removes_workspaces_whose_work_is_saved_and_no_other() {
    // Of the tasks of the first release, one stands where its second agent's work is to be
    // imported; the work of its first one was rescued.
    let home = Home::of(V1);
    let upper = |run: &str| {
        let upper = home.folder(&format!("runs/{run}/upper"));
        std::fs::write(upper.join("answer"), "42").unwrap();
        upper
    };
    let saved: Vec<PathBuf> =
        ["done-implement-4", "done-implement-6", "failed-implement-4", "open-implement-4"]
            .map(upper)
            .into();
    let (unsaved, strange) = (upper("open-implement-6"), upper("nobody-implement-4"));
    let (server, driven, _) = start(&home);
    tokio::time::timeout(Duration::from_mins(1), server.cleaned_up()).await.unwrap();
    for upper in saved {
        assert!(!upper.exists(), "{} is left", upper.display());
    }
    assert!(unsaved.join("answer").exists(), "what nobody has saved yet is lost");
    assert!(strange.join("answer").exists(), "of a task that is not known nothing is known");
    driven.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_came_with_refused_objects_is_not_kept() {
    let home = Home::new();
    let (server, driven, folder) = start(&home);
    let task = |name: &str| {
        let mut submit = submit(name);
        submit.order.branch = Some("fix/it".into());
        submit.secret = Some("sk-ant-api03-of-nobody".into());
        let spec = json!({"goal": "g", "repository": {"path": "/r"}});
        let object = json!({"kind": "AgentTask", "metadata": {"name": name}, "spec": spec});
        ApplyTask { object: serde_json::from_value(object).unwrap(), submit: Some(submit) }
    };
    let apply =
        |tasks: Vec<ApplyTask>| server.apply(Apply { objects: vec![], tasks, dry_run: false });
    let kept = || std::fs::read_dir(folder.credential("")).unwrap().count();
    let refusal = apply(vec![task("one"), task("two")]).unwrap_err();
    assert!(refusal.message.contains("is the branch of task one"), "{refusal:?}");
    assert_eq!(kept(), 0, "the key of refused tasks is kept");
    // The control: of one task that is taken it is.
    apply(vec![task("one")]).unwrap();
    assert_eq!(kept(), 1);
    driven.abort();
}
