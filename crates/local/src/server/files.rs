//! Bundles that mirrors keep as files: git refused what is in them, or their commits. No event
//! names all of them.

use std::path::{Path, PathBuf};

use midwatch_api::view::ResultLine;
use midwatch_core::ports::ActOnLand;

use super::Server;
use crate::access::Access;
use crate::store::TaskRow;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Adds a note for each that the result does not name as its saved work.
    pub(super) fn note_files(&self, row: &TaskRow, result: &mut ResultLine) {
        let mirror = self.folder.mirror(row.order.repository.identity());
        let told = result.rescue_ref.clone().map(PathBuf::from);
        let files = self.files(row.name.as_str(), &mirror);
        let files = files.into_iter().filter(|file| Some(file) != told.as_ref());
        let note = |file: PathBuf| format!("{KEPT} {}", file.display());
        result.notes.extend(files.map(note));
    }

    /// Those of a task, oldest first.
    pub(super) fn files(&self, task: &str, mirror: &Path) -> Vec<PathBuf> {
        let Some(saved) = &self.settings.saved else { return vec![] };
        let bundles = saved.bundles(mirror).unwrap_or_else(|error| {
            tracing::warn!(mirror = %mirror.display(), error, "its bundles are not known");
            vec![]
        });
        let of_it = bundles.into_iter().filter(|bundle| bundle.task == task);
        of_it.map(|bundle| bundle.path).collect()
    }
}

/// What such a file is to people.
pub(super) const KEPT: &str = "what git refused is kept as it was in the bundle";
