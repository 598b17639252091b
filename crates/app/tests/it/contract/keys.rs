//! A retry needs a login of now: what its task had was forgotten with it.

use std::path::Path;
use std::time::Duration;

use crate::house::{House, until};

use super::lines::is_whole;

const KEY: &str = "sk-ant-api03-a-key-of-a-retry-0123456789";

fn kept(house: &House) -> usize {
    std::fs::read_dir(house.state().join("credentials")).unwrap().count()
}

/// A task that failed, and the user's key with it.
fn failed(house: &House, repository: &Path) {
    let spec = "{variable: SAMPLE_KEY, kind: AnthropicKey}";
    let profile = house.scripted(&format!(", egress: none, credential: {spec}"));
    let words = ["run", "do: say nothing", "--name", "one", "--pipeline", "quick"];
    let check = ["--check", "test -e README", "--profile", profile.to_str().unwrap()];
    let ran = house.midwatch(repository, &[&words[..], &check[..]].concat());
    ran.is("Failed", Some("EmptyDiff"), 3);
    assert!(until(Duration::from_secs(30), || kept(house) == 0), "the key is kept for ever");
}

#[test]
fn a_retry_finds_the_key_where_it_was_and_hands_it_over() {
    let house = House::new().with("SAMPLE_KEY", KEY);
    let repository = house.repository("repo", &[("README", "x\n")]);
    failed(&house, &repository);
    let retried = house.midwatch(&repository, &["retry", "one"]);
    assert_eq!((retried.code, retried.task()), (Some(0), "one-r2"), "{}", retried.stderr);
    house.midwatch(&repository, &["wait", "one-r2"]).is("Failed", Some("EmptyDiff"), 3);
    assert!(!retried.stdout.contains(KEY) && !retried.stderr.contains(KEY));

    // Without it, what is missing is said, and there is no third task.
    let house = house.without("SAMPLE_KEY");
    assert!(until(Duration::from_secs(30), || kept(&house) == 0), "the key is kept for ever");
    let refused = house.midwatch(&repository, &["retry", "one"]);
    is_whole(&refused, "retry without a key");
    assert_eq!(refused.code, Some(6), "{}", refused.stderr);
    assert_eq!((&refused.result["reason"], refused.task()), (&"NeedsLogin".into(), "one"));
    assert!(refused.stderr.contains("SAMPLE_KEY"), "{}", refused.stderr);
    assert_eq!(house.midwatch(&repository, &["get", "one-r3"]).code, Some(2));
}

/// A name and a branch that is there: where there was never a task, it is refused with no server.
#[test]
fn a_branch_that_exists_is_refused_before_a_server_is_started() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    house.git(&repository, &["branch", "mine"]);
    let words = ["--check", "test -e README", "--name", "one", "--branch", "mine"];
    for words in [&words[..], &[&words[..], &["--include-dirty"]].concat()] {
        let told = house.run(&repository, "do: append README more", words);
        is_whole(&told, "an existing branch");
        assert_eq!(told.code, Some(2), "{}", told.stderr);
        assert!(told.stderr.contains("--branch"), "{}", told.stderr);
        assert!(!house.state().join("midwatch.db").exists(), "a server was started");
        assert!(!house.state().join("server.log").exists(), "a server was started");
    }
    // The control: the same words with a free branch make a task.
    house.run(&repository, "do: append README more", &[&words[..5], &["free"]].concat()).is_done();
}
