//! Commits that the work does not hold are named, so that a rescue is asked for.

use super::world::{World, sh};

/// What an agent that ends well is said to have left beside its work.
fn left(script: &str) -> Vec<String> {
    let claim = World::new().agent(script);
    assert_eq!(claim.error, None);
    claim.beside
}

#[test]
fn what_is_on_the_branch_is_not_beside_it() {
    for script in [
        "true",
        "echo a > a",
        "echo a > a; git add a; git commit -q -m a; echo b > b",
        "git checkout -q -b feature; echo a > a; git add a; git commit -q -m a; git tag mark",
        // Where somebody looked, and what the base holds already.
        "git checkout -q HEAD~1; git branch old; git checkout -q -",
        // A merged branch is in the work.
        "git checkout -q -b side; echo a > a; git add a; git commit -q -m a; \
         git checkout -q -; echo b > b; git add b; git commit -q -m b; git merge -q -m m side",
    ] {
        assert_eq!(left(script), Vec::<String>::new(), "{script}");
    }
}

#[test]
fn branches_stashes_and_what_head_once_was_are_named() {
    let branch = "git checkout -q -b feature; echo a > a; git add a; git commit -q -m a; \
                  git checkout -q -";
    let stash = "echo s >> README.md; git stash -q";
    for (script, names) in [
        (branch.to_owned(), vec!["feature"]),
        (stash.to_owned(), vec!["stash"]),
        ("echo u > u; git stash -q -u".to_owned(), vec!["stash"]),
        (format!("{branch}; {stash}; echo w > w"), vec!["feature", "stash"]),
        (
            "echo a > a; git add a; git commit -q -m a; git checkout -q HEAD~1".to_owned(),
            vec!["the reflog"],
        ),
        (
            "git checkout -q --orphan other; git commit -q -m other; git checkout -q --detach"
                .to_owned(),
            vec!["other"],
        ),
        (
            format!("{branch}; rm -rf .git/logs; git branch -m feature 'odd;name'"),
            vec!["\"odd;name\""],
        ),
    ] {
        assert_eq!(left(&script), names, "{script}");
    }
}

/// In a worktree of its own, outside of the workspace, which goes with the sandbox.
#[test]
fn commits_of_a_linked_worktree_are_named() {
    let commit = "echo a > a; git add a; git commit -q -m a";
    let linked = |how: &str, then: &str| {
        left(&format!("git worktree add -q {how} ../linked; cd ../linked; {then}"))
    };
    assert_eq!(linked("-b side", commit), ["side"]);
    assert_eq!(linked("--detach", commit), ["worktrees/linked"]);
    let undone = format!("{commit}; git reset -q --hard HEAD~1");
    assert_eq!(linked("--detach", &undone), ["the reflog"]);
    // The controls: nothing was committed there, or what lands has it.
    assert_eq!(linked("--detach", "echo a > a"), Vec::<String>::new());
    let merged = format!("{commit}; cd - > /dev/null; git merge -q worktrees/linked/HEAD");
    assert_eq!(linked("--detach", &merged), Vec::<String>::new());
}

/// What a run began with is somebody's already: nothing is saved twice.
#[test]
fn what_was_there_before_the_agent_is_not_beside_its_work() {
    let world = World::new();
    let commit = "echo a > a; git add a; git commit -q -m a";
    sh(&world.places.workspace, &format!("{commit}; git branch before; {commit}b || true"));
    assert_eq!(world.agent("git reset -q --hard HEAD~1").beside, Vec::<String>::new());
    // The control: the same, done by the agent.
    let undone = format!("{commit}; git branch after; git reset -q --hard HEAD~1");
    assert_eq!(World::new().agent(&undone).beside, ["after"]);
}

#[test]
fn many_names_and_odd_ones_are_told_in_bounds() {
    let many = "git checkout -q -b one; echo a > a; git add a; git commit -q -m a; \
        for n in $(seq 30); do git commit -q --allow-empty -m $n; git branch b$n; git reset -q \
        --hard HEAD~1; done; git checkout -q -";
    let names = left(many);
    assert_eq!((names.len(), names.last().map(String::as_str)), (21, Some("others")));
    let gone = "git checkout -q -b one; echo a > a; git add a; git commit -q -m a; git checkout \
        -q -; printf '%040d\\n' 7 > .git/refs/heads/gone; echo nonsense > .git/refs/heads/bad";
    assert_eq!(left(gone), ["one"], "what is not there is no commit");
}

/// Each name that is asked about costs a start of git.
#[test]
fn of_many_refs_not_every_one_is_asked_about() {
    let merged = |count: u32| {
        format!(
            "for n in $(seq {count}); do printf 'commit refs/heads/b%d\nmark :%d\ncommitter x \
             <x@x> %d +0000\ndata 0\n\nfrom %s\n\n' $n $n $n $([ $n = 1 ] && git rev-parse \
             HEAD || echo :$((n-1))); done | git fast-import --quiet; git reset -q --hard b{count}; \
             git checkout -q -b zz HEAD~1; git commit -q --allow-empty -m zz; git checkout -q -"
        )
    };
    assert_eq!(left(&merged(260)), ["others"]);
    // The control: in bounds it is named, though the others have no commit of their own.
    assert_eq!(left(&merged(20)), ["zz"]);
}
