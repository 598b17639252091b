//! Whatever an honest but odd agent leaves, its work comes out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use midwatch_api::report::BundleClaim;
use midwatch_runner::inside::carry_out;
use midwatch_runner::inside_order::{InsideOrder, Job};

use super::world::{World, as_ordinary_user, sh};

/// What the claim tells of the work.
fn told(claim: &BundleClaim) -> String {
    claim.notes.join("; ")
}

#[test]
fn leftovers_become_one_commit_on_the_base() {
    let world = World::new();
    let claim = world.agent("echo new > new.txt; rm dir/deep/file.txt; echo x >> src/lib.rs");
    assert_eq!((claim.error, claim.notes, claim.set_aside), (None, vec![], vec![]));
    let imported = world.imported();
    assert_eq!(imported.files(), [".gitignore", "README.md", "kept.log", "new.txt", "src/lib.rs"]);
    assert_eq!(imported.text("src/lib.rs"), "fn one() {}\nx\n");
    assert_eq!(imported.subjects(), ["Work that was left uncommitted"]);
    assert_eq!(world.out_text("agent-exit.json"), r#"{"code":0}"#);
    let progress = world.out_text("progress.jsonl");
    let phases = ["selfTest", "command", "commit", "bundle"];
    let lines: Vec<String> = phases.iter().map(|p| format!("{{\"phase\":\"{p}\"}}")).collect();
    assert_eq!(progress.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn nothing_done_is_no_head_and_no_bundle() {
    let world = World::new();
    let claim = world.agent("git status; touch README.md");
    assert_eq!((claim.head, claim.notes, claim.error), (None, vec![], None));
    assert!(!world.places.out.join("work.bundle").exists());
}

#[test]
fn the_agents_own_commits_are_kept_on_a_branch_or_detached() {
    for begin in ["git switch -q -c mine", "true"] {
        let world = World::new();
        let script = "echo a > a && git add a && git commit -q -m 'add a' && echo b > b";
        let claim = world.agent(&format!("{begin}; {script}"));
        assert_eq!((claim.notes, claim.error), (vec![], None));
        let imported = world.imported();
        assert_eq!(imported.subjects(), ["Work that was left uncommitted", "add a"]);
        // The agent's own repository is as the agent left it.
        let subject = super::world::line(&world.places.workspace, "git log -1 --format=%s");
        assert_eq!(subject, "add a");
    }
}

#[test]
fn a_clean_tree_with_commits_gets_no_commit_of_ours() {
    let world = World::new();
    world.agent("echo a > a && git add a && git commit -q -m 'add a'");
    assert_eq!(world.imported().subjects(), ["add a"]);
}

#[test]
fn rewritten_history_becomes_one_commit_on_the_base() {
    for script in [
        "git reset -q --hard HEAD~1; echo a > a; git add a; git commit -q -m other",
        "echo a > a; git add a; git commit -q --amend -m amended",
        "git checkout -q --orphan fresh; echo a > a; git add a; git commit -q -m orphan",
    ] {
        let world = World::new();
        let claim = world.agent(script);
        let told = told(&claim);
        assert!(told.contains("does not descend from the base"), "{script}: {told}");
        let imported = world.imported();
        assert_eq!(imported.subjects(), ["The workspace as it was left"]);
        assert_eq!(imported.text("a"), "a\n");
    }
}

#[test]
fn an_unborn_head_keeps_the_tree() {
    let world = World::new();
    let claim = world.agent("git checkout -q --orphan fresh; echo a > a");
    assert!(told(&claim).contains("HEAD names no commit"));
    assert_eq!(world.imported().text("a"), "a\n");
}

#[test]
fn a_deleted_git_folder_costs_history_and_no_file() {
    let world = World::new();
    let claim = world.agent("rm -rf .git; echo a > a; rm README.md");
    assert!(told(&claim).contains("base's objects were gone"));
    let imported = world.imported();
    assert_eq!(
        imported.files(),
        [".gitignore", "a", "dir/deep/file.txt", "kept.log", "src/lib.rs"],
        "the file that is tracked although ignored too"
    );
    assert_eq!(imported.subjects(), ["The workspace as it was left"]);
}

#[test]
fn a_deleted_git_folder_with_nothing_done_is_still_nothing() {
    let world = World::new();
    let claim = world.agent("rm -rf .git");
    assert_eq!((claim.head, claim.notes, claim.error), (None, vec![], None));
}

#[test]
fn a_new_repository_in_the_place_of_ours_keeps_the_tree() {
    let world = World::new();
    let script = "rm -rf .git; git init -q; echo a > a; git add -A; git commit -q -m mine";
    let claim = world.agent(script);
    assert!(told(&claim).contains("base's objects were gone"));
    let imported = world.imported();
    assert_eq!(imported.text("a"), "a\n");
    assert!(imported.files().contains(&"kept.log".to_owned()));
}

#[test]
fn a_merge_with_conflicts_in_progress_is_committed_as_it_is() {
    let world = World::new();
    let script = "git switch -q -c one; echo 1 > README.md; git commit -q -am one; \
        git switch -q -c two HEAD~1; echo 2 > README.md; git commit -q -am two; \
        git merge one || true; echo extra > extra";
    let claim = world.agent(script);
    assert!(told(&claim).contains("a merge was in progress"));
    let imported = world.imported();
    assert!(imported.text("README.md").contains("<<<<<<<"));
    assert_eq!(imported.text("extra"), "extra\n");
    assert_eq!(imported.subjects(), ["Work that was left uncommitted", "two"]);
}

#[test]
fn a_rebase_in_progress_is_committed_as_it_is() {
    let world = World::new();
    let script = "git switch -q -c one; echo 1 > README.md; git commit -q -am one; \
        git switch -q -c two HEAD~1; echo 2 > README.md; git commit -q -am two; \
        git rebase one || true";
    let claim = world.agent(script);
    assert!(told(&claim).contains("a rebase was in progress"));
    assert!(world.imported().text("README.md").contains("<<<<<<<"));
}

#[test]
fn nested_repositories_are_set_aside_and_told() {
    let world = World::new();
    // Control: git itself fails on the one without a commit and stages a link for the other.
    let script = "mkdir -p sub/empty full; git -C sub/empty init -q; echo e > sub/empty/e; \
        git -C full init -q; echo f > full/f; git -C full add -A; git -C full commit -q -m f; \
        mkdir full/inner; git -C full/inner init -q; echo i > full/inner/i; \
        if git add -A 2> /dev/null; then exit 1; fi; \
        git add full; git ls-files -s full | grep -q ^160000; git reset -q";
    let claim = world.agent(script);
    assert_eq!(claim.set_aside, ["full", "sub/empty", "full/inner"]);
    assert_eq!(claim.error, None);
    let imported = world.imported();
    assert_eq!(imported.text("sub/empty/e"), "e\n");
    assert_eq!(imported.text("full/f"), "f\n");
    assert_eq!(imported.text("full/inner/i"), "i\n");
    let set_aside = world.at(".git/midwatch-set-aside/0-full.git/objects");
    assert!(set_aside.is_dir(), "kept, out of the tree");
}

#[test]
fn a_nested_repository_that_was_committed_as_a_link_is_flattened() {
    let world = World::new();
    let script = "mkdir full; git -C full init -q; echo f > full/f; git -C full add -A; \
        git -C full commit -q -m f; git add full 2> /dev/null; git commit -q -m 'add a link'";
    let claim = world.agent(script);
    assert_eq!(claim.set_aside, ["full"]);
    assert!(told(&claim).contains("nested repository as a link"));
    let imported = world.imported();
    assert_eq!(imported.text("full/f"), "f\n");
    assert_eq!(imported.subjects(), ["The workspace as it was left"]);
}

#[test]
fn deps_and_litter_stay_out_even_when_the_agent_adds_everything() {
    let world = World::new();
    let mut job = world.job(
        "mkdir -p node_modules/x; echo d > node_modules/x/d; echo l > .aider.chat; echo a > a; \
         mkdir __pycache__; echo c > __pycache__/a.cpython-311.pyc; \
         git add -A; git commit -q -m 'everything'; git add -f node_modules; \
         echo build > note.log; mkdir build; echo o > build/o",
    );
    job.exclude = vec!["node_modules".to_owned()];
    let claim = world.run(job);
    assert_eq!((claim.notes, claim.error), (vec![], None));
    let imported = world.imported();
    assert_eq!(imported.subjects(), ["everything"]);
    assert!(imported.files().contains(&"a".to_owned()));
    assert!(
        !imported.files().iter().any(|file| ["node_modules", "aider", "pyc"]
            .iter()
            .any(|litter| file.contains(litter)))
    );
    let ignored = world.out_text("ignored.jsonl");
    for name in [".aider.chat", "__pycache__/a.cpython-311.pyc", "build/o", "note.log"] {
        assert!(ignored.contains(&format!("\"{name}\"\n")), "{ignored}");
    }
}

#[test]
fn odd_names_and_kinds_of_files_come_through() {
    let world = World::new();
    let script = r#"printf n > "$(printf 'new\nline')"; printf s > ' lead and trail '; \
        printf u > "$(printf '\377bytes')"; printf q > '"quoted"'; printf d > -dash; \
        ln -s README.md link; mkfifo pipe; printf '#!/bin/sh\n' > run; chmod +x run; rm kept.log; mkfifo kept.log"#;
    let claim = world.agent(&script.replace("\\\n", "\n"));
    let imported = world.imported();
    let files = imported.files();
    for name in
        ["new\nline", " lead and trail ", "\u{fffd}bytes", "\"quoted\"", "-dash", "link", "run"]
    {
        assert!(files.contains(&name.to_owned()), "{name:?} in {files:?}");
    }
    assert!(!files.contains(&"pipe".to_owned()));
    let modes = sh(&imported.store, "git ls-tree -r refs/midwatch/work");
    let modes = String::from_utf8_lossy(&modes.stdout).into_owned();
    assert!(modes.contains("100755 blob") && modes.contains("120000 blob"));
    assert_eq!(claim.left_out, [""; 0]);
    // A tracked file that became a FIFO cannot be added; it is told, and nothing else is lost.
    assert!(claim.notes.iter().all(|note| note.contains("could not be added")), "{claim:?}");
}

#[test]
fn what_git_takes_under_no_name_is_told() {
    let world = World::new();
    // A name that means `.git` on other systems: git refuses it everywhere.
    let claim = world.agent("mkdir 'git~1' && echo x > 'git~1/work'; echo a > a");
    assert_eq!(claim.left_out, ["git~1/work"], "{claim:?}");
    assert!(world.imported().files().contains(&"a".to_owned()));
}

/// Of files that nobody committed, those come that the gate lets through; what the agent committed
/// itself is its word, and comes whatever the gate will say.
#[test]
fn a_new_file_that_no_gate_lets_through_stays_out_and_is_told() {
    let world = World::new();
    let script = "truncate -s 20M fits; truncate -s 20971521 big; truncate -s 300M core; \
        echo '*.iso' >> .gitignore; truncate -s 21M staged forced.iso; git add staged; \
        git add -f forced.iso; truncate -s 21M mine; git add mine; git commit -q -m mine mine; \
        git rm -q --cached mine; echo a > a; git add a; truncate -s 21M README.md";
    let claim = world.agent(script);
    assert_eq!(claim.left_out, ["big", "core", "forced.iso", "staged"], "{claim:?}");
    assert!(
        told(&claim).contains("left out, too big, closed or not movable: big, core"),
        "{claim:?}"
    );
    let imported = world.imported();
    assert_eq!(imported.subjects(), ["Work that was left uncommitted", "mine"]);
    let files = imported.files();
    let came = |name: &&str| files.iter().any(|file| file == name);
    let names = ["a", "big", "core", "fits", "forced.iso", "mine", "staged"];
    assert_eq!(names.into_iter().filter(came).collect::<Vec<_>>(), ["a", "fits", "mine"]);
    // Tracked before: to leave it out would be to say that it did not change.
    assert_eq!(imported.text("README.md").len(), 21 << 20);
}

#[test]
fn hidden_changes_are_found() {
    let world = World::new();
    let script = "git update-index --assume-unchanged README.md; echo 1 > README.md; \
        git update-index --skip-worktree src/lib.rs; echo 2 > src/lib.rs";
    world.agent(script);
    let imported = world.imported();
    assert_eq!(imported.text("README.md"), "1\n");
    assert_eq!(imported.text("src/lib.rs"), "2\n");
}

#[test]
fn a_sparse_checkout_deletes_nothing() {
    let world = World::new();
    world.agent("git sparse-checkout set src; test ! -e dir; echo 2 > src/lib.rs");
    let imported = world.imported();
    assert!(imported.files().contains(&"dir/deep/file.txt".to_owned()));
    assert_eq!(imported.text("src/lib.rs"), "2\n");
}

#[test]
fn a_change_of_the_same_size_in_the_same_second_is_seen() {
    let world = World::new();
    for _ in 0..3 {
        let script = "printf 'aaaa' > racy; git add racy; printf 'bbbb' > racy";
        world.agent(script);
        assert_eq!(world.imported().text("racy"), "bbbb");
    }
}

#[test]
fn modes_that_forbid_reading_and_writing_lose_nothing() {
    if !as_ordinary_user("inside::commit::modes_that_forbid_reading_and_writing_lose_nothing") {
        return;
    }
    let world = World::new();
    let script = "mkdir -p closed/in; echo c > closed/in/c; echo s > secret; chmod 000 secret; \
        chmod 000 closed; mkdir ro; echo r > ro/r; chmod 500 ro; echo x >> README.md";
    let claim = world.agent(script);
    assert_eq!((claim.notes, claim.error), (vec![], None));
    let imported = world.imported();
    for (file, text) in [("closed/in/c", "c\n"), ("secret", "s\n"), ("ro/r", "r\n")] {
        assert_eq!(imported.text(file), text);
    }
    sh(&world.places.workspace, "chmod -R u+rwX .");
}

#[test]
fn a_failed_agent_and_one_that_was_killed_leave_their_work_too() {
    let world = World::new();
    assert_eq!(world.carry_out(Job::Agent(world.job("echo a > a; exit 3"))), 3);
    assert_eq!(world.imported().text("a"), "a\n");
    assert_eq!(world.carry_out(Job::Agent(world.job("echo b > b; kill -9 $$"))), 137);
    assert_eq!(world.imported().text("b"), "b\n");
    assert_eq!(world.out_text("agent-exit.json"), r#"{"signal":9}"#);
}

#[test]
fn a_stop_ends_the_agent_and_saves_its_work() {
    let world = World::new();
    let mut job =
        world.job("echo a > a; echo started > ../started; trap '' TERM; while :; do sleep 1; done");
    job.grace_seconds = 1;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let order = InsideOrder { forward: Vec::new(), job: Job::Agent(job) };
    let code = std::thread::scope(|scope| {
        let run = scope.spawn(|| carry_out(&order, &world.places, &stop).unwrap());
        super::checkpoint::wait_for(|| world.folder.path().join("started").exists());
        flag.store(true, Ordering::Relaxed);
        run.join().unwrap()
    });
    assert_eq!(code, 137);
    assert_eq!(world.imported().text("a"), "a\n");
}

#[test]
fn an_agent_that_only_looks_leaves_no_claim() {
    let world = World::new();
    let mut job = world.job("echo a > a");
    job.range_base = None;
    assert_eq!(world.carry_out(Job::Agent(job)), 0);
    assert!(!world.places.out.join("claim.json").exists());
    assert!(!world.places.out.join("work.bundle").exists());
}

#[test]
fn the_prompt_and_the_files_reach_the_agent() {
    let world = World::new();
    let mut job =
        world.job("cat > prompt; cp \"$SETTINGS\" settings; stat -c %a \"$SETTINGS\" > mode");
    job.stdin = "p".repeat(300_000);
    let settings = world.places.home.join(".config/agent/settings.json");
    job.env.insert("SETTINGS".to_owned(), settings.display().to_string());
    job.files.insert(settings, "{}".to_owned());
    world.run(job);
    let imported = world.imported();
    assert_eq!(imported.text("prompt").len(), 300_000);
    assert_eq!(imported.text("settings"), "{}");
    assert_eq!(imported.text("mode"), "600\n");
}

#[test]
fn a_program_that_is_not_there_is_found_before_the_run() {
    let world = World::new();
    let mut job = world.job("");
    job.argv = vec!["/nonexistent/agent".to_owned()];
    assert_eq!(world.carry_out(Job::Agent(job)), 198);
    assert!(world.out_text("self-test.json").contains(r#""what":"agent""#));
}
