//! A repository that is only on a server: fetched from it, pushed to it, read back.

use midwatch_core::event::{Event, LandAction};
use midwatch_core::id::{BranchName, CommitId, Epoch, TaskName};
use midwatch_core::landing::saved_import;
use midwatch_core::reason::FailReason;
use midwatch_publish::order::{OrderError, ask};
use midwatch_publish::view::View;
use midwatch_publish::{
    Addresses, Credential, Git, Home, Remote, RemoteError, RepositoryUrl, Server, UrlRules,
};
use midwatch_testkit::forge::{Forge, Manner};

use crate::actions::{failure, fetched, imported, publish};
use crate::mirror_gone::{follow_up, remove};
use crate::world::{World, checkout};

const PASSWORD: &str = "t0ken-for-the-server";

/// A world whose repository is on a forge.
struct There {
    world: World,
    forge: Forge,
}

impl There {
    fn new() -> Self {
        let world = World::new();
        world.git(world.path(), &["clone", "-q", "--bare", "repo", "origin.git"]);
        let forge = Forge::start(world.path()).unwrap();
        forge.let_in("user", PASSWORD, true);
        forge.let_in("reader", PASSWORD, false);
        world.trust(forge.certificate());
        let there = Self { world, forge };
        there.with("user", PASSWORD);
        there
    }

    fn server(&self, user: &str, password: &str) -> Server {
        let rules = UrlRules { private_addresses: true, plain_http: false };
        let credential = Credential { user: user.into(), password: password.into() };
        Server {
            url: RepositoryUrl::parse(&self.forge.url("origin.git"), rules).unwrap(),
            credential: Some(credential),
            ssh_agent: None,
            addresses: Addresses::Any,
            proxy: None,
        }
    }

    /// Uses this login from now on.
    fn with(&self, user: &str, password: &str) {
        self.world.set_home(Home::Server(self.server(user, password)));
    }

    fn git(&self) -> Git {
        Git::find().unwrap().with_ca_bundle(Some(self.forge.certificate().to_owned()))
    }

    fn origin(&self, arguments: &[&str]) -> String {
        self.world.git(&self.world.path().join("origin.git"), arguments)
    }

    /// What a git without any of our settings ends with when it asks the forge.
    fn careless(&self, user: &str, password: &str) -> Option<i32> {
        let url = self.forge.url("origin.git");
        let url = url.replace("https://", &format!("https://{user}:{password}@"));
        let words = ["-c", "http.sslVerify=false", "ls-remote", &url];
        self.world.try_git(self.world.path(), &words).status.code()
    }

    fn has_branch(&self) -> bool {
        let origin = self.world.path().join("origin.git");
        let asked = ["rev-parse", "-q", "--verify", "midwatch/fix"];
        self.world.try_git(&origin, &asked).status.success()
    }
}

fn branch(name: &str) -> BranchName {
    BranchName::parse(name).unwrap()
}

#[tokio::test]
async fn from_a_url_and_back_to_it() {
    let there = There::new();
    let world = &there.world;
    fetched(world).await;
    let facts = imported(world, 1, "one\n").await;
    // Without a checkout there is one place to land in, whatever the order says of pushing.
    let action = publish(world, &facts.commit, true);
    let event = world.done_through_a_crash(&world.task(), &action).await;
    let Event::Landed(back) = event else { panic!("{event:?}") };
    assert_eq!((&back.commit, back.target), (&facts.commit, there.forge.url("origin.git")));
    assert_eq!(there.origin(&["show", "midwatch/fix:work"]), "one");
    // The user's own checkout of the same repository was never looked at.
    let local = world.try_git(&world.repo(), &["rev-parse", "-q", "--verify", "midwatch/fix"]);
    assert!(!local.status.success());

    // The branch that is ours moves; one that somebody moved does not.
    let second = imported(world, 2, "two\n").await;
    world.done_through_a_crash(&world.task(), &publish(world, &second.commit, true)).await;
    there.origin(&["update-ref", "refs/heads/midwatch/fix", world.base.as_str()]);
    let event = world.perform(&world.task(), &publish(world, &second.commit, true)).await;
    assert_eq!(failure(&event).0, FailReason::PushRejected);
    let keep = LandAction::Keep { commit: second.commit, branch: branch("midwatch/fix") };
    let event = world.perform(&world.task(), &keep).await;
    assert!(failure(&event).1.contains("no checkout"), "{event:?}");
}

