//! How much goes on at once: flags, else `server.toml` in the state folder, else what is usual.

use std::path::PathBuf;

use midwatch_core::admit;
use midwatch_local::folder::StateFolder;
use midwatch_local::server::Settings;
use serde::Deserialize;

use crate::problem::Problem;

/// The most tasks at once that anybody may ask for.
const TASKS_MAX: usize = 1000;
/// The longest file of settings, in bytes.
const FILE_MAX: u64 = 64 << 10;

/// What flags say.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Limits {
    /// Tasks at once in all, 1 to 1000 [default: server.toml, else 4]
    #[arg(long, value_name = "COUNT")]
    concurrency: Option<usize>,

    /// Tasks at once of one repository [default: server.toml, else no limit]
    #[arg(long, value_name = "COUNT")]
    per_repository: Option<usize>,

    /// Tasks at once of one login or key [default: server.toml, else no limit]
    #[arg(long, value_name = "COUNT")]
    per_credential: Option<usize>,
}

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct File {
    concurrency: Option<usize>,
    per_repository: Option<usize>,
    per_credential: Option<usize>,
    task_disk_mib: Option<u64>,
    task_memory_mib: Option<u64>,
    spare_disk_mib: Option<u64>,
}

/// Where the file is.
pub(in crate::cli) fn path(folder: &StateFolder) -> PathBuf {
    folder.root().join("server.toml")
}

/// What a server of this state folder allows, without any flag.
pub(in crate::cli) fn of(folder: &StateFolder) -> Result<admit::Limits, Problem> {
    Limits::default().over(folder)
}

impl Limits {
    /// The flags over the file over what is usual.
    pub(super) fn over(&self, folder: &StateFolder) -> Result<admit::Limits, Problem> {
        let path = path(folder);
        let shown = path.to_string_lossy();
        let bad = |rule: &str| {
            Problem::usage("the settings", &shown, rule, "mend the file, or remove it")
        };
        let text = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > FILE_MAX => return Err(bad("has over 64 KiB")),
            Ok(_) => std::fs::read_to_string(&path)
                .map_err(|error| bad(&format!("cannot be read ({error})")))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(bad(&format!("cannot be read ({error})"))),
        };
        self.with(&text).map_err(|error| match error {
            Fault::Text(said) => bad(&format!("cannot be used ({said})")),
            Fault::Value(field, value, rule) => Problem::usage(
                &field,
                &value,
                &rule,
                "give a whole number in the range, or leave it away",
            ),
        })
    }

    fn with(&self, text: &str) -> Result<admit::Limits, Fault> {
        let file: File = toml::from_str(text).map_err(|error| {
            let said: String = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            Fault::Text(said.chars().take(300).collect())
        })?;
        let usual = Settings::new(PathBuf::new()).limits;
        let count = |field: &str, flag: Option<usize>, file: Option<usize>| {
            let value = flag.or(file);
            match value {
                Some(count) if !(1..=TASKS_MAX).contains(&count) => {
                    let name = if flag.is_some() { format!("--{field}") } else { field.to_owned() };
                    Err(Fault::Value(name, count.to_string(), format!("is not 1 to {TASKS_MAX}")))
                }
                value => Ok(value),
            }
        };
        let bytes =
            |mib: Option<u64>, usual: u64| mib.map_or(usual, |mib| mib.saturating_mul(1 << 20));
        Ok(admit::Limits {
            slots: count("concurrency", self.concurrency, file.concurrency)?.unwrap_or(usual.slots),
            per_repository: count("per-repository", self.per_repository, file.per_repository)?,
            per_credential: count("per-credential", self.per_credential, file.per_credential)?,
            task_disk: bytes(file.task_disk_mib, usual.task_disk),
            task_memory: bytes(file.task_memory_mib, usual.task_memory),
            spare_disk: bytes(file.spare_disk_mib, usual.spare_disk),
        })
    }
}

#[derive(Debug)]
enum Fault {
    Text(String),
    Value(String, String, String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_before_the_file_and_the_file_before_what_is_usual() {
        let none = Limits::default();
        let usual = none.with("").unwrap();
        assert_eq!((usual.slots, usual.per_repository), (4, None));
        let text = "concurrency = 8\nperCredential = 2\ntaskDiskMib = 2048\n";
        let file = none.with(text).unwrap();
        assert_eq!((file.slots, file.per_credential, file.task_disk), (8, Some(2), 2048 << 20));
        let flags = Limits { concurrency: Some(50), ..Limits::default() };
        assert_eq!(flags.with(text).unwrap().slots, 50);
    }

    #[test]
    fn faults_are_told() {
        let none = Limits::default();
        for bad in ["concurency = 3", "concurrency = \"x\"", "concurrency = -1", "]["] {
            assert!(matches!(none.with(bad), Err(Fault::Text(_))), "{bad}");
        }
        for (flags, text) in [
            (Limits { concurrency: Some(0), ..Limits::default() }, ""),
            (Limits { per_repository: Some(1001), ..Limits::default() }, ""),
            (Limits::default(), "perCredential = 0"),
        ] {
            assert!(matches!(flags.with(text), Err(Fault::Value(..))), "{text}");
        }
    }
}
