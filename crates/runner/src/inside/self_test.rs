//! Before the agent starts: prove in seconds that it can work here. A CLI whose folders are
//! read-only, or whose endpoint is dead, otherwise runs for an hour and ends with 0.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use super::Places;
use super::bounded::{self, Asked};
use super::git::Git;
use super::leave;
use crate::inside_order::AgentJob;

/// A CLI's `--version` on a cold disk takes up to 5 s.
const AGENT_LIMIT: Duration = Duration::from_secs(20);

/// First `git status` on a big tree.
const GIT_LIMIT: Duration = Duration::from_mins(2);

/// The forwarder holds a connection for 60 s while the server is away.
const ENDPOINT_LIMIT: Duration = Duration::from_secs(70);

/// The header in which our broker says why it refuses.
const REFUSAL: &str = "x-midwatch-refusal:";

/// What does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum What {
    Home,
    Config,
    Temp,
    Workspace,
    Out,
    Shell,
    Git,
    Agent,
    Endpoint,
}

/// A failed self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Failed {
    pub(super) what: What,
    pub(super) detail: String,
}

/// Tries everything in the order that makes the first failure the telling one.
pub(super) fn run(job: &AgentJob, places: &Places, stop: &AtomicBool) -> Result<(), Failed> {
    writable(What::Out, &places.out)?;
    writable(What::Home, &places.home)?;
    writable(What::Config, &places.home.join(".config"))?;
    writable(What::Temp, &places.temp)?;
    writable(What::Workspace, &places.workspace)?;
    shell(stop)?;
    git(&places.workspace)?;
    agent(job, places, stop)?;
    job.endpoint.as_deref().map_or(Ok(()), |url| endpoint(url, token(&job.env)))
}

fn fail(what: What, detail: impl Into<String>) -> Failed {
    Failed { what, detail: detail.into() }
}

fn writable(what: What, folder: &Path) -> Result<(), Failed> {
    let probe = folder.join(format!(".midwatch-probe-{}", std::process::id()));
    let tried = std::fs::create_dir_all(folder)
        .and_then(|()| leave::remove(&probe))
        .and_then(|()| leave::fresh(&probe))
        .and_then(|mut file| file.write_all(b"probe"))
        .and_then(|()| std::fs::remove_file(&probe));
    tried.map_err(|error| fail(what, format!("{}: {error}", folder.display())))
}

fn shell(stop: &AtomicBool) -> Result<(), Failed> {
    let asked = Asked {
        stdin: b"",
        limit: Duration::from_secs(10),
        cap: 64,
        cancel: Some(stop),
        into: None,
    };
    let answer = bounded::run(Command::new("sh").args(["-c", "echo works"]), asked)
        .map_err(|error| fail(What::Shell, error.to_string()))?;
    if answer.code() == Some(0) && answer.stdout == b"works\n" {
        Ok(())
    } else {
        Err(fail(What::Shell, answer.story()))
    }
}

fn git(workspace: &Path) -> Result<(), Failed> {
    let git = Git::new(&workspace.join(".git"), workspace).limited_to(GIT_LIMIT);
    for args in [&["rev-parse", "--verify", "HEAD"][..], &["status", "--porcelain"][..]] {
        git.call(args).output().map_err(|error| fail(What::Git, error.to_string()))?;
    }
    Ok(())
}

fn agent(job: &AgentJob, places: &Places, stop: &AtomicBool) -> Result<(), Failed> {
    let program = job.argv.first().ok_or_else(|| fail(What::Agent, "no program is named"))?;
    if job.version_args.is_empty() {
        return match find(program, &job.env, &places.workspace) {
            Some(_) => Ok(()),
            None => Err(fail(What::Agent, format!("{program}: not found or not executable"))),
        };
    }
    let mut command = Command::new(program);
    command.args(&job.version_args).envs(&job.env).current_dir(&places.workspace);
    let asked = Asked { stdin: b"", limit: AGENT_LIMIT, cap: 4096, cancel: Some(stop), into: None };
    let answer = bounded::run(&mut command, asked)
        .map_err(|error| fail(What::Agent, format!("{program}: {error}")))?;
    if answer.code() == Some(0) {
        Ok(())
    } else {
        let asked_for = job.version_args.join(" ");
        Err(fail(What::Agent, format!("{program} {asked_for}: {}", answer.story())))
    }
}

