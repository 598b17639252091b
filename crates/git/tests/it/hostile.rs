//! Attacks with git, each beside the control that it works against an ordinary git here.

mod config;
mod injection;
mod objects;
mod server;

use std::path::{Path, PathBuf};

use crate::sandbox::Sandbox;
use crate::world::World;

/// What all attacks came to.
#[derive(Default)]
pub(crate) struct Score {
    tried: usize,
    /// Attacks whose program ran.
    programs: Vec<&'static str>,
    /// Attacks whose object was taken.
    objects: Vec<&'static str>,
    no_control: Vec<&'static str>,
    broke: Vec<String>,
}

impl Score {
    fn add(&mut self, other: Self) {
        self.tried += other.tried;
        self.programs.extend(other.programs);
        self.objects.extend(other.objects);
        self.no_control.extend(other.no_control);
        self.broke.extend(other.broke);
    }
}

#[test]
fn hostile_git_vectors() {
    let attacks: [fn(&mut Score); 3] = [config::attack, injection::attack, objects::attack];
    let mut score = Score::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = attacks
            .into_iter()
            .map(|attack| {
                scope.spawn(move || {
                    let mut score = Score::default();
                    attack(&mut score);
                    score
                })
            })
            .collect();
        for thread in threads {
            score.add(thread.join().unwrap());
        }
    });
    println!(
        "hostile-git vectors tried {} / programs run {} / bad objects taken {}",
        score.tried,
        score.programs.len(),
        score.objects.len()
    );
    assert!(score.no_control.is_empty(), "the attack itself does not work: {:?}", score.no_control);
    assert!(score.broke.is_empty(), "our own work failed beside it: {:#?}", score.broke);
    assert!(score.programs.is_empty(), "{:?}", score.programs);
    assert!(score.objects.is_empty(), "{:?}", score.objects);
    let tried = format!("hostile-git vectors tried {}", score.tried);
    midwatch_testkit::counts::are_told(&tried);
}

/// A program that leaves a mark whenever it is run, and answers like one that succeeded.
pub(crate) struct Evil {
    pub(crate) program: PathBuf,
    mark: PathBuf,
}

impl Evil {
    pub(crate) fn in_world(world: &World) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let evil = Self { program: world.path().join("evil"), mark: world.path().join("mark") };
        let text = format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\nexit 0\n", evil.mark.display());
        std::fs::write(&evil.program, text).unwrap();
        std::fs::set_permissions(&evil.program, PermissionsExt::from_mode(0o755)).unwrap();
        evil
    }

    pub(crate) fn path(&self) -> &str {
        self.program.to_str().unwrap()
    }

    /// A copy of the program at a place where git looks for a hook.
    pub(crate) fn at(&self, path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(&self.program, path).unwrap();
    }

    /// How often it ran since it was asked last.
    pub(crate) fn runs(&self) -> usize {
        let text = std::fs::read_to_string(&self.mark).unwrap_or_default();
        let _ = std::fs::remove_file(&self.mark);
        text.lines().count()
    }
}

/// Everything that we do with a user's repository, one thing after the other.
pub(crate) fn tour(sandbox: &Sandbox) -> Result<(), String> {
    use midwatch_core::id::BranchName;
    use midwatch_git::deliver::{Delivery, deliver};
    use midwatch_git::{Checkout, diff, snapshot, worktree};
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (world, mirror) = (&sandbox.world, &sandbox.mirror);
    let git = &world.git;
    let checkout = Checkout::find(git, &world.repo()).map_err(|e| text(&e))?;
    checkout.head(git).map_err(|e| text(&e))?;
    checkout.origin(git).map_err(|e| text(&e))?;
    let head = checkout.resolve(git, "HEAD").map_err(|e| text(&e))?;
    checkout.tree_facts(git, &head).map_err(|e| text(&e))?;
    checkout.tree(git, &head).files().map_err(|e| text(&e))?;
    checkout.dirty(git, None).map_err(|e| text(&e))?;
    mirror.fetch_local(&checkout, &head).map_err(|e| text(&e))?;
    snapshot::snapshot(mirror, &checkout, None, "refs/midwatch/snapshot/t", 1)
        .map_err(|e| text(&e))?;
    sandbox.write("work", "w\n");
    sandbox.commit("work");
    sandbox.bundle("HEAD");
    let work = match sandbox.import() {
        Ok(midwatch_git::import::ImportOutcome::Imported(work)) => work,
        other => return Err(format!("{other:?}")),
    };
    diff::patch(mirror, &work.base, &work.commit).map_err(|e| text(&e))?;
    diff::stat(mirror, &work.base, &work.commit).map_err(|e| text(&e))?;
    let branch = BranchName::parse("midwatch/t").map_err(|e| text(&e))?;
    let delivery =
        Delivery { commit: &work.commit, branch: &branch, ours_at: None, protected: &[] };
    deliver(mirror, &checkout, &delivery).map_err(|e| text(&e))?;
    let folder = world.path().join("opened");
    worktree::open(mirror, &checkout, &work.commit, "t", &folder, None).map_err(|e| text(&e))
}
