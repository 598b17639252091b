//! What people decide, for more tasks than one and more than once.

use midwatch_core::reason::HoldReason;
use midwatch_core::task::{Fallback, State, TaskSpec};
use midwatch_engine::Decided;

use crate::play::{Person, load, says_yes, turns, yields};
use crate::script::{GOOD, Script, name, spec};
use crate::world::{Manner, World};

/// A task that waits for an approval, one whose agent works, and one whose login is rejected.
const WAITS: Script = Script { hard_path: true, ..GOOD };
const WORKS: Script = Script { endless: true, ..GOOD };
const REJECTED: Script = Script { rejected: true, ..GOOD };

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
    let world = World::new(REJECTED, Manner::GOOD, &specs);
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

/// As a client does whose server died when it was stored.
#[test]
fn what_is_said_twice_to_two_servers_is_stored_once() {
    let says: [(Script, Person); 8] = [
        (WAITS, says_yes),
        (WAITS, |_| Some(Decided::Reject("otherwise".to_owned()))),
        (WAITS, |_| Some(Decided::Reject(String::new()))),
        (WAITS, |_| Some(message())),
        (WORKS, |_| Some(message())),
        (WORKS, |_| Some(Decided::Pause)),
        (WORKS, |_| Some(Decided::Cancel)),
        (REJECTED, says_yes),
    ];
    for (script, person) in says {
        let world = World::new(script, Manner::GOOD, &[spec("t", "t", false)]);
        let stored = || world.log(&name("t")).len();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let engine = load(&world, 1);
            assert!(turns(&engine, &world).await);
            let decided = person(&engine.task(&name("t")).unwrap()).unwrap();
            let before = stored();
            engine.command(&name("t"), decided.clone(), "me").unwrap();
            assert_eq!(stored(), before + 1, "{decided:?}");
            let next = load(&world, 1);
            next.command(&name("t"), decided.clone(), "me").unwrap();
            assert_eq!(stored(), before + 1, "{decided:?}");
            // The control: of somebody else it is news, or comes too late.
            let taken = next.command(&name("t"), decided.clone(), "somebody else").is_ok();
            assert_eq!(stored() > before + 1, taken, "{decided:?}");
        });
    }
}

/// The same words mean something new once the task has come to something.
#[test]
fn what_is_said_again_later_is_taken_again() {
    let says: [(Script, Person); 3] = [
        (WAITS, |_| Some(Decided::Reject("otherwise".to_owned()))),
        (WAITS, |_| Some(message())),
        (REJECTED, |_| Some(Decided::Resume)),
    ];
    for (script, person) in says {
        let world = World::new(script, Manner::GOOD, &[spec("t", "t", false)]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let engine = load(&world, 1);
            for _ in 0..3 {
                assert!(turns(&engine, &world).await);
                let task = engine.task(&name("t")).unwrap();
                let (before, decided) = (world.log(&name("t")).len(), person(&task).unwrap());
                engine.command(&name("t"), decided.clone(), "me").unwrap();
                assert_eq!(world.log(&name("t")).len(), before + 1, "{decided:?}");
            }
        });
    }
}

fn message() -> Decided {
    Decided::Message("and this".to_owned())
}
