//! Go.

use super::{Detected, Tree};

/// `-v`, because only then does the log say how many tests ran.
pub(super) fn check(tree: &Tree<'_>) -> Option<Detected> {
    let (packages, why) = packages(tree)?;
    Some(
        Detected::new(&format!("go test -v {packages}"), why)
            .with_offline_env("GOPROXY", "off")
            .with_offline_env("GOSUMDB", "off"),
    )
}

/// The modules, and all that the tests need compiled: Go comes without its standard library
/// compiled, so each fresh sandbox would spend 20 s on it (go 1.26). `go list -export` compiles
/// and runs nothing, and leaves no test results that a later `go test` could repeat. It may fail:
/// a base that does not compile is the check's to tell.
pub(super) fn setup(tree: &Tree<'_>) -> Option<Detected> {
    let why = tree.first(&["go.work", "go.mod"])?;
    if tree.has("vendor/modules.txt") {
        return None;
    }
    let packages = packages(tree).map_or_else(|| "./...".to_owned(), |(packages, _)| packages);
    let compile = format!("go list -export -deps -test {packages} >/dev/null 2>&1 || true");
    Some(
        Detected::new(&format!("go mod download && {{ {compile}; }}"), why)
            .with_offline_env("GOPROXY", "off")
            .with_offline_env("GOSUMDB", "off")
            .keeping(&["go/pkg/mod", ".cache/go-build"]),
    )
}

/// The packages of the repository, as patterns, and the file that says so.
fn packages(tree: &Tree<'_>) -> Option<(String, &'static str)> {
    if let Some(work) = tree.text("go.work") {
        // `./...` in the root of a workspace matches no module unless the root is one.
        let patterns: Vec<String> = used(&work).iter().map(|folder| pattern(folder)).collect();
        if !patterns.is_empty() {
            return Some((patterns.join(" "), "go.work"));
        }
    }
    tree.has("go.mod").then(|| ("./...".to_owned(), "go.mod"))
}

/// The folders of `use` lines that need no quoting in a shell; others are left out.
fn used(work: &str) -> Vec<String> {
    let mut folders = Vec::new();
    let mut in_block = false;
    for line in work.lines().take(1000) {
        let line = line.split("//").next().unwrap_or(line).trim();
        let folder = match line.strip_prefix("use") {
            Some(rest) if rest.trim_start().starts_with('(') => {
                in_block = true;
                continue;
            }
            Some(rest) if rest.starts_with(' ') => rest.trim(),
            _ if line == ")" => {
                in_block = false;
                continue;
            }
            _ if in_block => line,
            _ => continue,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
        if folder.starts_with('.') && folder.chars().all(plain) {
            folders.push(folder.to_owned());
        }
    }
    folders
}

fn pattern(folder: &str) -> String {
    format!("{}/...", folder.trim_end_matches('/'))
}
