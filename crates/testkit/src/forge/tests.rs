use std::process::Output;

use super::*;

struct World {
    dir: tempfile::TempDir,
    forge: Forge,
}

impl World {
    /// A forge with `o.git`, and a clone of it in `work` with one commit more.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let forge = Forge::start(dir.path()).unwrap();
        let world = Self { dir, forge };
        world.ok(&["init", "-q", "--bare", "-b", "main", "o.git"]);
        world.ok(&["init", "-q", "-b", "main", "work"]);
        world.ok(&["-C", "work", "commit", "-q", "--allow-empty", "-m", "first"]);
        world
    }

    fn git(&self, arguments: &[&str]) -> Output {
        std::process::Command::new("git")
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.dir.path())
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSL_CAINFO", self.forge.certificate())
            .args(["-c", "user.name=u", "-c", "user.email=u@localhost"])
            .args(arguments)
            .output()
            .unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.git(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn push(&self, login: &str, branch: &str) -> Result<(), String> {
        let url = self.forge.url("o.git").replace("https://", &format!("https://{login}"));
        let refspec = format!("HEAD:refs/heads/{branch}");
        let output = self.git(&["-C", "work", "push", "-q", &url, &refspec]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(stderr)
    }

    fn has(&self, branch: &str) -> bool {
        self.git(&["-C", "o.git", "rev-parse", "-q", "--verify", branch]).status.success()
    }
}

#[test]
fn who_has_a_login_pushes_and_nobody_else() {
    let world = World::new();
    world.forge.let_in("u", "p", true);
    world.forge.let_in("reader", "p", false);
    world.push("u:p@", "good").unwrap();
    assert!(world.has("good"));
    for (login, says) in
        [("", "could not read Username"), ("u:x@", "Authentication"), ("reader:p@", "403")]
    {
        let error = world.push(login, "bad").unwrap_err();
        assert!(error.contains(says), "{login}: {error}");
    }
    assert!(!world.has("bad"));
    let seen = world.forge.seen();
    let login = Some(("u".to_owned(), "p".to_owned()));
    assert!(seen.iter().any(|seen| seen.login == login && seen.status == 200), "{seen:?}");
    assert!(seen.iter().any(|seen| seen.status == 401));
}

#[test]
fn it_misbehaves_when_told_to() {
    let world = World::new();
    world.forge.let_in("u", "p", true);
    world.forge.behave(Manner::Lies);
    world.push("u:p@", "lost").unwrap();
    assert!(!world.has("lost"));
    world.forge.behave(Manner::Down);
    assert!(world.push("u:p@", "x").unwrap_err().contains("503"));
    // A git with its usual settings follows to where the first request is sent.
    let other = World::new();
    other.forge.let_in("u", "p", true);
    world.forge.behave(Manner::Redirects(other.forge.origin()));
    assert!(world.push("u:p@", "x").is_err());
    assert!(world.forge.seen().iter().any(|seen| seen.status == 302));
}
