//! What a user orders in a crash test, one order after the other, and what has to be true at its end
//! whoever died.

use serde_json::Value;

use super::order_facts::Facts;
use super::place::{Place, TASK};
use super::story::{CHANGED, REPAIRED, Story};
use super::until;
use crate::house::Told;

/// A key that comes with the file, and is gone with the last task that names it.
pub(super) const KEY: &str = "sk-ant-of-an-evening-in-november";
/// Said to a task that is over: its follow-up leaves work that no branch has.
const SAID: &str = "do: write more yes\n\
                    do: run echo '{\"type\":\"blocked\",\"why\":\"no idea\"}' >> \"$MIDWATCH_OUTPUTS\"\n";
const HEAD: &str = "apiVersion: midwatch.dev/v1alpha1\nkind";

/// Orders, and what is wrong with a place where they were given.
#[derive(Clone, Copy)]
pub(super) struct Orders {
    pub(super) name: &'static str,
    pub(super) task: Story,
    /// Ends with the first order that came to something else than it should.
    pub(super) play: fn(&User<'_>) -> Result<(), String>,
    pub(super) wrong: fn(&Place, &Facts) -> Option<String>,
}

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// Half of a file was applied before the whole.
    HalfApplied,
    /// The switch for everything did not reach the disk.
    SwitchLost,
    /// A follow-up is made for each time that the client asks.
    SaidTwice,
    /// Nobody collects what a deletion that was cut off left.
    NothingCollected,
}

/// Two tasks of one file, one at a time; everything is paused while the first is at work, and a
/// third is submitted, cancelled and deleted meanwhile.
pub(super) const EVENING: Orders = Orders {
    name: "evening",
    // Its files only.
    task: REPAIRED,
    play: evening,
    wrong: evening_is_wrong,
};

/// A held change is published, followed up, and everything of it deleted and collected.
pub(super) const PUBLISHED: Orders =
    Orders { name: "published", task: CHANGED, play: published, wrong: published_is_wrong };

/// Writes what the orders name.
pub(super) fn prepare(place: &Place) {
    let state = place.state();
    state.make().unwrap();
    std::fs::write(state.root().join("server.toml"), "concurrency = 1\n").unwrap();
    let (profile, repository) = (profile(), repository(place));
    let half = [profile.as_str(), &repository, &task("one", ONE)].concat();
    std::fs::write(place.path("half.yaml"), &half).unwrap();
    let whole = [half.as_str(), &task("two", "do: write two yes")].concat();
    std::fs::write(place.path("tonight.yaml"), whole).unwrap();
}

/// The first task's agent hangs in its first run, for somebody to pause it.
const ONE: &str =
    "do: run test -e \"$HOME/begun\" || { touch \"$HOME/begun\"; echo yes > first; sleep 3600; }";

fn profile() -> String {
    format!(
        "{HEAD}: AgentProfile\nmetadata: {{name: keyed}}\nspec:\n  agent: custom\n  egress: none\n  \
         credential: {{kind: AnthropicKey}}\n  custom: {{argv: [sh, agent.sh]}}\n"
    )
}

fn repository(place: &Place) -> String {
    format!(
        "---\n{HEAD}: AgentRepository\nmetadata: {{name: repo}}\nspec: {{path: {}, checks: [{{run: \
         test -e answer}}]}}\n",
        place.path("repository").display()
    )
}

fn task(name: &str, goal: &str) -> String {
    format!(
        "---\n{HEAD}: AgentTask\nmetadata: {{name: {name}}}\nspec:\n  goal: |\n    {goal}\n  \
         repository: {{name: repo}}\n  pipeline: quick\n  agent: keyed\n  setup: \"\"\n"
    )
}

/// Who gives the orders.
pub(super) struct User<'a> {
    pub(super) place: &'a Place,
    /// For the servers that clients start.
    pub(super) variables: &'a [(&'a str, &'a str)],
    pub(super) flaw: Flaw,
}

impl User<'_> {
    /// Gives an order that has to end with this code.
    fn says(&self, words: &[&str], code: i32) -> Result<Told, String> {
        let variables = [self.variables, &[("ANTHROPIC_API_KEY", KEY)]].concat();
        let told = self.place.midwatch(words, &variables);
        if told.code == Some(code) {
            return Ok(told);
        }
        let Told { code, stdout, stderr, .. } = told;
        Err(format!("{words:?} ended with {code:?}: {stdout}{stderr}"))
    }

    /// Applies a file; all of its objects came to this, or, asked again, were there all.
    fn applies(&self, file: &str, to: &[&str]) -> Result<(), String> {
        let path = self.place.path(file);
        let told = self.says(&["apply", "-f", path.to_str().unwrap()], 0)?;
        let applied = told.of("applied");
        let mut changes = applied.iter().map(|line| line["change"].as_str().unwrap_or_default());
        let first = changes.next().unwrap_or_default();
        let as_one = to.contains(&first) && changes.all(|change| change == first);
        as_one.then_some(()).ok_or_else(|| format!("{file} was not applied as one: {applied:?}"))
    }
}

