use std::os::unix::fs::symlink;

use super::*;
use crate::environment::tests::environment;

fn write(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "").unwrap();
}

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    /// Names, folders relative to home and PATH parts of what is found with this PATH.
    fn found(&self, path: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
        let home = self.path();
        let path: Vec<String> =
            path.iter().map(|folder| home.join(folder).to_string_lossy().into_owned()).collect();
        let path = path.join(":");
        let mut variables = variables.to_vec();
        variables.push(("PATH", &path));
        let environment = environment(&home, &variables);
        let program =
            Program { found: "/usr/bin/x".into(), real: "/usr/bin/x".into(), folder: None };
        let top = home.join("repo");
        let found = find(&environment, &top, &[], &program).unwrap();
        found
            .iter()
            .map(|t| {
                let folder = t.folder.strip_prefix(&home).unwrap_or(&t.folder).display();
                let env: Vec<String> = t.env.iter().map(|(k, v)| format!(" {k}={v}")).collect();
                let path: Vec<String> =
                    t.path.iter().map(|path| format!(" +{}", path.display())).collect();
                format!("{} {folder}{}{}", t.name, path.concat(), env.concat())
            })
            .collect()
    }
}

#[test]
fn rust_is_seen_without_the_folder_that_holds_tokens() {
    let home = Home::new();
    write(&home.path().join(".cargo/bin/cargo"));
    write(&home.path().join(".cargo/credentials.toml"));
    write(&home.path().join(".rustup/settings.toml"));
    assert_eq!(
        home.found(&[".cargo/bin", ".cargo/bin"], &[]),
        ["cargo .cargo/bin +", "rustup .rustup RUSTUP_HOME={}"]
    );
}

#[test]
fn pyenv_shims_become_the_chosen_version() {
    let home = Home::new();
    for version in ["3.9.18", "3.11.2", "3.11.10"] {
        write(&home.path().join(format!(".pyenv/versions/{version}/bin/python3")));
    }
    write(&home.path().join(".pyenv/shims/python3"));
    write(&home.path().join(".pyenv/bin/pyenv"));
    std::fs::write(home.path().join(".pyenv/version"), "3.9.18\n").unwrap();
    let path = [".pyenv/shims", ".pyenv/bin"];
    assert_eq!(home.found(&path, &[]), ["pyenv .pyenv/versions/3.9.18 +bin"]);
    let newest = home.found(&path, &[("PYENV_VERSION", "3.11:system")]);
    assert_eq!(newest, ["pyenv .pyenv/versions/3.11.10 +bin"]);
    write(&home.path().join("repo/x"));
    std::fs::write(home.path().join("repo/.python-version"), "../../../etc\n3.11.2\n").unwrap();
    assert_eq!(home.found(&path, &[]), ["pyenv .pyenv/versions/3.11.2 +bin"]);
}

#[test]
fn of_local_only_what_path_names_and_leads_to() {
    let home = Home::new();
    let local = home.path().join(".local");
    write(&local.join("share/keyrings/secret"));
    write(&local.join("share/uv/tools/ruff/bin/ruff"));
    write(&local.join("lib/python3.11/site-packages/pytest.py"));
    std::fs::create_dir_all(local.join("bin")).unwrap();
    symlink(local.join("share/uv/tools/ruff/bin/ruff"), local.join("bin/ruff")).unwrap();
    assert_eq!(
        home.found(&[".local/bin"], &[]),
        [
            "local-bin .local/bin +",
            "local .local/share/uv/tools/ruff",
            "local-python .local/lib PYTHONUSERBASE={}/.."
        ]
    );
}

#[test]
fn node_java_and_virtual_environments_are_taken_whole_others_only_their_programs() {
    let home = Home::new();
    let path = home.path();
    write(&path.join(".nvm/versions/node/v20.1.0/bin/node"));
    write(&path.join(".nvm/versions/node/v20.1.0/lib/node_modules/npm/package.json"));
    write(&path.join("jdk/bin/java"));
    write(&path.join("jdk/release"));
    write(&path.join(".docker/bin/docker-thing"));
    write(&path.join(".docker/config.json"));
    write(&path.join("repo/.venv/pyvenv.cfg"));
    write(&path.join("repo/.venv/bin/python"));
    write(&path.join("bin/mine"));
    let found = home.found(
        &[
            ".nvm/versions/node/v20.1.0/bin",
            "jdk/bin",
            ".docker/bin",
            "repo/.venv/bin",
            "bin",
            "nowhere",
        ],
        &[("JAVA_HOME", path.join("jdk").to_str().unwrap())],
    );
    let mine = format!("{} bin +", label(&path.join("bin")));
    assert_eq!(
        found,
        [
            "node .nvm/versions/node/v20.1.0 +bin",
            "java jdk +bin JAVA_HOME={}",
            "docker .docker/bin +",
            mine.as_str(),
        ]
    );
}

#[test]
fn a_home_is_never_shown_and_a_nested_folder_joins_its_outer_one() {
    let home = Home::new();
    let path = home.path();
    write(&path.join("n/bin/node"));
    write(&path.join("n/lib/node_modules/a/package.json"));
    write(&path.join("n/more/tool"));
    assert_eq!(home.found(&["n/bin", "n/more", ".", ".."], &[]), ["node n +bin +more"]);
    let environment = environment(&path, &[]);
    let program = Program { found: "/x".into(), real: "/x".into(), folder: None };
    let spec = |name: &str, folder: &Path| ToolchainSpec {
        name: name.into(),
        folder: folder.to_owned(),
        path: vec![],
        env: BTreeMap::new(),
    };
    for (spec, word) in [
        (spec("home", &path), "home"),
        (spec("a b", &path.join("n")), "plain"),
        (spec("x", Path::new("n")), "absolute"),
        (spec("x", &path.join("nowhere")), "folder"),
    ] {
        let problem = find(&environment, &path, &[spec], &program).unwrap_err();
        assert!(problem.exit == 2 && problem.message.contains(word), "{problem:?}");
    }
}