#[tokio::test]
async fn a_follow_up_takes_what_it_begins_with_from_where_it_was_pushed_to() {
    let there = There::new();
    let world = &there.world;
    fetched(world).await;
    let first = imported(world, 1, "one\n").await.commit;
    world.done_through_a_crash(&world.task(), &publish(world, &first, true)).await;
    remove(world);
    let (task, fetch) =
        (follow_up(world, &first), LandAction::Fetch { commit: world.base.clone() });
    // The control: from a checkout that it was not pushed to, without a remote, it does not come.
    world.set_home(checkout(world.path(), None));
    let event = world.perform(&task, &fetch).await;
    assert!(failure(&event).1.contains("is lost"), "{event:?}");
    // Where nobody could look, nothing is lost yet.
    let closed = Remote::Server(there.server("user", "wr0ng-password"));
    world.set_remote(closed);
    let event = world.perform(&task, &fetch).await;
    let (reason, detail) = failure(&event);
    assert_eq!(reason, FailReason::Authentication);
    assert!(detail.starts_with("what this goes on from could not be fetched again"), "{detail}");
    world.set_remote(Remote::Local(world.path().join("nowhere")));
    let event = world.perform(&task, &fetch).await;
    assert!(!failure(&event).1.contains("is lost"), "{event:?}");
    let remote = Remote::Server(there.server("user", PASSWORD));
    world.set_remote(remote);
    world.done_through_a_crash(&task, &fetch).await;
    remove(world);
    there.with("user", PASSWORD);
    world.done_through_a_crash(&task, &fetch).await;
    let pack = world.path().join("mirror/packs").join(first.as_str());
    assert!(pack.is_dir());
    // Somebody took it from there as well.
    remove(world);
    there.origin(&["update-ref", "-d", "refs/heads/midwatch/fix"]);
    there.origin(&["gc", "-q", "--prune=now"]);
    let event = world.perform(&task, &fetch).await;
    assert!(failure(&event).1.contains("is lost"), "{event:?}");
}

#[tokio::test]
async fn what_the_server_does_not_let_us_do_has_its_reason() {
    let there = There::new();
    let world = &there.world;
    let fetch = LandAction::Fetch { commit: world.base.clone() };
    there.with("user", "wr0ng-password");
    let event = world.perform(&world.task(), &fetch).await;
    let (reason, detail) = failure(&event);
    assert_eq!(reason, FailReason::Authentication);
    assert!(!detail.contains("wr0ng"), "{detail}");
    there.with("reader", PASSWORD);
    fetched(world).await;
    let facts = imported(world, 1, "one\n").await;
    let event = world.perform(&world.task(), &publish(world, &facts.commit, true)).await;
    assert_eq!(failure(&event).0, FailReason::Authentication);

    there.with("user", PASSWORD);
    let elsewhere = Forge::start(world.path()).unwrap();
    there.forge.behave(Manner::Redirects(elsewhere.origin()));
    let event = world.perform(&world.task(), &publish(world, &facts.commit, true)).await;
    assert!(failure(&event).1.contains("redirects are not followed"), "{event:?}");
    assert_eq!(elsewhere.seen(), []);
    // The control: git alone goes where it is sent, and has one word for whatever happens.
    assert_eq!(there.careless("user", PASSWORD), Some(128));
    assert_ne!(elsewhere.seen(), []);
    for (manner, password) in [(Manner::Honest, "wr0ng-password"), (Manner::Down, PASSWORD)] {
        there.forge.behave(manner);
        assert_eq!(there.careless("user", password), Some(128));
    }
    there.forge.behave(Manner::Honest);
    let missing = CommitId::parse(&"a".repeat(40)).unwrap();
    let event = world.perform(&world.task(), &LandAction::Fetch { commit: missing }).await;
    assert_eq!(failure(&event).0, FailReason::InvalidInput);
}

