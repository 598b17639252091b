//! A task whose log cannot be read, with a run that goes on: nobody drives it, and it can be ended
//! and forgotten by its name.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command as Program, Stdio};
use std::sync::Arc;

use midwatch_api::control::{Command, FollowFrom};
use midwatch_api::report::{IDENTITY_FILE, RunnerIdentity};
use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::Store as _;
use midwatch_core::time::Time;
use midwatch_local::server::{Server, Settings};
use midwatch_local::store::SqliteStore;

use super::world::{Closed, Home, Lands, opened, order};

/// A runner that lives until it is killed, in the folder of a run with work in it.
fn runner(run: &Path) -> Child {
    std::fs::create_dir_all(run.join("upper")).unwrap();
    std::fs::write(run.join("upper/answer"), "42").unwrap();
    let child =
        Program::new("sleep").arg("600").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let start_time = stat.rsplit(' ').nth(52 - 22).unwrap().parse().unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let identity = RunnerIdentity { pid, start_time, boot_id: boot.trim().to_owned() };
    std::fs::write(run.join(IDENTITY_FILE), serde_json::to_vec(&identity).unwrap()).unwrap();
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_a_damaged_log_is_ended_and_forgotten_by_name_and_its_work_stays() {
    let home = Home::new();
    let (folder, store) = opened(home.path());
    let name = TaskName::parse("bad").unwrap();
    for task in ["bad", "bad-too"] {
        store.insert(task, &order(), Time(1)).unwrap();
    }
    store.append(&name, 0, &[Event::Admitted], Time(2)).unwrap();
    // It cannot be let in twice.
    let twice = "INSERT INTO event SELECT task, 2, at, event FROM event WHERE task = 'bad'";
    home.plain().execute_batch(twice).unwrap();
    drop(store);
    let run = folder.run("bad-implement-4");
    let (mut ours, mut other) = (runner(&run), runner(&folder.run("bad-too-implement-4")));
    home.folder("runs/bad-checkout-1");

    let store = Arc::new(SqliteStore::open(&folder.database()).unwrap());
    let (lands, settings) = (Lands::default(), Settings::new("/bin/false".into()));
    let (server, _driven) =
        Server::start(folder.clone(), Arc::clone(&store), Closed, lands, settings).unwrap();
    let view = server.get("bad").unwrap();
    assert!(view.explain.contains("cannot be read"), "{}", view.explain);
    assert!(view.result.hint.is_some_and(|hint| hint.contains("midwatch delete bad --cancel")));
    // While it goes on nothing is taken from under it, and every refusal names the way out.
    let refusals = [
        server.delete_task("bad", "me").map(drop),
        server.command("bad", Command::Cancel { by: "me".into() }),
        server.follow("bad", FollowFrom::default()).map(drop),
    ];
    for refusal in refusals.map(Result::unwrap_err) {
        assert!(refusal.message.contains("task bad cannot be read"), "{refusal:?}");
        assert!(refusal.hint.is_some_and(|hint| hint.contains("delete bad --cancel")));
    }
    assert!(ours.try_wait().unwrap().is_none());

    assert_eq!(server.kill("bad").unwrap(), ["bad-implement-4"]);
    assert_eq!(ours.wait().unwrap().signal(), Some(9));
    let kept = server.delete_task("bad", "me").unwrap().kept;
    assert!(kept.iter().any(|line| line.contains(run.to_str().unwrap())), "{kept:?}");
    assert!(run.join("upper/answer").exists(), "its work is gone");
    assert!(!folder.run("bad-checkout-1").exists(), "what holds no work goes");
    assert_eq!(server.get("bad").unwrap_err().exit, 2);
    assert!(store.is_reserved("bad").unwrap(), "what it left is named by it");
    // The control: whose name only begins alike is as it was.
    assert!(other.try_wait().unwrap().is_none() && server.get("bad-too").is_ok());
    assert!(server.delete_task("bad-too", "me").unwrap_err().message.contains("Queued"));
    other.kill().unwrap();
    other.wait().unwrap();
}

/// Changed in its place, a row leaves the log as long as it was.
#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_middle_of_a_log_is_shown_and_its_task_ended_like_any_other() {
    let home = Home::new();
    let (folder, store) = opened(home.path());
    for task in ["bad", "mended"] {
        store.insert(task, &order(), Time(1)).unwrap();
        store.append(&TaskName::parse(task).unwrap(), 0, &[Event::Admitted], Time(2)).unwrap();
    }
    drop(store);
    let change = |event: &str, task: &str| {
        let sql = "UPDATE event SET event = ?1 WHERE task = ?2 AND seq = 1";
        assert_eq!(home.plain().execute(sql, [event, task]).unwrap(), 1);
    };
    let read = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let whole: String =
        home.plain().query_row("SELECT event FROM event WHERE task = 'bad'", [], read).unwrap();
    change("!", "bad");
    change("!", "mended");
    let run = folder.run("bad-implement-4");
    let mut ours = runner(&run);

    let start = || {
        let store = Arc::new(SqliteStore::open(&folder.database()).unwrap());
        let (lands, settings) = (Lands::default(), Settings::new("/bin/false".into()));
        Server::start(folder.clone(), store, Closed, lands, settings).unwrap()
    };
    let (server, driven) = start();
    for task in ["bad", "mended"] {
        let view = server.get(task).unwrap();
        assert_eq!(view.result.state, None, "whoever deletes it kills it by that: {view:?}");
        assert!(view.explain.contains("cannot be read"), "{}", view.explain);
    }
    assert_eq!(server.kill("bad").unwrap(), ["bad-implement-4"]);
    assert_eq!(ours.wait().unwrap().signal(), Some(9));
    server.delete_task("bad", "me").unwrap();
    assert_eq!(server.get("bad").unwrap_err().exit, 2);

    // The control: whose row is whole again is what it was.
    drop((server, driven));
    change(&whole, "mended");
    let (server, _driven) = start();
    assert_eq!(server.get("mended").unwrap().result.state.as_deref(), Some("Running"));
}
