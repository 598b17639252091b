//! Real agents with logins of a user's environment, against a scripted provider: what reaches
//! the provider, what the reason is when it says no, and that a secret is nowhere else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use midwatch_testkit::agent_clis::{Cli, cache};
use midwatch_testkit::model_server::{Credential, Failure, ModelServer};
use midwatch_testkit::script::Script;

use crate::house::{House, PAUSE, Told, holding, holds, pids, tell, told, wait};

/// Stands for a user's key: 24 letters that are nowhere else on this machine.
const CANARY: &str = "canary-zvqkxwjpyfbgmhd-7";
/// Another one: a test beside this looks through all processes for the first.
const GATEWAYS: &str = "canary-of-a-gateway-tbnqvy-3";

/// A user with the pinned CLI and a repository with a check.
fn house(cli: Cli) -> Option<(House, PathBuf)> {
    if let Err(why) = cli.modules() {
        tell(&format!("NOT RUN: {why}"));
        return None;
    }
    let house = House::new().with("MIDWATCH_CACHE", cache());
    let repository = house.repository("repo", &[("README", "x\n")]);
    Some((house, repository))
}

fn mends() -> Script {
    Script::default().shell("echo more >> README").ends("It is done.")
}

const RUN: [&str; 9] = [
    "run",
    "add a line to the README",
    "--pipeline",
    "quick",
    "--egress",
    "none",
    "--check",
    "grep -q more README",
    "--timeout=5m",
];

fn run(house: &House, repository: &Path, agent: &str) -> Told {
    house.midwatch(repository, &[&RUN[..], &["--agent", agent]].concat())
}

#[test]
fn claude_code_works_with_a_key_and_codex_with_another() {
    let Some((house, repository)) = house(Cli::ClaudeCode) else { return };
    let model = ModelServer::builder()
        .credential(Credential::AnthropicKey(CANARY.into()))
        .credential(Credential::OpenAiKey(CANARY.into()))
        .script(mends())
        .start()
        .unwrap();
    let house = house
        .with("ANTHROPIC_API_KEY", CANARY)
        .with("ANTHROPIC_BASE_URL", model.url())
        .with("OPENAI_API_KEY", CANARY)
        .with("OPENAI_BASE_URL", format!("{}/v1", model.url()));
    let claude = run(&house, &repository, "claude-code");
    claude.is_done();
    assert!(claude.found("login").contains("ANTHROPIC_API_KEY"), "{}", claude.stderr);
    let usage = &claude.result["usage"];
    assert!(usage["inputTokens"].as_u64() > Some(0) && usage["costUsd"].as_f64() > Some(0.0));
    assert_eq!(claude.result["rehearsal"], false);
    if let Err(why) = Cli::Codex.modules() {
        eprintln!("NOT RUN: {why}");
        return;
    }
    let codex = run(&house, &repository, "codex");
    codex.is_done();
    assert!(codex.result["usage"]["outputTokens"].as_u64() > Some(0), "{}", codex.result);
    let keys: BTreeSet<String> = model
        .requests()
        .iter()
        .filter_map(|request| {
            let shown = request.header("x-api-key").or(request.header("authorization"))?;
            Some(shown.trim_start_matches("Bearer ").to_owned())
        })
        .collect();
    assert_eq!(keys, BTreeSet::from([CANARY.to_owned()]), "only the real key reaches a provider");
}

#[test]
fn a_subscription_token_goes_as_one_and_a_refusal_holds_for_a_login() {
    let Some((house, repository)) = house(Cli::ClaudeCode) else { return };
    let model = ModelServer::builder()
        .credential(Credential::AnthropicSubscription("sk-ant-oat01-right".into()))
        .script(mends())
        .start()
        .unwrap();
    let house = house
        .with("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-right")
        .with("ANTHROPIC_BASE_URL", model.url());
    run(&house, &repository, "claude-code").is_done();
    let house = house.with("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-wrong");
    let refused = run(&house, &repository, "claude-code");
    refused.is("Held", Some("NeedsLogin"), 5);
    assert!(refused.result["hint"].as_str().unwrap().contains("log in"), "{}", refused.result);
}

#[test]
fn a_gateways_token_goes_as_a_bearer_and_before_a_key() {
    let Some((house, repository)) = house(Cli::ClaudeCode) else { return };
    let model = ModelServer::builder()
        .credential(Credential::AnthropicToken(GATEWAYS.into()))
        .script(mends())
        .start()
        .unwrap();
    let house = house
        .with("ANTHROPIC_AUTH_TOKEN", GATEWAYS)
        .with("ANTHROPIC_API_KEY", "sk-ant-another-providers")
        .with("ANTHROPIC_BASE_URL", model.url());
    let told = run(&house, &repository, "claude-code");
    told.is_done();
    let found = told.found("login");
    assert!(found.starts_with("AnthropicToken from ANTHROPIC_AUTH_TOKEN"), "{found}");
    let asked = model.requests();
    let asked: Vec<_> = asked.iter().filter(|request| request.method == "POST").collect();
    assert!(!asked.is_empty());
    for request in asked {
        let bearer = format!("Bearer {GATEWAYS}");
        assert_eq!(request.header("authorization"), Some(bearer.as_str()));
        assert_eq!(request.header("x-api-key"), None);
    }
    let doctor = house.midwatch(&repository, &["doctor"]);
    let said = format!("{}{}", doctor.stdout, doctor.stderr);
    assert!(said.contains("AnthropicToken from ANTHROPIC_AUTH_TOKEN"), "{said}");
    assert!(!said.contains(GATEWAYS), "{said}");
    // The control: another token is no login there.
    let house = house.with("ANTHROPIC_AUTH_TOKEN", "another-token-entirely");
    run(&house, &repository, "claude-code").is("Held", Some("NeedsLogin"), 5);
}