fn evening(user: &User<'_>) -> Result<(), String> {
    let place = user.place;
    if user.flaw == Flaw::HalfApplied {
        user.applies("half.yaml", &["created", "unchanged"])?;
    }
    user.applies("tonight.yaml", &["created", "unchanged"])?;
    until("the first task at work", || {
        // Asked, a client starts a server where the one before died.
        let _ = user.says(&["get", "one"], 0);
        let runs = std::fs::read_dir(place.state().root().join("runs")).into_iter().flatten();
        let mut runs = runs.flatten();
        runs.any(|run| run.path().join("upper/upper/first").exists()).then_some(())
    });
    user.says(&["pause", "--all"], 0)?;
    if user.flaw == Flaw::SwitchLost {
        place.settle();
        std::fs::remove_file(place.state().root().join("paused")).unwrap();
    }
    user.says(&["wait", "one"], 5)?;
    let told = user.says(&["explain", "two"], 0)?.stdout;
    if !told.contains("paused all tasks") {
        return Err(format!("a task goes on though everything is paused: {told}"));
    }
    let profile = place.path("profile.yaml");
    let run = ["run", "do: write three yes", "--name", "three", "--pipeline", "quick", "--check"];
    let more = ["true", "--egress", "none", "--detach", "--profile", profile.to_str().unwrap()];
    user.says(&[&run[..], &more].concat(), 0)?;
    user.says(&["cancel", "three"], 0)?;
    user.says(&["wait", "three"], 130)?;
    user.says(&["delete", "three"], 0)?;
    user.says(&["resume", "--all"], 0)?;
    for task in ["one", "two"] {
        user.says(&["wait", task], 0)?;
    }
    user.applies("tonight.yaml", &["unchanged"])?;
    // What a deletion that was cut off left goes now, and its name with it.
    user.says(&["gc"], 0).map(drop)
}

fn evening_is_wrong(place: &Place, facts: &Facts) -> Option<String> {
    let done = |name: &str| facts.tasks.get(name).is_some_and(|task| task.starts_with("Done"));
    let users = place.path("repository/.git");
    let holds = |at: &str| !place.git_in(&users, &["rev-parse", "--verify", "-q", at]).is_empty();
    let right = facts.tasks.len() == 2
        && done("one")
        && done("two")
        && facts.branches.len() == 3
        // What was written before the pause, too.
        && holds("midwatch/one:first")
        && holds("midwatch/two:two")
        && facts.objects.len() == 4
        && facts.reserved.is_empty()
        && facts.has_no_rest();
    (!right).then(|| format!("{facts:#?}"))
}

fn published(user: &User<'_>) -> Result<(), String> {
    let profile = user.place.path("profile.yaml");
    let run = ["run", CHANGED.goal, "--name", TASK, "--pipeline", CHANGED.pipeline, "--setup"];
    let judged = ["sh setup.sh", "--check", "sh check.sh", "--egress", "none", "--detach"];
    user.says(&[&run[..], &judged, &["--profile", profile.to_str().unwrap()]].concat(), 0)?;
    user.says(&["wait", TASK], 5)?;
    user.says(&["publish", TASK], 0)?;
    user.says(&["wait", TASK], 0)?;
    user.says(&["message", TASK, SAID], 0)?;
    let failed = user.says(&["wait", "t-f2"], 3)?;
    if failed.result["rescueRef"] == Value::Null {
        return Err(format!("what the follow-up wrote was not saved: {}", failed.result));
    }
    if user.flaw == Flaw::SaidTwice {
        user.says(&["message", TASK, SAID], 0)?;
        user.says(&["wait", "t-f3"], 3)?;
    }
    user.says(&["delete", "t-f2"], 0)?;
    user.says(&["delete", TASK], 0)?;
    if user.flaw != Flaw::NothingCollected {
        user.says(&["gc", "--older-than", "0s"], 0)?;
    }
    Ok(())
}

fn published_is_wrong(place: &Place, facts: &Facts) -> Option<String> {
    let users = place.path("repository/.git");
    let saved = facts.refs.keys().all(|name| name.starts_with("refs/midwatch/rescue/t-f2/"));
    let more = |name: &String| {
        let work = super::world::work(place);
        place.git_in(&work, &["ls-tree", "--name-only", name, "more"]) == "more"
    };
    let right = facts.tasks.is_empty()
        && facts.branches.len() == 2
        && place.git_in(&users, &["show", "midwatch/t:answer"]) == "42"
        && saved
        && facts.refs.keys().any(more)
        && facts.reserved == ["t-f2".to_owned()]
        && facts.runs.is_empty()
        && facts.homes.is_empty()
        && facts.shared == 0
        && facts.has_no_rest();
    (!right).then(|| format!("{facts:#?}"))
}
