//! Plays a world: an engine takes turns until nothing happens by itself, the clock is turned to
//! the next wake-up, somebody at hand decides, and a process that died is started again.

use midwatch_core::admit::{Limits, Observed};
use midwatch_core::id::TaskName;
use midwatch_core::task::{State, Task, Wake, WakeEvent};
use midwatch_engine::{AtHand, Decided, Engine, Ports, pass};

use crate::world::{Die, World};

pub(crate) type Driven = Engine<World, World, World, World>;

/// What somebody does when a task waits for them.
pub(crate) type Person = fn(&Task) -> Option<Decided>;

/// Approves, and resumes.
pub(crate) fn says_yes(task: &Task) -> Option<Decided> {
    match &task.state {
        State::Held(hold) => match hold.until {
            Wake::On(WakeEvent::Approval) => AtHand::of(task).map(Decided::Approve),
            Wake::On(_) => Some(Decided::Resume),
            Wake::At(_) => None,
        },
        State::Queued | State::Running(_) | State::Ended(_) => None,
    }
}

pub(crate) fn load(world: &World, slots: usize) -> Driven {
    let ports = Ports {
        store: world.clone(),
        runs: world.clone(),
        lands: world.clone(),
        clock: world.clone(),
        limits: Limits::slots(slots),
        observe: Box::new(Observed::default),
        point: pass,
    };
    Engine::load(ports).unwrap()
}

/// Lets every task of the runtime go as far as it can.
pub(crate) async fn yields() {
    for _ in 0..80 {
        tokio::task::yield_now().await;
    }
}

/// Turns until nothing more is stored by itself. False when the engine stopped with an error.
pub(crate) async fn turns(engine: &Driven, world: &World) -> bool {
    for _ in 0..2_000 {
        let before = world.get().appends;
        let Ok(wake) = engine.turn() else {
            return false;
        };
        yields().await;
        if world.get().appends != before {
            continue;
        }
        let Some(at) = wake else {
            return true;
        };
        world.set_now(at);
    }
    panic!("it never comes to rest: {:#?}", engine.open_tasks());
}

/// One life of a process: until all tasks wait or are over, or it dies.
async fn live(world: &World, slots: usize, person: Person) {
    let engine = load(world, slots);
    loop {
        let names: Vec<TaskName> = engine.open_tasks().into_iter().map(|t| t.spec.name).collect();
        let gone_on = tokio::select! {
            biased;
            () = world.dying.notified() => return,
            gone_on = turns(&engine, world) => gone_on,
        };
        if !gone_on {
            return;
        }
        let mut decided = false;
        for name in names {
            let decision = engine.task(&name).and_then(|task| person(&task));
            if let Some(decision) = decision {
                if engine.command(&name, decision, "me").is_err() {
                    return;
                }
                decided = true;
            }
        }
        if !decided {
            return;
        }
    }
}

/// Lives a world, once for each process; the last one does not die. How often it lived.
pub(crate) fn play(world: &World, slots: usize, person: Person) -> u32 {
    let mut lives = 0;
    loop {
        lives += 1;
        // A runtime of its own: when the process dies, all that it was doing is gone.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(live(world, slots, person));
        drop(runtime);
        let mut inner = world.get();
        inner.at_work.clear();
        let died = match inner.die {
            Some(Die::BeforeAppend(n) | Die::AfterAppend(n)) => inner.appends >= n,
            Some(Die::AfterEffect(n)) => inner.done_effects >= n,
            None => false,
        };
        inner.die = if died { inner.again() } else { None };
        inner.dead = false;
        drop(inner);
        if !died {
            return lives;
        }
    }
}
