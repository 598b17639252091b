//! The program that makes sandboxes is gone: nothing of a repository runs without one.

use std::path::Path;

use rustix::process::Signal;

use super::gate::Gate;
use super::ground::Ground;
use super::until;

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

    fn escaped(&self) -> bool {
        self.house.home().join(ESCAPED).exists()
    }
}

#[test]
fn without_bubblewrap_no_task_is_taken() {
    let Some(ground) = Ground::apart("") else { return };
    ground.without_bubblewrap();
    let mark = ground.house.home().join(ESCAPED);
    let goal = format!("do: run touch {}\ndo: write made x", mark.display());
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
}

#[test]
fn a_run_whose_sandbox_cannot_be_made_is_held_and_goes_on_when_it_can() {
    let Some(ground) = Ground::apart("") else { return };
    let gate = Gate::new();
    let server = ground.serve(&[]);
    // Every layer was found: from here on only a runner can notice.
    ground.begin("t", &format!("do: run {}\ndo: write made x", gate.command()), "", &[]);
    gate.reached();
    ground.without_bubblewrap();
    gate.open(Signal::TERM);
    let told = ground.in_state("t", "Held");
    assert_eq!(told["reason"], "SandboxUnavailable", "{told}");
    assert_eq!(ground.branches(), "", "no check ran, so nothing is handed over");
    assert!(!Path::new(&ground.house.home()).join(ESCAPED).exists());
    ground.with_bubblewrap();
    assert_eq!(ground.midwatch(&["resume", "t"]).code, Some(0));
    ground.wait("t").is_done();
    assert_eq!(ground.story("t").runs("Agent").len(), 1, "its work was kept meanwhile");
    until("the end", || ground.result("t")["state"] == "Done");
    drop(server);
}
