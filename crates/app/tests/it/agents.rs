//! The agents through the program: the real claude-code and codex against a scripted provider,
//! killed, resumed and sent back, and a declared CLI in each of its ways.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use midwatch_testkit::agent_clis::{Cli, cache};
use midwatch_testkit::model_server::{Builder, Credential, Failure, ModelServer};
use midwatch_testkit::script::{Conversation, Script};
use rustix::process::{Signal, kill_process};

use crate::house::{House, LIMIT, Told, tell, told, wait};

mod at_work;
mod home;
mod others;

/// A user with both kinds of key and a provider at both base URLs.
fn house(cli: Cli, model: &ModelServer) -> Option<(House, PathBuf)> {
    if let Err(why) = cli.modules() {
        tell(&format!("NOT RUN: {} through the program: {why}", cli.as_str()));
        return None;
    }
    let house = House::new().with("MIDWATCH_CACHE", cache());
    let house = match cli {
        Cli::ClaudeCode => house
            .with("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-a-subscription-of-nobody")
            .with("ANTHROPIC_BASE_URL", model.url()),
        Cli::GeminiCli => house
            .with("GEMINI_API_KEY", "AIza-a-key-of-nobody")
            .with("GOOGLE_GEMINI_BASE_URL", model.url()),
        Cli::Codex | Cli::OpenCode | Cli::QwenCode | Cli::Aider => house
            .with("OPENAI_API_KEY", "sk-proj-a-key-of-nobody")
            .with("OPENAI_BASE_URL", format!("{}/v1", model.url())),
    };
    let repository = house.repository("repo", &[("README", "x\n")]);
    Some((house, repository))
}

fn start(house: &House, repository: &Path, cli: Cli, check: &str) -> Child {
    let flags = ["--pipeline", "quick", "--egress", "none", "--check", check];
    let first = ["run", "change the README", "--agent", cli.as_str()];
    house.start(repository, &[&first[..], &flags[..]].concat())
}

fn run(house: &House, repository: &Path, cli: Cli, check: &str) -> Told {
    told(wait(start(house, repository, cli, check)))
}

/// Those of the long stories, which give commands to a shell.
const CLIS: [Cli; 2] = [Cli::ClaudeCode, Cli::Codex];

/// The others, once through: they write a file, by tool or by text.
#[test]
fn every_other_agent_reaches_a_verified_branch() {
    for cli in Cli::ALL.into_iter().filter(|cli| !CLIS.contains(cli)) {
        let script = Script::default().write("made.txt", "made\n").ends("It is done.");
        let model = ModelServer::builder().script(script).start().unwrap();
        let Some((house, repository)) = house(cli, &model) else { continue };
        let told = run(&house, &repository, cli, "test -e made.txt");
        told.is_done();
        let branch = told.result["branch"].as_str().unwrap();
        assert_eq!(house.git(&repository, &["show", &format!("{branch}:made.txt")]), "made");
    }
}

const ANY: &str = "test -e README";

fn refused(cli: Cli, failure: Failure) -> Option<Told> {
    let model = ModelServer::builder().failure(failure).start().unwrap();
    let (house, repository) = house(cli, &model)?;
    Some(run(&house, &repository, cli, ANY))
}

#[test]
fn a_refused_login_holds_for_another() {
    for cli in CLIS {
        let Some(told) = refused(cli, Failure::Unauthorized) else { continue };
        told.is("Held", Some("NeedsLogin"), 5);
    }
}

#[test]
fn a_usage_limit_holds_until_the_time_that_the_provider_named() {
    for cli in CLIS {
        // Further away than any pause of ours, and no further than a limit may be.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let reset = i64::try_from(now.as_secs()).unwrap() + 2 * 24 * 3600;
        let model = ModelServer::builder().resets_at(reset).failure(Failure::UsageLimit);
        let model = model.start().unwrap();
        let Some((house, repository)) = house(cli, &model) else { continue };
        let told = run(&house, &repository, cli, ANY);
        told.is("Held", Some("CredentialCoolingDown"), 5);
        let held = told.of("state").into_iter().find(|line| line["state"] == "Held").unwrap();
        let until = held["untilMs"].as_i64().unwrap();
        // A little later, for clocks that differ. codex tells it in prose and by the minute, which
        // is less than that.
        let late = until - reset * 1000;
        assert!((0..=120_000).contains(&late), "{late} ms late: {held}");
    }
}

