//! A remote over https with a credential: the real git protocol, served by git's own backend.

use std::path::PathBuf;

use midwatch_core::id::{BranchName, CommitId};
use midwatch_git::credential::Credential;
use midwatch_git::deliver::{DeliverError, Delivery};
use midwatch_git::push::{push, remote_branch};
use midwatch_git::remote::{Access, Addresses, Inquiry, RemoteError};
use midwatch_git::url::{RepositoryUrl, UrlRules};
use midwatch_git::{Git, Mirror};
use midwatch_testkit::forge::{Forge, Manner};

use crate::sandbox::Sandbox;

const PASSWORD: &str = "t0ken-for-the-remote";
const RULES: UrlRules = UrlRules { private_addresses: true, plain_http: false };

/// A sandbox whose work is pushed to a forge.
struct Here {
    sandbox: Sandbox,
    forge: Forge,
    url: RepositoryUrl,
    git: Git,
    mirror: Mirror,
}

impl Here {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let world = &sandbox.world;
        world.git_ok(world.path(), &["clone", "-q", "--bare", "repo", "origin.git"]);
        let forge = Forge::start(world.path()).unwrap();
        forge.let_in("user", PASSWORD, true);
        forge.let_in("reader", PASSWORD, false);
        let url = RepositoryUrl::parse(&forge.url("origin.git"), RULES).unwrap();
        let git = Git::find().unwrap().with_ca_bundle(Some(forge.certificate().to_owned()));
        let mirror = Mirror::open(&git, &world.path().join("mirror"), false).unwrap();
        Self { sandbox, forge, url, git, mirror }
    }

    fn access<'a>(&'a self, credential: &'a Credential) -> Access<'a> {
        let credential = Some(credential);
        let (ssh_agent, addresses, proxy) = (None, Addresses::Any, None);
        Access { url: &self.url, credential, ssh_agent, addresses, proxy }
    }

    fn work(&self, text: &str) -> CommitId {
        self.sandbox.write("work", text);
        self.sandbox.commit("work");
        self.sandbox.imported().commit
    }

    fn origin(&self) -> PathBuf {
        self.sandbox.world.path().join("origin.git")
    }

    /// Pushes as a git does that neither asks before nor looks after it.
    fn careless_push(&self, words: &[&str]) {
        let url = self.url.to_git().replace("https://", &format!("https://user:{PASSWORD}@"));
        let trust = format!("http.sslCAInfo={}", self.forge.certificate().display());
        let words = [&["-c", &trust, "push", "-q", &url], words].concat();
        self.sandbox.world.git_ok(&self.mirror.work(), &words);
    }
}

fn login(user: &str, password: &str) -> Credential {
    Credential { user: user.into(), password: password.into() }
}

fn branch(name: &str) -> BranchName {
    BranchName::parse(name).unwrap()
}

