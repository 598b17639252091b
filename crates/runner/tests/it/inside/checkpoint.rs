//! Work in progress is there while the agent still works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use midwatch_runner::inside::carry_out;
use midwatch_runner::inside_order::{InsideOrder, Job};

use super::world::World;

/// Waits until it is so, 30 s at most.
pub(super) fn wait_for(so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < until, "waited 30 s for nothing");
        // polls: a condition of another process, with a deadline
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_checkpoint_is_bundled_while_a_process_writes() {
    let world = World::new();
    let mut job = world.job(
        "mkdir nested; git -C nested init -q; echo n > nested/n; echo a > a; \
         i=0; while :; do i=$((i+1)); echo $i >> growing; head -c 100000 /dev/zero > f$i; \
         rm -f f$((i-1)); done",
    );
    job.checkpoint_seconds = 1;
    job.grace_seconds = 1;
    let stop = Arc::new(AtomicBool::new(false));
    let order = InsideOrder { forward: Vec::new(), job: Job::Agent(job) };
    std::thread::scope(|scope| {
        let run = scope.spawn(|| carry_out(&order, &world.places, &stop).unwrap());
        wait_for(|| world.out_text("progress.jsonl").contains("{\"checkpoint\":2}"));
        let imported = world.import("checkpoint.bundle");
        assert_eq!(imported.text("a"), "a\n");
        assert_eq!(imported.text("nested/n"), "n\n");
        assert!(world.at("nested/.git").is_dir(), "the agent still works in it");
        assert_eq!(imported.subjects(), ["The workspace as it was left"]);
        stop.store(true, Ordering::Relaxed);
        run.join().unwrap();
    });
    assert!(world.imported().files().contains(&"nested/n".to_owned()));
    assert!(!world.places.out.join(".checkpoint.git").exists());
    assert!(!world.places.out.join(".work.git").exists());
}

/// An agent that waits for its first checkpoint, 30 s at most.
const WAIT: &str = "i=0; until grep -q checkpoint ../out/progress.jsonl || test $i -ge 300; do \
    i=$((i+1)); sleep 0.1; done";

/// The pause after the first checkpoint is the time in which a second would come.
#[test]
fn nothing_new_is_no_checkpoint() {
    let world = World::new();
    let mut job = world.job(&format!("echo a > a; {WAIT}; sleep 2.5"));
    job.checkpoint_seconds = 1;
    world.run(job);
    let progress = world.out_text("progress.jsonl");
    assert_eq!(progress.matches("checkpoint").count(), 1, "{progress}");
}

#[test]
fn a_checkpoint_survives_a_deleted_git_folder() {
    let world = World::new();
    let mut job = world.job(&format!("rm -rf .git; echo a > a; {WAIT}"));
    job.checkpoint_seconds = 1;
    world.run(job);
    assert_eq!(world.import("checkpoint.bundle").text("a"), "a\n");
}
