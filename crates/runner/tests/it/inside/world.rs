//! A repository, a base made from it by our own checkout, and an agent that is a shell script.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};

use midwatch_api::report::BundleClaim;
use midwatch_runner::inside::{Places, carry_out};
use midwatch_runner::inside_order::{AgentJob, InsideOrder, Job};

/// Everything of one test, gone with it.
pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) places: Places,
    /// The repository that the base comes from, and into which bundles are taken.
    pub(super) upstream: PathBuf,
    pub(super) base: String,
}

/// What is in the repository: a file, one in a folder, one that ignore rules hide but that is
/// tracked, a script.
const FILES: [(&str, &str); 5] = [
    ("README.md", "hello\n"),
    ("src/lib.rs", "fn one() {}\n"),
    ("kept.log", "tracked although ignored\n"),
    (".gitignore", "*.log\nbuild/\n"),
    ("dir/deep/file.txt", "deep\n"),
];

impl World {
    /// A copy of one base, which is made once by `Job::Checkout`.
    pub(super) fn new() -> Self {
        static FIRST: LazyLock<(Vec<u8>, String)> = LazyLock::new(|| {
            let first = World::of_format("sha1");
            (sh(first.folder.path(), "tar -c upstream workspace").stdout, first.base.clone())
        });
        let mut world = Self::empty();
        let archive = world.folder.path().join("archive");
        std::fs::write(&archive, &FIRST.0).unwrap();
        sh(world.folder.path(), "tar -xf archive; rm archive");
        world.base.clone_from(&FIRST.1);
        world
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = folder.path().join("upstream");
        let places = Places {
            workspace: folder.path().join("workspace"),
            home: folder.path().join("home"),
            temp: folder.path().join("tmp"),
            out: folder.path().join("out"),
        };
        for place in [&upstream, &places.workspace, &places.home, &places.temp, &places.out] {
            std::fs::create_dir(place).unwrap();
        }
        Self { folder, places, upstream, base: String::new() }
    }