#[tokio::test]
async fn a_server_that_lies_lands_nothing_and_the_work_is_kept() {
    let there = There::new();
    let world = &there.world;
    fetched(world).await;
    let facts = imported(world, 1, "one\n").await;
    let action = publish(world, &facts.commit, true);
    there.forge.behave(Manner::Lies);
    let event = world.perform(&world.task(), &action).await;
    let (reason, detail) = failure(&event);
    assert_eq!(reason, FailReason::PushRejected);
    assert!(detail.contains("does not have it"), "{detail}");
    assert!(!there.has_branch());

    // What `midwatch open` does with it, without a checkout here.
    let view = View::open_remote(&there.git(), &world.path().join("mirror"), &world.base).unwrap();
    let task = TaskName::parse("fix").unwrap();
    let commit = view.commit(&saved_import(&task, Epoch(1))).unwrap();
    assert_eq!(commit, facts.commit);
    let folder = world.path().join("opened");
    view.worktree(&commit, &task, &folder, None).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("work")).unwrap(), "one\n");
    assert_eq!(world.git(&folder, &["status", "--porcelain"]), "");
    assert_eq!(world.head(&folder), facts.commit);

    there.forge.behave(Manner::Honest);
    world.done_through_a_crash(&world.task(), &action).await;
    assert!(there.has_branch());

    // The control: without the ref that was kept there is nothing to open.
    let kept = saved_import(&task, Epoch(1));
    world.git(&world.path().join("mirror/work.git"), &["update-ref", "-d", &kept]);
    assert!(view.commit(&kept).is_err());
}

#[tokio::test]
async fn a_base_with_submodules_is_refused_when_it_was_fetched() {
    let there = There::new();
    let world = &there.world;
    let link = format!("160000,{},lib", "1".repeat(40));
    world.git(&world.inside(), &["update-index", "--add", "--cacheinfo", &link]);
    world.git(&world.inside(), &["commit", "-q", "-m", "a submodule"]);
    let odd = world.head(&world.inside());
    let origin = world.path().join("origin.git");
    world.git(&world.inside(), &["push", "-q", origin.to_str().unwrap(), "HEAD:main"]);
    let event = world.perform(&world.task(), &LandAction::Fetch { commit: odd }).await;
    let (reason, detail) = failure(&event);
    assert_eq!(reason, FailReason::InvalidInput);
    assert!(detail.contains("submodules (lib)"), "{detail}");
}

#[test]
fn an_order_is_settled_by_what_the_server_tells() {
    let there = There::new();
    let world = &there.world;
    there.origin(&["branch", "taken"]);
    there.origin(&["tag", "v1"]);
    let git = there.git();
    let told = ask(&git, &there.server("user", PASSWORD)).unwrap();
    let mirror = world.path().join("mirror");
    assert_eq!(told.default_branch(), Some("main"));
    assert!(told.identity().ends_with("/origin"), "{}", told.identity());
    let main = Some("main".to_owned());
    for reference in [None, Some("main")] {
        assert_eq!(told.base(reference, &mirror).unwrap(), (world.base.clone(), main.clone()));
    }
    for reference in ["v1", world.base.as_str()] {
        assert_eq!(told.base(Some(reference), &mirror).unwrap(), (world.base.clone(), None));
    }
    assert!(!mirror.exists());
    let error = told.base(Some(&"a".repeat(40)), &mirror).unwrap_err();
    assert!(matches!(error, OrderError::Remote(RemoteError::NoCommit(_))), "{error}");
    assert!(matches!(told.base(Some("deadbee"), &mirror), Err(OrderError::Input(_))));

    let main = [branch("main")];
    told.check_branch(&branch("midwatch/fix"), &world.base, &main).unwrap();
    for (name, says) in [
        ("taken", "or `git push REMOTE --delete taken`"),
        ("taken/x", "existing branch taken"),
        ("main", "protected"),
    ] {
        let error = told.check_branch(&branch(name), &world.base, &main).unwrap_err();
        assert!(error.to_string().contains(says), "{name}: {error}");
    }
    let reads = ask(&git, &there.server("reader", PASSWORD)).unwrap();
    let error = reads.check_branch(&branch("midwatch/fix"), &world.base, &main).unwrap_err();
    assert!(error.is_login(), "{error}");
    let error = ask(&git, &there.server("user", "wr0ng-password")).unwrap_err();
    assert!(error.is_login() && !error.to_string().contains("wr0ng"), "{error}");
    there.forge.behave(Manner::Down);
    assert!(ask(&git, &there.server("user", PASSWORD)).unwrap_err().is_unreachable());
    // The control: nothing of all that was made there.
    assert!(!there.has_branch());
}
