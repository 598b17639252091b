//! Hints say what is so, and name what there is.

use super::{CHECK, FILES};
use crate::house::{House, Told};

fn hint(told: &Told) -> &str {
    told.result["hint"].as_str().unwrap_or_default()
}

#[test]
fn saved_work_is_told_of_only_where_some_was_saved() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let profile = house.scripted(", egress: none, limits: {wallSeconds: 10}");
    let profile = profile.to_str().unwrap();
    let run = |goal: &str| {
        let first = ["run", goal, "--profile", profile, "--pipeline", "quick"];
        house.midwatch(&repository, &[&first[..], &CHECK].concat())
    };
    let nothing = run("do: hang");
    nothing.is("Failed", Some("Timeout"), 3);
    assert!(nothing.result["rescueRef"].is_null(), "{}", nothing.result);
    assert!(!hint(&nothing).contains("saved"), "{}", nothing.result);
    let some = run("do: write half.txt x\ndo: hang");
    some.is("Failed", Some("Timeout"), 3);
    assert!(some.result["rescueRef"].is_string(), "{}", some.result);
    assert!(hint(&some).contains("the work so far is saved"), "{}", some.result);
}
