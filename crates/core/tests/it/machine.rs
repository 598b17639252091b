//! A million steps of random walks with faults, and walks that proptest can shrink.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use midwatch_core::event::Event;
use proptest::prelude::*;

use crate::choices::{Bytes, Seeded};
use crate::walk::Walk;

/// Steps in an ordinary test run; `MIDWATCH_MODEL_STEPS` asks for more at night.
const STEPS: u64 = 1_000_000;
/// Where the walks begin; `MIDWATCH_MODEL_SEED` begins elsewhere, or repeats one walk.
const SEED: u64 = 20_261_121;
/// Outside events of a walk before the world becomes fair.
const FAULTY: usize = 240;

/// What the walks must have met often; what is not met is not tested.
const EVENTS: [&str; 42] = [
    "Admitted",
    "Advanced",
    "Agent",
    "AgentUnavailable",
    "Approved",
    "CancelRequested",
    "Check",
    "CheckpointSeen",
    "Checkpointed",
    "Checkout",
    "CredentialLearnt",
    "EndingChosen",
    "Ended",
    "Fetch",
    "Fetched",
    "FollowedUp",
    "Held",
    "Import",
    "Imported",
    "Keep",
    "LandFailed",
    "Landed",
    "Messaged",
    "ModelAnswered",
    "NothingToImport",
    "PauseRequested",
    "PlanApproved",
    "Publish",
    "QuestionAnswered",
    "Rejected",
    "Released",
    "RepairBegun",
    "Rescue",
    "Rescued",
    "Resumed",
    "Retried",
    "ReviewReturned",
    "RunEnded",
    "SaveCheckpoint",
    "SaveRescue",
    "SessionKnown",
    "StopSent",
];

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn a_million_steps_break_no_law() {
    let (wanted, first) =
        (number("MIDWATCH_MODEL_STEPS", STEPS), number("MIDWATCH_MODEL_SEED", SEED));
    let mut steps = 0;
    let mut seed = first;
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    while steps < wanted {
        let mut walk = Walk::new(Seeded::new(seed));
        let gone = catch_unwind(AssertUnwindSafe(|| walk.go(FAULTY)));
        match gone {
            Ok(Ok(())) => {}
            Ok(Err(broken)) => {
                let tail = walk.log.len().saturating_sub(12);
                let tail: Vec<&str> = walk.log[tail..].iter().map(Event::name).collect();
                panic!("seed {seed}: {broken:?}\nafter {tail:?}\n{:#?}", walk.task);
            }
            Err(panic) => {
                println!("seed {seed}: a panic after {} events", walk.log.len());
                resume_unwind(panic);
            }
        }
        steps += walk.steps;
        for (event, count) in &walk.seen {
            *seen.entry(event).or_default() += count;
        }
        *ends.entry(walk.task.state.as_str()).or_default() += 1;
        seed += 1;
    }
    // Straight to stderr, so that the figure is seen without --nocapture.
    let mut out = std::io::stderr();
    writeln!(out, "model walks {} from seed {first}, ends {ends:?}", seed - first).unwrap();
    writeln!(out, "model steps {steps} / invariant breaks 0").unwrap();
    for end in ["Done", "Unverified", "Answered", "NoChange", "Failed", "Cancelled"] {
        assert!(ends.get(end).is_some_and(|count| *count > 0), "no walk ended {end}: {ends:?}");
    }
    for event in EVENTS {
        assert!(seen.get(event).is_some_and(|count| *count > 100), "{event} is rare: {seen:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_break_no_law(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        let mut walk = Walk::new(Bytes(bytes.into_iter()));
        let gone = walk.go(FAULTY);
        prop_assert!(gone.is_ok(), "{gone:?}");
    }
}
