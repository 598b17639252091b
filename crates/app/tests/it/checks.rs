//! What checks say of a change, seen from the command line: every answer fails closed.

use serde_json::Value;

use crate::house::{House, Told};

const TEST_TWO: &str = "\
const test = require('node:test');
const assert = require('node:assert');
test('first', () => assert.ok(true));
test('second', () => assert.ok(true));
";

const PACKAGE: &str = r#"{"name": "sample", "version": "1.0.0", "private": true, "scripts": {"test": "node --test"}}"#;

fn rescue_holds(house: &House, repository: &std::path::Path, told: &Told, file: &str) {
    let reference = told.result["rescueRef"].as_str().unwrap_or_default();
    assert!(reference.starts_with("refs/midwatch/rescue/"), "{}", told.result);
    let opened = house.midwatch(repository, &["open", told.task()]);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    let folder = opened.of("opened")[0]["folder"].as_str().map(std::path::PathBuf::from);
    let folder = folder.unwrap_or_else(|| panic!("no folder in {}", opened.stdout));
    assert!(folder.join(file).exists(), "{} lacks {file}", folder.display());
}

#[test]
fn zero_tests_on_the_base_stop_before_the_agent() {
    let house = House::new();
    let repository = house.repository("repo", &[("package.json", PACKAGE), ("index.js", "1\n")]);
    let told = house.run(&repository, "do: append note.txt hi", &[]);
    told.is("Failed", Some("CheckCouldNotRun"), 3);
    assert!(told.found("check").contains("npm test"));
    assert_eq!(told.runs("Agent").len(), 0);
    assert_eq!(told.result["checks"][0]["testsExecuted"], 0, "{}", told.result);
}

#[test]
fn fewer_tests_hold_for_approval_and_go_on_when_approved() {
    let house = House::new();
    let files = [("package.json", PACKAGE), ("a.test.js", TEST_TWO)];
    let repository = house.repository("repo", &files);
    let goal = "do: run sed -i '$d' a.test.js";
    let told = house.run(&repository, goal, &[]);
    told.is("Held", Some("Approval"), 5);
    assert_eq!(told.result["checks"][0]["testsExecuted"], 1, "{}", told.result);
    assert!(told.result["detail"].as_str().unwrap().contains("fewer tests"), "{}", told.result);
    assert_eq!(house.git(&repository, &["branch", "--list", "midwatch/*"]), "");

    let approved = house.midwatch(&repository, &["approve", told.task()]);
    assert_eq!(approved.code, Some(0), "{}", approved.stderr);
    let waited = house.midwatch(&repository, &["wait", told.task()]);
    waited.is_done();
    let branch = waited.result["branch"].as_str().unwrap();
    let commit = house.git(&repository, &["rev-parse", branch]);
    assert_eq!(waited.result["commit"].as_str(), Some(commit.as_str()));

    // The control: the same change that keeps the number of tests is nobody's question.
    let told = house.run(&repository, "do: append a.test.js // a word", &[]);
    told.is_done();
}

#[test]
fn what_defines_a_check_is_looked_at_by_somebody() {
    let house = House::new();
    let makefile = "test:\n\t@test -e README\n";
    let files = [("package.json", PACKAGE), ("a.test.js", TEST_TWO), ("README", "x\n")];
    let npm = house.repository("npm", &files);
    let make = house.repository("make", &[("Makefile", makefile), ("README", "x\n")]);
    let goal = "do: run sed -i 's/node --test/node --test || true/' package.json";
    let changed_script = house.run(&npm, goal, &[]);
    let changed_make = house.run(&make, "do: append Makefile # nothing", &[]);
    for (told, file) in [(changed_script, "package.json"), (changed_make, "Makefile")] {
        told.is("Held", Some("Approval"), 5);
        let detail = told.result["detail"].as_str().unwrap();
        assert!(detail.contains(file) && detail.contains("defines"), "{detail}");
    }
    let told = house.run(&make, "do: append README more", &[]);
    told.is_done();
}

const ONE_RED: &str = "\
const test = require('node:test');
const assert = require('node:assert');
test('green', () => assert.ok(true));
test('red', () => assert.ok(false));
";

#[test]
fn a_red_base_is_to_be_mended_or_accepted_test_by_test() {
    let house = House::new();
    let files = [("package.json", PACKAGE), ("a.test.js", ONE_RED)];
    let repository = house.repository("repo", &files);
    let told = house.run(&repository, "do: append note.txt x", &[]);
    told.is("Failed", Some("AlreadyRedOnBase"), 3);
    rescue_holds(&house, &repository, &told, "note.txt");

    let known = ["--known-failures"];
    let told = house.run(&repository, "do: append note.txt x", &known);
    told.is_done();

    // Another failure than the base's is not accepted, whatever the flag says.
    let goal = "do: run sed -i 's/assert.ok(true)/assert.ok(0)/' a.test.js";
    let told = house.run(&repository, goal, &known);
    told.is("Failed", Some("VerificationFailed"), 3);

    // `make the tests pass` is an ordinary task.
    let goal = "do: run sed -i 's/assert.ok(false)/assert.ok(1)/' a.test.js";
    let told = house.run(&repository, goal, &[]);
    told.is_done();
    assert_eq!(told.result["checks"][0]["baseOutcome"], "Fail");
}

