//! Git's own `http-backend`, as a web server would run it.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Answer;
use super::request::Request;

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Answers a request from the repositories below `root`.
pub(super) fn run(root: &Path, request: &Request, user: &str) -> io::Result<Answer> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let header = |name| request.header(name).unwrap_or_default();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        // The repositories may belong to another user than the one who runs the tests.
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", user)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut said = Vec::new();
    std::thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            // It may answer before it has read everything.
            scope.spawn(move || stdin.write_all(&request.body));
        }
        stdout.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut said))
    })?;
    child.wait()?;
    Ok(read(&said))
}

/// Answers from a copy of the repositories, which is thrown away: a push is taken and lost.
pub(super) fn run_on_a_copy(root: &Path, request: &Request, user: &str) -> io::Result<Answer> {
    let copy = tempfile::tempdir()?;
    let from = root.join(".");
    let copied = Command::new("cp").arg("-a").arg(from).arg(copy.path()).status()?;
    if !copied.success() {
        return Err(io::Error::other("the repositories could not be copied"));
    }
    run(copy.path(), request, user)
}

/// Headers, an empty line, the body.
fn read(said: &[u8]) -> Answer {
    let end = said.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(said.len());
    let mut answer = Answer::plain(200, &[]);
    for line in String::from_utf8_lossy(&said[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if name == "Status" {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            answer.status = code.unwrap_or(500);
        } else {
            answer.headers.push((name.to_owned(), value.to_owned()));
        }
    }
    answer.body = said.get(end + 4..).unwrap_or_default().to_vec();
    answer
}
