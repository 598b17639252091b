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

#[test]
fn a_user_with_an_agent_of_their_own_is_ready() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let doctor = || house.midwatch(&repository, &["doctor", "--offline"]);
    let row = |told: &Told, name: &str| {
        let rows = told.of("doctor");
        rows.into_iter().find(|row| row["name"] == name).map(|row| row["health"].clone())
    };
    // The control: with nobody to work as, that is missing.
    let before = doctor();
    assert_eq!((row(&before, "agent"), before.code), (Some("MISSING".into()), Some(6)));
    let scripted = house.scripted("");
    let own = house.home().join(".config/midwatch/profiles");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::copy(&scripted, own.join("scripted.yaml")).unwrap();
    let after = doctor();
    assert_eq!((row(&after, "scripted"), row(&after, "agent")), (Some("ok".into()), None));
    assert_eq!(after.code, Some(0), "{}", after.stderr);
    std::fs::remove_dir_all(own).unwrap();
    assert_eq!(doctor().code, Some(6));
    let applied = house.midwatch(&repository, &["apply", "-f", scripted.to_str().unwrap()]);
    assert_eq!(applied.code, Some(0), "{}", applied.stderr);
    assert_eq!(doctor().code, Some(0), "one that was applied is one, too");
}

#[test]
fn what_is_over_says_how_it_ended_to_whoever_wants_something_of_it() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let run = |name: &str, goal: &str| {
        house.run(&repository, goal, &[&CHECK[..], &["--name", name]].concat())
    };
    run("done", "do: append README more").is_done();
    run("empty", "do: run true").is("Failed", Some("EmptyDiff"), 3);
    for (words, name, ended, next) in [
        (&["pause"][..], "done", "ended as Done: it cannot be paused", "midwatch message done"),
        (&["cancel"], "done", "ended as Done: it cannot be cancelled", "midwatch message done"),
        (&["approve"], "empty", "ended as Failed (EmptyDiff)", "midwatch retry empty"),
        (&["reject"], "empty", "ended as Failed (EmptyDiff)", "midwatch retry empty"),
        (&["resume"], "empty", "ended as Failed (EmptyDiff)", "midwatch retry empty"),
        (&["answer"], "done", "ended as Done: it cannot be answered", "midwatch message done"),
    ] {
        let rest: &[&str] = if words == ["answer"] { &["store", "file"] } else { &[] };
        let refused = house.midwatch(&repository, &[words, &[name], rest].concat());
        assert_eq!(refused.code, Some(2), "{words:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(ended), "{words:?}: {}", refused.stderr);
        assert!(hint(&refused).contains(next), "{words:?}: {}", refused.result);
    }
}
