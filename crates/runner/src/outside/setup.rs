//! Installs dependencies in a sandbox with a way to the registries, and keeps of the result
//! only what a layer may hold.

use std::fs;
use std::path::{Path, PathBuf};

use midwatch_api::order::{Workspace, inside};
use midwatch_api::report::Ending;

use super::checkout::{fresh_name, place};
use super::ground::{Ground, Layer, at};
use super::harvest;
use super::merged::Merged;
use super::room::{Room, forwards};
use super::run::{Idle, Run, Site, Stopped, ending, internal};
use super::scene::{DEPS_HOME, DEPS_UNTRACKED, DEPS_WORKSPACE, Folders, prepare};
use crate::inside_order::{InsideOrder, Job};

/// What the order says.
pub(super) struct Setup<'a> {
    /// The commit whose lock files count.
    pub(super) workspace: &'a Workspace,
    /// For `sh -c`.
    pub(super) command: &'a str,
    /// The layer to make.
    pub(super) deps: &'a Path,
    /// Folders of HOME to keep.
    pub(super) keep_home: &'a [PathBuf],
}

/// The layers of a setup, all beside the layer to be, so that files are moved and not copied.
struct Places {
    fresh: PathBuf,
    /// Takes the commit's own files.
    prepared: Layer,
    /// What is to become the layer.
    made: PathBuf,
}

/// Carries it out.
pub(super) fn carry_out(
    run: &mut Run<'_>,
    ground: &mut Ground,
    work: &Setup<'_>,
) -> Result<Ending, Stopped> {
    let order = run.order;
    if work.deps.exists() {
        return Ok(Ending::Exited { code: 0 });
    }
    let fresh = ground.show_parent(work.deps)?.join(fresh_name(work.deps, order));
    super::folder::remove_tree(&fresh).map_err(at("removing", &fresh))?;
    ground.make(&fresh)?;
    let places = Places {
        prepared: Layer::thrown_away(fresh.join("prepared")),
        made: fresh.join("made"),
        fresh: fresh.clone(),
    };
    ground.layer(&places.prepared)?;
    for folder in
        [places.made.clone(), places.made.join(DEPS_WORKSPACE), places.made.join(DEPS_HOME)]
    {
        ground.make(&folder)?;
    }
    let upper = Layer::new(fresh.join("upper"));
    let home = Layer::new(fresh.join("home"));
    let folders = Folders::make(ground, order, work.workspace, upper, home)?;
    let mut site = run.enter(ground)?;
    site.watched = vec![folders.upper.folder().to_owned(), folders.home.folder().to_owned()];
    let ended = install(run, &mut site, ground, &folders, &places, work);
    folders.clear(&site.entered, &ground.folder, &[&places.fresh]);
    ended
}

fn install(
    run: &mut Run<'_>,
    site: &mut Site,
    ground: &Ground,
    folders: &Folders,
    places: &Places,
    work: &Setup<'_>,
) -> Result<Ending, Stopped> {
    let order = run.order;
    let home = folders.merge_home(&site.entered, &run.around)?;
    // The commit's files are a layer of their own, beneath what setup writes: so what is
    // tracked is known without asking git about a tree that setup has touched.
    let (lowers, tracked) = if work.workspace.commit.is_some() {
        let merged = folders.merge_workspace(&site.entered, &folders.lowers, &places.prepared)?;
        prepare(run, site, folders, work.workspace, &merged, &home)?;
        if merged.is_copy() {
            (vec![places.prepared.copy()], vec![places.prepared.copy()])
        } else {
            let mut lowers = vec![places.prepared.upper()];
            lowers.extend(folders.lowers.iter().cloned());
            (lowers, vec![places.prepared.upper(), work.workspace.base.clone()])
        }
    } else {
        (folders.lowers.clone(), vec![work.workspace.base.clone()])
    };
    let merged = folders.merge_workspace(&site.entered, &lowers, &folders.upper)?;
    site.fresh = !merged.is_copy() && !home.is_copy();
    run.phase("command");
    let mut room = Room::new(order, &run.around);
    room.sockets(order);
    if let Some(commit) = &work.workspace.commit {
        room.look(&commit.pack, inside::PACK);
    }
    folders.furnish_inside(&mut room, order);
    Folders::furnish(&mut room, &merged, &home);
    let job = InsideOrder {
        forward: forwards(order),
        job: Job::Setup { command: work.command.to_owned() },
    };
    let watched = run.inside(site, &room.policy(), &job, Idle::Counts)?;
    let ended = ending(&watched);
    if ended != (Ending::Exited { code: 0 }) {
        return Ok(ended);
    }
    run.phase("harvest");
    let sources = (written(&merged, &folders.upper), written(&home, &folders.home));
    drop((merged, home));
    keep(site, ground, places, work, &tracked, &sources)?;
    Ok(ended)
}

/// Where what was written is found.
fn written(merged: &Merged, layer: &Layer) -> PathBuf {
    if merged.is_copy() { layer.copy() } else { layer.upper() }
}

fn keep(
    site: &Site,
    ground: &Ground,
    places: &Places,
    work: &Setup<'_>,
    tracked: &[PathBuf],
    (workspace, home): &(PathBuf, PathBuf),
) -> Result<(), Stopped> {
    let resolve = |path: &Path| site.entered.resolve(path);
    let made = resolve(&places.made);
    let tracked: Vec<PathBuf> = tracked.iter().map(|tree| resolve(tree)).collect();
    let fail = |error: harvest::HarvestError| internal(&format!("keeping dependencies: {error}"));
    let untracked =
        harvest::workspace(&resolve(workspace), &tracked, &made.join(DEPS_WORKSPACE), ground.owner)
            .map_err(fail)?;
    harvest::home(&resolve(home), work.keep_home, &made.join(DEPS_HOME), ground.owner)
        .map_err(fail)?;
    let untracked: Vec<String> =
        untracked.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let bytes = serde_json::to_vec(&untracked).map_err(|error| internal(&error))?;
    fs::write(made.join(DEPS_UNTRACKED), bytes).map_err(|error| internal(&error))?;
    place(&made, &resolve(work.deps)).map_err(|error| internal(&error))?;
    Ok(())
}
