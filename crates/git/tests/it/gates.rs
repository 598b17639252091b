//! Every gate, each with the control that the same work without the fault is imported.

use midwatch_core::id::CommitId;
use midwatch_git::gates::{KnownSecret, Rule};

use crate::sandbox::{Sandbox, has};
use crate::world::World;

/// The control of every test here.
fn good_work_is_imported(sandbox: &Sandbox) {
    sandbox.git(&["reset", "-q", "--hard", sandbox.base.as_str()]);
    sandbox.write("src/good.rs", "// fine\n");
    sandbox.commit("good work");
    let work = sandbox.imported();
    assert!(work.holds.is_empty() && work.tells.is_empty(), "{:?} {:?}", work.holds, work.tells);
}

fn back(sandbox: &Sandbox) {
    sandbox.git(&["reset", "-q", "--hard", sandbox.base.as_str()]);
}

#[test]
fn protected_paths_hold_and_manifests_are_told() {
    let sandbox = Sandbox::new();
    for path in [
        ".github/workflows/ci.yml",
        "CODEOWNERS",
        "sub/CLAUDE.md",
        ".gitattributes",
        "midwatch.yaml",
        ".npmrc",
    ] {
        sandbox.write(path, "text\n");
        sandbox.commit("touches a protected path");
        let work = sandbox.imported();
        assert!(has(&work.holds, Rule::ProtectedPath, path), "{path}: {:?}", work.holds);
        back(&sandbox);
    }
    sandbox.write("Cargo.toml", "[package]\nname = \"x\"\n");
    sandbox.write("requirements.txt", "a\n");
    sandbox.commit("manifests");
    let work = sandbox.imported();
    assert!(work.holds.is_empty());
    assert!(
        has(&work.tells, Rule::Manifest, "Cargo.toml")
            && has(&work.tells, Rule::Manifest, "requirements.txt")
    );
    good_work_is_imported(&sandbox);
}

#[test]
fn what_was_added_and_taken_away_again_is_seen() {
    let mut sandbox = Sandbox::new();
    sandbox.secrets =
        vec![KnownSecret { name: "KEY".into(), value: "correct-horse-battery-staple".into() }];
    sandbox.write("a", "correct-horse-battery-staple\n");
    let bad = sandbox.commit("oops");
    sandbox.write("a", "nothing\n");
    sandbox.commit("hide it");
    let findings = sandbox.refused("HEAD");
    assert!(has(&findings, Rule::KnownSecret, "a"), "{findings:?}");
    assert_eq!(findings[0].commit, bad);
    assert!(!format!("{findings:?}").contains("horse"));

    // On a side branch of a merge, too.
    back(&sandbox);
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("s", "correct-horse-battery-staple\n");
    sandbox.commit("side");
    sandbox.git(&["rm", "-q", "s"]);
    sandbox.commit("side is clean");
    sandbox.git(&["checkout", "-q", "-"]);
    sandbox.write("m", "m\n");
    sandbox.commit("main");
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    assert!(has(&sandbox.refused("HEAD"), Rule::KnownSecret, "s"));
    good_work_is_imported(&sandbox);
}

#[test]
fn secrets_are_found_in_messages_names_and_token_shapes() {
    let mut sandbox = Sandbox::new();
    let secret = "correct-horse-battery-staple";
    sandbox.secrets = vec![KnownSecret { name: "KEY".into(), value: secret.into() }];
    sandbox.write("a", "a\n");
    sandbox.commit(&format!("the key is {secret}"));
    assert!(has(&sandbox.refused("HEAD"), Rule::KnownSecret, ""));
    back(&sandbox);
    sandbox.git(&["config", "user.name", "x"]);
    sandbox.write(&format!("dir/{secret}/file"), "a\n");
    sandbox.commit("in a path");
    assert!(has(&sandbox.refused("HEAD"), Rule::KnownSecret, "(a path)"));
    back(&sandbox);
    let token = format!("ghp_{}", "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8xC0rF1uLk");
    sandbox.write("config.py", &format!("TOKEN = '{token}'\n"));
    sandbox.commit("a token of somebody");
    let work = sandbox.imported();
    assert!(has(&work.holds, Rule::SecretShape, "config.py"), "{:?}", work.holds);
    assert!(!format!("{:?}", work.holds).contains("aB3dE5"));
    good_work_is_imported(&sandbox);
}

