//! A workspace and a HOME as a sandbox sees them, in the order in which they come about:
//! folders made while still root, layers merged after.

use std::fs;
use std::path::{Path, PathBuf};

use midwatch_api::order::{Order, Workspace, inside};
use midwatch_sandbox::prelude::Entered;

use super::environment::{Surroundings, java_bundle};
use super::ground::{Failure, Ground, Layer, at};
use super::merged::{MergeError, Merged};
use super::room::{INSIDE_FILE, Room, TRUST_STORE_FILE};
use super::run::{Idle, Run, Site, Stopped, ours};
use super::trust_store;
use crate::inside_order::{InsideOrder, Job};
use midwatch_api::report::{Ending, out_folder};

/// A deps layer's part for the workspace.
pub(super) const DEPS_WORKSPACE: &str = "workspace";
/// A deps layer's part for HOME.
pub(super) const DEPS_HOME: &str = "home";
/// The topmost untracked paths of a deps layer, a JSON list.
pub(super) const DEPS_UNTRACKED: &str = "untracked.json";

/// What a run only hands in, below its folder.
const HANDED_IN: [&str; 3] = ["home-files", INSIDE_FILE, TRUST_STORE_FILE];
/// Places to mount on, innermost first. Never removed with what is in them: while something is
/// still mounted, that is somebody's work.
const MOUNT_POINTS: [&str; 4] = ["mnt/workspace", "mnt/home", "mnt", "stage"];

/// Folders made, nothing merged yet.
#[derive(Debug)]
pub(super) struct Folders {
    /// Below the workspace, topmost first: base, deps.
    pub(super) lowers: Vec<PathBuf>,
    home_lowers: Vec<PathBuf>,
    home_files: PathBuf,
    mnt: PathBuf,
    /// Takes what is written to the workspace.
    pub(super) upper: Layer,
    /// Takes what is written to HOME.
    pub(super) home: Layer,
    /// Where the inside leaves results.
    pub(super) out: PathBuf,
    /// The base, whose configuration guards an agent's.
    base: PathBuf,
}

impl Folders {
    /// Makes them.
    pub(super) fn make(
        ground: &mut Ground,
        order: &Order,
        workspace: &Workspace,
        upper: Layer,
        home: Layer,
    ) -> Result<Self, Failure> {
        let home_files = ground.fresh("home-files")?;
        let mut home_lowers = vec![home_files.clone()];
        if !workspace.base.join(".git").is_dir() {
            return Err(format!("there is no base at {}", workspace.base.display()));
        }
        let base = workspace.base.clone();
        ground.show(&base);
        let mut lowers = vec![base.clone()];
        for deps in &workspace.deps {
            ground.show(deps);
            let parts = [(DEPS_WORKSPACE, &mut lowers), (DEPS_HOME, &mut home_lowers)];
            for (name, list) in parts {
                let part = deps.join(name);
                if part.is_dir() {
                    list.push(part);
                }
            }
        }
        if let Some(commit) = &workspace.commit {
            ground.show(&commit.pack);
        }
        ground.layer(&upper)?;
        ground.layer(&home)?;
        let out = out_folder(&ground.folder);
        ground.fresh("out")?;
        let mnt = ground.fresh("mnt")?;
        for path in order.toolchains.iter().map(|toolchain| &toolchain.folder) {
            if !path.exists() {
                return Err(format!("toolchain folder {} is not there", path.display()));
            }
            ground.show(path);
        }
        if let Some(bundle) = &order.ca_bundle {
            ground.show(bundle);
        }
        if let Some(bundle) = java_bundle(order) {
            let pem = fs::read(bundle).map_err(at("reading", bundle))?;
            ground.put(&ground.folder.join(TRUST_STORE_FILE), &trust_store::of_pem(&pem))?;
        }
        if let Some(door) = &order.broker {
            ground.show(&door.folder);
        }
        Ok(Self { lowers, home_lowers, home_files, mnt, upper, home, out, base })
    }

