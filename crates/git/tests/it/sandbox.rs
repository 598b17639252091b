//! What a sandbox does with its copy of a repository: commits and bundles of its own making.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use midwatch_core::id::CommitId;
use midwatch_git::Mirror;
use midwatch_git::gates::{Finding, KnownSecret, Rule, Scanner};
use midwatch_git::import::{ImportError, ImportOrder, ImportOutcome, ImportedWork, Limits, import};

use crate::world::{World, write};

/// A sandbox's clone of the user's repository at its HEAD, with the base in the mirror.
pub(crate) struct Sandbox {
    pub(crate) world: World,
    pub(crate) mirror: Mirror,
    pub(crate) base: CommitId,
    pub(crate) onto: Option<CommitId>,
    pub(crate) limits: Limits,
    pub(crate) secrets: Vec<KnownSecret>,
    pub(crate) checks: Vec<String>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::of(World::new())
    }

    pub(crate) fn of(world: World) -> Self {
        let base = world.head(&world.repo());
        let mirror = world.mirror();
        mirror.fetch_local(&world.checkout(), &base).unwrap();
        let repo = world.repo();
        world.git_ok(world.path(), &["clone", "-q", repo.to_str().unwrap(), "inside"]);
        std::fs::create_dir(world.path().join("out")).unwrap();
        let limits = Limits::default();
        Self { world, mirror, base, onto: None, limits, secrets: Vec::new(), checks: Vec::new() }
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.world.path().join("inside")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.world.path().join("out")
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.world.git_ok(&self.repo(), args)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        write(&self.repo().join(path), text);
    }

    pub(crate) fn commit(&self, message: &str) -> CommitId {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.world.head(&self.repo())
    }

    /// One path with a content of any mode, as a commit on HEAD, whatever git thinks of it.
    pub(crate) fn commit_entry(&self, mode: &str, path: &str, content: &str) -> CommitId {
        let blob = if mode == "160000" {
            self.base.to_string()
        } else {
            self.object("blob", content.as_bytes())
        };
        self.git(&["update-index", "--add", "--cacheinfo", &format!("{mode},{blob},{path}")]);
        self.git(&["commit", "-q", "-m", "an entry"]);
        self.world.head(&self.repo())
    }

    /// Any object, unchecked.
    pub(crate) fn object(&self, kind: &str, content: &[u8]) -> String {
        let file = self.world.path().join("object");
        std::fs::write(&file, content).unwrap();
        self.git(&["hash-object", "-w", "--literally", "-t", kind, file.to_str().unwrap()])
    }

    /// A tree with the base's files and one entry of any name, as a commit on the base.
    pub(crate) fn commit_raw_tree(&self, mode: &str, name: &[u8], id: &str) -> CommitId {
        let mut tree = format!("{mode} ").into_bytes();
        tree.extend_from_slice(name);
        tree.push(0);
        let hex = id.as_bytes().chunks(2);
        tree.extend(
            hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()),
        );
        let tree = self.object("tree", &tree);
        self.commit_of_tree(&tree)
    }

    pub(crate) fn commit_of_tree(&self, tree: &str) -> CommitId {
        let text = format!(
            "tree {tree}\nparent {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nraw\n",
            self.base
        );
        CommitId::parse(&self.object("commit", text.as_bytes())).unwrap()
    }

    /// Bundles base..reference.
    pub(crate) fn bundle(&self, reference: &str) {
        let path = self.out().join("work.bundle");
        self.git(&["update-ref", "refs/heads/bundled", reference]);
        let range = format!("{}..bundled", self.base);
        self.git(&["bundle", "create", "-q", path.to_str().unwrap(), &range]);
    }

    pub(crate) fn import(&self) -> Result<ImportOutcome, ImportError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let target = format!("refs/midwatch/import/t/{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.import_to(&target, &[])
    }

    pub(crate) fn import_to(
        &self,
        target: &str,
        known: &[CommitId],
    ) -> Result<ImportOutcome, ImportError> {
        let out = self.out();
        let order = ImportOrder {
            dir: &out,
            name: "work.bundle",
            base: &self.base,
            onto: self.onto.as_ref().unwrap_or(&self.base),
            known,
            target,
            when: 1_700_000_000,
            fallback_message: "work",
            limits: self.limits,
        };
        import(&self.mirror, &order, &Scanner::new(&self.secrets).with_checks(&self.checks))
    }

    /// Bundles HEAD and imports it, which must succeed.
    pub(crate) fn imported(&self) -> ImportedWork {
        self.bundle("HEAD");
        match self.import() {
            Ok(ImportOutcome::Imported(work)) => *work,
            other => panic!("not imported: {other:?}"),
        }
    }

    /// Bundles a commit and imports it, which the gates must refuse.
    pub(crate) fn refused(&self, reference: &str) -> Vec<Finding> {
        self.bundle(reference);
        match self.import() {
            Ok(ImportOutcome::Refused(findings)) => findings,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Bundles a commit and imports it; git must refuse its objects.
    pub(crate) fn git_refuses(&self, reference: &str) -> String {
        self.bundle(reference);
        match self.import() {
            Err(ImportError::Objects(why)) => why,
            other => panic!("not refused by git: {other:?}"),
        }
    }
}

pub(crate) fn has(findings: &[Finding], rule: Rule, path: &str) -> bool {
    findings.iter().any(|finding| finding.rule == rule && finding.path == path)
}
