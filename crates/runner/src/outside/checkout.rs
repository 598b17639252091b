//! Makes a base: packs hard-linked outside, the checkout inside, the result by rename.
//!
//! Nothing waits for the disk here. The base says which boot it was made in, and counts no longer
//! than that until somebody has brought it to the disk ([`midwatch_api::order::base`]).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use midwatch_api::order::base::{MADE_FILE, made_text};
use midwatch_api::order::{Order, inside};
use midwatch_api::report::Ending;

use super::bases;
use super::ground::{Failure, Ground, at, link_packs};
use super::identity;
use super::room::{INSIDE_FILE, Room};
use super::run::{Idle, Run, Site, Stopped, internal, ours};
use crate::inside_order::{InsideOrder, Job};

/// HOME of a checkout: git is told to look for nothing there.
const HOME_BYTES: u64 = 1 << 20;

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
    let boot = identity::boot_id().map_err(at("reading the boot's name for", work.base))?;
    let parent = ground.show_parent(work.base)?;
    if bases::keep_or_set_aside(work.base, &boot).map_err(at("looking at", work.base))? {
        return Ok(Ending::Exited { code: 0 });
    }
    let fresh = parent.join(fresh_name(work.base, order));
    super::folder::remove_tree(&fresh).map_err(at("removing", &fresh))?;
    let packs = fresh.join(".git/objects/pack");
    make_packs(ground, work.upstream, &fresh, &packs)?;
    ground.fresh("out")?;

    let mut site = run.enter(ground)?;
    site.watched = vec![fresh.clone()];
    // The linked packs are there already.
    site.fresh = false;
    let target = site.entered.resolve(work.base);
    bases::begin_from_another(&site.entered.resolve(&fresh), &target, &boot);
    run.phase("checkout");
    let mut made = check_out(run, &mut site, &fresh, &packs, work);
    let resolved = site.entered.resolve(&fresh);
    if let Ok(Ending::Exited { code: 0 }) = made {
        let text = made_text(&boot, &order.run, order.epoch, std::process::id());
        made = finish(&resolved, &target, &text)
            .map(|()| Ending::Exited { code: 0 })
            .map_err(|error| internal(&error));
    }
    let _ = super::folder::remove_tree(&resolved);
    let folder = site.entered.resolve(&ground.folder);
    let _ = fs::remove_file(folder.join(INSIDE_FILE));
    let _ = fs::remove_dir(folder.join("stage"));
    Ok(made?)
}

/// The sandbox in which git makes the files: nothing of the host but the packs, and no layers
/// to take down after it.
fn check_out(
    run: &mut Run<'_>,
    site: &mut Site,
    fresh: &Path,
    packs: &Path,
    work: &Checkout<'_>,
) -> Result<Ending, Ending> {
    let mut room = Room::bare(run.order, &run.around);
    room.look(&run.order.folder.join(INSIDE_FILE), inside::ORDER);
    room.empty(inside::HOME, HOME_BYTES).write(fresh, inside::WORKSPACE);
    // The packs are the upstream store's own files.
    room.guard(packs, Path::new(inside::WORKSPACE).join(".git/objects/pack"));
    let job = InsideOrder {
        forward: Vec::new(),
        job: Job::Checkout {
            folder: inside::WORKSPACE.into(),
            commit: work.commit.to_owned(),
            workers: work.workers,
        },
    };
    run.inside(site, &room.policy(), &job, Idle::Ignored).map(|watched| ours(run, &watched))
}

/// Marks what was made and puts it in its place.
fn finish(fresh: &Path, target: &Path, text: &str) -> io::Result<()> {
    // A place to mount on, in every workspace of this base.
    fs::create_dir_all(fresh.join(".git/hooks"))?;
    let mark: PathBuf = fresh.join(MADE_FILE);
    match fs::remove_file(&mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::write(&mark, text)?;
    place(fresh, target)
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