    /// HOME, with its settings files beneath what is written to it.
    pub(super) fn merge_home(
        &self,
        entered: &Entered,
        around: &Surroundings,
    ) -> Result<Merged, Stopped> {
        let files = entered.resolve(&self.home_files);
        for (name, text) in &around.home_files {
            let path = files.join(name);
            let made = path
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(&path, text));
            made.map_err(at("writing", &path))?;
        }
        self.merge(entered, &self.home_lowers, &self.home, "home").map_err(Stopped::from)
    }

    /// The workspace over these layers.
    pub(super) fn merge_workspace(
        &self,
        entered: &Entered,
        lowers: &[PathBuf],
        upper: &Layer,
    ) -> Result<Merged, Stopped> {
        self.merge(entered, lowers, upper, "workspace").map_err(Stopped::from)
    }

    fn merge(
        &self,
        entered: &Entered,
        lowers: &[PathBuf],
        layer: &Layer,
        name: &str,
    ) -> Result<Merged, Failure> {
        let mount_point = self.mnt.join(name);
        let made = entered.resolve(&mount_point);
        match fs::create_dir(&made) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(at("making", &made)(error));
            }
            Ok(()) | Err(_) => {}
        }
        Merged::show(entered, lowers, layer, &mount_point)
            .map_err(|error: MergeError| error.to_string())
    }

    /// Binds HOME and the workspace.
    pub(super) fn furnish(room: &mut Room, workspace: &Merged, home: &Merged) {
        room.write(&home.folder, inside::HOME).write(&workspace.folder, inside::WORKSPACE);
    }

    /// Binds the inside half's order and the folder for its results.
    pub(super) fn furnish_inside(&self, room: &mut Room, order: &Order) {
        room.look(&order.folder.join(INSIDE_FILE), inside::ORDER).write(&self.out, inside::OUT);
    }

    /// Makes the repository's configuration and hooks read-only in a workspace that nobody has
    /// written to yet.
    pub(super) fn guard_git(&self, entered: &Entered, room: &mut Room) {
        for name in [".git/config", ".git/hooks"] {
            let ours = self.base.join(name);
            if entered.resolve(&ours).exists() {
                room.guard(&ours, Path::new(inside::WORKSPACE).join(name));
            }
        }
    }

    /// Removes what was only mounted or handed in, and more that the kind of work throws away.
    /// To be called when nothing is merged any more. Best effort: the run's folder is removed
    /// with its run.
    pub(super) fn clear(&self, entered: &Entered, folder: &Path, more: &[&Path]) {
        let folder = entered.resolve(folder);
        for name in HANDED_IN {
            let _ = super::folder::remove_tree(&folder.join(name));
        }
        for name in MOUNT_POINTS {
            let _ = fs::remove_dir(folder.join(name));
        }
        for path in more {
            let _ = super::folder::remove_tree(&entered.resolve(path));
        }
        for layer in [&self.upper, &self.home] {
            let _ = midwatch_sandbox::overlay::clear_work(&entered.resolve(&layer.work()));
        }
    }
}

/// Checks the workspace's commit out, where it has one on top of its base: a sandbox of its
/// own, before anything of the repository runs.
pub(super) fn prepare(
    run: &mut Run<'_>,
    site: &mut Site,
    folders: &Folders,
    workspace: &Workspace,
    merged: &Merged,
    home: &Merged,
) -> Result<(), Stopped> {
    let Some(commit) = &workspace.commit else {
        return Ok(());
    };
    run.phase("prepare");
    let mut room = Room::new(run.order, &run.around);
    room.look(&commit.pack, inside::PACK);
    folders.furnish_inside(&mut room, run.order);
    Folders::furnish(&mut room, merged, home);
    let job = InsideOrder {
        forward: Vec::new(),
        job: Job::Prepare { pack: inside::PACK.into(), commit: commit.id.clone() },
    };
    let watched = run.inside(site, &room.policy(), &job, Idle::Ignored)?;
    match ours(run, &watched) {
        Ending::Exited { .. } => Ok(()),
        other => Err(other.into()),
    }
}

/// The untracked paths of the deps layers, which an agent's commit leaves out.
pub(super) fn untracked(workspace: &Workspace) -> Vec<String> {
    let mut paths: Vec<String> = workspace
        .deps
        .iter()
        .filter_map(|deps| fs::read(deps.join(DEPS_UNTRACKED)).ok())
        .filter_map(|bytes| serde_json::from_slice::<Vec<String>>(&bytes).ok())
        .flatten()
        .collect();
    paths.sort();
    paths.dedup();
    paths
}