#[test]
fn links_gitlinks_and_look_alikes_are_refused() {
    let sandbox = Sandbox::new();
    for (path, target) in
        [("l", "/etc/passwd"), ("d/l", "../../x"), ("l", ".git/config"), ("l", "a/../../x")]
    {
        sandbox.commit_entry("120000", path, target);
        assert!(has(&sandbox.refused("HEAD"), Rule::Link, path), "{target}");
        back(&sandbox);
    }
    sandbox.commit_entry("120000", "d/ok", "../README");
    assert_eq!(sandbox.imported().files, 1);
    back(&sandbox);
    sandbox.commit_entry("160000", "module", "");
    assert!(has(&sandbox.refused("HEAD"), Rule::Gitlink, "module"));
    back(&sandbox);
    for name in [".GIT", "..", ".git", ".g\u{200c}it", "git~1", "a/../b", "."] {
        let blob = sandbox.object("blob", b"x");
        let commit = sandbox.commit_raw_tree("100644", name.as_bytes(), &blob);
        sandbox.git_refuses(commit.as_str());
    }
    let hostile: [(&[u8], &str); 4] = [
        (b"a\xff", r#""a\xff""#),
        (b"a\x1b[2J", r#""a\u{1b}[2J""#),
        (b"a\nb", r#""a\nb""#),
        ("a\u{202e}b".as_bytes(), r#""a\u{202e}b""#),
    ];
    for (name, shown) in hostile {
        let blob = sandbox.object("blob", b"x");
        let commit = sandbox.commit_raw_tree("100644", name, &blob);
        let findings = sandbox.refused(commit.as_str());
        assert!(findings.iter().any(|f| f.rule == Rule::PathBytes), "{findings:?}");
        assert!(findings[0].to_string().starts_with(&format!("{shown}: ")), "{findings:?}");
    }
    good_work_is_imported(&sandbox);
}

#[test]
fn an_old_link_out_of_the_tree_may_stay_but_not_come_or_change() {
    let world = World::new();
    std::os::unix::fs::symlink("/etc/hosts", world.repo().join("old")).unwrap();
    world.commit("a link of the user's own");
    let sandbox = Sandbox::of(world);
    good_work_is_imported(&sandbox);
    back(&sandbox);
    sandbox.commit_entry("120000", "old", "/etc/shadow");
    assert!(has(&sandbox.refused("HEAD"), Rule::Link, "old"));
}

#[test]
fn size_and_count_are_capped() {
    let mut sandbox = Sandbox::new();
    sandbox.limits.caps.file_bytes = 1000;
    sandbox.write("big", &"x".repeat(1001));
    sandbox.commit("big");
    assert!(has(&sandbox.refused("HEAD"), Rule::FileSize, "big"));
    back(&sandbox);
    sandbox.limits.caps.total_bytes = 1500;
    for name in ["a", "b"] {
        sandbox.write(name, &name.repeat(900));
    }
    sandbox.commit("together too much");
    assert!(sandbox.refused("HEAD").iter().any(|f| f.rule == Rule::TotalSize));
    back(&sandbox);
    sandbox.limits.caps.files = 3;
    for name in ["a", "b", "c", "d"] {
        sandbox.write(name, name);
    }
    sandbox.commit("too many");
    assert!(sandbox.refused("HEAD").iter().any(|f| f.rule == Rule::FileCount));
    good_work_is_imported(&sandbox);
}

#[test]
fn a_changed_check_definition_is_told() {
    let world = World::new();
    world.write("Makefile", "test:\n\tcargo test\n");
    world.write("package.json", r#"{"scripts":{"test":"jest"},"dependencies":{}}"#);
    world.commit("checks");
    let sandbox = Sandbox::of(world);
    sandbox.write("package.json", r#"{"scripts":{"test":"jest"},"dependencies":{"a":"1"}}"#);
    sandbox.commit("a dependency");
    assert!(sandbox.imported().check_definitions.is_empty());
    sandbox.write("package.json", r#"{"scripts":{"test":"true"},"dependencies":{}}"#);
    sandbox.git(&["rm", "-q", "Makefile"]);
    sandbox.commit("no more checks");
    assert_eq!(sandbox.imported().check_definitions, ["Makefile", "package.json"]);
    back(&sandbox);
    good_work_is_imported(&sandbox);
}

#[test]
fn who_edits_what_a_check_runs_edits_the_judge() {
    let world = World::new();
    world.write("Makefile", "test:\n\t@sh scripts/check\n");
    world.write("scripts/check", "#!/bin/sh\npython3 scripts/all.py\n");
    world.write("scripts/all.py", "raise SystemExit(1)\n");
    world.commit("checks");
    let mut sandbox = Sandbox::of(world);
    let attacks = [
        ("scripts/check", "#!/bin/sh\nexit 0\n"),
        ("scripts/all.py", "print('1 passed')\n"),
        ("unittest/__main__.py", "print('OK')\n"),
        ("__pycache__/calc.cpython-311.pyc", "code"),
        (".venv/bin/python3", "#!/bin/sh\nexit 0\n"),
        ("tests/conftest.py", "def pytest_sessionfinish(session): session.exitstatus = 0\n"),
        ("tools/t.py", "print('ok')\n"),
    ];
    let seen = |sandbox: &Sandbox, path: &str| {
        sandbox.imported().check_definitions.contains(&path.to_owned())
    };
    for (path, text) in attacks {
        sandbox.checks = vec!["make test".into(), "python3 -m tools.t".into()];
        sandbox.write(path, text);
        sandbox.git(&["add", "-f", path]);
        sandbox.commit("easier now");
        assert!(seen(&sandbox, path), "{path}");
        // The control: a script that no check runs is code like any other.
        if path.starts_with("scripts/") || path.starts_with("tools/") {
            sandbox.checks = vec!["cargo test".into()];
            assert!(!seen(&sandbox, path), "{path}");
        }
        back(&sandbox);
        sandbox.git(&["clean", "-fdxq"]);
    }
    good_work_is_imported(&sandbox);
}

#[test]
fn invisible_text_is_told_and_locks_are_known() {
    let sandbox = Sandbox::new();
    sandbox.write("src/x.rs", "if a { /* \u{202e} } */ }\n");
    sandbox.write("Cargo.lock", "version = 4\n");
    sandbox.commit("odd text");
    let work = sandbox.imported();
    assert!(has(&work.tells, Rule::InvisibleText, "src/x.rs"));
    assert_eq!(sandbox.mirror.lock_hash(&work.commit).unwrap(), work.lock_hash);
    let base = sandbox.mirror.lock_hash(&sandbox.base);
    assert_ne!(base.unwrap(), work.lock_hash);
}

#[test]
fn a_gate_that_cannot_run_is_no_pass() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "a\n");
    sandbox.commit("work");
    sandbox.bundle("HEAD");
    // The base's objects vanish: git cannot compare with them.
    let packs = sandbox.mirror.upstream().join("objects/pack");
    std::fs::rename(&packs, packs.with_extension("away")).unwrap();
    let error = sandbox.import().unwrap_err();
    assert!(!error.to_string().is_empty());
    std::fs::rename(packs.with_extension("away"), &packs).unwrap();
    let known: Vec<CommitId> = Vec::new();
    assert!(sandbox.import_to("refs/midwatch/import/t/x", &known).is_ok());
}