#[test]
fn a_usage_limit_holds_until_its_reset() {
    let Some((house, repository)) = house(Cli::ClaudeCode) else { return };
    let model = ModelServer::builder().failure(Failure::UsageLimit).start().unwrap();
    let house = house
        .with("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-x")
        .with("ANTHROPIC_BASE_URL", model.url());
    let held = run(&house, &repository, "claude-code");
    held.is("Held", Some("CredentialCoolingDown"), 5);
    let line = held.of("state").into_iter().find(|line| line["state"] == "Held").unwrap();
    assert!(line["untilMs"].is_i64(), "when it goes on by itself: {line}");
    house.midwatch(&repository, &["cancel", held.task()]);
    house.midwatch(&repository, &["wait", held.task()]).is("Cancelled", None, 130);
}

#[test]
fn login_files_are_read_where_they_are_and_expired_ones_refused() {
    let Some((house, repository)) = house(Cli::ClaudeCode) else { return };
    let model = ModelServer::builder()
        .credential(Credential::AnthropicSubscription("sk-ant-oat01-file".into()))
        .script(mends())
        .start()
        .unwrap();
    let house = house.with("ANTHROPIC_BASE_URL", model.url());
    let folder = house.home().join(".claude");
    std::fs::create_dir(&folder).unwrap();
    let write = |expires: u64| {
        let text = format!(
            r#"{{"claudeAiOauth":{{"accessToken":"sk-ant-oat01-file","refreshToken":"r","expiresAt":{expires},"scopes":["user:inference"],"subscriptionType":"max"}}}}"#
        );
        std::fs::write(folder.join(".credentials.json"), &text).unwrap();
        text
    };
    write(1_000);
    let expired = run(&house, &repository, "claude-code");
    assert_eq!((expired.code, &expired.result["reason"]), (Some(6), &"NeedsLogin".into()));
    assert!(expired.stderr.contains("/login"), "{}", expired.stderr);
    let before = write(4_102_444_800_000);
    run(&house, &repository, "claude-code").is_done();
    let after = std::fs::read_to_string(folder.join(".credentials.json")).unwrap();
    assert_eq!(after, before, "never refreshed by us");
    let stored = std::fs::read_dir(house.state().join("credentials")).unwrap().count();
    assert_eq!(stored, 0, "a file stays a file");
}

/// Processes whose environment or arguments hold the canary, `but` aside.
fn telling(but: &[u32]) -> Vec<String> {
    let has = |pid: u32, name: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        contains(&bytes)
    };
    pids()
        .into_iter()
        .filter(|pid| !but.contains(pid) && (has(*pid, "environ") || has(*pid, "cmdline")))
        .map(|pid| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{pid} {}", name.trim())
        })
        .collect()
}

fn contains(bytes: &[u8]) -> bool {
    holds(bytes, CANARY.as_bytes())
}

#[test]
fn a_key_is_seen_by_the_provider_and_nobody_else() {
    let Some((house, repository)) = house(Cli::ClaudeCode) else { return };
    // The agent looks for it itself, with all that it can see.
    let look = "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; \
                grep -ra canary /home /tmp /midwatch /workspace 2>/dev/null | head -c 4000; \
                echo more >> README";
    let model = ModelServer::builder()
        .credential(Credential::AnthropicKey(CANARY.into()))
        .script(Script::default().shell(look).ends("It is done."))
        .start()
        .unwrap();
    let house = house.with("ANTHROPIC_API_KEY", CANARY).with("ANTHROPIC_BASE_URL", model.url());
    let child = house.start(&repository, &RUN);
    let client = child.id();
    let over = AtomicBool::new(false);
    let (ended, mut seen) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let (mut seen, mut before) = (Vec::new(), Vec::new());
            while !over.load(Ordering::SeqCst) {
                // A child of the client has its environment for the moment before it is another
                // program: only who has the key at two looks has it.
                let now = telling(&[client, std::process::id()]);
                seen.extend(now.iter().filter(|one| before.contains(*one)).cloned());
                before = now;
                // polls: nothing tells that a process was started
                std::thread::sleep(PAUSE);
            }
            seen
        });
        let ended = told(wait(child));
        over.store(true, Ordering::SeqCst);
        (ended, watching.join().unwrap())
    });
    ended.is_done();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, [""; 0], "processes that had the key");
    assert!(!contains(ended.stdout.as_bytes()) && !contains(ended.stderr.as_bytes()));
    let asked = model.requests();
    let talked = asked.iter().filter(|request| contains(&request.body)).count();
    assert_eq!(talked, 0, "the agent found it and told the model");
    // The server forgets the key with the last task that names it.
    let search = || {
        let folders = [house.state(), house.home(), repository.clone()];
        folders.map(|folder| holding(&folder, CANARY)).concat()
    };
    let gone = crate::house::until(Duration::from_secs(30), || search().is_empty());
    assert!(gone, "files with the key: {:?}", search());

    // The controls: what is planted is found, in a file and in a process.
    std::fs::write(house.state().join("planted"), format!("x{CANARY}y")).unwrap();
    assert_eq!(search(), [house.state().join("planted")]);
    let mut planted = house.command("sleep", &repository).arg("60").spawn().unwrap();
    let there = crate::house::until(Duration::from_secs(10), || {
        telling(&[std::process::id()]).iter().any(|one| one.starts_with(&planted.id().to_string()))
    });
    planted.kill().unwrap();
    planted.wait().unwrap();
    assert!(there, "the search sees no process");
}
