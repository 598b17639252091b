//! The agents that are not of the long stories, when something goes wrong: a rejected key, and a
//! run that is killed. Each CLI has one of the two, since every start of theirs takes seconds.

use midwatch_testkit::agent_clis::Cli;
use midwatch_testkit::model_server::{Credential, ModelServer};
use midwatch_testkit::script::Script;
use rustix::process::{Pid, Signal, kill_process};

use super::at_work::AtWork;
use super::{house, run};
use crate::house::{House, told, wait};

/// A house whose key for this CLI is another.
fn with_key(house: House, cli: Cli, key: &str) -> House {
    match cli {
        Cli::ClaudeCode => house.with("ANTHROPIC_API_KEY", key),
        Cli::GeminiCli => house.with("GEMINI_API_KEY", key),
        Cli::Codex | Cli::OpenCode | Cli::QwenCode | Cli::Aider => {
            house.with("OPENAI_API_KEY", key)
        }
    }
}

/// Google says 400 to a wrong key, and aider ends with 0 whatever was said.
#[test]
fn a_rejected_key_holds_until_another_is_given() {
    for cli in [Cli::GeminiCli, Cli::Aider] {
        let right = "a-key-that-is-right";
        let script = Script::default().write("made.txt", "made\n").ends("It is done.");
        let model = ModelServer::builder()
            .credential(Credential::GeminiKey(right.into()))
            .credential(Credential::OpenAiKey(right.into()))
            .script(script);
        let model = model.start().unwrap();
        let Some((house, repository)) = house(cli, &model) else { continue };
        let refused = run(&house, &repository, cli, "test -e made.txt");
        refused.is("Held", Some("NeedsLogin"), 5);
        let house = with_key(house, cli, right);
        assert_eq!(house.midwatch(&repository, &["resume", refused.task()]).code, Some(0));
        house.midwatch(&repository, &["wait", refused.task()]).is_done();
    }
}

/// The process that supervises the one run.
fn runner(house: &House) -> Option<Pid> {
    let is_runner = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"runner")
    };
    let found = house.processes().into_iter().find(is_runner)?;
    Pid::from_raw(i32::try_from(found).unwrap())
}

#[test]
fn a_killed_run_goes_on_in_its_session() {
    for cli in [Cli::OpenCode, Cli::QwenCode] {
        let Some((at_work, child)) = AtWork::begin(cli) else { continue };
        let before = at_work.seen();
        kill_process(runner(&at_work.house).expect("a runner"), Signal::KILL).unwrap();
        at_work.let_go();
        let told = told(wait(child));
        told.is_done();
        assert_eq!(told.runs("Agent").len(), 2, "begun again: {}", told.stderr);
        let most = before.iter().map(|(prompts, _)| *prompts).max();
        let resumed =
            at_work.seen().iter().skip(before.len()).any(|(prompts, _)| Some(*prompts) > most);
        assert!(resumed, "{cli:?} began a new conversation: {:?}", at_work.seen());
    }
}
