//! Objects and histories that an ordinary fetch of the same bundle takes.

use midwatch_core::id::CommitId;

use super::Score;
use crate::sandbox::Sandbox;
use crate::world::write;

type Make = fn(&Sandbox) -> CommitId;

struct Vector {
    name: &'static str,
    make: Make,
}

const fn vector(name: &'static str, make: Make) -> Vector {
    Vector { name, make }
}

fn named(sandbox: &Sandbox, mode: &str, name: &[u8], content: &str) -> CommitId {
    let blob = sandbox.object("blob", content.as_bytes());
    sandbox.commit_raw_tree(mode, name, &blob)
}

fn raw_commit(sandbox: &Sandbox, text: &str) -> CommitId {
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let text = text.replace("TREE", &tree).replace("BASE", sandbox.base.as_str());
    CommitId::parse(&sandbox.object("commit", text.as_bytes())).unwrap()
}

/// Two entries in one tree.
fn pair(sandbox: &Sandbox, first: &[u8], second: &[u8]) -> CommitId {
    let blob = sandbox.object("blob", b"x");
    let id: Vec<u8> = blob
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let mut tree = Vec::new();
    for name in [first, second] {
        tree.extend_from_slice(b"100644 ");
        tree.extend_from_slice(name);
        tree.push(0);
        tree.extend_from_slice(&id);
    }
    let tree = sandbox.object("tree", &tree);
    sandbox.commit_of_tree(&tree)
}

const VECTORS: &[Vector] = &[
    vector("tree entry .git", |s| named(s, "100644", b".git", "x")),
    vector("tree entry .GIT", |s| named(s, "100644", b".GIT", "x")),
    vector("tree entry ..", |s| named(s, "100644", b"..", "x")),
    vector("tree entry .", |s| named(s, "100644", b".", "x")),
    vector("tree entry a/../b", |s| named(s, "100644", b"a/../b", "x")),
    vector("tree entry git~1", |s| named(s, "100644", b"git~1", "x")),
    vector("tree entry .git for HFS+", |s| named(s, "100644", ".g\u{200c}it".as_bytes(), "x")),
    vector("tree entry .git with a stream", |s| {
        named(s, "100644", b".git::$INDEX_ALLOCATION", "x")
    }),
    vector("tree entry .git with a dot", |s| named(s, "100644", b".git.", "x")),
    vector(".gitmodules with an option as url", |s| {
        named(s, "100644", b".gitmodules", "[submodule \"s\"]\npath = s\nurl = --upload-pack=x\n")
    }),
    vector(".gitmodules with an option as path", |s| {
        named(s, "100644", b".gitmodules", "[submodule \"s\"]\npath = --x\nurl = https://h/x\n")
    }),
    vector(".gitmodules with .. as name", |s| {
        named(s, "100644", b".gitmodules", "[submodule \"../x\"]\npath = s\nurl = https://h/x\n")
    }),
    vector(".gitmodules with update = !command", |s| {
        named(
            s,
            "100644",
            b".gitmodules",
            "[submodule \"s\"]\npath = s\nurl = https://h/x\nupdate = !id\n",
        )
    }),
    vector(".gitmodules as a link", |s| named(s, "120000", b".gitmodules", "x")),
    vector("the same name twice", |s| pair(s, b"a", b"a")),
    vector("a tree out of order", |s| pair(s, b"b", b"a")),
    vector("zero-padded mode", |s| named(s, "0100644", b"a", "x")),
    vector("unknown mode", |s| named(s, "100000", b"a", "x")),
    vector("commit without author", |s| {
        raw_commit(s, "tree TREE\nparent BASE\ncommitter A <a@b> 1 +0000\n\nx\n")
    }),
    vector("author with two addresses", |s| {
        raw_commit(
            s,
            "tree TREE\nparent BASE\nauthor A <a <b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n",
        )
    }),
    vector("NUL in a commit", |s| {
        raw_commit(
            s,
            "tree TREE\nparent BASE\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\0y\n",
        )
    }),
    vector("gitlink", |s| s.commit_entry("160000", "module", "")),
    vector("absolute link", |s| s.commit_entry("120000", "l", "/etc/passwd")),
    vector("link out of the tree", |s| s.commit_entry("120000", "d/l", "../../x")),
    vector("link into .git", |s| s.commit_entry("120000", "l", ".git/hooks")),
    vector("newline in a name", |s| named(s, "100644", b"a\nb", "x")),
    vector("escape sequence in a name", |s| named(s, "100644", b"a\x1b[2J", "x")),
    vector("a name that is not UTF-8", |s| named(s, "100644", b"a\xff", "x")),
    vector("history without the base", |s| {
        s.git(&["checkout", "-q", "--orphan", "island"]);
        s.commit("island")
    }),
];

