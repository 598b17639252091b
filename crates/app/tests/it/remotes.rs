//! Servers: a branch that is pushed to one with the user's own login, and a repository that is
//! nowhere else.

use std::path::{Path, PathBuf};

use midwatch_testkit::forge::{Forge, Manner};
use serde_json::{Value, json};

use crate::house::{House, holding, tell};

mod proxied;

const PASSWORD: &str = "canary-password-of-the-forge";
const CHECK: [&str; 2] = ["--check", "test -e README"];

/// A user, a forge with `o.git`, and a clone of it whose origin it is.
struct Place {
    house: House,
    forge: Forge,
    repository: PathBuf,
}

impl Place {
    /// The user's git has this password for the forge.
    fn new(password: &str) -> Self {
        Self::at(password, Forge::origin)
    }

    /// The same, where the forge is known by another address.
    fn at(password: &str, origin: impl Fn(&Forge) -> String) -> Self {
        let house = House::new();
        let root = house.folder("forge");
        let repository = house.repository("repo", &[("README", "x\n")]);
        house.git(&root, &["clone", "-q", "--bare", repository.to_str().unwrap(), "o.git"]);
        let forge = Forge::start(&root).unwrap();
        forge.let_in("user", PASSWORD, true);
        let origin = origin(&forge);
        house.git(&repository, &["remote", "add", "origin", &format!("{origin}/o.git")]);
        let kept = house.home().join("kept-logins");
        let login = origin.replace("https://", &format!("https://user:{password}@"));
        std::fs::write(&kept, format!("{login}\n")).unwrap();
        let settings = format!("[credential]\n\thelper = store --file {}\n", kept.display());
        std::fs::write(house.home().join(".gitconfig"), settings).unwrap();
        let house = house
            .with("MIDWATCH_PRIVATE_ADDRESSES", "1")
            .with("SSL_CERT_FILE", forge.certificate());
        Self { house, forge, repository }
    }

    fn bare(&self) -> PathBuf {
        self.house.folder("forge/o.git")
    }

    fn has(&self, branch: &str) -> bool {
        let listed = self.house.git(&self.bare(), &["branch", "--list", branch]);
        !listed.is_empty()
    }

    fn push(&self, more: &[&str]) -> crate::house::Told {
        let flags = [&CHECK[..], &["--push"], more].concat();
        self.house.run(&self.repository, "do: append README more", &flags)
    }

    /// Files of the state folder that hold the password.
    fn leaks(&self) -> Vec<PathBuf> {
        holding(&self.house.state(), PASSWORD)
    }
}

