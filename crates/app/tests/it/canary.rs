//! Secrets of a user are planted wherever users have them, real agents are let loose to find
//! them, and everything that is left behind is searched: what sandboxes saw, every file of the
//! state folder, the log of events, what was said, what was landed, and the arguments and
//! environment of every process of the server.
//!
//! ```text
//! variables, files of HOME, a remote's URL ──► run × 6 logins ──► search ──► found 0
//!                                  the same with a planted leak ──► search ──► found
//! ```

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use midwatch_testkit::agent_clis::{Cli, cache};
use midwatch_testkit::model_server::{Credential, ModelServer};
use midwatch_testkit::script::Script;

use crate::house::{House, Told, holds, tell};

mod planted;
mod search;
mod watch;

use planted::{Planted, VARIABLES, plant};
use search::Search;
use watch::{Processes, watched};

/// What the agent does with a shell: looks everywhere and commits what it saw. Packed, so that it
/// is the search's business and no gate's.
fn look_around(house: &House, planted: &Planted, name: &str) -> String {
    let state = house.state();
    let paths: Vec<String> = planted.files.iter().map(|path| path.display().to_string()).collect();
    let host = paths.join(" ");
    format!(
        "{{ echo ENVIRONMENT; env; \
         echo PROCESSES; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'; \
         echo HOST; cat {host} {state}/credentials/* {state}/midwatch.db {state}/key; \
         ls -la {home} {state} /root /home /run; cat /proc/1/fd/* /proc/1/maps </dev/null; \
         echo FILES; find / -xdev -path /usr -prune -o -path /proc -prune -o -path /toolchains -prune -o -print; \
         find \"$HOME\" /tmp /midwatch /etc /workspace -xdev -type f -size -512k -exec cat {{}} +; \
         }} 2>&1 | head -c 30000000 | gzip | od -An -v -tx1 | tr -d ' \\n' > {name}.hex",
        state = state.display(),
        home = house.home().display(),
    )
}

/// One run: an agent, and the secret that it works with.
struct Round {
    cli: Cli,
    /// Where the login comes from; variables of the same agent that go before it are not set.
    login: &'static str,
    without: &'static [&'static str],
    credential: fn(String) -> Credential,
}

const ROUNDS: [Round; 6] = [
    Round {
        cli: Cli::ClaudeCode,
        login: "ANTHROPIC_AUTH_TOKEN",
        without: &[],
        credential: Credential::AnthropicToken,
    },
    Round {
        cli: Cli::ClaudeCode,
        login: "ANTHROPIC_API_KEY",
        without: &["ANTHROPIC_AUTH_TOKEN"],
        credential: Credential::AnthropicKey,
    },
    Round {
        cli: Cli::ClaudeCode,
        login: "CLAUDE_CODE_OAUTH_TOKEN",
        without: &["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"],
        credential: Credential::AnthropicSubscription,
    },
    Round {
        cli: Cli::ClaudeCode,
        login: "claude login",
        without: &["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"],
        credential: Credential::AnthropicSubscription,
    },
    Round {
        cli: Cli::Codex,
        login: "CODEX_API_KEY",
        without: &[],
        credential: Credential::OpenAiKey,
    },
    Round {
        cli: Cli::Codex,
        login: "codex login",
        without: &["CODEX_API_KEY", "OPENAI_API_KEY"],
        credential: Credential::OpenAiKey,
    },
];