/// Where a program would be found, if it can be executed.
fn find(program: &str, env: &BTreeMap<String, String>, workspace: &Path) -> Option<PathBuf> {
    let executable = |path: PathBuf| {
        let found =
            path.is_file() && rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_ok();
        found.then_some(path)
    };
    if program.contains('/') {
        return executable(workspace.join(program));
    }
    let own = std::env::var("PATH").unwrap_or_default();
    let path = env.get("PATH").unwrap_or(&own);
    path.split(':').map(|folder| Path::new(folder).join(program)).find_map(executable)
}

/// The run token, under the names that CLIs take it by.
fn token(env: &BTreeMap<String, String>) -> Option<&str> {
    const NAMES: [&str; 6] = [
        "MIDWATCH_RUN_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_API_KEY",
        "CODEX_API_KEY",
        "OPENAI_API_KEY",
    ];
    NAMES.iter().find_map(|name| env.get(*name)).map(String::as_str).filter(|t| !t.is_empty())
}

/// Asks the gateway for its root. Any answer shows that the way is open, but our own refusal of
/// the token (401) and a broken gateway (5xx): with those no call would succeed. `HEAD /` is
/// answered to anybody, so where a token is known it is shown with a GET.
fn endpoint(url: &str, token: Option<&str>) -> Result<(), Failed> {
    let wrong = |why: &str| fail(What::Endpoint, format!("{url}: {why}"));
    let rest = url.strip_prefix("http://").ok_or_else(|| wrong("is no http:// address"))?;
    let authority = rest.split('/').next().unwrap_or_default();
    let address: SocketAddr = authority
        .replace("localhost", "127.0.0.1")
        .parse()
        .map_err(|_| wrong("names no address and port"))?;
    let head = ask(address, authority, token).map_err(|error| wrong(&error.to_string()))?;
    let line = head.lines().next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    let status: u16 = status.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        wrong(&format!("answered no HTTP: {}", bounded::last_words(line.as_bytes())))
    })?;
    let ours = head.lines().any(|line| line.to_ascii_lowercase().starts_with(REFUSAL));
    let refused = ours || (status == 401 && token.is_some()) || status >= 500;
    if refused {
        Err(wrong(&format!("answered {}", bounded::last_words(head.trim().as_bytes()))))
    } else {
        Ok(())
    }
}

fn ask(address: SocketAddr, host: &str, token: Option<&str>) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(ENDPOINT_LIMIT))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let token = token.filter(|token| !token.contains(['\r', '\n']));
    let shown =
        token.map(|token| format!("authorization: Bearer {token}\r\nx-api-key: {token}\r\n"));
    let method = if shown.is_some() { "GET" } else { "HEAD" };
    let shown = shown.unwrap_or_default();
    stream.write_all(
        format!("{method} / HTTP/1.1\r\nhost: {host}\r\n{shown}connection: close\r\n\r\n")
            .as_bytes(),
    )?;
    let mut head = Vec::new();
    // Enough for a status line and our reason; the rest is not waited for.
    let mut buffer = [0_u8; 1024];
    while head.len() < 8192 && !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => break,
            read => head.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answering(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0_u8; 2048];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (url, thread)
    }

    #[test]
    fn an_endpoint_is_alive_with_any_status_but_ours() {
        for (answer, alive) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 404 Not Found\r\n\r\n", true),
            ("HTTP/1.1 401 Unauthorized\r\n\r\n", false),
            ("HTTP/1.1 503 No Login\r\nx-midwatch-reason: NeedsLogin\r\n\r\n", false),
            ("SSH-2.0-nonsense\r\n", false),
            ("", false),
        ] {
            let (url, thread) = answering(answer);
            let result = endpoint(&url, Some("run-token"));
            assert_eq!(result.is_ok(), alive, "{answer:?}: {result:?}");
            assert!(thread.join().unwrap().contains("authorization: Bearer run-token"));
        }
        let (url, thread) = answering("HTTP/1.1 401 Unauthorized\r\n\r\n");
        assert!(endpoint(&url, None).is_ok(), "without a token a 401 says nothing");
        assert!(!thread.join().unwrap().contains("authorization"));
    }

    #[test]
    fn what_is_not_writable_is_named() {
        let failed = writable(What::Config, Path::new("/proc/none")).unwrap_err();
        assert_eq!(failed.what, What::Config);
        let json = serde_json::to_string(&failed).unwrap();
        assert!(json.starts_with(r#"{"what":"config","detail":"/proc/none"#), "{json}");
    }
}
