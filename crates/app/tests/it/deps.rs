//! Setup and layers of dependencies on small projects of npm, cargo, pip, go, maven and gradle,
//! with packages from the registries that this machine's clients are set to use.
//!
//! Each project goes through the same story: a task with the base's layer, then one that reuses
//! it and changes the lock file, which gets a layer of its own. Checks run without any network.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use midwatch_api::order::{ORDER_FILE, Order, Work};

use crate::house::{House, LIMIT, Told, tell, until};

/// Fails wherever something but loopback is, or a way out is named.
const NO_NETWORK: &str = "\
#!/bin/sh
if grep -v '^ *lo:' /proc/net/dev | grep -q ': '; then echo 'an interface'; exit 1; fi
if env | grep -i '_proxy='; then exit 1; fi
if [ -n \"$(cat /etc/resolv.conf)\" ]; then echo 'a resolver'; exit 1; fi
if (exec 3<>/dev/tcp/127.0.0.1/1) 2>/dev/null; then exit 1; fi
exit 0
";

/// One ecosystem.
struct Project {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// Makes the lock file on the user's side, as the user's client does it.
    lock: &'static [&'static [&'static str]],
    /// What setup is said to be.
    setup: &'static str,
    check: &'static str,
    /// What the second task's agent does: adds a dependency to manifest and lock, and uses it.
    add: &'static str,
}

const NPM: Project = Project {
    name: "npm",
    files: &[
        (".gitignore", "node_modules\n"),
        (
            "package.json",
            r#"{"name":"sample","version":"1.0.0","private":true,"scripts":{"test":"node --test"},"dependencies":{"is-odd":"3.0.1"}}"#,
        ),
        (
            "odd.test.js",
            "require('node:test')('odd', () => require('node:assert').ok(require('is-odd')(3)));\n",
        ),
    ],
    lock: &[&["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"]],
    setup: "npm ci",
    check: "npm test",
    add: "do: run npm install --no-audit --no-fund is-buffer@2.0.5\n\
          do: write buffer.test.js require('node:test')('buffer', () => require('node:assert').ok(!require('is-buffer')(3)));\n",
};

const CARGO: Project = Project {
    name: "cargo",
    files: &[
        (".gitignore", "target\n"),
        (
            "Cargo.toml",
            "[package]\nname = \"sample\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\nitoa = \"=1.0.11\"\n",
        ),
        (
            "src/lib.rs",
            "#[test]\nfn itoa() {\n    assert_eq!(itoa::Buffer::new().format(7), \"7\");\n}\n",
        ),
    ],
    lock: &[&["cargo", "generate-lockfile"]],
    setup: "cargo fetch",
    check: "cargo test --lib",
    add: "do: run printf 'fnv = \"=1.0.7\"\\n' >> Cargo.toml && cargo generate-lockfile\n\
          do: append src/lib.rs #[test] fn fnv() { fnv::FnvHashMap::<u8, u8>::default(); }\n",
};

const PIP: Project = Project {
    name: "pip",
    files: &[
        (".gitignore", ".venv\n__pycache__\n"),
        ("requirements.txt", "iniconfig==2.0.0\n"),
        (
            "test_sample.py",
            "import unittest\nimport iniconfig\n\nclass Sample(unittest.TestCase):\n    def test_it(self):\n        self.assertTrue(iniconfig.IniConfig)\n",
        ),
    ],
    lock: &[&[
        "python3",
        "-m",
        "pip",
        "download",
        "--no-deps",
        "-q",
        "-d",
        "/dev/shm/unused",
        "iniconfig==2.0.0",
    ]],
    setup: "pip install",
    check: "python3 -m unittest",
    add: "do: append requirements.txt toml==0.10.2\n\
          do: run printf '\\n    def test_toml(self):\\n        import toml\\n' >> test_sample.py\n",
};

const GO: Project = Project {
    name: "go",
    files: &[
        (
            "go.mod",
            "module example.com/sample\n\ngo 1.18\n\nrequire github.com/kballard/go-shellquote v0.0.0-20180428030007-95032a82bc51\n",
        ),
        ("sample.go", "package sample\n\nimport _ \"github.com/kballard/go-shellquote\"\n"),
        (
            "sample_test.go",
            "package sample\n\nimport \"testing\"\n\nfunc TestSample(t *testing.T) {}\n",
        ),
    ],
    lock: &[&["go", "mod", "tidy"]],
    setup: "go mod download",
    check: "go test -v ./...",
    add: "do: run printf 'package sample\\n\\nimport _ \"github.com/josharian/intern\"\\n' > more.go && go get github.com/josharian/intern@v1.0.0 && go mod tidy\n",
};

/// The Java clients cannot read PEM, and maven and gradle download themselves together first: one
/// task each.
const MAVEN: Project = Project {
    name: "maven",
    files: &[
        (".gitignore", "target\n"),
        (
            "pom.xml",
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
             <groupId>com.example</groupId><artifactId>sample</artifactId><version>1</version>\
             <properties><maven.compiler.source>11</maven.compiler.source>\
             <maven.compiler.target>11</maven.compiler.target>\
             <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>\
             <dependencies><dependency><groupId>commons-codec</groupId>\
             <artifactId>commons-codec</artifactId><version>1.15</version></dependency>\
             </dependencies></project>\n",
        ),
        ("src/main/java/Sample.java", JAVA),
    ],
    lock: &[&["mvn", "--version"]],
    setup: "mvn -B",
    check: "mvn -B -o -q compile",
    add: "",
};

const GRADLE: Project = Project {
    name: "gradle",
    files: &[
        (".gitignore", ".gradle\nbuild\n"),
        ("settings.gradle", "rootProject.name = 'sample'\n"),
        (
            "build.gradle",
            "apply plugin: 'java'\n\
             repositories { maven { url 'https://repo.maven.apache.org/maven2/' } }\n\
             dependencies { compile 'commons-codec:commons-codec:1.15' }\n",
        ),
        ("src/main/java/Sample.java", JAVA),
    ],
    lock: &[&["gradle", "--version"]],
    setup: "gradle --no-daemon",
    check: "gradle --no-daemon --offline compileJava",
    add: "",
};

const JAVA: &str = "public class Sample {\n    byte[] it = new \
                    org.apache.commons.codec.binary.Hex().encode(new byte[1]);\n}\n";

/// The layers that the runs of a task were told to make or to use.
fn told_of(house: &House, task: &str) -> BTreeSet<String> {
    let runs = std::fs::read_dir(house.state().join("runs")).unwrap().flatten();
    let of_task =
        |name: &str| name.strip_prefix(task).is_some_and(|rest| rest.matches('-').count() == 2);
    let orders = runs.filter(|run| of_task(run.file_name().to_str().unwrap())).map(|run| {
        let bytes = std::fs::read(run.path().join(ORDER_FILE)).unwrap();
        serde_json::from_slice::<Order>(&bytes).unwrap()
    });
    let layers = orders.flat_map(|order| match order.work {
        Work::Setup { deps, workspace, .. } => [vec![deps], workspace.deps].concat(),
        Work::Agent { workspace, .. }
        | Work::Check { workspace, .. }
        | Work::Rescue { workspace } => workspace.deps,
        Work::Checkout { .. } => vec![],
    });
    layers.map(|layer| layer.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn layers(deps: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(deps).map(|entries| entries.flatten().collect::<Vec<_>>());
    let names = entries.unwrap_or_default().into_iter();
    names.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn story(project: &Project) {
    let house = House::of_this_machine();
    let files = [project.files, &[("no-network.sh", NO_NETWORK)]].concat();
    let repository = match prepared(&house, project, &files) {
        Ok(repository) => repository,
        Err(why) => {
            tell(&format!("NOT RUN: setup of {}: {why}", project.name));
            return;
        }
    };
    let run = |goal: &str| -> Told {
        let profile = house.scripted(", egress: registries");
        let profile = profile.to_str().unwrap();
        house.midwatch(
            &repository,
            &[
                "run",
                goal,
                "--profile",
                profile,
                "--pipeline",
                "quick",
                "--check",
                project.check,
                "--check",
                "bash no-network.sh",
            ],
        )
    };
    let first = run("do: write note.txt hello\n");
    first.is_done();
    assert!(first.found("setup").contains(project.setup), "{}", first.stderr);
    assert!(!first.found("network").is_empty(), "{}", first.stderr);
    assert_eq!(setups(&house, &first), 1, "{}", first.stderr);
    let base = layers(&house.state().join("deps"));
    assert!(base.len() == 1 && base[0].starts_with("base-"), "{base:?}");

    // The base's layer is there already; the commit's is its own and goes with the task.
    let second = run(project.add);
    second.is_done();
    assert_eq!(setups(&house, &second), 1, "the commit's and no other: {}", second.stderr);
    let seen = told_of(&house, second.task());
    let own = seen.iter().filter(|layer| layer.starts_with("task-")).count();
    assert_eq!(own, 1, "{seen:?}");
    let only_the_base = || layers(&house.state().join("deps")) == base;
    assert!(until(LIMIT, only_the_base), "{:?}", layers(&house.state().join("deps")));
}

/// How often setup really ran for a task: what was there already has no folder.
fn setups(house: &House, told: &Told) -> usize {
    let ran = |run: &&str| house.state().join("runs").join(run).join("report.json").exists();
    told.runs("Setup").into_iter().filter(ran).count()
}

/// The repository with its lock file, or why the registry cannot be had.
fn prepared(house: &House, project: &Project, files: &[(&str, &str)]) -> Result<PathBuf, String> {
    let repository = house.repository(project.name, files);
    for words in project.lock {
        let output = house.command(words[0], &repository).args(&words[1..]).output();
        let output = output.map_err(|error| format!("{}: {error}", words[0]))?;
        if !output.status.success() {
            return Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    if Command::new("git")
        .arg("-C")
        .arg(&repository)
        .args(["status", "--porcelain"])
        .output()
        .is_ok_and(|output| !output.stdout.is_empty())
    {
        house.commit(&repository, "lock");
    }
    Ok(repository)
}

#[test]
fn npm() {
    story(&NPM);
}

#[test]
fn cargo() {
    story(&CARGO);
}

#[test]
fn pip() {
    story(&PIP);
}

#[test]
fn go() {
    story(&GO);
}

/// Setup from the registry and then checks with no network. The control builds without
/// what the layer holds, and cannot.
fn setup_then_check(project: &Project, control: &str) {
    let house = House::of_this_machine();
    let files = [project.files, &[("no-network.sh", NO_NETWORK)]].concat();
    let repository = match prepared(&house, project, &files) {
        Ok(repository) => repository,
        Err(why) => {
            tell(&format!("NOT RUN: setup of {}: {why}", project.name));
            return;
        }
    };
    let profile = house.scripted(", egress: registries");
    let mut arguments = vec!["run", "do: write note.txt hello\n", "--pipeline", "quick"];
    arguments.extend(["--profile", profile.to_str().unwrap()]);
    for check in [project.check, "bash no-network.sh", control] {
        arguments.extend(["--check", check]);
    }
    let told = house.midwatch(&repository, &arguments);
    told.is_done();
    assert!(told.found("setup").contains(project.setup), "{}", told.stderr);
    assert_eq!(setups(&house, &told), 1, "{}", told.stderr);
}

#[test]
fn maven() {
    setup_then_check(&MAVEN, "! mvn -B -o -q -Dmaven.repo.local=/tmp/empty compile");
}

#[test]
fn gradle() {
    setup_then_check(&GRADLE, "! gradle --no-daemon --offline -g /tmp/empty compileJava");
}

/// What a hostile setup leaves behind, wherever it can write.
const HOSTILE: &str = "\
#!/bin/sh
set -u
mkdir -p .git/hooks .dep \"$HOME/.config/git\"
printf '#!/bin/sh\\ntouch /workspace/hooked\\n' > .git/hooks/post-checkout
cp .git/hooks/post-checkout .git/hooks/pre-commit
chmod 755 .git/hooks/post-checkout .git/hooks/pre-commit
git config core.fsmonitor 'touch /workspace/monitored; true'
echo evil > tracked.txt
echo 'touch /workspace/sourced' > \"$HOME/.bashrc\"
cp \"$HOME/.bashrc\" \"$HOME/.profile\"
printf '[core]\\n\\tfsmonitor = touch /workspace/global\\n' > \"$HOME/.gitconfig\"
cp \"$HOME/.gitconfig\" \"$HOME/.config/git/config\"
echo kept > .dep/kept
";

const UNTOUCHED: &str = "\
#!/bin/sh
fail() { echo \"$1\"; exit 1; }
[ \"$(cat tracked.txt)\" = honest ] || fail 'a tracked file'
[ -e .dep/kept ] || fail 'the layer is not there'
ls .git/hooks/ 2>/dev/null | grep -v '\\.sample$' && fail 'a hook'
git config --get core.fsmonitor && fail 'settings of git'
for file in .bashrc .profile .gitconfig .config/git/config; do
    grep -q '/workspace/' \"$HOME/$file\" 2>/dev/null && fail \"$file\"
done
git status >/dev/null
for file in hooked monitored sourced global; do
    [ -e \"$file\" ] && fail \"$file\"
done
exit 0
";

/// The control, that each of these works where a layer would keep it, is in the runner's tests.
#[test]
fn a_hostile_setup_reaches_no_other_sandbox() {
    let house = House::new();
    let files = [
        ("tracked.txt", "honest\n"),
        (".gitignore", ".dep\n"),
        ("setup.sh", HOSTILE),
        ("check.sh", UNTOUCHED),
    ];
    let repository = house.repository("repo", &files);
    let goal = "do: run sh check.sh > said.txt 2>&1 && echo clean >> said.txt\n";
    let flags = ["--setup", "sh setup.sh", "--check", "sh check.sh"];
    let told = house.run(&repository, goal, &flags);
    told.is_done();
    let branch = told.result["branch"].as_str().unwrap();
    assert_eq!(house.git(&repository, &["show", &format!("{branch}:said.txt")]), "clean");
    let changed = house.git(&repository, &["diff", "--name-only", "main", branch]);
    assert_eq!(changed, "said.txt");
}
