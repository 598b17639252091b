//! One check command on one commit: a sandbox to check the commit out, another for the command,
//! with nothing of ours in it but init.

use std::ffi::OsString;
use std::path::Path;

use midwatch_api::order::Workspace;
use midwatch_api::report::Ending;

use super::ground::{Ground, Layer};
use super::room::Room;
use super::run::{Idle, Run, Stopped, ending};
use super::scene::{Folders, prepare};

/// Carries it out; init's code, from bubblewrap's status descriptor, is the only verdict.
pub(super) fn carry_out(
    run: &mut Run<'_>,
    ground: &mut Ground,
    workspace: &Workspace,
    command: &str,
) -> Result<Ending, Stopped> {
    let order = run.order;
    let upper = Layer::thrown_away(ground.folder.join("upper"));
    let home = Layer::thrown_away(ground.folder.join("home"));
    let folders = Folders::make(ground, order, workspace, upper, home)?;
    let mut site = run.enter(ground)?;
    site.watched = vec![folders.upper.folder().to_owned(), folders.home.folder().to_owned()];
    let ended = (|| -> Result<Ending, Stopped> {
        let home = folders.merge_home(&site.entered, &run.around)?;
        let merged = folders.merge_workspace(&site.entered, &folders.lowers, &folders.upper)?;
        site.fresh = !merged.is_copy() && !home.is_copy();
        prepare(run, &mut site, &folders, workspace, &merged, &home)?;
        run.phase("command");
        let mut room = Room::new(order, &run.around);
        if let Some(commit) = &workspace.commit {
            // The checkout's objects are borrowed from it; git in a test may want them.
            room.look(&commit.pack, midwatch_api::order::inside::PACK);
        }
        Folders::furnish(&mut room, &merged, &home);
        let words = ["/bin/sh", "-c", command].map(OsString::from);
        Ok(ending(&run.sandbox(&mut site, &room.policy(), &words, Idle::Counts)?))
    })();
    let thrown: [&Path; 2] = [folders.upper.folder(), folders.home.folder()];
    folders.clear(&site.entered, &ground.folder, &thrown);
    ended
}