fn open_control(place: &Place, repository: &Path, task: &str) -> String {
    let folder = place.house.folder("looked-at").join(task);
    let told = place.house.midwatch(repository, &["open", task, folder.to_str().unwrap()]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    std::fs::read_to_string(folder.join("README")).unwrap()
}

#[test]
fn a_branch_is_pushed_with_the_login_of_the_users_git() {
    let place = Place::new(PASSWORD);
    let pushed = place.push(&["--branch", "fix/it"]);
    pushed.is_done();
    assert!(pushed.found("push").contains("credential helper"), "{}", pushed.stderr);
    let there = place.house.git(&place.bare(), &["rev-parse", "fix/it"]);
    assert_eq!(pushed.result["commit"].as_str(), Some(there.as_str()));
    // The login is gone with the last task that names it, and was nowhere else.
    let gone = crate::house::until(std::time::Duration::from_secs(20), || place.leaks().is_empty());
    assert!(gone, "{:?}", place.leaks());
    assert!(!pushed.stdout.contains(PASSWORD) && !pushed.stderr.contains(PASSWORD));
    // The control: the search finds it where it is.
    std::fs::write(place.house.state().join("planted"), PASSWORD).unwrap();
    assert_eq!(place.leaks().len(), 1);
}

#[test]
fn what_the_server_would_refuse_is_said_before_there_is_a_task() {
    let place = Place::new(PASSWORD);
    // Made on the server, and never fetched.
    place.house.git(&place.bare(), &["branch", "fix/taken"]);
    let seen = |place: &Place, more: &[&str], code, says: &str| {
        let told = place.push(more);
        assert_eq!(told.code, Some(code), "{says}: {}", told.stderr);
        assert!(told.stderr.contains(says), "{says}: {}", told.stderr);
        assert!(!place.house.state().join("midwatch.db").exists(), "{says}");
    };
    seen(&place, &["--branch", "fix/taken"], 2, "did not put it");
    seen(&place, &["--branch", "fix/taken/x"], 2, "existing branch fix/taken");
    place.forge.behave(Manner::Redirects("https://127.0.0.1:9".into()));
    seen(&place, &[], 2, "redirects are not followed");
    place.forge.behave(Manner::Honest);
    place.forge.lock_out();
    seen(&place, &[], 6, "did not accept the credential");
    place.forge.let_in("user", PASSWORD, false);
    seen(&place, &[], 6, "does not let this credential");
    std::fs::write(place.house.home().join(".gitconfig"), "").unwrap();
    seen(&place, &[], 6, "there is none");
}

#[test]
fn a_push_that_did_not_happen_leaves_work_that_can_be_opened() {
    let place = Place::new(PASSWORD);
    place.forge.behave(Manner::Lies);
    let failed = place.push(&["--name", "lost"]);
    failed.is("Failed", Some("PushRejected"), 3);
    assert!(!place.has("midwatch/lost"));
    assert_eq!(failed.result["branch"], Value::Null);
    assert!(failed.result["rescueRef"].is_string(), "{}", failed.result);
    assert!(failed.result["hint"].as_str().unwrap().contains("midwatch open"));
    assert_eq!(open_control(&place, &place.repository, "lost"), "x\nmore\n");
}

/// Rows 1 to 22 of the table of bad inputs, as URL, base and branch of an order: what is refused,
/// and a part of what is said. `FORGE` is the URL of the forge.
fn bad_orders() -> Vec<(String, String, String, &'static str)> {
    let long = format!("https://h.example/{}", "x".repeat(10_000));
    let urls = [
        ("ext::sh -c id", "scheme"),
        ("EXT::sh -c id", "scheme"),
        (" ext::sh -c id", "scheme"),
        ("file:///etc", "local path"),
        ("../x", "local path"),
        ("/absolute", "local path"),
        ("--upload-pack=x", "start with '-'"),
        ("ssh://-oProxyCommand=x/y", "start with '-'"),
        ("https://user:canary@h.example/x", "must not hold"),
        ("http://h.example/x", "plain http"),
        ("https://169.254.169.254/x", "link-local"),
        ("https://0x7f.1/x", "canonical"),
        ("https://2130706433/x", "canonical"),
        ("https://[::ffff:10.0.0.1]/x", "private"),
        ("https://h\u{1}ost.example/x", "control character at position"),
        ("https://h%00ost.example/x", "control character at position"),
        ("https://h\u{43e}st.example/x", "xn--"),
        (long.as_str(), "longer than 2048"),
        ("", "required"),
    ];
    let names = [
        ("--upload-pack=x", "start with '-'"),
        ("-f", "start with '-'"),
        ("a..b", "must not hold '..'"),
        ("x.lock", "ends with .lock"),
        ("@{-1}", "may hold only"),
        ("a b", "may hold only"),
        ("a~1", "may hold only"),
        ("refs/heads/x", "short name"),
        ("HEAD", "short name"),
        ("$(id)", "may hold only"),
        ("a;id", "may hold only"),
        ("`id`", "may hold only"),
        ("LONG", "longer than 200"),
    ];
    let owned = |url: &str, base: &str, branch: &str, says| {
        let long = |text: &str| if text == "LONG" { "x".repeat(300) } else { text.to_owned() };
        (url.to_owned(), long(base), long(branch), says)
    };
    let mut all: Vec<_> = urls.into_iter().map(|(url, says)| owned(url, "", "b", says)).collect();
    for (name, says) in names {
        all.push(owned("FORGE", name, "b", says));
        all.push(owned("FORGE", "", name, says));
    }
    all.push(owned("FORGE", "", "main", "default branch"));
    all.push(owned("FORGE", "", "midwatch/here", "did not put it"));
    all.push(owned("FORGE", "", "midwatch/here/x", "existing branch midwatch/here"));
    all.push(owned("FORGE", "deadbee", "b", "not found at the remote"));
    all
}

#[test]
fn a_repository_that_is_a_url_is_fetched_checked_and_pushed_to() {
    let place = Place::new(PASSWORD);
    let place = Place { house: place.house.with("MIDWATCH_IDLE_SECONDS", "60"), ..place };
    // What a client finds on this machine is taken from an order for the checkout.
    place.push(&["--name", "here"]).is_done();
    let (status, order) = place.house.ask("GET", "/v1/tasks/here/order", &Value::Null);
    assert_eq!(status, 200, "{order}");
    let login = json!({"user": "user", "password": PASSWORD});
    let remote = |url: &str, base: &str, branch: &str| {
        let mut order = order.clone();
        order["repository"] = json!({"url": url, "privateAddresses": true});
        order["base"] = base.into();
        order["push"] = false.into();
        order["branch"] = branch.into();
        order
    };
    let submit = |name: &str, order: &Value| {
        let submit = json!({"name": name, "order": order, "secret": null, "login": login});
        place.house.ask("POST", "/v1/tasks", &submit)
    };
    let url = place.forge.url("o.git");
    let (mut tried, mut unclear) = (0, Vec::new());
    for (url, base, branch, says) in bad_orders() {
        let mut order = remote(&url.replace("FORGE", &place.forge.url("o.git")), &base, &branch);
        order["repository"]["privateAddresses"] = (url == "FORGE").into();
        let (status, told) = submit("there", &order);
        let message = told["message"].as_str().unwrap_or_default();
        tried += 1;
        if status < 400 || !message.contains(says) || message.contains("canary") {
            unclear.push(format!("{url} {base} {branch}: {status} {told}, not {says}"));
        }
    }
    assert!(unclear.is_empty(), "{}", unclear.join("\n"));
    tell(&format!("bad orders for a URL: tried {tried}, clear errors {tried}"));
    let (status, told) = place.house.ask("GET", "/v1/tasks/there", &Value::Null);
    assert!(status >= 400, "nothing was made: {told}");
    // An address that is not public needs a word for it.
    let mut closed = remote(&url, "", "b");
    closed["repository"] = json!({ "url": url });
    assert!(submit("there", &closed).1["message"].as_str().unwrap().contains("loopback"));

    let good = remote(&url, "", "fix/there");
    let (status, told) = submit("there", &good);
    assert!(status < 300, "{told}");
    assert_eq!(submit("there", &good).1["attached"], true);
    let done = place.house.midwatch(&place.repository, &["wait", "there"]);
    done.is_done();
    let commit = place.house.git(&place.bare(), &["rev-parse", "fix/there"]);
    assert_eq!(done.result["commit"].as_str(), Some(commit.as_str()));
    assert_eq!(open_control(&place, &place.repository, "there"), "x\nmore\n");

    // The mirror is gone, and the work where it was pushed.
    std::fs::remove_dir_all(place.house.state().join("mirrors")).unwrap();
    let refused = place.house.midwatch(&place.repository, &["diff", "there"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let fetch = format!("it was pushed: `git fetch {url} fix/there`");
    assert!(refused.stderr.contains(&fetch), "{}", refused.stderr);
    // The control: a checkout has a name for where it was pushed.
    let refused = place.house.midwatch(&place.repository, &["diff", "here"]);
    assert!(refused.stderr.contains("`git fetch origin midwatch/here`"), "{}", refused.stderr);
}

#[test]
fn a_url_in_a_file_is_applied_and_done() {
    let place = Place::new(PASSWORD);
    let agent = place.house.folder("agent").join("scripted-agent");
    let head = "apiVersion: midwatch.dev/v1alpha1\n";
    let file = |checks: &str| {
        let text = format!(
            "{head}kind: AgentProfile\nmetadata: {{name: scripted}}\n\
             spec: {{agent: custom, program: {}, custom: {{argv: [scripted-agent]}}, egress: none}}\n\
             ---\n{head}kind: AgentTask\nmetadata: {{name: there}}\nspec:\n\
             \x20 goal: \"do: append README more\"\n  repository: {{url: {}}}\n\
             \x20 pipeline: quick\n  agent: scripted\n  branch: fix/file\n{checks}",
            agent.display(),
            place.forge.url("o.git")
        );
        let path = place.house.home().join("there.yaml");
        std::fs::write(&path, text).unwrap();
        path
    };
    // Of no checkout: the home is none.
    let home = place.house.home();
    let apply = |path: &Path| place.house.midwatch(&home, &["apply", "-f", path.to_str().unwrap()]);
    let told = apply(&file(""));
    assert_eq!(told.code, Some(2), "{}", told.stderr);
    assert!(told.stderr.contains("spec.checks"), "{}", told.stderr);
    let applied = apply(&file("  checks: [{run: test -e README}]\n"));
    assert_eq!(applied.code, Some(0), "{}", applied.stderr);
    let done = place.house.midwatch(&home, &["wait", "there"]);
    done.is_done();
    let commit = place.house.git(&place.bare(), &["rev-parse", "fix/file"]);
    assert_eq!(done.result["commit"].as_str(), Some(commit.as_str()));
    assert_eq!(place.house.git(&place.bare(), &["show", "fix/file:README"]), "x\nmore");
    assert!(!applied.stdout.contains(PASSWORD) && !done.stdout.contains(PASSWORD));
}
