//! Names that are options, addresses that are programs, servers that point elsewhere.

use midwatch_core::id::BranchName;
use midwatch_git::credential::Credential;
use midwatch_git::push::remote_branch;
use midwatch_git::remote::{Access, Addresses};
use midwatch_git::url::{RepositoryUrl, UrlRules};

use super::server::Server;
use super::{Evil, Score};
use crate::sandbox::Sandbox;

pub(super) fn attack(score: &mut Score) {
    options(score);
    helpers(score);
    redirects(score);
    lazy_fetch(score);
}

/// A missing object makes git fetch it, with the program that the settings name.
fn lazy_fetch(score: &mut Score) {
    let sandbox = Sandbox::new();
    let world = &sandbox.world;
    let evil = Evil::in_world(world);
    let repo = world.repo();
    world.write("README", "two\n");
    let head = world.commit("second");
    let old = world.git_ok(&repo, &["rev-parse", "HEAD~1:README"]);
    let (folder, file) = old.split_at(2);
    std::fs::remove_file(repo.join(".git/objects").join(folder).join(file)).unwrap();
    for (key, value) in [
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", "../inside"),
        ("remote.origin.uploadpack", evil.path()),
    ] {
        world.git_ok(&repo, &["config", key, value]);
    }
    score.tried += 1;
    let checkout = world.checkout();
    let fresh = midwatch_git::Mirror::open(&world.git, &world.path().join("fresh"), false).unwrap();
    assert!(checkout.supported(&world.git, &head).is_err());
    assert!(fresh.fetch_local(&checkout, &head).is_err());
    let _ = checkout.dirty(&world.git, None);
    if evil.runs() > 0 {
        score.programs.push("lazy fetch");
    }
    world.naive(&repo, &["cat-file", "-p", &old]);
    if evil.runs() == 0 {
        score.no_control.push("lazy fetch");
    }
}

/// Each is refused where it is read; git itself would run the program.
fn options(score: &mut Score) {
    let sandbox = Sandbox::new();
    let world = &sandbox.world;
    let evil = Evil::in_world(world);
    let repo = world.repo();
    world.git_ok(&repo, &["remote", "add", "origin", "../inside"]);
    let option = format!("--upload-pack={}", evil.path());
    let short = format!("-u{}", evil.path());
    let exec = format!("--receive-pack={}", evil.path());
    let ext = format!("ext::{} %S", evil.path());
    let refused: [(&'static str, &str, Vec<&str>); 5] = [
        ("ref that is an option", &option, vec!["fetch", "origin", &option]),
        ("url that is an option", &option, vec!["clone", &option, "../inside", "../a"]),
        ("url that is a short option", &short, vec!["clone", &short, "../inside", "../b"]),
        ("branch that is an option", &exec, vec!["push", "origin", &exec, "HEAD:refs/heads/q"]),
        ("ext url", &ext, vec!["-c", "protocol.ext.allow=always", "fetch", &ext]),
    ];
    for (name, value, control) in refused {
        score.tried += 1;
        let taken =
            RepositoryUrl::parse(value, UrlRules { private_addresses: true, plain_http: true })
                .is_ok()
                || BranchName::parse(value).is_ok()
                || world.checkout().resolve(&world.git, value).is_ok();
        if taken || evil.runs() > 0 {
            score.programs.push(name);
        }
        world.naive(&repo, &control);
        if evil.runs() == 0 {
            score.no_control.push(name);
        }
    }
}

/// Settings of the user's repository are not asked when we speak with a server.
fn helpers(score: &mut Score) {
    for (name, key) in
        [("credential.helper", "credential.helper"), ("core.askPass", "core.askPass")]
    {
        let sandbox = Sandbox::new();
        let world = &sandbox.world;
        let evil = Evil::in_world(world);
        let server = Server::answering("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"");
        world.git_ok(&world.repo(), &["remote", "add", "origin", &server.url()]);
        let value = if key == "credential.helper" {
            format!("!{}", evil.path())
        } else {
            evil.path().to_owned()
        };
        world.git_ok(&world.repo(), &["config", key, &value]);
        // And in the mirror's own settings, should anybody have written there.
        world.git_ok(&sandbox.mirror.work(), &["config", key, &value]);
        score.tried += 1;
        let _ = ask(&sandbox, &server, None);
        if evil.runs() > 0 {
            score.programs.push(name);
        }
        assert!(!server.requests().is_empty());
        world.naive(&world.repo(), &["fetch", "origin"]);
        if evil.runs() == 0 {
            score.no_control.push(name);
        }
    }
}

fn redirects(score: &mut Score) {
    for status in
        ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let sandbox = Sandbox::new();
        let elsewhere = Server::answering("404 Not Found");
        let first = Server::answering(format!(
            "{status}\r\nLocation: {}/info/refs?service=git-upload-pack",
            elsewhere.url()
        ));
        let credential = Credential { user: "u".into(), password: "t0ken-of-the-first".into() };
        score.tried += 1;
        let error = ask(&sandbox, &first, Some(&credential)).unwrap_err();
        assert!(!error.contains("t0ken"), "{error}");
        if !elsewhere.requests().is_empty() {
            score.objects.push("redirect");
        }
        sandbox.world.naive(&sandbox.world.repo(), &["ls-remote", &first.url()]);
        if elsewhere.requests().is_empty() {
            score.no_control.push("redirect");
        }
    }
}

fn ask(sandbox: &Sandbox, server: &Server, credential: Option<&Credential>) -> Result<(), String> {
    let rules = UrlRules { private_addresses: true, plain_http: true };
    let url = RepositoryUrl::parse(&server.url(), rules).unwrap();
    let (ssh_agent, proxy) = (None, None);
    let access = Access { url: &url, credential, ssh_agent, addresses: Addresses::Any, proxy };
    let branch = BranchName::parse("midwatch/t").unwrap();
    remote_branch(&sandbox.mirror, access, &branch).map(drop).map_err(|error| error.to_string())
}

/// The credential does reach the server that it is for, and is asked for once.
#[test]
fn a_credential_reaches_its_own_server_only() {
    let sandbox = Sandbox::new();
    let server = Server::answering("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"");
    let credential = Credential { user: "u".into(), password: "t0ken".into() };
    let error = ask(&sandbox, &server, Some(&credential)).unwrap_err();
    assert!(error.contains("credential") && !error.contains("t0ken"), "{error}");
    let requests = server.requests();
    // "u:t0ken" in base64.
    assert!(requests.iter().any(|request| request.contains("dTp0MGtlbg==")), "{requests:?}");
}
