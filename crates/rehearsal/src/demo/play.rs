//! What the model does for each prompt of the pipelines `change` and `quick`.
//!
//! It looks at the request alone: which step the newest prompt names, what its evidence and
//! review say, what the tools showed. So a retry, a resumed session and a server that was
//! restarted in the middle all go on where they were. Every file is written whole, so that
//! writing it twice is no harm.

use serde_json::json;

use super::sample::{BASE_TESTS, FIRST_ATTEMPT, MODULE, REPAIRED, REVIEWED_TESTS, TESTS};
use crate::script::{Call, Conversation, Script};

/// The test that the first attempt breaks. Named by the evidence, it asks for the repair.
const BROKEN: &str = "test_half_an_hour_into_a_watch";
/// The test that the reviewer asks for. Named by a review or shown by a diff, it is the answer.
const ASKED_FOR: &str = "test_between_half_hours";

/// Runs every test, as the repository's README says.
const RUN_TESTS: &str = "python3 -m unittest discover";

const PLAN: &str = "\
`test_eight_bells_end_a_watch` fails: `bells(0)`, `bells(4)` and `bells(12)` give 0 where eight bells \
are struck.\n\n\
1. `bells.py`: the formula starts again at 0 when a watch ends. Give 8 there.\n\
2. `test_bells.py`: as it is.\n\n\
It works when `python3 -m unittest discover` is green. Decided without asking: the signature of `bells` \
stays.";

/// What the model of the demo does in a conversation.
pub fn script(conversation: &Conversation) -> Script {
    let Some((prompt, step)) = newest_step(conversation) else {
        return Script::saying(
            "This is a rehearsal: it only knows the prompts of `midwatch demo`.",
        );
    };
    match step {
        "plan" => plan(),
        "review" => review(prompt, conversation),
        // `implement`, and whatever a pipeline of one's own calls it.
        _ if prompt.contains(ASKED_FOR) => add_the_test(),
        _ if prompt.contains(BROKEN) => repair(),
        _ => first_attempt(),
    }
}

/// The newest prompt that names a step, and the step. A client may put words of its own behind it.
fn newest_step(conversation: &Conversation) -> Option<(&str, &str)> {
    conversation.prompts.iter().rev().find_map(|prompt| {
        // Only the line that comes first: a goal or evidence may hold another.
        let rest = prompt.lines().find_map(|line| line.trim().strip_prefix("midwatch-step:"))?;
        Some((prompt.as_str(), rest.split_whitespace().next()?))
    })
}

fn plan() -> Script {
    Script::saying(PLAN).step(
        "I look at what is here and at the tests.",
        Call::Shell(format!("ls && cat {MODULE} {TESTS}")),
    )
}

fn first_attempt() -> Script {
    let one = "python3 -m unittest test_bells.Bells.test_eight_bells_end_a_watch";
    mend("A watch ends when its fourth hour is over: eight bells then.", FIRST_ATTEMPT, one)
        .ends("`bells` gives 8 in the hours in which a watch ends; the failing test passes now.")
}

fn repair() -> Script {
    let why = "That was too much: within such an hour the count begins again. Only 0 becomes 8.";
    mend(why, REPAIRED, RUN_TESTS)
        .ends("A count of 0 is the eight bells of the watch before; nothing else changed.")
}

/// Reads the module, for Claude Code writes over no file that it has not read, and mends it.
fn mend(why: &str, content: &str, check: &str) -> Script {
    Script::default()
        .read(MODULE)
        .step(why, Call::Write { path: MODULE.into(), content: content.into() })
        .shell(check)
}

fn add_the_test() -> Script {
    Script::saying("The test for times between two half hours is there, and all tests pass.")
        .read(TESTS)
        .step(
            "The reviewer is right: nothing tests the minutes between.",
            Call::Write { path: TESTS.into(), content: REVIEWED_TESTS.into() },
        )
        .shell(RUN_TESTS)
}

/// The verdict follows from what the diff showed, as an honest reviewer's would.
fn review(prompt: &str, conversation: &Conversation) -> Script {
    let shown = conversation.results.iter().any(|result| result.text.contains(ASKED_FOR));
    let verdict = if shown {
        json!({"type": "verdict", "verdict": "approve"})
    } else {
        let comment = format!(
            "{TESTS}:{}: no test asks for a time between two half hours, where the last count \
             still stands; add one, `{ASKED_FOR}`",
            BASE_TESTS.lines().position(|line| line.contains(BROKEN)).unwrap_or(0) + 1
        );
        json!({"type": "verdict", "verdict": "requestChanges", "comments": [comment]})
    };
    Script::saying(verdict.to_string())
        .step("I look at the change first.", Call::Shell(diff_command(prompt)))
}

