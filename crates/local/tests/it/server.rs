//! A server beside its state folder: what a start removes of what a server before it left, and what
//! is kept of what was refused.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use midwatch_api::control::{Apply, ApplyTask, Command, Secret};
use midwatch_api::kind::{AnyObject, Kind};
use midwatch_api::report::{IDENTITY_FILE, RunnerIdentity};
use midwatch_api::task::{AgentRef, CredentialRef};
use midwatch_api::view::Progress;
use midwatch_core::admit::Limits;
use midwatch_core::time::Time;
use midwatch_local::folder::StateFolder;
use midwatch_local::server::{Line, Server, Settings};
use midwatch_local::store::SqliteStore;
use serde_json::json;
use tokio::task::JoinHandle;

use super::world::{Closed, Home, Lands, PATIENCE, V1, opened, submit, told};

/// A server over the state folder of a home, and what drives it. Nothing lands.
fn start(home: &Home) -> (Arc<Server<Closed, Lands>>, JoinHandle<()>, StateFolder) {
    start_with(home, Settings::new("/bin/false".into()), Lands::default())
}

/// The same, with other settings.
fn start_with(
    home: &Home,
    settings: Settings,
    lands: Lands,
) -> (Arc<Server<Closed, Lands>>, JoinHandle<()>, StateFolder) {
    let (folder, store) = opened(home.path());
    let (server, driven) = Server::start(folder.clone(), store, Closed, lands, settings).unwrap();
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
    tokio::time::timeout(PATIENCE, server.cleaned_up()).await.unwrap();
    for upper in saved {
        assert!(!upper.exists(), "{} is left", upper.display());
    }
    assert!(unsaved.join("answer").exists(), "what nobody has saved yet is lost");
    assert!(strange.join("answer").exists(), "of a task that is not known nothing is known");
    driven.abort();
}

/// A runner that says who it is and is killed.
const KILLED: &str = r#"#!/bin/sh
started=$(cut -d ' ' -f 22 "/proc/$$/stat")
boot=$(cat /proc/sys/kernel/random/boot_id)
echo "{\"pid\":$$,\"startTime\":$started,\"bootId\":\"$boot\"}" > "$2/runner.json"
kill -9 $$
"#;
/// Where its runs are.
static RUNS: OnceLock<PathBuf> = OnceLock::new();
/// How often it was looked whether something of it is left.
static LOOKS: AtomicUsize = AtomicUsize::new(0);

/// What it left is gone at the third look.
fn dying() -> Vec<u32> {
    let runs = RUNS.get().and_then(|runs| std::fs::read_dir(runs).ok()).into_iter().flatten();
    let runners: Vec<u32> = runs
        .flatten()
        .filter_map(|run| std::fs::read(run.path().join(IDENTITY_FILE)).ok())
        .map(|bytes| serde_json::from_slice::<RunnerIdentity>(&bytes).unwrap())
        .map(|identity| identity.pid.try_into().unwrap())
        .collect();
    if runners.is_empty() || LOOKS.fetch_add(1, Ordering::SeqCst) >= 2 { vec![] } else { runners }
}

