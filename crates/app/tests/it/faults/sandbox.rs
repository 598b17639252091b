//! The program that makes sandboxes is gone: nothing of a repository runs without one.

use rustix::process::Signal;

use super::gate::Gate;
use super::ground::Ground;

/// Written by whatever runs outside of a sandbox.
const ESCAPED: &str = "escaped";

impl Ground {
    fn without_bubblewrap(&self) {
        self.sh("for f in /usr/bin/bwrap /usr/local/bin/bwrap /bin/bwrap; do \
                 test ! -e $f || mount --bind /dev/null $f; done");
    }

    fn with_bubblewrap(&self) {
        self.sh("for f in /usr/bin/bwrap /usr/local/bin/bwrap /bin/bwrap; do \
                 while umount $f 2>/dev/null; do :; done; done");
    }

    /// One that is killed as it begins, the first time only.
    fn bubblewrap_is_killed_once(&self) {
        self.sh("mkdir -m 777 \"$HOME/marks\" && cp /usr/bin/bwrap \"$HOME/marks/real\"; \
                 echo \"#!/bin/sh\ntest -e $HOME/marks/killed || \
                 { : > $HOME/marks/killed; kill -9 \\$\\$; }\nexec $HOME/marks/real \\\"\\$@\\\"\" \
                 > \"$HOME/marks/bwrap\"; chmod 755 \"$HOME/marks/bwrap\"; \
                 mount --bind \"$HOME/marks/bwrap\" /usr/bin/bwrap");
    }

    /// Leaves the mark, where it runs outside of a sandbox.
    fn touch(&self) -> String {
        format!("touch {}", self.house.home().join(ESCAPED).display())
    }

    fn escaped(&self) -> bool {
        self.house.home().join(ESCAPED).exists()
    }
}

#[test]
fn without_bubblewrap_no_task_is_taken() {
    let Some(ground) = Ground::apart("") else { return };
    ground.without_bubblewrap();
    let goal = format!("do: run {}\ndo: write made x", ground.touch());
    let told = ground.submit("t", &goal, "", &[]);
    assert_eq!(told.code, Some(6), "{}{}", told.stdout, told.stderr);
    assert!(told.stderr.contains("bubblewrap"), "{}", told.stderr);
    assert_eq!(ground.midwatch(&["get", "t"]).code, Some(2), "nothing was stored");
    assert!(!ground.escaped());
    // The control: with it, the same order is taken, and its mark stays inside.
    ground.with_bubblewrap();
    ground.begin("t", &goal, "", &[]);
    ground.wait("t").is_done();
    assert!(!ground.escaped(), "that path is another one inside");
    ground.sh(&ground.touch());
    assert!(ground.escaped(), "and outside it is seen");
}

#[test]
fn a_run_whose_sandbox_cannot_be_made_is_held_and_goes_on_when_it_can() {
    let Some(ground) = Ground::apart("") else { return };
    let gate = Gate::new();
    let server = ground.serve(&[]);
    // Every layer was found: from here on only a runner can notice.
    let goal = format!("do: run {}\ndo: write made x", gate.command());
    let check = format!("{}; test -e README", ground.touch());
    ground.begin("t", &goal, "", &["--check", &check]);
    gate.reached();
    ground.without_bubblewrap();
    gate.open(Signal::TERM);
    let told = ground.in_state("t", "Held");
    assert_eq!(told["reason"], "SandboxUnavailable", "{told}");
    assert_eq!(ground.branches(), "", "no check ran, so nothing is handed over");
    assert!(!ground.escaped(), "its check ran without a sandbox");
    ground.with_bubblewrap();
    assert_eq!(ground.midwatch(&["resume", "t"]).code, Some(0));
    ground.wait("t").is_done();
    assert_eq!(ground.story("t").runs("Agent").len(), 1, "its work was kept meanwhile");
    assert!(!ground.escaped());
    drop(server);
}

/// Killed from outside, by a person or for memory, is no word about the machine: nobody has to come.
#[test]
fn a_sandbox_that_is_killed_as_it_begins_is_made_again() {
    let Some(ground) = Ground::apart("") else { return };
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    let goal = format!("do: run {}\ndo: write made x", gate.command());
    ground.begin("t", &goal, "", &[]);
    gate.reached();
    ground.bubblewrap_is_killed_once();
    gate.open(Signal::TERM);
    ground.wait("t").is_done();
    let story = ground.story("t");
    assert_eq!(
        (story.runs("Agent").len(), story.runs("Check").len()),
        (1, 3),
        "on the base, killed, and again: {}",
        story.stdout
    );
    assert!(ground.house.home().join("marks/killed").exists());
}
