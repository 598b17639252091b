//! Bundles that mirrors keep as files: git refused what is in them, or their commits. No event
//! names all of them.

use std::path::Path;

use midwatch_api::view::ResultLine;
use midwatch_core::ports::ActOnLand;

use super::Server;
use crate::access::Access;
use crate::store::TaskRow;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Adds a note for each that the result does not name as its saved work.
    pub(super) fn note_files(&self, row: &TaskRow, result: &mut ResultLine) {
        let mirror = self.folder.mirror(row.order.repository.identity());
        let told = result.rescue_ref.clone();
        result.notes.extend(self.file_notes(&row.name, &mirror, told.as_deref().map(Path::new)));
    }

    /// A note for each of a task, oldest first, but for one that is told of elsewhere.
    pub(super) fn file_notes(&self, task: &str, mirror: &Path, told: Option<&Path>) -> Vec<String> {
        let Some(saved) = &self.settings.saved else { return vec![] };
        let bundles = saved.bundles(mirror).unwrap_or_else(|error| {
            tracing::warn!(mirror = %mirror.display(), error, "its bundles are not known");
            vec![]
        });
        let files = bundles.into_iter().filter(|bundle| bundle.task == task);
        let files = files.map(|bundle| bundle.path).filter(|file| Some(file.as_path()) != told);
        files.map(|file| format!("{KEPT} {}", file.display())).collect()
    }
}

/// What such a file is to people.
const KEPT: &str = "what git refused is kept as it was in the bundle";
