//! Makes a base: packs hard-linked outside, the checkout inside, the result by rename.

use std::fs;
use std::io;
use std::path::Path;

use midwatch_api::order::{Order, inside};
use midwatch_api::report::Ending;

use super::ground::{Failure, Ground, Layer, at, link_packs};
use super::room::Room;
use super::run::{Idle, Run, Stopped, internal, ours};
use super::scene::Folders;
use crate::inside_order::{InsideOrder, Job};

/// What the order says.
pub(super) struct Checkout<'a> {
    /// The commit.
    pub(super) commit: &'a str,
    /// The store whose packs are linked.
    pub(super) upstream: &'a Path,
    /// Where the base is to be.
    pub(super) base: &'a Path,
    /// Of git's checkout.
    pub(super) workers: u32,
}

/// Carries it out. Another runner may make the same base at the same time: who renames first
/// wins, and the other's is as good.
pub(super) fn carry_out(
    run: &mut Run<'_>,
    ground: &mut Ground,
    work: &Checkout<'_>,
) -> Result<Ending, Stopped> {
    let order = run.order;
    if work.base.exists() {
        return Ok(Ending::Exited { code: 0 });
    }
    let fresh = ground.show_parent(work.base)?.join(fresh_name(work.base, order));
    super::folder::remove_tree(&fresh).map_err(at("removing", &fresh))?;
    let packs = fresh.join(".git/objects/pack");
    make_packs(ground, work.upstream, &fresh, &packs)?;
    let upper = Layer::new(ground.folder.join("upper"));
    let home = Layer::new(ground.folder.join("home"));
    let folders = Folders::make(ground, order, None, upper, home)?;

    let mut site = run.enter(ground)?;
    site.watched = vec![fresh.clone()];
    // The linked packs are there already.
    site.fresh = false;
    run.phase("checkout");
    let made = {
        let home = folders.merge_home(&site.entered, &run.around)?;
        let mut room = Room::new(order, &run.around);
        folders.furnish_inside(&mut room, order);
        room.write(&home.folder, inside::HOME).write(&fresh, inside::WORKSPACE);
        // The packs are the upstream store's own files.
        room.guard(&packs, Path::new(inside::WORKSPACE).join(".git/objects/pack"));
        let job = InsideOrder {
            forward: Vec::new(),
            job: Job::Checkout {
                folder: inside::WORKSPACE.into(),
                commit: work.commit.to_owned(),
                workers: work.workers,
            },
        };
        run.inside(&mut site, &room.policy(), &job, Idle::Ignored)
            .map(|watched| ours(run, &watched))
    };
    let resolved = (site.entered.resolve(&fresh), site.entered.resolve(work.base));
    let mut made = made;
    if let Ok(Ending::Exited { code: 0 }) = made {
        // A place to mount on, in every workspace of this base.
        let hooks = resolved.0.join(".git/hooks");
        let placed = fs::create_dir_all(&hooks).and_then(|()| place(&resolved.0, &resolved.1));
        made = placed.map(|()| Ending::Exited { code: 0 }).map_err(|error| internal(&error));
    }
    let _ = super::folder::remove_tree(&resolved.0);
    let (upper, home) = (folders.upper.clone(), folders.home.clone());
    folders.clear(&site.entered, &ground.folder, &[upper.folder(), home.folder()]);
    Ok(made?)
}

/// The name under which a result is made beside its place.
pub(super) fn fresh_name(place: &Path, order: &Order) -> String {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.new-{}-{}", order.run, order.epoch)
}

/// Puts a finished folder in its place. One that is there already is as good.
pub(super) fn place(fresh: &Path, target: &Path) -> io::Result<()> {
    match fs::rename(fresh, target) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn make_packs(ground: &Ground, upstream: &Path, fresh: &Path, packs: &Path) -> Result<(), Failure> {
    for folder in
        [fresh.to_owned(), fresh.join(".git"), fresh.join(".git/objects"), packs.to_owned()]
    {
        ground.make(&folder)?;
    }
    // Where a shallow store ends; without it git takes the missing parents for damage.
    match fs::read(upstream.join("shallow")) {
        Ok(marks) => ground.put(&fresh.join(".git/shallow"), &marks)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(at("reading the marks of", upstream)(error)),
    }
    link_packs(upstream, packs).map_err(at("linking packs of", upstream))
}