#[test]
fn no_check_is_unverified_and_no_change_wants_a_word() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let refused = house.run(&repository, "do: append README y", &[]);
    assert_eq!(refused.code, Some(2), "{}", refused.result);
    assert_eq!(refused.result["verified"], false);

    let told = house.run(&repository, "do: append README y", &["--no-check"]);
    told.is("Unverified", None, 0);
    assert_eq!(told.result["verified"], false);
    assert_eq!(told.result["checks"].as_array().map(Vec::len), Some(0));
    let branch = told.result["branch"].as_str().unwrap();
    assert_eq!(house.git(&repository, &["show", &format!("{branch}:README")]), "x\ny");

    let check = ["--check", "test -e README"];
    let goal = r#"do: run echo '{"type":"noChange","why":"it is there"}' >> "$MIDWATCH_OUTPUTS""#;
    let told = house.run(&repository, goal, &check);
    told.is("NoChange", None, 4);

    // An empty diff alone is no such word.
    let told = house.run(&repository, "do: say nothing to do", &check);
    told.is("Failed", Some("EmptyDiff"), 3);
}

#[test]
fn gates_hold_protected_paths_and_refuse_secrets() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let check = ["--check", "test -e README"];
    let told = house.run(&repository, "do: write .github/workflows/ci.yml on: push", &check);
    told.is("Held", Some("Approval"), 5);
    assert!(told.result["detail"].as_str().unwrap().contains(".github/workflows/ci.yml"));

    // A form that is a secret by its looks; put together, so that no scanner stops at this file.
    let secret = ["ghp", "_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    let goal = format!("do: write token.txt {secret}\ndo: append README more");
    let told = house.run(&repository, &goal, &check);
    told.is("Held", Some("Approval"), 5);
    let detail = told.result["detail"].as_str().unwrap();
    assert!(detail.starts_with("there may be a secret, by its shape: "), "{detail}");
    assert!(detail.contains("token.txt: looks like a secret"), "{detail}");
    assert!(!detail.contains("protected path"), "{detail}");
    assert_eq!(told.result["detail"].as_str().unwrap().find(&secret), None);

    // The gate says what it found by its kind, and somebody's no makes a secret of it.
    let notes = told.result["notes"].to_string();
    assert!(notes.contains("secrets by their shape: "), "{notes}");
    let rejected = house.midwatch(&repository, &["reject", told.task()]);
    assert_eq!(rejected.code, Some(0), "{}", rejected.stderr);
    let ended = house.midwatch(&repository, &["wait", told.task()]);
    ended.is("Failed", Some("SecretFound"), 3);
    assert!(ended.result["detail"].as_str().unwrap().contains("rejected"), "{}", ended.result);

    // One that is known to be a secret goes nowhere, whoever says yes.
    let known = "sk-ant-api03-the-users-own-key-0123456789";
    let spec = "{variable: SAMPLE_KEY, kind: AnthropicKey}";
    let profile = house.scripted(&format!(", egress: none, credential: {spec}"));
    let house = house.with("SAMPLE_KEY", known);
    let goal = format!("do: write token.txt {known}\ndo: append README more");
    let profile = profile.to_str().unwrap();
    let flags = ["run", &goal, "--profile", profile, "--pipeline", "quick"];
    let told = house.midwatch(&repository, &[&flags[..], &check[..]].concat());
    told.is("Failed", Some("SecretFound"), 3);
    rescue_holds(&house, &repository, &told, "README");
    assert_eq!(house.git(&repository, &["branch", "--list", "midwatch/*"]), "");

    // What is only told has labels of its own, too.
    let goal = "do: write Cargo.lock version\ndo: append README a\u{202e}b";
    let told = house.run(&repository, goal, &check);
    told.is_done();
    let notes = told.result["notes"].to_string();
    assert!(notes.contains("manifests and lock files: Cargo.lock"), "{notes}");
    assert!(notes.contains("invisible characters: README"), "{notes}");
}

#[test]
fn a_check_that_only_the_change_cannot_run_spends_repairs() {
    let house = House::new();
    let repository = house.repository("repo", &[("check.sh", "#!/bin/sh\nexit 0\n")]);
    let goal = "do@implement/1: run chmod 755 check.sh; printf '#!/nowhere\\n' > check.sh\n\
                do@implement/2: run printf '#!/bin/sh\\nexit 0\\n# mended\\n' > check.sh\n";
    house.git(&repository, &["update-index", "--chmod=+x", "check.sh"]);
    house.git(&repository, &["-c", "user.name=u", "-c", "user.email=u@l", "commit", "-qm", "x"]);
    let told = house.run(&repository, goal, &["--check", "./check.sh"]);
    assert_eq!(told.of("repair").len(), 1, "{}", told.stderr);
    let outcomes: Vec<&Value> = told.of("check").iter().map(|line| &line["outcome"]).collect();
    assert_eq!(outcomes, ["Pass", "CouldNotRun", "Pass"]);
}
