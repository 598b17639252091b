//! Who may not begin yet, and what waiting may not cost.

use midwatch_core::decide::SLOT_KEPT_SECONDS;
use midwatch_core::event::{Artifact, Event};
use midwatch_core::plan::{Asked, Questions};
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{Said, State, Task, Unavailable, Wake, WakeEvent};
use midwatch_core::time::Time;

use super::{caught, decided};
use crate::laws::{Law, Laws};
use crate::story::Story;
use crate::world::question;

/// An agent's start, and the task that stored it.
fn starting() -> (Task, Event) {
    let mut story = Story::of("ic");
    let event = Event::Intended(story.until("Agent"));
    story.task.open.clear();
    story.task.epoch = midwatch_core::id::Epoch::default();
    story.task.state = State::Running(std::collections::BTreeSet::new());
    (story.task, event)
}

#[test]
fn who_may_not_begin_and_begins_is_caught() {
    let (task, start) = starting();
    let now = Time::from_seconds(2_000);
    let judged = |task: &Task| Laws::default().applied(task, &start, task);
    let by_the_clock = |task: &Task| Laws::decided(task, now, &decided(vec![start.clone()], None));
    assert_eq!((judged(&task), by_the_clock(&task)), (Ok(()), Ok(())), "the control is right");

    let mut paused = task.clone();
    paused.paused = Some("me".to_owned());
    caught(&judged(&paused), Law::PausedStartsNoAgent);

    let mut early = task.clone();
    early.retry_at = Some(now.plus_seconds(1));
    caught(&by_the_clock(&early), Law::PausesAreKept);

    // Nor may it keep its slot for as long as it likes meanwhile.
    let keeps = |seconds| {
        let wake = Some(Wake::At(now.plus_seconds(seconds)));
        Laws::decided(&early, now, &decided(vec![], wake))
    };
    assert_eq!(keeps(SLOT_KEPT_SECONDS), Ok(()));
    caught(&keeps(SLOT_KEPT_SECONDS + 1), Law::WakeCanCome);

    let mut limited = task.clone();
    let (reason, until) = (HoldReason::CredentialCoolingDown, Wake::At(now.plus_seconds(1)));
    let gone = Unavailable { reason, detail: "limit".to_owned(), until };
    limited.unavailable.insert(0, gone);
    caught(&by_the_clock(&limited), Law::PausesAreKept);

    for charged in [false, true] {
        let hot = decided(vec![Event::Retried { charged, at: now }], None);
        caught(&Laws::decided(&task, now, &hot), Law::PausesAreKept);
    }

    let mut asked = task.clone();
    asked.spec.questions = Questions::Ask;
    let Artifact::Question(question) = question("q") else { unreachable!() };
    asked.questions = vec![Asked { question, answer: None }];
    caught(&judged(&asked), Law::QuestionsAreAnswered);

    let mut said = task.clone();
    said.messages.push(Said { text: "and that".to_owned(), by: "me".to_owned() });
    caught(&judged(&said), Law::MessagesAreHeard);
}

#[test]
fn a_limit_that_is_charged_is_caught() {
    let before = Story::of("ic").task;
    let mut after = before.clone();
    after.attempts += 1;
    let event = Event::AgentUnavailable {
        agent: 0,
        reason: HoldReason::NeedsLogin,
        detail: "401".to_owned(),
        until: Wake::On(WakeEvent::Resume),
    };
    caught(&Laws::default().applied(&before, &event, &after), Law::LimitsAreFree);
    assert_eq!(Laws::default().applied(&before, &event, &before), Ok(()));
}
