//! The repository moves while a task works: nobody else's commit is overwritten, and what does
//! not apply any more is left on its own base.

use rustix::process::Signal;

use super::gate::Gate;
use super::ground::Ground;

#[test]
fn a_branch_that_somebody_else_made_meanwhile_is_not_overwritten() {
    let ground = Ground::new();
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    ground.begin("t", &format!("do: run {}\ndo: write made x", gate.command()), "", &[]);
    gate.reached();
    let git = |words: &[&str]| ground.house.git(&ground.repository, words);
    git(&["branch", "midwatch/t", "main"]);
    let theirs = git(&["rev-parse", "midwatch/t"]);
    gate.open(Signal::TERM);
    let told = ground.wait("t");
    told.is("Failed", Some("PushRejected"), 3);
    assert_eq!(git(&["rev-parse", "midwatch/t"]), theirs, "their branch is as it was");
    let commit = told.result["commit"].as_str().expect("the verified commit is kept");
    let opened = ground.midwatch(&["open", "t"]);
    assert_eq!(opened.code, Some(0), "{commit}: {}", opened.stderr);
    // The control: a git that does not ask whose it is takes it from them.
    let folder = opened.of("opened")[0]["folder"].as_str().unwrap();
    let repository = ground.repository.to_str().unwrap();
    let push = ["push", "-q", "--force", repository, &format!("{commit}:refs/heads/midwatch/t")];
    ground.house.git(std::path::Path::new(folder), &push);
    assert_eq!(git(&["rev-parse", "midwatch/t"]), commit);
    // With a name that nobody took, the same work lands.
    ground.begin("u", "do: write made x", "", &[]);
    ground.wait("u").is_done();
}

#[test]
fn a_base_that_moves_on_leaves_the_work_on_its_own() {
    let ground = Ground::new();
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    let goal = format!("do: run {}\ndo: write README agents", gate.command());
    ground.begin("t", &goal, "", &[]);
    gate.reached();
    let git = |words: &[&str]| ground.house.git(&ground.repository, words);
    let base = git(&["rev-parse", "main"]);
    std::fs::write(ground.repository.join("README"), "users\n").unwrap();
    ground.house.commit(&ground.repository, "theirs");
    let moved = git(&["rev-parse", "main"]);
    gate.open(Signal::TERM);
    let told = ground.wait("t");
    told.is_done();
    assert_eq!(git(&["rev-parse", "main"]), moved, "the base branch is the user's");
    assert_eq!(git(&["merge-base", "main", "midwatch/t"]), base, "it stands on what it was given");
    assert_eq!(ground.on_branch("midwatch/t", "README"), "agents");
    // The control: the two do conflict, and nobody was told to settle that.
    let merge = ["merge-tree", "--write-tree", "main", "midwatch/t"];
    let merged = ground.house.command("git", &ground.repository).args(merge).output().unwrap();
    assert_eq!(merged.status.code(), Some(1), "{}", String::from_utf8_lossy(&merged.stdout));
    // Settled by a rule, or put in the place of the branch, what the user wrote is not there.
    let readme = || ground.on_branch("careless", "README");
    git(&["checkout", "-q", "-b", "careless", "main"]);
    assert_eq!(readme(), "users");
    let who = ["-c", "user.name=u", "-c", "user.email=u@localhost"];
    let settle = ["merge", "-q", "-X", "theirs", "-m", "settled", "midwatch/t"];
    git(&[&who[..], &settle].concat());
    assert_eq!(readme(), "agents");
    git(&["reset", "-q", "--hard", "main"]);
    git(&["checkout", "-q", "main"]);
    git(&["push", "-q", "--force", ".", "midwatch/t:refs/heads/careless"]);
    assert_eq!(readme(), "agents");
}
