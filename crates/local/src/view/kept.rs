//! Work that is nowhere but in a run's workspace: said wherever a task is shown.

use midwatch_api::report::LeftOut;
use midwatch_api::view::{KeptWork, ResultLine};
use midwatch_core::task::{Beside, Kept, Task};

use crate::folder::StateFolder;
use crate::retain::{LAYERS, holds};

/// What a task could not save, by run, with the runs' folders below `folder`.
pub(super) fn kept(task: &Task, folder: &StateFolder) -> Vec<KeptWork> {
    let files = |kept: &Kept| match kept {
        Kept::All => vec![],
        Kept::Files(files) => files
            .iter()
            .map(|file| LeftOut { path: file.path.clone(), bytes: file.bytes })
            .collect(),
    };
    let work = |(run, kept)| {
        let folder = folder.run(run).join("upper").to_string_lossy().into_owned();
        KeptWork { run: run.to_owned(), folder, files: files(kept) }
    };
    task.kept.iter().map(|(run, kept)| work((run.as_str(), kept))).collect()
}

/// Names whole folders in a result that was stored with relative ones, and says nothing of what
/// somebody has taken away: a folder, or single files in it.
pub fn place(result: &mut ResultLine, folder: &StateFolder) {
    result.kept.retain_mut(|work| {
        let run = folder.run(&work.run);
        let named = !work.files.is_empty();
        work.files.retain(|file| holds(&run, &file.path));
        let upper = folder.root().join(&work.folder);
        let layer = LAYERS.iter().map(|layer| upper.join(layer)).rfind(|layer| layer.is_dir());
        let place = layer.unwrap_or(upper);
        work.folder = place.to_string_lossy().into_owned();
        place.is_dir() && !(named && work.files.is_empty())
    });
}

/// Commits of an agent's that are on no branch of the task, and where they are.
pub(super) fn beside(beside: &Beside) -> Option<String> {
    let (names, place) = (beside.names.join(", "), beside.saved.as_ref()?);
    Some(format!("commits that are not on the branch ({names}) are saved under {place}"))
}

/// Why a task failed, with what that left unsaved.
pub(super) fn why(task: &Task, detail: &str) -> String {
    let lost = task.kept.values().any(|kept| *kept == Kept::All);
    let told = "; its work could not be saved, and stays in its workspace";
    format!("{detail}{}", if lost { told } else { "" })
}