#[test]
fn a_branch_is_pushed_over_https_and_read_back() {
    let here = Here::new();
    let (first, second) = (here.work("one\n"), here.work("two\n"));
    let good = login("user", PASSWORD);
    let access = here.access(&good);
    let (ours, main) = (branch("midwatch/t"), branch("main"));
    let protected = [main.clone()];
    let set = |commit, branch, ours_at| {
        push(&here.mirror, access, &Delivery { commit, branch, ours_at, protected: &protected })
    };

    assert_eq!(remote_branch(&here.mirror, access, &ours).unwrap(), None);
    for _ in 0..2 {
        assert_eq!(set(&first, &ours, None).unwrap(), first);
    }
    assert!(matches!(set(&second, &ours, None), Err(DeliverError::NotOurs { .. })));
    assert_eq!(set(&second, &ours, Some(&first)).unwrap(), second);
    assert!(matches!(set(&second, &main, None), Err(DeliverError::Protected(_))));
    let beside = branch("midwatch/t/x");
    assert!(matches!(set(&second, &beside, None), Err(DeliverError::Conflict { .. })));

    // Who refuses says why.
    let hook = here.origin().join("hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\necho no branches today >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let other = branch("midwatch/u");
    let error = set(&first, &other, None).unwrap_err();
    assert!(
        matches!(&error, DeliverError::Rejected { why, .. } if why.contains("no branches today")),
        "{error}"
    );
    // The lease is for what was seen: a branch that somebody moved meanwhile is not written to.
    std::fs::remove_file(&hook).unwrap();
    let moved = ["update-ref", "refs/heads/midwatch/t", here.sandbox.base.as_str()];
    here.sandbox.world.git_ok(&here.origin(), &moved);
    assert!(matches!(set(&first, &ours, Some(&second)), Err(DeliverError::NotOurs { .. })));
    // The control: without a lease it is, and theirs is gone.
    let there = || remote_branch(&here.mirror, access, &ours).unwrap();
    assert_eq!(there().as_ref(), Some(&here.sandbox.base));
    here.careless_push(&["--force", &format!("{first}:refs/heads/midwatch/t")]);
    assert_eq!(there(), Some(first));
}

#[test]
fn a_remote_that_lies_about_a_push_is_found_out() {
    let here = Here::new();
    let work = here.work("one\n");
    let good = login("user", PASSWORD);
    let ours = branch("midwatch/t");
    let delivery = Delivery { commit: &work, branch: &ours, ours_at: None, protected: &[] };
    here.forge.behave(Manner::Lies);
    let error = push(&here.mirror, here.access(&good), &delivery).unwrap_err();
    assert!(matches!(error, DeliverError::NotThere(_)), "{error}");
    // The control: a git that does not look again believes it.
    here.careless_push(&[&format!("{work}:refs/heads/midwatch/t")]);
    let world = &here.sandbox.world;
    let there = world.naive(&here.origin(), &["rev-parse", "-q", "--verify", "midwatch/t"]);
    assert!(!there.status.success());

    here.forge.behave(Manner::Honest);
    assert_eq!(push(&here.mirror, here.access(&good), &delivery).unwrap(), work);
}

#[test]
fn a_base_is_fetched_by_branch_and_by_id() {
    let here = Here::new();
    let work = here.work("one\n");
    let good = login("user", PASSWORD);
    let access = here.access(&good);
    let mirror = Mirror::open(&here.git, &here.sandbox.world.path().join("other"), false).unwrap();
    assert_eq!(mirror.fetch_branch(access, &branch("main")).unwrap(), here.sandbox.base);
    let error = mirror.fetch_commit(access, &work, Some(&branch("main"))).unwrap_err();
    assert!(matches!(error, RemoteError::NoCommit(_)), "{error}");
    assert!(!mirror.has_upstream(&work).unwrap());
    let ours = branch("midwatch/t");
    let delivery = Delivery { commit: &work, branch: &ours, ours_at: None, protected: &[] };
    push(&here.mirror, access, &delivery).unwrap();
    mirror.fetch_commit(access, &work, None).unwrap();
    assert!(mirror.has_upstream(&work).unwrap());
}

#[test]
fn what_goes_wrong_with_a_login_or_an_address_is_told_apart() {
    let here = Here::new();
    let elsewhere = Forge::start(here.sandbox.world.path()).unwrap();
    let inquiry = Inquiry::begin(&here.git).unwrap();
    let good = login("user", PASSWORD);
    let told = inquiry.advertised(here.access(&good)).unwrap();
    assert_eq!(told.default_branch.as_deref(), Some("main"));
    assert_eq!(told.branch(&branch("main")), Some(&here.sandbox.base));

    let ours = branch("midwatch/t");
    let base = &here.sandbox.base;
    let delivery = Delivery { commit: base, branch: &ours, ours_at: None, protected: &[] };
    inquiry.would_take(here.access(&good), &delivery).unwrap();
    assert!(
        !inquiry
            .advertised(here.access(&good))
            .unwrap()
            .branches
            .iter()
            .any(|(name, _)| name == "midwatch/t")
    );
    let reader = login("reader", PASSWORD);
    inquiry.advertised(here.access(&reader)).unwrap();
    let error = inquiry.would_take(here.access(&reader), &delivery).unwrap_err();
    assert!(matches!(error, DeliverError::Remote(RemoteError::NotAllowed(_))), "{error}");

    let ask = |access: Access<'_>| inquiry.advertised(access).unwrap_err();
    let wrong = login("user", "wr0ng-token");
    let error = ask(here.access(&wrong));
    assert!(matches!(error, RemoteError::Authentication(_)), "{error}");
    assert!(!error.to_string().contains("wr0ng"), "{error}");
    let error = ask(Access { credential: None, ..here.access(&good) });
    assert!(matches!(error, RemoteError::NoCredential(_)), "{error}");
    let none = RepositoryUrl::parse(&here.forge.url("none.git"), RULES).unwrap();
    let error = ask(Access { url: &none, ..here.access(&good) });
    assert!(matches!(error, RemoteError::NotFound(_)), "{error}");
    let stranger = Inquiry::begin(&Git::find().unwrap()).unwrap();
    let error = stranger.advertised(here.access(&good)).unwrap_err();
    assert!(matches!(&error, RemoteError::Unreachable(why) if why.contains("certificate")));

    here.forge.behave(Manner::Down);
    assert!(matches!(ask(here.access(&good)), RemoteError::Unreachable(_)));
    here.forge.behave(Manner::Redirects(elsewhere.origin()));
    assert!(matches!(ask(here.access(&good)), RemoteError::Redirected(_)));
    assert_eq!(elsewhere.seen(), [], "nobody was sent there");
    // The control: a git with its usual settings goes there.
    let world = &here.sandbox.world;
    let trust = format!("http.sslCAInfo={}", elsewhere.certificate().display());
    let verify = "http.sslVerify=false";
    world.naive(world.path(), &["-c", &trust, "-c", verify, "ls-remote", &here.url.to_git()]);
    assert_ne!(elsewhere.seen(), []);
}
