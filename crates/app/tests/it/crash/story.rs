//! The tasks that are played.

use serde_json::Value;

use super::place::TASK;

const QUICK: &str = "quick";

/// A task that touches everything: fetch, checkout, setup, a red base, an agent whose first
/// answer is wrong, a repair, and the branch.
///
/// Each start of the agent leaves a line in HOME, which outlives runs: so a run that was done
/// twice is seen.
pub(super) const REPAIRED: Story = Story {
    goal: "answer the question\n\
           do: run echo started >> \"$HOME/starts\"\n\
           do: write early yes\n\
           do@implement/1: write answer 41\n\
           do@implement/2: write answer 42\n\
           do@implement/3: write answer 42\n",
    done: true,
    pipeline: QUICK,
};

/// An agent that begins, gives up, and leaves work to be saved.
pub(super) const BLOCKED: Story = Story {
    goal: "answer the question\n\
           do: run echo started >> \"$HOME/starts\"\n\
           do: write early yes\n\
           do: run echo '{\"type\":\"blocked\",\"why\":\"no idea\"}' >> \"$MIDWATCH_OUTPUTS\"\n",
    done: false,
    pipeline: QUICK,
};

/// A task that somebody talks with: a plan with a question, an answer, a plan that is rejected, one
/// that is approved, a review, and the branch.
pub(super) const TALKED: Story = Story {
    goal: "answer the question\n\
           do: run echo started >> \"$HOME/starts\"\n\
           do@plan/1: run echo '{\"type\":\"question\",\"id\":\"store\",\"text\":\"Where?\",\"choices\":[\"file\",\"table\"]}' >> \"$MIDWATCH_OUTPUTS\"\n\
           do@plan/1: say the first plan\n\
           do@plan/2: say the second plan\n\
           do@implement: write early yes\n\
           do@implement: write answer 42\n\
           do@review: say {\"type\":\"verdict\",\"verdict\":\"approve\"}\n",
    done: true,
    pipeline: "approved-change",
};

/// An agent that asks the model; see [`super::asking`].
pub(super) const ASKED: Story = Story { goal: "ask for the answer", done: true, pipeline: QUICK };

/// A change to what no agent may change without somebody's word.
pub(super) const CHANGED: Story = Story {
    goal: "answer the question\n\
           do: write answer 42\n\
           do: write .github/workflows/ci.yml on: push\n",
    done: true,
    pipeline: QUICK,
};

/// As [`REPAIRED`], with an agent that takes its time: something to die in.
pub(super) const SLOW: Story = Story {
    goal: "answer the question\n\
           do: run echo started >> \"$HOME/starts\"\n\
           do: write early yes\n\
           do@implement/1: run sleep 1\n\
           do@implement/1: write answer 41\n\
           do@implement/2: write answer 42\n\
           do@implement/3: write answer 42\n",
    done: true,
    pipeline: QUICK,
};

/// An agent that never ends its first run, and answers in the second. What only the first run
/// writes, `first`, can come from nowhere else.
pub(super) const HANGING: Story = Story {
    goal: "answer the question\n\
           do: run echo started >> \"$HOME/starts\"\n\
           do: write early yes\n\
           do@implement/1: write first yes\n\
           do@implement/1: hang\n\
           do@implement/2: write answer 42\n\
           do@implement/3: write answer 42\n",
    done: true,
    pipeline: QUICK,
};

/// A first run with so much to commit and to bundle that it can be met doing so.
pub(super) const BULKY: Story = Story {
    goal: "answer the question\n\
           do: run echo started >> \"$HOME/starts\"\n\
           do: write early yes\n\
           do@implement/1: write first yes\n\
           do@implement/1: run mkdir bulk\n\
           do@implement/1: run head -c 6000000 /dev/urandom | split -b 4000 -a 3 - bulk/f\n\
           do@implement/1: run sleep 0.3\n\
           do@implement/2: run rm -rf bulk\n\
           do@implement/2: write answer 42\n\
           do@implement/3: write answer 42\n",
    done: true,
    pipeline: QUICK,
};

/// What an agent is told, and what comes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Story {
    pub(super) goal: &'static str,
    /// A verified branch, else a failure with a rescue.
    pub(super) done: bool,
    pub(super) pipeline: &'static str,
}

impl Story {
    /// Whether somebody has to say something to it.
    pub(super) fn talks(self) -> bool {
        self.pipeline != QUICK
    }

    /// What somebody says to the task where it waits, by what they see of it: they may have said
    /// it before, to a server that died.
    pub(super) fn reply(view: &Value) -> Vec<&'static str> {
        let hint = view["result"]["hint"].as_str().unwrap_or_default();
        let plan = view["plan"].as_str().unwrap_or_default();
        if hint.contains("midwatch answer") {
            vec!["answer", TASK, "store", "file"]
        } else if plan.contains("the first plan") {
            vec!["reject", TASK, "--feedback", "smaller"]
        } else {
            vec!["approve", TASK]
        }
    }
}
