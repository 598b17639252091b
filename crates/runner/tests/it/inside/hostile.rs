//! A `.git` that was made to run programs, or broken, in the hands of the inside half.

use super::world::{World, as_ordinary_user, sh};

/// Settings, hooks and attributes that run a program which leaves a mark.
const ARM: &str = r#"
    mark="$PWD/../mark"
    printf '#!/bin/sh\necho ran >> %s\ncat\n' "$mark" > ../evil; chmod +x ../evil
    git config core.fsmonitor "$PWD/../evil"
    git config core.hooksPath "$PWD/../hooks"
    git config filter.evil.clean "$PWD/../evil"
    git config filter.evil.process "$PWD/../evil"
    git config gpg.program "$PWD/../evil"
    git config commit.gpgSign true
    mkdir ../hooks
    for hook in pre-commit post-commit reference-transaction post-index-change; do
        cp ../evil ../hooks/$hook
    done
    echo '* filter=evil' > .git/info/attributes
    rm -f ../mark
    echo a > a
"#;

#[test]
fn nothing_of_a_hostile_configuration_runs() {
    let world = World::new();
    let claim = world.agent(ARM);
    assert_eq!(world.imported().text("a"), "a\n");
    assert_eq!((claim.notes, claim.error), (vec![], None));
    let mark = world.folder.path().join("mark");
    assert!(!mark.exists(), "{}", std::fs::read_to_string(&mark).unwrap());

    // Control: the same repository in the hands of plain git.
    sh(&world.places.workspace, "git add -A; git commit -q -m x || true");
    assert!(mark.exists(), "the attack is real");
}

#[test]
fn a_broken_git_folder_costs_no_work() {
    for (breaking, history_kept) in [
        ("printf '[core\\n' > .git/config", true),
        ("echo > .git/index.lock; echo > .git/HEAD.lock", true),
        ("echo garbage > .git/index", true),
        ("rm .git/index", true),
        ("rm .git/config; mkfifo .git/config", true),
        ("echo nonsense > .git/HEAD", false),
        ("rm .git/HEAD; mkfifo .git/HEAD", false),
        ("git config extensions.unknown yes; git config core.repositoryFormatVersion 1", true),
        ("echo '/nonexistent' > .git/objects/info/alternates", true),
        ("git update-index --split-index", true),
    ] {
        let world = World::new();
        let claim = world
            .agent(&format!("echo a > a; git add a; git commit -q -m a; echo b > b; {breaking}"));
        let imported = world.imported();
        assert_eq!(imported.text("a"), "a\n", "{breaking}");
        assert_eq!(imported.text("b"), "b\n", "{breaking}");
        assert_eq!(imported.text("README.md"), "hello\nmore\n", "{breaking}");
        assert!(imported.files().contains(&"kept.log".to_owned()), "{breaking}");
        assert_eq!(imported.subjects().len(), if history_kept { 2 } else { 1 }, "{breaking}");
        assert_eq!(claim.notes.is_empty(), history_kept, "{breaking}: {:?}", claim.notes);
        assert_eq!(claim.error, None, "{breaking}");
    }
}

#[test]
fn missing_objects_of_the_agents_own_commits_cost_history_only() {
    let world = World::new();
    let script = "echo a > a; git add a; git commit -q -m a; echo c > c; git add c; \
        find .git/objects -type f -path '*/[0-9a-f][0-9a-f]/*' -delete";
    let claim = world.agent(script);
    assert!(!claim.notes.is_empty() && claim.error.is_none(), "{claim:?}");
    let imported = world.imported();
    assert_eq!(imported.text("a"), "a\n");
    assert_eq!(imported.text("c"), "c\n");
}

#[test]
fn an_unreadable_configuration_costs_no_work() {
    if !as_ordinary_user("inside::hostile::an_unreadable_configuration_costs_no_work") {
        return;
    }
    for files in [".git/config .git/index", ".git/HEAD", ".git/objects", ".git"] {
        let world = World::new();
        let script = format!("echo a > a; git add a; git commit -q -m a; chmod 000 {files}");
        let claim = world.agent(&script);
        assert_eq!(world.imported().subjects(), ["a"], "{files}: {:?}", claim.notes);
    }
}

#[test]
fn a_git_file_that_points_elsewhere_is_followed() {
    let world = World::new();
    let script = "echo a > a; git add a; git commit -q -m a; mv .git ../moved; \
        echo 'gitdir: ../moved' > .git; echo b > b";
    let claim = world.agent(script);
    assert_eq!((claim.notes, claim.error), (vec![], None));
    assert_eq!(world.imported().subjects(), ["Work that was left uncommitted", "a"]);
}

#[test]
fn links_planted_in_out_are_not_followed() {
    let world = World::new();
    let victim = world.folder.path().join("victim");
    std::fs::write(&victim, "keep").unwrap();
    let script = "cd ../out; for n in claim.json .claim.json.new .work.bundle.new work.bundle \
        agent-exit.json; do ln -s ../victim $n; done; ln -s .. .work.git; echo a > ../workspace/a";
    world.agent(script);
    assert_eq!(world.imported().text("a"), "a\n");
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "keep");
    assert!(world.at("a").exists());
}
