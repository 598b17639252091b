//! Folders with `bin` and more beside it, known by what is there: node (nvm, fnm, volta, a
//! global npm prefix), Python (a version, a virtual environment), Java, Ruby, Go.

use std::path::{Path, PathBuf};

use super::{Collected, java, label};

/// Below these, whoever put a `bin` there put all that is beside it there, too.
const OWN: [&str; 2] = ["/opt", "/home/linuxbrew"];

pub(super) fn look(collected: &mut Collected<'_>, real: &Path) -> bool {
    let Some(prefix) = real.parent().filter(|_| real.ends_with("bin")) else {
        return false;
    };
    let bin = Path::new("bin");
    if prefix.join("pyvenv.cfg").is_file() {
        virtual_environment(collected, prefix);
        return true;
    }
    if java::is_home(prefix) {
        collected.add("java", prefix, Some(bin), &[("JAVA_HOME", "{}".to_owned())]);
        return true;
    }
    if real.join("go").is_file() && prefix.join("src/runtime").is_dir() {
        collected.add("go", prefix, Some(bin), &[]);
        return true;
    }
    let name = if prefix.join("lib/node_modules").is_dir() {
        "node".to_owned()
    } else if has_library(prefix, "python3.") {
        "python".to_owned()
    } else if prefix.join("lib/ruby").is_dir() {
        "ruby".to_owned()
    } else if OWN.iter().any(|own| prefix.starts_with(own) && prefix != Path::new(own)) {
        label(real)
    } else {
        return false;
    };
    collected.add(&name, prefix, Some(bin), &[]);
    true
}

fn has_library(prefix: &Path, begin: &str) -> bool {
    std::fs::read_dir(prefix.join("lib")).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(begin))
    })
}

/// A virtual environment, and the Python that it was made with.
fn virtual_environment(collected: &mut Collected<'_>, prefix: &Path) {
    let base: Option<PathBuf> = prefix.join("bin/python").canonicalize().ok().and_then(|python| {
        let bin = python.parent()?;
        bin.ends_with("bin").then(|| bin.parent().map(Path::to_owned))?
    });
    collected.add("venv", prefix, Some(Path::new("bin")), &[]);
    if let Some(base) = base.filter(|base| has_library(base, "python3.")) {
        // Not on PATH: the virtual environment's own programs lead there.
        if !super::SYSTEM.iter().any(|system| base.starts_with(system)) {
            collected.add("python", &base, None, &[]);
        }
    }
}