/// Another agent goes on where the first one's subscription is used up, with a key of its own that
/// came from the environment. That the first one alone waits is the test above.
#[test]
fn a_fallback_works_with_its_own_key() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let reset = i64::try_from(now.as_secs()).unwrap() + 2 * 24 * 3600;
    let limited = ModelServer::builder().resets_at(reset).failure(Failure::UsageLimit);
    let limited = limited.start().unwrap();
    let script = Script::default().shell("echo more >> README").ends("It is done.");
    let good = ModelServer::builder().script(script).start().unwrap();
    let Some((house, repository)) = house(Cli::ClaudeCode, &limited) else { return };
    if let Err(why) = Cli::Codex.modules() {
        return tell(&format!("NOT RUN: {} as a fallback: {why}", Cli::Codex.as_str()));
    }
    let key = "sk-proj-a-key-of-nobody";
    let house =
        house.with("OPENAI_API_KEY", key).with("OPENAI_BASE_URL", format!("{}/v1", good.url()));
    let profile =
        house.profile("both", "{agent: claude-code, egress: none, fallback: [{profile: codex}]}");
    let check = "grep -q more README";
    let words = ["run", "change the README", "--pipeline", "quick", "--check", check, "--profile"];
    let told = house.midwatch(&repository, &[&words[..], &[profile.to_str().unwrap()]].concat());
    told.is_done();
    assert_eq!(told.runs("Agent").len(), 2, "one for each: {}", told.stderr);
    let given = good.requests();
    let bearer = format!("Bearer {key}");
    assert!(
        !given.is_empty() && given.iter().all(|one| one.header("authorization") == Some(&bearer))
    );
    // Kept as long as the task was open, and not in its order.
    let listed = house.midwatch(&repository, &["describe", told.task()]);
    assert!(!format!("{}{}", listed.stdout, told.stdout).contains(key));
    // The control: without the key there is nobody to fall back on, and that is said.
    let house = house.with("OPENAI_API_KEY", "");
    let without = house.midwatch(&repository, &[&words[..], &[profile.to_str().unwrap()]].concat());
    assert_ne!(without.code, Some(0), "{}", without.stderr);
    assert!(without.stderr.contains("OPENAI_API_KEY"), "{}", without.stderr);
}

/// The task goes on by itself after the reset, and still says whose key somebody has to mend.
#[test]
fn a_rejected_key_is_renewed_while_the_fallback_waits_for_its_reset() {
    let script = Script::default().shell("echo more >> README").ends("It is done.");
    let right = Credential::AnthropicSubscription("sk-ant-oat01-right".into());
    let good = ModelServer::builder().credential(right).script(script).start().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let reset = i64::try_from(now.as_secs()).unwrap() + 2 * 24 * 3600;
    let limited = ModelServer::builder().resets_at(reset).failure(Failure::UsageLimit);
    let limited = limited.start().unwrap();
    let Some((house, repository)) = house(Cli::ClaudeCode, &good) else { return };
    if let Err(why) = Cli::Codex.modules() {
        return tell(&format!("NOT RUN: {} as a fallback: {why}", Cli::Codex.as_str()));
    }
    let house = house
        .with("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-wrong")
        .with("OPENAI_API_KEY", "sk-proj-a-key-of-nobody")
        .with("OPENAI_BASE_URL", format!("{}/v1", limited.url()));
    let profile =
        house.profile("both", "{agent: claude-code, egress: none, fallback: [{profile: codex}]}");
    let words = ["run", "change the README", "--pipeline", "quick", "--profile"];
    let check = [profile.to_str().unwrap(), "--check", "grep -q more README"];
    let told = house.midwatch(&repository, &[&words[..], &check].concat());
    told.is("Held", Some("CredentialCoolingDown"), 5);
    let explained = house.midwatch(&repository, &["explain", told.task()]);
    assert!(explained.stdout.contains("of another agent: NeedsLogin"), "{}", explained.stdout);
    // The control: with the same key it comes to the same.
    assert_eq!(house.midwatch(&repository, &["resume", told.task()]).code, Some(0));
    let again = house.midwatch(&repository, &["wait", told.task()]);
    again.is("Held", Some("CredentialCoolingDown"), 5);
    let house = house.with("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-right");
    assert_eq!(house.midwatch(&repository, &["resume", told.task()]).code, Some(0));
    house.midwatch(&repository, &["wait", told.task()]).is_done();
}