    /// A base of the files, with one of git's two kinds of hash.
    pub(super) fn of_format(hash: &str) -> Self {
        let mut world = Self::empty();
        let upstream = &world.upstream;
        for (name, text) in FILES {
            let path = upstream.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        sh(
            upstream,
            &format!(
                "git init -q -b main --object-format={hash}; git add -A -f; git commit -q -m first"
            ),
        );
        sh(upstream, "echo more >> README.md && git commit -q -am second && git repack -q -a -d");
        world.base = line(upstream, "git rev-parse HEAD");
        world.hand_packs_to(&world.places.workspace);
        let job = Job::Checkout {
            folder: world.places.workspace.clone(),
            commit: world.base.clone(),
            workers: 0,
        };
        assert_eq!(world.carry_out(job), 0);
        world
    }

    /// What the trusted side does before a checkout.
    pub(super) fn hand_packs_to(&self, folder: &Path) {
        let to = folder.join(".git/objects/pack");
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(self.upstream.join(".git/objects/pack")).unwrap() {
            let entry = entry.unwrap();
            std::fs::hard_link(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }

    pub(super) fn carry_out(&self, job: Job) -> i32 {
        let stop = Arc::new(AtomicBool::new(false));
        carry_out(&InsideOrder { forward: Vec::new(), job }, &self.places, &stop).unwrap()
    }

    /// An agent that is this script.
    pub(super) fn job(&self, script: &str) -> AgentJob {
        AgentJob {
            argv: ["/bin/sh", "-ec", script].map(str::to_owned).to_vec(),
            env: identity(),
            files: BTreeMap::new(),
            stdin: String::new(),
            version_args: Vec::new(),
            endpoint: None,
            range_base: Some(self.base.clone()),
            exclude: Vec::new(),
            checkpoint_seconds: 0,
            grace_seconds: 5,
        }
    }

    /// Runs the script as the agent; it must end with 0. Answers the claim.
    pub(super) fn agent(&self, script: &str) -> BundleClaim {
        self.run(self.job(script))
    }

    pub(super) fn run(&self, job: AgentJob) -> BundleClaim {
        let code = self.carry_out(Job::Agent(job));
        assert_eq!(code, 0, "{}", self.out_text("self-test.json"));
        self.claim()
    }

    pub(super) fn claim(&self) -> BundleClaim {
        serde_json::from_str(&self.out_text("claim.json")).unwrap()
    }

    pub(super) fn out_text(&self, name: &str) -> String {
        std::fs::read_to_string(self.places.out.join(name)).unwrap_or_default()
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.places.workspace.join(name)
    }

    /// Takes a bundle into a new repository that has the base, as the trusted side does: the
    /// header read, the pack through `index-pack --strict --fix-thin`. Answers refs and ids.
    pub(super) fn import(&self, bundle: &str) -> Imported {
        let bytes = std::fs::read(self.places.out.join(bundle)).unwrap();
        let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
        let header = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = header.lines();
        assert_eq!(lines.next(), Some("# v2 git bundle"));
        let mut refs = BTreeMap::new();
        for line in lines {
            if let Some(needed) = line.strip_prefix('-') {
                assert_eq!(&needed[..40], self.base, "a prerequisite that nobody has");
            } else {
                let (id, name) = line.split_once(' ').unwrap();
                refs.insert(name.to_owned(), id.to_owned());
            }
        }
        let store = self.folder.path().join(format!("{bundle}.store"));
        let _old = std::fs::remove_dir_all(&store);
        let from = self.upstream.display();
        sh(self.folder.path(), &format!("git clone -q --bare {from} {}", store.display()));
        let pack = self.folder.path().join("pack");
        std::fs::write(&pack, &bytes[end + 2..]).unwrap();
        sh(&store, &format!("git index-pack --strict --fix-thin --stdin <{}", pack.display()));
        for (name, id) in &refs {
            sh(&store, &format!("git update-ref {name} {id}"));
        }
        sh(&store, "git fsck --strict --full");
        Imported { store, refs, base: self.base.clone() }
    }

    /// The head of the agent's bundle.
    pub(super) fn imported(&self) -> Imported {
        let imported = self.import("work.bundle");
        let names: Vec<&String> = imported.refs.keys().collect();
        assert_eq!(names, ["refs/midwatch/work"], "exactly one ref");
        assert_eq!(imported.refs.get("refs/midwatch/work").cloned(), self.claim().head);
        imported
    }
}

/// A store with the base and what a bundle held.
pub(super) struct Imported {
    pub(super) store: PathBuf,
    pub(super) refs: BTreeMap<String, String>,
    base: String,
}

impl Imported {
    fn head(&self) -> &str {
        self.refs.values().next().unwrap()
    }

    /// Names of files in the head's tree.
    pub(super) fn files(&self) -> Vec<String> {
        self.files_of(self.head())
    }

    pub(super) fn files_of(&self, id: &str) -> Vec<String> {
        let listed = sh(&self.store, &format!("git ls-tree -r -z --name-only {id}")).stdout;
        let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    pub(super) fn text(&self, file: &str) -> String {
        self.text_of(self.head(), file)
    }

    pub(super) fn text_of(&self, id: &str, file: &str) -> String {
        let out = sh(&self.store, &format!("git show {id}:{file}"));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Subjects of the commits from the base to the head, newest first.
    pub(super) fn subjects(&self) -> Vec<String> {
        let range = format!("git log --format=%s {}..{}", self.base, self.head());
        let out = sh(&self.store, &range);
        String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()
    }
}

/// Runs a script that must succeed.
pub(super) fn sh(folder: &Path, script: &str) -> Output {
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", script]).current_dir(folder).envs(identity());
    let out = command.output().unwrap();
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
    out
}

/// The one line that a script prints.
pub(super) fn line(folder: &Path, script: &str) -> String {
    String::from_utf8(sh(folder, script).stdout).unwrap().trim().to_owned()
}

fn identity() -> BTreeMap<String, String> {
    [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_AUTHOR_NAME", "Agent"),
        ("GIT_AUTHOR_EMAIL", "agent@localhost"),
        ("GIT_COMMITTER_NAME", "Agent"),
        ("GIT_COMMITTER_EMAIL", "agent@localhost"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Runs the test of this name once more as an ordinary user when we are root, because root's
/// rights hide what a mode forbids. Answers whether the caller is that user and should go on.
pub(super) fn as_ordinary_user(test: &str) -> bool {
    if line(Path::new("/"), "id -u") != "0" {
        return true;
    }
    // A copy: the folder of the build may be closed to others.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    sh(folder.path(), "chmod 755 . test");
    let out = Command::new("setpriv")
        .args(["--reuid=61998", "--regid=61998", "--clear-groups", "--"])
        .arg(program)
        .current_dir("/")
        .args(["--exact", test, "--nocapture"])
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{told}\n{}", String::from_utf8_lossy(&out.stderr));
    assert!(told.contains("1 passed"), "{test} was not found: {told}");
    false
}
