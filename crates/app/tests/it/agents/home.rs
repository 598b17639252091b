//! What an agent's HOME holds decides what the real CLI can do: a conversation that is gone from
//! it, and a rule in it that no call of a tool gets past.

use std::path::Path;

use midwatch_testkit::agent_clis::Cli;
use midwatch_testkit::model_server::ModelServer;
use midwatch_testkit::script::Script;

use super::at_work::AtWork;
use super::{CLIS, house, only_task, run};
use crate::house::{House, told, wait};

/// Empties every HOME of a task, as a clean-up of somebody's does.
fn forget_everything(house: &House, task: &str) {
    let homes = std::fs::read_dir(house.state().join("homes").join(task)).unwrap();
    for entry in homes.flat_map(|home| std::fs::read_dir(home.unwrap().path()).unwrap()) {
        let path = entry.unwrap().path();
        let is_folder = path.symlink_metadata().unwrap().is_dir();
        let removed =
            if is_folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.unwrap();
    }
}

/// Prompts that the newest request of each run brought along, and the starts of the agent.
fn paused_and_resumed(cli: Cli, meanwhile: impl Fn(&House, &str)) -> Option<(Vec<usize>, usize)> {
    let (at_work, child) = AtWork::begin(cli)?;
    let AtWork { house, repository, .. } = &at_work;
    let (_, task) = only_task(house, repository);
    assert_eq!(house.midwatch(repository, &["pause", &task]).code, Some(0));
    let told = told(wait(child));
    told.is("Held", Some("Paused"), 5);
    let before = at_work.seen().len();
    meanwhile(house, &task);
    at_work.let_go();
    assert_eq!(house.midwatch(repository, &["resume", &task]).code, Some(0));
    house.midwatch(repository, &["wait", &task]).is_done();
    let all = house.midwatch(repository, &["logs", "-f", &task]);
    let after = at_work.seen().split_off(before);
    Some((after.into_iter().map(|(prompts, _)| prompts).collect(), all.runs("Agent").len()))
}

#[test]
fn a_conversation_that_is_gone_begins_anew_by_itself() {
    for cli in CLIS {
        let Some((prompts, starts)) = paused_and_resumed(cli, forget_everything) else { continue };
        assert!(prompts.iter().all(|prompts| *prompts == 1), "{cli:?} began anew: {prompts:?}");
        assert_eq!(starts, 3, "{cli:?}: the one that was paused, the one that found nothing");
        // The control: what is in its HOME it goes on with.
        let (prompts, starts) = paused_and_resumed(cli, |_, _| {}).unwrap();
        assert!(prompts.iter().all(|prompts| *prompts > 1), "{cli:?}: {prompts:?}");
        assert_eq!(starts, 2, "{cli:?}");
    }
}

/// Each its own call: the same one over and over would be a loop.
const READS: [&str; 5] =
    ["cat README", "cat -n README", "cat -b README", "cat -E README", "cat -T README"];

/// The first run is wrong and leaves settings of its own in its HOME; those after it try to read.
fn after_settings(rule: &str) -> ModelServer {
    let settings = format!(r#"{{"permissions":{{"deny":["{rule}"]}}}}"#);
    let leaves = format!("mkdir -p ~/.claude && echo '{settings}' > ~/.claude/settings.json");
    let model = ModelServer::builder().scripts(move |conversation| {
        if conversation.step().is_none_or(|(_, round)| round == 1) {
            return Script::default().shell("echo wrong > README").shell(&*leaves).ends("Done.");
        }
        let reads = READS.into_iter().fold(Script::default(), Script::shell);
        reads.shell("echo right > README").ends("It is done.")
    });
    model.start().unwrap()
}

#[test]
fn calls_that_nobody_allows_end_the_run_are_tried_once_more_and_told() {
    let (cli, check) = (Cli::ClaudeCode, "! grep -q wrong README");
    let model = after_settings("Bash(cat *)");
    let Some((house, repository)) = house(cli, &model) else { return };
    let told = run(&house, &repository, cli, check);
    told.is("Failed", Some("PermissionNeeded"), 3);
    let detail = told.result["detail"].as_str().unwrap();
    assert!(detail.contains("5 calls in a row were refused") && detail.contains("cat"), "{detail}");
    assert!(told.result["hint"].as_str().unwrap().contains("allow it"), "{}", told.result);
    assert_eq!(told.runs("Agent").len(), 3, "the repair, and once more: {}", told.stderr);
    assert!(told.result["rescueRef"].is_string(), "{}", told.result);
    explains(&house, &repository, told.task());
    // The control: settings that deny something else.
    let model = after_settings("Bash(dog *)");
    let (house, repository) = super::house(cli, &model).unwrap();
    let done = run(&house, &repository, cli, check);
    done.is_done();
    assert_eq!(done.runs("Agent").len(), 2, "{}", done.stderr);
}

fn explains(house: &House, repository: &Path, task: &str) {
    let explained = house.midwatch(repository, &["explain", task]);
    assert!(explained.stdout.contains("PermissionNeeded"), "{}", explained.stdout);
}
