//! The morning after: what happened, and what of it may be removed.

use serde_json::Value;

use crate::house::House;

fn names(brief: &Value, part: &str) -> Vec<String> {
    let tasks = brief[part].as_array().unwrap();
    tasks.iter().map(|task| task["result"]["task"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_night_from_the_brief_to_the_clean_up() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let check = ["--check", "test -e README"];
    let done = house.run(
        &repository,
        "do: append README more",
        &[&check[..], &["--name", "good"]].concat(),
    );
    done.is_done();
    let lost = house.run(
        &repository,
        "do: write half yes\ndo: run echo '{\"type\":\"blocked\",\"why\":\"no idea\"}' >> \"$MIDWATCH_OUTPUTS\"",
        &[&check[..], &["--name", "bad"]].concat(),
    );
    assert_eq!(lost.result["state"], "Failed", "{}", lost.result);
    assert!(lost.result["rescueRef"].is_string(), "{}", lost.result);

    // Asked for a span it may be read twice; since the last look, once.
    for arguments in [&["brief", "--since", "1h"][..], &["brief"]] {
        let told = house.midwatch(&repository, arguments);
        assert_eq!(told.code, Some(0), "{}", told.stderr);
        let brief = told.of("brief")[0];
        assert_eq!(
            (names(brief, "done"), names(brief, "failed")),
            (vec!["good".to_owned()], vec!["bad".to_owned()])
        );
        assert_eq!(brief["rescued"][0]["task"], "bad");
        assert_eq!(brief["done"][0]["result"]["verified"], true);
    }
    let again = house.midwatch(&repository, &["brief"]);
    let brief = again.of("brief")[0];
    assert!(names(brief, "done").is_empty() && names(brief, "failed").is_empty(), "{brief}");

    // Nothing is old: nothing goes. Told to take all, it takes logs, and no saved work.
    let runs = || std::fs::read_dir(house.state().join("runs")).unwrap().count();
    let before = runs();
    let dry = house.midwatch(&repository, &["gc", "--dry-run", "--older-than", "0s"]);
    assert_eq!((dry.code, runs()), (Some(0), before), "{}", dry.stderr);
    assert!(dry.of("gc")[0]["freedBytes"].as_u64().unwrap() > 0, "{}", dry.stdout);
    let young = house.midwatch(&repository, &["gc"]);
    assert_eq!((young.code, runs()), (Some(0), before), "{}", young.stdout);
    let all = house.midwatch(&repository, &["gc", "--older-than", "0s"]);
    assert_eq!((all.code, runs()), (Some(0), 0), "{}", all.stdout);
    let gc = all.of("gc")[0];
    let of_saved = |list: &str| -> Vec<String> {
        let list = gc[list].as_array().unwrap().iter();
        let saved = list.filter(|one| one["what"] == "savedWork" && one["name"].is_string());
        saved.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    // The branch has every commit of the one; nothing has those of the other.
    assert_eq!(
        (of_saved("gone"), of_saved("kept")),
        (vec!["good".to_owned()], vec!["bad".to_owned()])
    );
    let opened = house.midwatch(&repository, &["open", "bad"]);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    let folder = opened.of("opened")[0]["folder"].as_str().unwrap();
    assert!(std::path::Path::new(folder).join("half").exists(), "what was saved is still there");
}

#[test]
fn a_follow_up_lands_after_a_clean_up() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let words = ["--check", "test -e README", "--name", "t"];
    house.run(&repository, "do: write b.txt one", &words).is_done();
    let follow = |name: &str, word: &str| {
        let goal = format!("do: append b.txt {word}");
        let said = house.midwatch(&repository, &["message", "t", &goal]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        house.midwatch(&repository, &["wait", name])
    };
    follow("t-f2", "two").is_done();
    let cleaned = house.midwatch(&repository, &["gc", "--older-than", "0s"]);
    let gone = cleaned.of("gc")[0]["gone"].to_string();
    assert!(gone.contains("savedWork") && gone.contains("t-f2"), "the control: {gone}");
    let third = follow("t-f3", "three");
    third.is_done();
    assert_eq!(third.result["branch"], "midwatch/t");
    assert_eq!(house.git(&repository, &["show", "midwatch/t:b.txt"]), "one\ntwo\nthree");
    // What somebody else put there since is not ours to move, clean-up or not.
    house.git(&repository, &["branch", "-f", "midwatch/t", "main"]);
    house.midwatch(&repository, &["gc", "--older-than", "0s"]);
    follow("t-f4", "four").is("Failed", Some("PushRejected"), 3);
}

#[test]
fn spans_that_are_none_are_refused() {
    let house = House::new();
    let folder = house.folder("anywhere");
    for (arguments, says) in [
        (&["brief", "--since", "soon"][..], "12h"),
        (&["gc", "--older-than", "7"], "7d"),
        (&["gc", "--above", "much"], "500M"),
    ] {
        let told = house.midwatch(&folder, arguments);
        let detail = told.result["detail"].as_str().unwrap_or_default();
        assert!(told.code == Some(2) && detail.contains(says), "{arguments:?}: {}", told.stdout);
    }
}