pub(super) fn attack(score: &mut Score) {
    for vector in VECTORS {
        let sandbox = Sandbox::new();
        let commit = (vector.make)(&sandbox);
        score.tried += 1;
        bundle_by_hand(&sandbox, &commit);
        let taken =
            matches!(sandbox.import(), Ok(midwatch_git::import::ImportOutcome::Imported(_)));
        if taken || sandbox.mirror.has(&commit).unwrap() {
            score.objects.push(vector.name);
        }
        // The control: the same bundle, fetched, in a clone that has the base.
        let world = &sandbox.world;
        let control = world.path().join("control.git");
        world.git_ok(world.path(), &["clone", "-q", "--bare", "repo", "control.git"]);
        let bundle = sandbox.out().join("work.bundle");
        world.naive(
            &control,
            &["fetch", "-q", bundle.to_str().unwrap(), "refs/heads/x:refs/heads/x"],
        );
        let there = world.naive(&control, &["rev-parse", "--verify", "-q", "refs/heads/x"]);
        if !there.status.success() {
            score.no_control.push(vector.name);
        }
    }
    other_histories(score);
}

/// `git bundle` itself stumbles over some of these, so head and pack are put together here.
fn bundle_by_hand(sandbox: &Sandbox, commit: &CommitId) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let tree = sandbox.git(&["rev-parse", &format!("{commit}^{{tree}}")]);
    let listed = sandbox.git(&["ls-tree", "-z", &tree]);
    let blobs = listed.split('\0').filter_map(|line| {
        let mut words = line.split([' ', '\t']);
        (words.next()? != "160000").then(|| words.nth(1).map(str::to_owned)).flatten()
    });
    let mut ids: Vec<String> = vec![commit.to_string(), tree.clone()];
    ids.extend(blobs);
    // Folders of the ordinary trees among them.
    ids.extend(
        sandbox
            .git(&["rev-list", "--objects", "--no-object-names", "--all"])
            .lines()
            .map(str::to_owned),
    );
    let mut child = Command::new("git")
        .current_dir(sandbox.repo())
        .args(["pack-objects", "--stdout", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all((ids.join("\n") + "\n").as_bytes()).unwrap();
    let pack = child.wait_with_output().unwrap();
    assert!(pack.status.success());
    let head = format!("# v2 git bundle\n-{} base\n{commit} refs/heads/x\n\n", sandbox.base);
    std::fs::write(sandbox.out().join("work.bundle"), [head.as_bytes(), &pack.stdout].concat())
        .unwrap();
}

/// Ways to make a repository show another history than it has.
fn other_histories(score: &mut Score) {
    let sandbox = Sandbox::new();
    let world = &sandbox.world;
    let repo = world.repo();
    world.write("README", "the true one\n");
    let head = world.commit("second");
    world.write("README", "another\n");
    let other = world.commit("other");
    world.git_ok(&repo, &["reset", "-q", "--hard", head.as_str()]);
    world.git_ok(&repo, &["replace", head.as_str(), other.as_str()]);
    score.tried += 1;
    sandbox.mirror.fetch_local(&world.checkout(), &head).unwrap();
    let read = sandbox.mirror.tree(&head).read("README", 100).unwrap();
    let seen = world.checkout().tree(&world.git, &head).read("README", 100).unwrap();
    if read.as_deref() != Some("the true one\n") || seen != read {
        score.objects.push("replace ref");
    }
    if world.git_ok(&repo, &["show", &format!("{head}:README")]) != "another" {
        score.no_control.push("replace ref");
    }

    let sandbox = Sandbox::new();
    let world = &sandbox.world;
    let head = world.commit("second");
    write(&world.repo().join(".git/info/grafts"), &format!("{head}\n"));
    score.tried += 1;
    sandbox.mirror.fetch_local(&world.checkout(), &head).unwrap();
    let count = |dir: &std::path::Path| world.git_ok(dir, &["rev-list", "--count", head.as_str()]);
    if count(&sandbox.mirror.upstream()) != "2" {
        score.objects.push("graft");
    }
    if count(&world.repo()) != "1" {
        score.no_control.push("graft");
    }
}
