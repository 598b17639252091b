//! The repository keeps its own rules. What each rule catches is tested beside the rule.

use xtask::generated;
use xtask::repository::Repository;
use xtask::rules;

fn repository() -> Repository {
    Repository::read(&Repository::root()).expect("the checkout is readable")
}

#[test]
fn every_rule_holds() {
    let repository = repository();
    let mut broken = Vec::new();
    for (name, rule) in rules::ALL {
        broken.extend(rule(&repository).iter().map(|finding| format!("{finding}  [{name}]")));
    }
    assert!(broken.is_empty(), "rules are broken:\n{}", broken.join("\n"));
}

#[test]
fn the_rules_saw_the_repository() {
    // A walk that came back empty would make every rule green.
    let repository = repository();
    assert!(repository.has("crates/core/src/lib.rs"));
    assert!(repository.crate_folders().len() > 10);
}

#[test]
fn generated_files_have_no_drift() {
    let drifted = generated::drift(&repository()).expect("everything can be generated");
    assert!(drifted.is_empty(), "run `make gen`:\n{}", drifted.join("\n"));
}