/// What the agent saw, as it was committed.
fn dump(house: &House, repository: &Path, told: &Told, name: &str) -> Vec<u8> {
    let branch = told.result["branch"].as_str().unwrap();
    let hex = house.git(repository, &["show", &format!("{branch}:{name}.hex")]);
    let packed: Vec<u8> = hex
        .as_bytes()
        .chunks_exact(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect();
    let mut unpack = house.command("gzip", repository);
    let unpack = unpack.arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = unpack.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(&packed).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output.stdout
}

#[test]
fn secrets_of_a_user_are_nowhere_but_where_they_were() {
    for cli in [Cli::ClaudeCode, Cli::Codex] {
        if let Err(why) = cli.modules() {
            return tell(&format!("NOT RUN: canary secrets: {why}"));
        }
    }
    let mut house = House::new().with("MIDWATCH_CACHE", cache());
    let planted = plant(&house);
    for name in VARIABLES {
        house = house.with(name, &planted.secrets[name]);
    }
    // Nothing asks it: the models of this test are on loopback.
    let proxy = format!("http://user:{}@127.0.0.1:9", planted.secrets["proxy"]);
    let mut house = house.with("HTTPS_PROXY", &proxy).with("http_proxy", &proxy);
    let repository = house.repository("repo", &[("README", "x\n")]);
    let remote = format!("https://user:{}@localhost/repo.git", planted.secrets["remote"]);
    house.git(&repository, &["remote", "add", "origin", &remote]);
    let search = Search::new(&planted.secrets);
    let (processes, mut found) = (Processes::default(), BTreeSet::new());

    for (number, round) in ROUNDS.iter().enumerate() {
        let real = &planted.secrets[round.login];
        let name = format!("seen-{number}");
        let look = look_around(&house, &planted, &name);
        let script = Script::default().shell(look).shell(format!("wc -c {name}.hex")).ends("Done.");
        let model = ModelServer::builder().credential((round.credential)(real.clone()));
        let model = model.script(script).start().unwrap();
        let mut user = house
            .with("ANTHROPIC_BASE_URL", model.url())
            .with("OPENAI_BASE_URL", format!("{}/v1", model.url()));
        for name in round.without {
            user = user.without(name);
        }
        house = user;
        let agent = round.cli.as_str();
        let flags = ["--agent", agent, "--pipeline", "quick", "--check", "test -e README"];
        let first = ["run", "look around"];
        let told = watched(&house, &repository, &[&first[..], &flags[..]].concat(), &processes);
        told.is_done();
        for name in round.without {
            house = house.with(name, &planted.secrets[name]);
        }

        // The provider was shown the real one and nothing else; the sandbox something else.
        let shown: BTreeSet<String> = model
            .requests()
            .iter()
            .filter_map(|request| {
                let value = request.header("x-api-key").or(request.header("authorization"))?;
                Some(value.trim_start_matches("Bearer ").to_owned())
            })
            .collect();
        assert_eq!(shown, BTreeSet::from([real.clone()]), "{}", round.login);
        let saw = dump(&house, &repository, &told, &name);
        for part in ["ENVIRONMENT", "PROCESSES", "HOST", "FILES", "HOME=/"] {
            assert!(holds(&saw, part.as_bytes()), "the agent saw no {part}");
        }
        let token = run_token(&saw, round.cli);
        assert_ne!(*real, token, "{}", round.login);
        match round.cli {
            Cli::ClaudeCode => assert!(token.len() >= 32, "no run token for {}", round.login),
            // It hides its key from its own tools.
            Cli::Codex | Cli::OpenCode | Cli::GeminiCli | Cli::QwenCode | Cli::Aider => {}
        }
        found.extend(search.named(&saw).map(|name| format!("{name} in the sandbox of {agent}")));
        for request in model.requests() {
            let of = search.named(&request.body);
            found.extend(of.map(|name| format!("{name} in what {agent} told the model")));
        }
        for said in [&told.stdout, &told.stderr] {
            let of = search.named(said.as_bytes());
            found.extend(of.map(|name| format!("{name} in what midwatch said")));
        }
    }
    let sampled = processes.lock().unwrap();
    assert!(sampled.len() > 20, "hardly a process was seen: {}", sampled.len());
    for bytes in sampled.iter() {
        found.extend(
            search.named(bytes).map(|name| format!("{name} in a process: {}", line(bytes))),
        );
    }
    drop(sampled);
    found.extend(left_behind(&house, &repository, &search));
    tell(&format!("canary secrets planted {} / found {}", planted.secrets.len(), found.len()));
    assert_eq!(found, BTreeSet::new());
    controls(&house, &repository, &planted, &search);
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(80).collect::<String>().escape_debug().to_string()
}

/// The key that the agent had in its environment or its login file.
fn run_token(saw: &[u8], cli: Cli) -> String {
    let text = String::from_utf8_lossy(saw);
    let names: &[&str] = match cli {
        Cli::ClaudeCode => {
            &["\nANTHROPIC_API_KEY=", "\nCLAUDE_CODE_OAUTH_TOKEN=", "\nANTHROPIC_AUTH_TOKEN="]
        }
        Cli::Codex | Cli::OpenCode | Cli::GeminiCli | Cli::QwenCode | Cli::Aider => {
            &["\nCODEX_API_KEY=", "\nOPENAI_API_KEY=", "OPENAI_API_KEY\":\""]
        }
    };
    let after = names.iter().find_map(|name| text.split(name).nth(1)).unwrap_or_default();
    after.chars().take_while(|c| !c.is_whitespace() && *c != '"').collect()
}

/// Everything that outlives the runs: the state folder, and the user's repository with every
/// object unpacked. The place where a remote's URL was planted is not searched.
fn left_behind(house: &House, repository: &Path, search: &Search) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut stores = vec![repository.to_owned()];
    let mut open = vec![house.state(), repository.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let shown =
                path.strip_prefix(folder_of_all(house)).unwrap_or(&path).display().to_string();
            if kind.is_dir() {
                if path.join("objects").is_dir() && path.join("HEAD").exists() {
                    stores.push(path.clone());
                }
                if path != house.state().join("credentials") {
                    open.push(path);
                }
            } else if kind.is_file() && path != repository.join(".git/config") {
                let bytes = std::fs::read(&path).unwrap_or_default();
                found.extend(search.named(&bytes).map(|name| format!("{name} in {shown}")));
            }
        }
    }
    for store in stores {
        let all = ["cat-file", "--batch-all-objects", "--batch", "--buffer"];
        let output =
            house.command("git", &store).args(["-c", "safe.directory=*"]).args(all).output();
        let output = output.unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{}", store.display());
        let shown = store.display();
        found.extend(
            search.named(&output.stdout).map(|name| format!("{name} in objects of {shown}")),
        );
    }
    found
}

