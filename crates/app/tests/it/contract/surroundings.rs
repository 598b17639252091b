//! Where a command is given: folders of any name and length, and repositories in any state.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::lines::is_whole;
use crate::house::terminal::terminal;
use crate::house::{House, Told, told, wait};

const RUN: [&str; 6] =
    ["run", "do: append README more", "--pipeline", "quick", "--check", "test -e README"];

fn run(house: &House, folder: &Path, more: &[&str]) -> Told {
    let profile = house.scripted(", egress: none");
    let profile = ["--profile", profile.to_str().unwrap()];
    let told = house.midwatch(folder, &[&RUN[..], &profile, more].concat());
    is_whole(&told, &format!("{} {more:?}", folder.display()));
    told
}

/// Ends the server of a state folder that is not the house's own.
fn in_state(state: &Path) -> (House, PathBuf) {
    let house = House::new().with("MIDWATCH_HOME", state);
    let repository = house.repository("repo", &[("README", "x\n")]);
    (house, repository)
}

#[test]
fn state_folders_may_be_far_away_and_have_odd_names() {
    let root = tempfile::tempdir().unwrap();
    // A socket's address holds 107 bytes: the path below has over 300.
    let deep = root.path().join("d".repeat(140)).join("e".repeat(140));
    for state in [root.path().join("a b 'c' \"d\" $e é"), deep] {
        let (house, repository) = in_state(&state);
        run(&house, &repository, &["--name", "one"]).is_done();
        let opened = house.midwatch(&repository, &["open", "one", "../opened one"]);
        assert_eq!(opened.code, Some(0), "{}", opened.stderr);
        assert!(repository.with_file_name("opened one").join("README").exists());
        house.midwatch(&repository, &["doctor", "--offline"]);
        ended(&state);
    }
}

/// Waits for the idle server to go, so that nothing outlives the test.
fn ended(state: &Path) {
    let socket = state.join("server.sock");
    let gone = crate::house::until(std::time::Duration::from_mins(1), || !socket.exists());
    assert!(gone, "the server of {} does not end", state.display());
}

#[test]
fn state_folders_that_cannot_be_are_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (state, code) in [
        (file.path().join("below"), 6),
        (file.path().to_owned(), 6),
        (PathBuf::from("/proc/midwatch"), 6),
        (PathBuf::from("relative"), 2),
    ] {
        let (house, repository) = in_state(&state);
        for words in [&["get"][..], &["wait", "one"]] {
            let told = house.midwatch(&repository, words);
            is_whole(&told, &format!("{} {words:?}", state.display()));
            assert_eq!(told.code, Some(code), "{}: {}", state.display(), told.stderr);
            assert!(told.stderr.contains("MIDWATCH_HOME"), "{}", told.stderr);
        }
        assert_eq!(run(&house, &repository, &[]).code, Some(code), "{}", state.display());
        assert_eq!(house.git(&repository, &["branch", "--list"]), "* main");
    }
}

/// What keeps a server from starting is said with the exit code that says whose fault it is.
#[test]
fn a_server_that_cannot_start_says_why() {
    let house = House::new().with("MIDWATCH_LOG", "[[[");
    let repository = house.repository("repo", &[("README", "x\n")]);
    let told = house.midwatch(&repository, &["get"]);
    is_whole(&told, "MIDWATCH_LOG");
    assert_eq!(told.code, Some(2), "{}", told.stderr);
    assert!(told.stderr.contains("MIDWATCH_LOG") && told.stderr.contains("debug"));
    let house = house.without("MIDWATCH_LOG");
    std::fs::write(house.state().join("midwatch.db"), "no database").unwrap();
    let told = house.midwatch(&repository, &["get"]);
    is_whole(&told, "a broken database");
    assert_eq!(told.code, Some(6), "{}", told.stderr);
    assert!(told.stderr.contains("server.log"), "{}", told.stderr);
}

#[test]
fn homes_may_be_missing() {
    let house = House::new();
    let house = house.with("HOME", "/nonexistent/home");
    let repository = house.repository("repo", &[("README", "x\n")]);
    run(&house, &repository, &[]).is_done();
    let house = house.without("HOME");
    let told = house.midwatch(&repository, &["get"]);
    is_whole(&told, "no HOME");
    assert_eq!(told.code, Some(6), "{}", told.stderr);
}

