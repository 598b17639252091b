//! Rules of paths, wherever one is written: in an object, in an order.

use std::path::{Component, Path};

use midwatch_core::input::InvalidInput;

/// Absolute, and fit to be shown. Whether anything is there is seen on the machine.
pub(crate) fn absolute(field: &str, path: &Path, example: &str) -> Result<(), InvalidInput> {
    let text = path.to_string_lossy();
    if !path.is_absolute() || climbs(path) || text.contains(char::is_control) {
        let rule = "is no absolute path without '..' and control characters";
        return Err(InvalidInput::new(field, &text, rule, &format!("for example {example}")));
    }
    Ok(())
}

/// Below a folder, whose name is for people.
pub(crate) fn below(
    field: &str,
    path: &Path,
    folder: &str,
    example: &str,
) -> Result<(), InvalidInput> {
    let text = path.to_string_lossy();
    if path.is_absolute() || climbs(path) || text.contains(char::is_control) {
        let rule = format!("leaves {folder}");
        let fix = format!("give a path below it, such as {example}");
        return Err(InvalidInput::new(field, &text, &rule, &fix));
    }
    Ok(())
}

fn climbs(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}
