//! What the user's environment says, read once. Everything else takes it as an argument, so that
//! tests can say what it holds and the server never looks.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::problem::Problem;

/// Variables, home and working folder of the user.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    variables: BTreeMap<String, OsString>,
    home: PathBuf,
    folder: PathBuf,
}

impl Environment {
    /// The same, in another working folder.
    pub(crate) fn at(&self, folder: &Path) -> Self {
        Self { folder: folder.to_owned(), ..self.clone() }
    }

    /// Reads this process's own.
    pub(crate) fn read() -> Result<Self, Problem> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        let folder = std::env::current_dir().map_err(|error| {
            Problem::cannot(
                format!("the working folder cannot be read: {error}"),
                "cd somewhere else",
            )
        })?;
        Self::of(variables, folder)
    }

    /// One made of parts.
    pub(crate) fn of(
        variables: BTreeMap<String, OsString>,
        folder: PathBuf,
    ) -> Result<Self, Problem> {
        let home = variables.get("HOME").map(PathBuf::from);
        let home = home.filter(|home| home.is_absolute()).ok_or_else(|| {
            Problem::cannot("HOME is not set to an absolute path", "set HOME to your home folder")
        })?;
        let state = variables.get("MIDWATCH_HOME").filter(|value| !value.is_empty());
        if let Some(state) = state {
            let text = state.to_string_lossy();
            let fits = Path::new(state).is_absolute() && !text.contains(char::is_control);
            if !fits {
                return Err(Problem::usage(
                    "MIDWATCH_HOME",
                    &text,
                    "is no absolute path without control characters",
                    "give one such as /home/me/midwatch",
                ));
            }
        }
        Ok(Self { variables, home, folder })
    }

    /// A variable that is set and not empty. Text that is not UTF-8 counts as not set.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.to_str().filter(|text| !text.is_empty())
    }

    /// A variable that names a path, made absolute.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.variables.get(name)?;
        (!value.is_empty()).then(|| self.folder.join(value))
    }

    /// Names and values of all variables whose name begins so; only those that are UTF-8.
    pub(crate) fn beginning_with<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.variables
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix))
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str()?)))
    }

    /// Gives a command this environment and no other.
    pub(crate) fn apply(&self, command: &mut std::process::Command) {
        command.env_clear().envs(&self.variables);
    }

    /// The user's home.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The working folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folders of PATH, in order; relative ones are not searched.
    pub(crate) fn search_path(&self) -> Vec<PathBuf> {
        let path = self.variables.get("PATH").cloned().unwrap_or_default();
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
    }

    /// The first executable of that name on PATH, as PATH names it.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        self.search_path()
            .into_iter()
            .map(|folder| folder.join(program))
            .find(|path| is_executable(path))
    }

    /// Where our state is: `MIDWATCH_HOME`, else below the XDG state folder.
    pub(crate) fn state_folder(&self) -> PathBuf {
        self.path("MIDWATCH_HOME").unwrap_or_else(|| {
            let xdg = self.path("XDG_STATE_HOME");
            xdg.unwrap_or_else(|| self.home.join(".local/state")).join("midwatch")
        })
    }

    /// Where the user's profiles are.
    pub(crate) fn profiles_folder(&self) -> PathBuf {
        let xdg = self.path("XDG_CONFIG_HOME");
        xdg.unwrap_or_else(|| self.home.join(".config")).join("midwatch/profiles")
    }
}

/// Whether a path is a file that may be executed.
pub(crate) fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An environment with HOME and the given variables.
    pub(crate) fn environment(home: &Path, variables: &[(&str, &str)]) -> Environment {
        let mut all: BTreeMap<String, OsString> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        all.insert("HOME".into(), home.into());
        Environment::of(all, home.to_owned()).unwrap()
    }

    #[test]
    fn the_state_folder_follows_its_variables() {
        let home = Path::new("/home/u");
        for (variables, expected) in [
            (vec![], "/home/u/.local/state/midwatch"),
            (vec![("XDG_STATE_HOME", "/x")], "/x/midwatch"),
            (vec![("MIDWATCH_HOME", "/m"), ("XDG_STATE_HOME", "/x")], "/m"),
            (vec![("MIDWATCH_HOME", "")], "/home/u/.local/state/midwatch"),
        ] {
            assert_eq!(environment(home, &variables).state_folder(), Path::new(expected));
        }
        assert!(Environment::of(BTreeMap::new(), "/".into()).is_err());
        for bad in ["state", "../x", "/a\nb"] {
            let variables = [("HOME", "/home/u"), ("MIDWATCH_HOME", bad)];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.into()));
            let problem = Environment::of(variables.into(), "/".into()).unwrap_err();
            assert!(problem.exit == 2 && problem.message.contains("MIDWATCH_HOME"), "{problem:?}");
        }
    }
}
