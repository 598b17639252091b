//! The operator's own HTTP proxy on the way to a remote that nothing else leads to.

use midwatch_core::id::BranchName;
use midwatch_git::credential::Credential;
use midwatch_git::deliver::Delivery;
use midwatch_git::push::push;
use midwatch_git::remote::{Access, Addresses, Inquiry, Proxy, RemoteError};
use midwatch_git::url::{RepositoryUrl, UrlRules};
use midwatch_git::{Git, Mirror};
use midwatch_testkit::company::Company;
use midwatch_testkit::forge::Forge;

use crate::sandbox::Sandbox;

const PASSWORD: &str = "t0ken-for-the-remote";
const WORD: &str = "w0rd: for the@proxy";

/// Where nobody listens; the proxy leads from here to the forge.
const NOWHERE: &str = "127.0.0.1:1";
const ASKED: &str = "CONNECT 127.0.0.1:1 HTTP/1.1";

fn access<'a>(
    url: &'a RepositoryUrl,
    credential: &'a Credential,
    proxy: Option<&'a Proxy>,
) -> Access<'a> {
    let (credential, addresses) = (Some(credential), Addresses::Any);
    Access { url, credential, ssh_agent: None, addresses, proxy }
}

#[test]
fn base_and_branch_go_through_the_proxy_and_nowhere_without_it() {
    let sandbox = Sandbox::new();
    let world = &sandbox.world;
    world.git_ok(world.path(), &["clone", "-q", "--bare", "repo", "origin.git"]);
    let forge = Forge::start(world.path()).unwrap();
    forge.let_in("user", PASSWORD, true);
    let company = Company::start(&format!("pro%xy:{WORD}"), &[(NOWHERE, forge.port())]).unwrap();
    let address = company.url("").replace("http://", "");
    let proxy =
        |login: Option<Credential>| Proxy { address: address.clone(), login, resolves: false };

    let rules = UrlRules { private_addresses: true, plain_http: false };
    let url = RepositoryUrl::parse(&format!("https://{NOWHERE}/origin.git"), rules).unwrap();
    let git = Git::find().unwrap().with_ca_bundle(Some(forge.certificate().to_owned()));
    let login =
        |user: &str, password: &str| Credential { user: user.into(), password: password.into() };
    let credential = login("user", PASSWORD);
    // The control: git as it was, and a proxy that does not let us in.
    let inquiry = Inquiry::begin(&git).unwrap();
    let ask =
        |proxy: Option<&Proxy>| inquiry.advertised(access(&url, &credential, proxy)).unwrap_err();
    assert!(matches!(ask(None), RemoteError::Unreachable(_)));
    assert_eq!(company.take(), [""; 0]);
    for wrong in [proxy(None), proxy(Some(login("pro%xy", "wr0ng-word")))] {
        let error = ask(Some(&wrong));
        assert!(matches!(error, RemoteError::ProxyLogin(_)), "{error}");
        assert!(
            error.to_string().contains("407") && !error.to_string().contains("wr0ng"),
            "{error}"
        );
        let seen = company.take();
        assert!(
            !seen.is_empty() && seen.iter().all(|line| *line == format!("407 {ASKED}")),
            "{seen:?}"
        );
    }
    assert_eq!(forge.seen(), []);

    let right = proxy(Some(login("pro%xy", WORD)));
    let access = access(&url, &credential, Some(&right));
    let told = inquiry.advertised(access).unwrap();
    assert_eq!(told.default_branch.as_deref(), Some("main"));
    let mirror = Mirror::open(&git, &world.path().join("other"), false).unwrap();
    mirror.fetch_commit(access, &sandbox.base, None).unwrap();
    assert!(mirror.has_upstream(&sandbox.base).unwrap());
    sandbox.write("work", "one\n");
    sandbox.commit("work");
    let commit = sandbox.imported().commit;
    let branch = BranchName::parse("midwatch/t").unwrap();
    let delivery = Delivery { commit: &commit, branch: &branch, ours_at: None, protected: &[] };
    let ours = Mirror::open(&git, &world.path().join("mirror"), false).unwrap();
    assert_eq!(push(&ours, access, &delivery).unwrap(), commit);
    let seen = company.take();
    assert!(seen.len() >= 3 && seen.iter().all(|line| *line == format!("200 {ASKED}")), "{seen:?}");
    // The forge is shown its own login, and not the proxy's.
    let shown = Some(("user".to_owned(), PASSWORD.to_owned()));
    assert!(forge.seen().iter().all(|seen| seen.login.is_none() || seen.login == shown));
}
