//! What people decide, for more tasks than one and more than once.

use midwatch_core::reason::HoldReason;
use midwatch_core::task::{Fallback, State, TaskSpec};
use midwatch_engine::Decided;

use crate::play::{load, yields};
use crate::script::{Script, name, spec};
use crate::world::{Manner, World};

/// Also for those that would go on without it, at the reset of another agent.
#[test]
fn a_new_login_is_for_every_task_that_it_was_rejected_for() {
    let ordered = |task: &str, login: &str| TaskSpec {
        credential_key: Some(login.to_owned()),
        fallbacks: vec![Fallback {
            profile: "other".to_owned(),
            credential_key: Some("limited".to_owned()),
            resumes: false,
        }],
        ..spec(task, task, false)
    };
    let tasks = ["first", "alike", "another", "paused"];
    let specs = [("first", "k"), ("alike", "k"), ("another", "k2"), ("paused", "k")]
        .map(|(task, login)| ordered(task, login));
    let world = World::new(Script { rejected: true, ..Script::default() }, Manner::GOOD, &specs);
    let waits = |task| world.replayed(&name(task)).needs_login(0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let engine = load(&world, tasks.len());
        // Without the clock: nobody comes to the reset.
        for _ in 0..20 {
            engine.turn().unwrap();
            yields().await;
        }
        for task in tasks {
            let State::Held(hold) = world.replayed(&name(task)).state else { panic!("{task}") };
            assert_eq!((hold.reason, waits(task)), (HoldReason::CredentialCoolingDown, true));
        }
        engine.command(&name("paused"), Decided::Pause, "somebody else").unwrap();
        engine.command(&name("first"), Decided::Resume, "me").unwrap();
    });
    assert_eq!(tasks.map(waits), [false, false, true, true]);
}
