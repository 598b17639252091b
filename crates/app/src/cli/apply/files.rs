//! Files, folders and standard input, read within bounds.

use std::io::Read;
use std::path::{Path, PathBuf};

use midwatch_api::document::{self, Document};
use midwatch_api::object::MAX_FILE_BYTES;

use super::refused;
use crate::environment::Environment;
use crate::problem::Problem;

/// The most files of a folder, and of a command.
const FILES_MAX: usize = 1000;
/// The most bytes of all files together.
const TOTAL_MAX: usize = 16 << 20;

/// Reads every object; what is wrong in any file is told at once.
pub(super) fn read(environment: &Environment, paths: &[PathBuf]) -> Result<Vec<Document>, Problem> {
    let mut sources = Vec::new();
    for path in paths {
        sources.extend(named(environment, path)?);
    }
    if sources.len() > FILES_MAX {
        let rule = format!("names over {FILES_MAX} files");
        return Err(Problem::usage("--file", "", &rule, "apply them in several steps"));
    }
    let (mut documents, mut faults, mut total) = (Vec::new(), Vec::new(), 0);
    for (name, path) in sources {
        let bytes = bytes(&name, path.as_deref())?;
        total += bytes.len();
        if total > TOTAL_MAX {
            let rule = format!("names files of over {TOTAL_MAX} bytes together");
            return Err(Problem::usage("--file", "", &rule, "apply them in several steps"));
        }
        match document::read(&name, &bytes) {
            Ok(found) => documents.extend(found),
            Err(found) => faults.extend(found),
        }
    }
    if !faults.is_empty() {
        return Err(refused(&faults));
    }
    if documents.is_empty() {
        let fix = "write apiVersion, kind, metadata and spec into one";
        return Err(Problem::usage("--file", "", "names files without any object", fix));
    }
    Ok(documents)
}

/// A file's name for people, and its path; none is standard input.
type Named = (String, Option<PathBuf>);

fn named(environment: &Environment, path: &Path) -> Result<Vec<Named>, Problem> {
    if path == Path::new("-") {
        return Ok(vec![("-".to_owned(), None)]);
    }
    let place = environment.folder().join(path);
    let shown = path.to_string_lossy().into_owned();
    if !place.is_dir() {
        return Ok(vec![(shown, Some(place))]);
    }
    let unread = |error: std::io::Error| unreadable(&shown, &error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&place).map_err(unread)? {
        let entry = entry.map_err(unread)?.path();
        let ours = entry.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if ours && !entry.is_dir() {
            let name = path.join(entry.file_name().unwrap_or_default());
            found.push((name.to_string_lossy().into_owned(), Some(entry)));
        }
    }
    if found.is_empty() {
        let rule = "is a folder without a file that ends in .yaml or .yml";
        return Err(Problem::usage("--file", &shown, rule, "name the file"));
    }
    found.sort();
    Ok(found)
}

fn unreadable(shown: &str, error: &std::io::Error) -> Problem {
    let rule = format!("cannot be read ({error})");
    Problem::usage("--file", shown, &rule, "give a YAML file, a folder, or -")
}

/// No more than a file may hold, and one byte that tells.
fn bytes(name: &str, path: Option<&Path>) -> Result<Vec<u8>, Problem> {
    let most = MAX_FILE_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = match path {
        None => std::io::stdin().lock().take(most).read_to_end(&mut bytes),
        Some(path) => {
            std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
        }
    };
    read.map_err(|error| unreadable(name, &error))?;
    Ok(bytes)
}