/// How many prompts each request for a round brought along.
type Seen = Arc<Mutex<Vec<(u32, usize)>>>;

fn repairing(seen: &Seen) -> Builder {
    let seen = Arc::clone(seen);
    ModelServer::builder().scripts(move |conversation: &Conversation| {
        let round = conversation.step().map_or(0, |(_, round)| round);
        let entry = (round, conversation.prompts.len());
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        let word = if round == 1 { "wrong" } else { "right" };
        Script::default().shell(format!("echo {word} > README")).ends("It is done.")
    })
}

#[test]
fn a_repair_goes_on_in_the_same_session() {
    for cli in CLIS {
        let seen = Seen::default();
        let model = repairing(&seen).start().unwrap();
        let Some((house, repository)) = house(cli, &model) else { continue };
        let told = run(&house, &repository, cli, "! grep -q wrong README");
        told.is_done();
        assert_eq!(told.of("repair").len(), 1, "{}", told.stderr);
        assert_eq!(told.runs("Agent").len(), 2);
        let seen = seen.lock().unwrap();
        let of = |round: u32| seen.iter().filter(move |entry| entry.0 == round).map(|e| e.1);
        let (first, second) = (of(1).max().unwrap(), of(2).min().unwrap());
        assert!(second > first, "{cli:?} began a new conversation: {seen:?}");
        let branch = told.result["branch"].as_str().unwrap();
        assert_eq!(house.git(&repository, &["show", &format!("{branch}:README")]), "right");
        let tokens = &told.result["usage"];
        assert!(tokens["inputTokens"].as_u64() > Some(0), "{tokens}");
        assert!(tokens["outputTokens"].as_u64() > Some(0), "{tokens}");
    }
}

#[test]
fn a_cancelled_agent_leaves_its_work() {
    for cli in CLIS {
        let script = Script::default().shell("echo half > half.txt").shell("sleep 1000");
        let model = ModelServer::builder().script(script).start().unwrap();
        let Some((house, repository)) = house(cli, &model) else { continue };
        let child = start(&house, &repository, cli, ANY);
        await_a_result(&model);
        let (tasks, task) = only_task(&house, &repository);
        assert_eq!(tasks, 1);
        let cancelled = house.midwatch(&repository, &["cancel", &task]);
        assert_eq!(cancelled.code, Some(0), "{}", cancelled.stderr);
        let told = told(wait(child));
        told.is("Cancelled", None, 130);
        let saved = told.result["rescueRef"].as_str().unwrap();
        assert!(saved.starts_with("refs/midwatch/rescue/"), "{saved}");
        let opened = house.midwatch(&repository, &["open", &task]);
        let folder = PathBuf::from(opened.of("opened")[0]["folder"].as_str().unwrap());
        assert_eq!(std::fs::read_to_string(folder.join("half.txt")).unwrap(), "half\n");
    }
}

/// Waits until the model was told what a tool did.
fn await_a_result(model: &ModelServer) {
    let told = || {
        model.requests().iter().any(|request| {
            let body = String::from_utf8_lossy(&request.body);
            body.contains("tool_result") || body.contains("function_call_output")
        })
    };
    assert!(crate::house::until(LIMIT, told), "the model was never told of a tool");
}

fn only_task(house: &House, repository: &Path) -> (usize, String) {
    let listed = house.midwatch(repository, &["get"]);
    let mut all: Vec<&serde_json::Value> = listed.lines.iter().chain([&listed.result]).collect();
    all.retain(|line| line["task"].is_string());
    let name = all.first().and_then(|line| line["task"].as_str()).unwrap_or_default();
    (all.len(), name.to_owned())
}

/// Holds the model's first answer back until it is let go.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(open, Duration::from_mins(2), |open| !*open);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn let_go(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

