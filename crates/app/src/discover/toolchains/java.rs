//! Java homes, by `JAVA_HOME` or PATH.

use std::path::Path;

use super::{Collected, SYSTEM};

/// Whether a folder is a Java home.
pub(super) fn is_home(folder: &Path) -> bool {
    folder.join("bin/java").is_file() && folder.join("release").is_file()
}

/// `JAVA_HOME`, which build tools look at even where another `java` is on PATH. One of the
/// system's is seen under its own path.
pub(super) fn from_variable(collected: &mut Collected<'_>) {
    let Some(home) = collected.environment().path("JAVA_HOME") else {
        return;
    };
    let Ok(home) = home.canonicalize() else {
        return;
    };
    let system = SYSTEM.iter().any(|system| home.starts_with(system));
    if is_home(&home) && !system {
        let env = [("JAVA_HOME", "{}".to_owned())];
        collected.add("java", &home, Some(Path::new("bin")), &env);
    }
}