#[tokio::test(flavor = "multi_thread")]
async fn clean_up_lasts_until_nothing_of_a_killed_runner_is_left() {
    let home = Home::new();
    let program = home.folder("bin").join("killed");
    std::fs::write(&program, KILLED).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    RUNS.set(home.folder("runs")).unwrap();
    let mut settings = Settings::new(program);
    settings.sweep_groups = dying;
    let (server, driven, _) = start_with(&home, settings, Lands::after_fetches());
    server.submit(submit("killed")).unwrap();
    told(&server, "killed", |line| match line {
        Line::Progress(line) => matches!(line.progress, Progress::RunEnded { .. }),
        Line::Result(_) => false,
    })
    .await;
    tokio::time::timeout(PATIENCE, server.cleaned_up()).await.unwrap();
    assert!(LOOKS.load(Ordering::SeqCst) > 2, "something of it may be left");
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

#[tokio::test(flavor = "multi_thread")]
async fn the_branch_of_a_task_that_is_held_is_still_its_own() {
    let home = Home::new();
    let mut settings = Settings::new("/bin/false".into());
    settings.limits = Limits::slots(0);
    let (server, driven, _) = start_with(&home, settings, Lands::default());
    let submit = |name: &str| {
        let mut submit = submit(name);
        submit.order.branch = Some("fix/it".into());
        server.submit(submit)
    };
    let refused =
        || submit("second").is_err_and(|refusal| refusal.message.contains("by task first"));
    submit("first").unwrap();
    assert!(refused(), "while it waits in the queue");
    server.command("first", Command::Pause { by: "me".into() }).unwrap();
    assert!(refused(), "while it is held");
    // The control: when it is over, its branch is free.
    server.command("first", Command::Cancel { by: "me".into() }).unwrap();
    let free = async {
        while submit("second").is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
    driven.abort();
}

/// As by a client whose server died when it was stored, and the next one was quick.
#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_a_task_ended_with_may_be_said_again() {
    let home = Home::new();
    let settings = Settings { limits: Limits::slots(0), ..Settings::new("/bin/false".into()) };
    let (server, driven, _) = start_with(&home, settings, Lands::default());
    server.submit(submit("task")).unwrap();
    let cancel = |by: &str| server.command("task", Command::Cancel { by: by.into() });
    cancel("me").unwrap();
    let over = async {
        while server.get("task").unwrap().result.state.as_deref() != Some("Cancelled") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, over).await.unwrap();
    cancel("me").unwrap();
    // The control: somebody else's word, or another one.
    for refused in [cancel("you"), server.command("task", Command::Pause { by: "me".into() })] {
        let refusal = refused.unwrap_err();
        assert!(refusal.message.contains("has ended as Cancelled"), "{refusal:?}");
    }
    driven.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_step_would_use_is_refused() {
    let home = Home::new();
    let (server, driven, _) = start(&home);
    let with = |checks: bool, setup: bool| {
        let mut submit = submit("asks");
        submit.order.pipeline = midwatch_api::pipeline::shipped("answer").unwrap().unwrap();
        submit.order.checks.retain(|_| checks);
        submit.order.setup = submit.order.setup.filter(|_| setup);
        submit
    };
    let refusal = server.submit(with(true, true)).unwrap_err();
    assert!(refusal.message.contains("checks 'sh check.sh' is of no use"), "{refusal:?}");
    let refusal = server.submit(with(false, true)).unwrap_err();
    assert!(refusal.message.contains("setup 'sh setup.sh' is of no use"), "{refusal:?}");
    // The controls: without them it is taken, and so they are with other steps.
    server.submit(with(false, false)).unwrap();
    server.submit(submit("works")).unwrap();
    driven.abort();
}

/// What an older version took in under the name of a pipeline that ships can be taken away; what
/// ships cannot.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_applied_is_deleted() {
    let home = Home::new();
    let folder = StateFolder::new(home.path().to_owned());
    folder.make().unwrap();
    let shipped = midwatch_api::pipeline::shipped("quick").unwrap().unwrap();
    let object = AnyObject::Pipeline(shipped).to_wire().unwrap();
    let store = SqliteStore::open(&folder.database()).unwrap();
    store.apply(&[(object, None)], Time(1)).unwrap();
    drop(store);
    let (server, driven, _) = start(&home);
    let names = || {
        let all = server.objects(Kind::Pipeline).unwrap();
        all.into_iter().map(|view| view.object.metadata.name).collect::<Vec<_>>()
    };
    let shown = ["quick", "change", "approved-change", "answer"];
    assert_eq!(names(), shown, "each once");
    server.delete_object(Kind::Pipeline, "quick").unwrap();
    let refusal = server.delete_object(Kind::Pipeline, "quick").unwrap_err();
    assert!(refusal.message.contains("ships") && refusal.exit == 2, "{refusal:?}");
    assert_eq!(names(), shown);
    assert!(server.object(Kind::Pipeline, "quick").unwrap().shipped);
    driven.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_is_told_by_kind_and_name_and_hides_no_other() {
    let home = Home::new();
    let (server, driven, _) = start(&home);
    let apply = |name: &str| {
        let spec = json!({"path": "/r"});
        let object = json!({"kind": Kind::Repository, "metadata": {"name": name}, "spec": spec});
        let objects = vec![serde_json::from_value(object).unwrap()];
        server.apply(Apply { objects, tasks: vec![], dry_run: false }).unwrap();
    };
    let names = ["first", "second", "third"];
    names.into_iter().for_each(apply);
    let damage = "UPDATE object SET spec = '!' WHERE name IN ('first', 'second')";
    home.plain().execute_batch(damage).unwrap();
    let listed = || {
        let all = server.objects(Kind::Repository).unwrap().into_iter();
        all.map(|view| (view.object.metadata.name, view.damaged)).collect::<Vec<_>>()
    };
    let all = listed();
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
    let told = all[0].1.clone().unwrap();
    for part in ["AgentRepository first", "midwatch delete AgentRepository first"] {
        assert!(told.contains(part), "no '{part}' in {told}");
    }
    let refusal = server.object(Kind::Repository, "first").unwrap_err();
    assert!(refusal.message.contains("AgentRepository first"), "{refusal:?}");
    // Both ways out work; the control is the one that was whole.
    server.delete_object(Kind::Repository, "first").unwrap();
    apply("second");
    assert_eq!(listed(), [("second".to_owned(), None), ("third".to_owned(), None)]);
    driven.abort();
}

/// A key stays where it is kept, with another content: so every task that names it gets the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_resume_renews_the_key_of_each_agent() {
    let home = Home::new();
    let (server, driven, folder) = start(&home);
    let mut submit = submit("two-keys");
    let of = |variable: &str| CredentialRef::Stored {
        id: String::new(),
        variable: Some(variable.to_owned()),
    };
    submit.order.agent.credential = of("FIRST_KEY");
    let other = AgentRef { credential: of("OTHER_KEY"), ..submit.order.agent.clone() };
    submit.order.fallbacks = vec![other];
    submit.secret = Some("first".into());
    submit.fallback_secrets = vec![Some("second".into())];
    server.submit(submit).unwrap();
    let order = server.order("two-keys").unwrap();
    let kept = || -> Vec<String> {
        let files = order.kept_ids().map(|id| folder.credential(id));
        files.map(|file| std::fs::read_to_string(file).unwrap().trim().to_owned()).collect()
    };
    assert_eq!(kept(), ["first", "second"]);
    let resume = |first: Option<&str>, other: Option<&str>| {
        let secret = |text: &str| Secret(text.to_owned());
        let fallback_secrets = vec![other.map(secret)];
        let command =
            Command::Resume { by: "me".into(), secret: first.map(secret), fallback_secrets };
        // Nothing holds the task yet: the keys are renewed, and there is nothing to resume.
        server.command("two-keys", command).unwrap_err()
    };
    resume(None, Some("second, renewed"));
    assert_eq!(kept(), ["first", "second, renewed"]);
    resume(Some("first, renewed"), Some("and again"));
    assert_eq!(kept(), ["first, renewed", "and again"]);
    // The control: as it was, with a key for the first agent alone.
    resume(Some("the first one"), None);
    assert_eq!(kept(), ["the first one", "and again"]);
    driven.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_told_in_the_brief_by_what_it_waits_for() {
    let home = Home::new();
    let mut settings = Settings::new("/bin/false".into());
    settings.limits = Limits::slots(0);
    let (server, driven, _) = start_with(&home, settings, Lands::default());
    for number in 0..5 {
        server.submit(submit(&format!("t{number}"))).unwrap();
    }
    let brief = server.brief(None).unwrap();
    let [group] = &brief.resting[..] else { panic!("{:?}", brief.resting) };
    assert_eq!((group.reason.as_str(), group.count), ("Concurrency", 5));
    assert_eq!((group.tasks.len(), brief.going_on.queued), (3, 5));
    driven.abort();
}