fn folder_of_all(house: &House) -> PathBuf {
    house.state().parent().unwrap().to_owned()
}

/// The same search, where a secret was let out on purpose: in a commit in another form, in a
/// goal, in a file of the state folder and in a process.
fn controls(house: &House, repository: &Path, planted: &Planted, search: &Search) {
    let known = &planted.secrets["AWS_SESSION_TOKEN"];
    let goal = format!("do: run printf %s {known} | base64 -w0 > leak.txt\n");
    let told = house.run(repository, &goal, &["--check", "test -e README"]);
    told.is_done();
    let found = left_behind(house, repository, search);
    let in_objects = format!("AWS_SESSION_TOKEN in objects of {}", repository.display());
    assert!(found.contains(&in_objects), "{found:?}");
    let in_events = |one: &String| one.contains("AWS_SESSION_TOKEN in state/midwatch.db");
    assert!(found.iter().any(in_events), "{found:?}");
    assert!(found.iter().all(|one| one.starts_with("AWS_SESSION_TOKEN")), "{found:?}");
    // The client's own environment is the user's.
    let mut child = house.command("sleep", repository).arg("60").spawn().unwrap();
    let environ = || std::fs::read(format!("/proc/{}/environ", child.id())).unwrap_or_default();
    // Every variable, and the proxy's address.
    let all = VARIABLES.len() + 1;
    let there =
        crate::house::until(crate::house::LIMIT, || search.named(&environ()).count() == all);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(there, "the search sees no process");
}
