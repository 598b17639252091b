//! The kept outcome of the soak belongs to the versions that are here.

use serde_json::Value;

use crate::repository::Repository;
use crate::rules::Finding;

const KEPT: &str = "docs/soak.json";
const SCHEMA: &str = "crates/local/src/store/schema.rs";
/// What a soak is, at the least.
const TASKS: u64 = 2_000;
const KILLS: u64 = 100;

/// The soak was made with this program's version and this database's, was large enough, and found
/// nothing.
pub fn belongs(repository: &Repository) -> Vec<Finding> {
    let about = |what: String| Finding::about(KEPT, format!("{what}: run `make soak`"));
    let Some(text) = repository.file(KEPT) else {
        return vec![about("it is missing".to_owned())];
    };
    let kept: Value = match serde_json::from_str(text) {
        Ok(kept) => kept,
        Err(error) => return vec![about(format!("it is no JSON ({error})"))],
    };
    let mut findings = Vec::new();
    let number = |name: &str| kept[name].as_u64();
    if kept["program"].as_str() != version(repository).as_deref() {
        findings.push(about(format!("it was made with version {}", kept["program"])));
    }
    if number("schema").is_none() || number("schema") != schema(repository) {
        findings.push(about(format!("it was made with schema {}", kept["schema"])));
    }
    let kills = number("killsOfTheServer").zip(number("killsOfRuns"));
    if number("tasks") < Some(TASKS) || kills.is_none_or(|(server, runs)| server + runs < KILLS) {
        findings.push(about(format!("{TASKS} tasks and {KILLS} kills are wanted")));
    }
    for name in ["lost", "failed", "doubled", "stuck", "left"] {
        if number(name) != Some(0) {
            findings.push(about(format!("{name} is {}", kept[name])));
        }
    }
    findings
}

/// The program's version.
fn version(repository: &Repository) -> Option<String> {
    let manifest: toml::Table = repository.file("Cargo.toml")?.parse().ok()?;
    let version = manifest.get("workspace")?.get("package")?.get("version")?;
    version.as_str().map(ToOwned::to_owned)
}

/// The database's version.
fn schema(repository: &Repository) -> Option<u64> {
    let line = repository.file(SCHEMA)?.lines().find(|line| line.contains("pub const VERSION"))?;
    line.trim_end_matches(';').rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace.package]\nversion = \"1.2.3\"\n";
    const GOOD: &str = r#"{"program": "1.2.3", "schema": 7, "tasks": 2000, "killsOfTheServer": 60,
        "killsOfRuns": 40, "lost": 0, "failed": 0, "doubled": 0, "stuck": 0, "left": 0}"#;

    fn found(kept: &str) -> usize {
        let schema = "pub const VERSION: u32 = 7;\n";
        let files = [("Cargo.toml", MANIFEST), (SCHEMA, schema), (KEPT, kept)];
        belongs(&Repository::of(&files)).len()
    }

    #[test]
    fn an_outcome_of_these_versions_is_fine_and_no_other() {
        assert_eq!(found(GOOD), 0);
        assert_eq!(found(&GOOD.replace("1.2.3", "1.2.2")), 1);
        assert_eq!(found(&GOOD.replace(": 7", ": 6")), 1);
        assert_eq!(found(&GOOD.replace("2000", "40")), 1);
        assert_eq!(found(&GOOD.replace(": 40", ": 4")), 1);
        assert_eq!(found(&GOOD.replace("\"lost\": 0", "\"lost\": 1")), 1);
        assert_eq!(found("{}"), 8);
        assert_eq!(found("no"), 1);
    }
}