#[test]
fn an_agent_outlives_a_killed_server() {
    for cli in CLIS {
        let gate = Arc::new(Gate::default());
        let held = Arc::clone(&gate);
        let reached = Arc::new(Mutex::new(0_u32));
        let counted = Arc::clone(&reached);
        let model = ModelServer::builder().scripts(move |_| {
            *counted.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            held.pass();
            Script::default().shell("echo more >> README").ends("It is done.")
        });
        let model = model.start().unwrap();
        let Some((house, repository)) = house(cli, &model) else { continue };
        let child = start(&house, &repository, cli, "grep -q more README");
        let asked = || *reached.lock().unwrap_or_else(PoisonError::into_inner) > 0;
        assert!(crate::house::until(LIMIT, asked), "the model was never asked");
        kill_process(house.server(), Signal::KILL).unwrap();
        gate.let_go();
        let told = told(wait(child));
        told.is_done();
        assert_eq!(told.runs("Agent").len(), 1, "adopted, not begun anew: {}", told.stderr);
        let branches = house.git(&repository, &["branch", "--list", "midwatch/*"]);
        assert_eq!(branches.lines().count(), 1, "{branches}");
    }
}

/// A wrong name of a model is no outage: nothing is tried again, and the name is told.
#[test]
fn a_model_that_the_provider_does_not_have_ends_the_task_at_once_and_is_named() {
    for (cli, name) in [(Cli::ClaudeCode, "clude-sonnet"), (Cli::Codex, "gtp-5")] {
        let model = ModelServer::builder().start().unwrap();
        let Some((house, repository)) = house(cli, &model) else { continue };
        let words = ["run", "change the README", "--agent", cli.as_str(), "--model", name];
        let flags = ["--pipeline", "quick", "--egress", "none", "--no-check"];
        let told = house.midwatch(&repository, &[&words[..], &flags[..]].concat());
        told.is("Failed", Some("ModelNotFound"), 3);
        assert_eq!(told.runs("Agent").len(), 1, "{}", told.stderr);
        let said = told.result["detail"].as_str().unwrap();
        assert!(said.contains(name), "{said}");
        assert!(told.result["hint"].as_str().unwrap().contains("--model"), "{}", told.result);
    }
}

/// Writes down how it got its prompt, and says two JSON lines.
const DECLARED: &str = r#"#!/bin/sh
case $1 in
stdin) cat > prompt.txt ;;
file) cat "$2" > prompt.txt ;;
argument) printf '%s' "$2" > prompt.txt ;;
esac
echo '{"id": "s-1", "say": "I begin", "use": {"in": 5, "out": 3}}'
echo '{"id": "s-1", "tool": "edit", "say": "I am done", "use": {"in": 7, "out": 4}}'
"#;

#[test]
fn a_declared_agent_takes_its_prompt_in_each_way_and_its_lines_are_read() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let program = house.folder("declared").join("declared-agent");
    std::fs::write(&program, DECLARED).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ways = [
        ("Stdin", "[declared-agent, stdin]"),
        ("File", "[declared-agent, file, '{prompt_file}']"),
        ("Argument", "[declared-agent, argument, '{prompt}']"),
    ];
    for (way, argv) in ways {
        let mapping = "{session: /id, text: /say, tool: /tool, inputTokens: /use/in, \
                       outputTokens: /use/out}";
        let spec = format!(
            "{{agent: custom, program: {}, egress: none, custom: {{argv: {argv}, promptBy: {way}, \
             mapping: {mapping}}}}}",
            program.display()
        );
        let profile = house.profile("declared", &spec);
        let profile = profile.to_str().unwrap();
        let goal = "write down 'what' you \"were\" asked: $HOME `id`";
        let flags = ["run", goal, "--profile", profile, "--pipeline", "quick", "--check", ANY];
        let told = house.midwatch(&repository, &flags);
        told.is_done();
        let branch = told.result["branch"].as_str().unwrap();
        let prompt = house.git(&repository, &["show", &format!("{branch}:prompt.txt")]);
        assert!(prompt.contains(goal), "{way}: {prompt}");
        let usage = &told.result["usage"];
        assert_eq!((&usage["inputTokens"], &usage["outputTokens"]), (&12.into(), &7.into()));
        // Lines of a running agent are only for who listens then; the log keeps them.
        let logs = house.midwatch(&repository, &["logs", told.task()]);
        assert!(logs.stdout.contains("I am done"), "{}", logs.stdout);
    }
}