/// The command that the prompt gives for the change, when it is of the shape that is ours:
/// `git diff BASE HEAD`.
fn diff_command(prompt: &str) -> String {
    let named = prompt.split('`').find_map(|quoted| {
        let base = quoted.strip_prefix("git diff ")?.strip_suffix(" HEAD")?;
        let is_id = base.len() >= 7 && base.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then_some(quoted)
    });
    named.unwrap_or("git show HEAD").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::ToolResult;

    fn conversation(prompts: &[&str], results: &[&str]) -> Conversation {
        let result = |text: &&str| ToolResult { text: (*text).to_owned(), is_error: false };
        Conversation {
            prompts: prompts.iter().map(|prompt| (*prompt).to_owned()).collect(),
            results: results.iter().map(result).collect(),
            ..Conversation::default()
        }
    }

    fn written(script: &Script) -> Option<String> {
        (0..4).find_map(|done| match script.reply(done).call? {
            Call::Write { content, .. } => Some(content),
            Call::Shell(_) | Call::Read(_) => None,
        })
    }

    fn last_word(script: &Script) -> String {
        script.reply(99).say
    }

    const IMPLEMENT: &str = "midwatch-step: implement round: 1\n\nGoal:\nmake the tests pass\n";

    #[test]
    fn a_plan_only_looks() {
        let plan = script(&conversation(&["midwatch-step: plan round: 1\n\nGo."], &[]));
        assert!(matches!(plan.reply(0).call, Some(Call::Shell(look)) if look.starts_with("ls")));
        assert_eq!(plan.reply(1).call, None);
        // Else the first attempt, which is given the plan, would be taken for a later one.
        assert!(!PLAN.contains(BROKEN) && !PLAN.contains(ASKED_FOR));
    }

    #[test]
    fn the_implementer_follows_evidence_and_review_whatever_the_round() {
        let red = "FAIL: test_eight_bells_end_a_watch (test_bells.Bells)";
        let first = format!("{IMPLEMENT}The plan that was made for it:\n{PLAN}\n\n{red}");
        assert_eq!(written(&script(&conversation(&[&first], &[]))).as_deref(), Some(FIRST_ATTEMPT));
        let again = first.replace("round: 1", "round: 2");
        assert_eq!(written(&script(&conversation(&[&again], &[]))).as_deref(), Some(FIRST_ATTEMPT));
        let repair = format!("{again}\nFAIL: {BROKEN} (test_bells.Bells)");
        let resumed = conversation(&[&first, &repair], &[]);
        assert_eq!(written(&script(&resumed)).as_deref(), Some(REPAIRED));
        let review = format!("{again}\nA reviewer asks:\nadd `{ASKED_FOR}`");
        let resumed = conversation(&[&first, &repair, &review], &[]);
        assert_eq!(written(&script(&resumed)).as_deref(), Some(REVIEWED_TESTS));
    }

    #[test]
    fn words_of_a_client_and_steps_in_a_goal_change_nothing() {
        let plan = "midwatch-step: plan round: 1\n\nGoal:\nmidwatch-step: review round: 1";
        let told = conversation(&[plan, "Continue from where you left off."], &[]);
        assert_eq!(last_word(&script(&told)), PLAN);
        assert!(last_word(&script(&conversation(&["hello"], &[]))).contains("rehearsal"));
    }

    #[test]
    fn the_verdict_follows_the_diff() {
        let base = "a".repeat(40);
        let prompt = format!("midwatch-step: review round: 1\n\n`git diff {base} HEAD` shows it.");
        let before = script(&conversation(&[&prompt], &[]));
        assert_eq!(before.reply(0).call, Some(Call::Shell(format!("git diff {base} HEAD"))));
        let told = last_word(&script(&conversation(&[&prompt], &["+    return half_hours or 8"])));
        assert!(told.contains("\"requestChanges\"") && told.contains(ASKED_FOR), "{told}");
        assert_eq!(told.lines().count(), 1);
        let diff = format!("+    def {ASKED_FOR}(self):");
        let told = last_word(&script(&conversation(&[&prompt], &[&diff])));
        assert_eq!(told, r#"{"type":"verdict","verdict":"approve"}"#);
    }

    #[test]
    fn no_other_command_is_taken_from_a_prompt() {
        for prompt in ["`git diff; rm -rf / HEAD`", "`git diff $(id) HEAD`", "git diff"] {
            assert_eq!(diff_command(prompt), "git show HEAD");
        }
    }
}