#[test]
fn any_folder_of_a_checkout_will_do() {
    let house = House::new();
    let repository = house.repository("re po'é", &[("README", "x\n"), ("deep/er/file", "x\n")]);
    run(&house, &repository.join("deep/er"), &["--name", "below"]).is_done();
    house.git(&repository, &["checkout", "-q", "--detach"]);
    run(&house, &repository, &["--name", "detached"]).is_done();
    house.git(&repository, &["checkout", "-q", "main"]);
    let linked = house.folder("links").join("linked");
    house.git(&repository, &["worktree", "add", "-q", "-b", "other", linked.to_str().unwrap()]);
    run(&house, &linked, &["--name", "linked"]).is_done();
    assert_eq!(
        house.git(&repository, &["branch", "--list", "midwatch/*"]),
        "  midwatch/below\n  midwatch/detached\n  midwatch/linked"
    );
    // Questions are asked from anywhere, even from where there is nothing.
    let nowhere = house.folder("nowhere");
    assert_eq!(house.midwatch(&nowhere, &["diff", "linked"]).code, Some(0));
    let script = format!(
        "mkdir gone; cd gone; rmdir ../gone; exec {} get --output json",
        env!("CARGO_BIN_EXE_midwatch")
    );
    let mut command = house.command("sh", &nowhere);
    command.args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let told = told(wait(command.spawn().unwrap()));
    is_whole(&told, "a folder that is gone");
    assert_eq!(told.code, Some(6), "{}", told.stderr);
}

#[test]
fn repositories_that_cannot_be_worked_with_are_named() {
    let house = House::new();
    let bare = house.folder("bare.git");
    house.git(&bare, &["init", "-q", "--bare"]);
    let unborn = house.folder("unborn");
    house.git(&unborn, &["init", "-q"]);
    let broken = house.repository("broken", &[("README", "x\n")]);
    std::fs::write(broken.join(".git/HEAD"), "nonsense\n").unwrap();
    let inside = house.repository("inside", &[("README", "x\n")]).join(".git");
    for (folder, word) in [
        (bare, "is a bare repository"),
        (unborn, "no commit yet"),
        (broken, "git repository"),
        (inside, "or a git directory, with no files checked out"),
        (house.folder("plain"), "git repository"),
    ] {
        let told = run(&house, &folder, &[]);
        assert_eq!(told.code, Some(6), "{}: {}", folder.display(), told.stderr);
        assert!(told.stderr.contains(word), "{}: {}", folder.display(), told.stderr);
        assert!(!house.state().join("server.sock").exists(), "a server was started");
    }
}

/// A terminal of any width, and one that can do nothing, which is treated as none at all.
#[test]
fn terminals_may_be_narrow_or_dumb() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let profile = house.scripted(", egress: none");
    for (columns, term, no_colour, live) in
        [(1, "xterm", "", true), (7, "xterm", "1", true), (80, "dumb", "", false)]
    {
        let (ours, theirs) = terminal(columns);
        let mut command = house.command(env!("CARGO_BIN_EXE_midwatch"), &repository);
        command.args(RUN).arg("--profile").arg(&profile);
        command.env("TERM", term).env("NO_COLOR", no_colour);
        command.stdout(theirs.try_clone().unwrap()).stderr(theirs);
        let child = command.spawn().unwrap();
        drop(command);
        let shown = ours.read();
        let output = wait(child);
        let seen = shown.join().unwrap();
        assert_eq!(output.status.code(), Some(0), "{columns} {term}: {seen}");
        assert_eq!(seen.contains("\x1b[2K"), live, "{columns} {term}: {seen:?}");
        let coloured = seen.contains("\x1b[32m");
        assert_eq!(coloured, live && no_colour.is_empty(), "{columns} {term}: {seen:?}");
        assert!(seen.contains("verified"), "{seen}");
    }
}

/// A demo that cannot begin leaves no sample behind.
#[test]
fn a_demo_without_its_agent_leaves_nothing() {
    let house = House::new();
    let temporary = house.folder("temporary");
    let house = house.with("TMPDIR", &temporary).with("PATH", "/usr/bin:/bin");
    let folder = house.folder("anywhere");
    let told = house.midwatch(&folder, &["demo"]);
    assert!(told.stderr.contains("claude"), "{}", told.stderr);
    assert_eq!(told.code, Some(6), "{}", told.stderr);
    let left: Vec<_> = std::fs::read_dir(&temporary).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
