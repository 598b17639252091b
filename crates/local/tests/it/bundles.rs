//! Bundles that a mirror keeps as files: named where people look, and gone when nobody needs them.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use midwatch_api::gc::{CollectOrder, What};
use midwatch_local::retain::{SavedBundle, SavedRef};

use super::deleted::{A_CENTURY, Left, why};
use super::retain::{Memory, gone};
use super::world::{Home, V1};

struct Files {
    _dir: tempfile::TempDir,
    path: PathBuf,
    memory: Arc<Memory>,
}

/// A bundle of a task and a ref of it that the repository has, beside a bundle of another task.
fn files(text: &str, tips: &[&str]) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let bundle = |task: &str| {
        let path = dir.path().join(format!("{task}-4-rescue.bundle"));
        fs::write(&path, text).unwrap();
        SavedBundle { task: task.to_owned(), path, bytes: text.len() as u64 }
    };
    let bundles = vec![bundle("failed"), bundle("failed-other")];
    let path = bundles[0].path.clone();
    let name = "refs/midwatch/rescue/failed/4/snapshot".to_owned();
    let refs = Mutex::new(vec![SavedRef { name, commit: "work".into() }]);
    let tips = tips.iter().map(|tip| (*tip).to_owned()).collect();
    let landed = vec!["work", "more"];
    Files { _dir: dir, path, memory: Arc::new(Memory { refs, landed, bundles, tips }) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_goes_with_its_tasks_refs_once_the_repository_has_all_of_both() {
    let many: Vec<String> = (0..501).map(|number| format!("commit-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (text, tips, stays) in [
        ("whole", &["work", "more"][..], None),
        ("whole", &["work", "elsewhere"], Some("no branch of the repository has all of it")),
        ("whole", &[], Some("it names 0 commits")),
        ("whole", &many, Some("it names 501 commits")),
        ("cut", &["work"], Some("it is not known what it holds")),
    ] {
        let files = files(text, tips);
        let left = Left::new(Some(Arc::clone(&files.memory)));
        let young = CollectOrder { age_seconds: Some(A_CENTURY), ..CollectOrder::default() };
        left.server.collect(&young).unwrap();
        assert!(files.path.exists(), "the task ended not long ago");
        left.collect(true);
        assert!(files.path.exists(), "a dry run");
        let collection = left.collect_as_told();
        let refs = files.memory.refs.lock().unwrap().len();
        assert_eq!(
            (files.path.exists(), refs == 1),
            (stays.is_some(), stays.is_some()),
            "{tips:?}"
        );
        let told = why(&collection, What::SavedWork, "failed");
        match stays {
            None => {
                let bytes = gone(&collection).get(&(What::SavedWork, "failed")).copied();
                assert_eq!(bytes, Some(text.len() as u64), "{collection:?}");
            }
            Some(stays) => {
                assert!(
                    told.contains(stays) && told.contains(files.path.to_str().unwrap()),
                    "{told}"
                );
            }
        }
        // Nothing is known of the other's task.
        assert!(files.memory.bundles[1].path.exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_beside_a_saved_ref_is_named() {
    let files = files("whole", &["elsewhere"]);
    let left = Left::new(Some(Arc::clone(&files.memory)));
    let file = files.path.to_str().unwrap();
    let result = left.server.get("failed").unwrap().result;
    assert!(result.rescue_ref.is_some_and(|name| name.starts_with("refs/")));
    let named: Vec<_> = result.notes.iter().filter(|note| note.ends_with(".bundle")).collect();
    assert!(named.len() == 1 && named[0].ends_with(file), "{named:?}");
    let told = left.server.delete_task("failed", "me").unwrap().kept;
    assert!(told.iter().any(|line| line.ends_with(file)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_a_task_whose_rescue_is_a_file_is_told_of_the_older_ref_too() {
    let files = files("cut", &[]);
    let file = files.path.to_str().unwrap();
    let home = Home::of(V1);
    let named = "replace(event, 'refs/midwatch/rescue/failed/4/snapshot', ?1)";
    let sql = format!("UPDATE event SET event = {named} WHERE task = 'failed'");
    home.plain().execute(&sql, [file]).unwrap();
    let left = Left::beside(home, Some(Arc::clone(&files.memory)));
    let view = left.server.get("failed").unwrap();
    assert_eq!(view.result.rescue_ref.as_deref(), Some(file));
    let notes = &view.result.notes;
    assert!(!notes.iter().any(|note| note.contains(file)), "named once: {notes:?}");
    let told = left.server.delete_task("failed", "me").unwrap().kept;
    let older = "older saved work refs/midwatch/rescue/failed/4/snapshot; to get it: git fetch";
    assert!(told.iter().any(|line| line.starts_with(older)), "{told:?}");
    assert_eq!(told.iter().filter(|line| line.contains(file)).count(), 1, "{told:?}");
}
