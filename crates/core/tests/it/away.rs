//! The user's repository is not where it was: what needs it waits, and nothing is given up.

use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Hold, Kept, Outcome, State, Wake, WakeEvent};

use crate::story::{Story, failed};

fn until(story: &Story) -> Wake {
    let State::Held(Hold { reason, until, .. }) = &story.task.state else {
        panic!("{:?}", story.task.state)
    };
    assert_eq!(*reason, HoldReason::RepositoryAway);
    *until
}

fn waited(story: &mut Story) {
    let Wake::At(at) = until(story) else { panic!("{:?}", story.task.state) };
    story.now = at;
    story.settle();
}

#[test]
fn what_needs_the_repository_is_done_by_itself_once_it_is_there() {
    for kind in ["Fetch", "Import", "Publish"] {
        let mut story = Story::of("ic");
        let action = story.until(kind);
        story.fails(&action, FailReason::RepositoryAway);
        let epoch = story.task.epoch;
        waited(&mut story);
        let again = story.until(kind);
        assert_eq!(again, action, "the same, of the same run");
        assert_eq!(story.task.epoch, epoch, "no run began for it");
        assert!(matches!(story.end(), Outcome::Done(_)), "{kind}");
        assert!(story.task.kept.is_empty());
    }
    // The control: any other trouble of an import saves the work and ends the task.
    let mut story = Story::of("ic");
    let import = story.until("Import");
    story.fails(&import, FailReason::InvalidInput);
    story.until("SaveRescue");
    assert_eq!(failed(&story.end()), FailReason::InvalidInput);
}

#[test]
fn pauses_grow_and_at_last_only_a_person_lets_it_look() {
    let mut story = Story::of("ic");
    let mut pauses = Vec::new();
    let publish = loop {
        let publish = story.until("Publish");
        story.fails(&publish, FailReason::RepositoryAway);
        match until(&story) {
            Wake::At(at) => pauses.push(at.0 - story.now.0),
            Wake::On(event) => {
                assert_eq!(event, WakeEvent::Resume);
                break publish;
            }
        }
        waited(&mut story);
    };
    assert!(pauses[0] < 3_000 && pauses.len() == 24, "{pauses:?}");
    assert!(pauses.windows(2).all(|two| two[0] < two[1] || two[1] >= 600_000), "{pauses:?}");
    // Who lets it look may have been too early: it is looked for again as from the beginning.
    story.take(midwatch_core::event::Event::Resumed { by: "me".to_owned() });
    assert_eq!(story.until("Publish"), publish);
    story.fails(&publish, FailReason::RepositoryAway);
    assert!(matches!(until(&story), Wake::At(_)), "{:?}", story.task.state);
    assert_eq!(story.task.pauses, 0, "no provider was waited for");
    waited(&mut story);
    assert_eq!(story.until("Publish"), publish);
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn who_cancels_meanwhile_has_the_workspace() {
    let mut story = Story::of("ic");
    let import = story.until("Import");
    story.fails(&import, FailReason::RepositoryAway);
    until(&story);
    story.cancel();
    assert_eq!(story.end(), Outcome::Cancelled);
    assert_eq!(story.task.kept.values().collect::<Vec<_>>(), [&Kept::All]);
    // Cancelled before the import failed, its work is saved as a rescue.
    let mut story = Story::of("ic");
    let import = story.until("Import");
    story.cancel();
    story.fails(&import, FailReason::RepositoryAway);
    story.until("SaveRescue");
    assert_eq!(story.end(), Outcome::Cancelled);
    assert!(story.task.kept.is_empty());
}
