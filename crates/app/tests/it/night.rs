//! Before the night: settings of the server, and what doctor says of disk, clock and checks.

use std::path::Path;

use serde_json::Value;

use crate::house::{House, Told};

fn row<'a>(told: &'a Told, name: &str) -> &'a Value {
    let found = told.lines.iter().find(|line| line["type"] == "doctor" && line["name"] == name);
    found.unwrap_or_else(|| panic!("no row {name}: {:?}", told.lines))
}

fn doctor(house: &House, folder: &Path, more: &[&str]) -> Told {
    house.midwatch(folder, &[&["doctor", "--offline", "--night"][..], more].concat())
}

#[test]
fn the_checks_of_head_are_run_and_nothing_is_left_of_it() {
    let house = House::new();
    let repository = house.repository("repo", &[("midwatch.yaml", "checks: [{run: test -e x}]\n")]);
    let told = doctor(&house, &repository, &[]);
    let checked = row(&told, "check");
    assert_eq!(checked["health"], "MISSING", "a red base is told: {checked}");
    assert!(checked["text"].as_str().unwrap().contains("test -e x: Fail"), "{checked}");
    assert_eq!(told.code, Some(6), "{}", told.stderr);
    std::fs::write(repository.join("x"), "").unwrap();
    house.commit(&repository, "mended");
    let told = doctor(&house, &repository, &["--tasks", "50"]);
    assert_eq!(row(&told, "check")["health"], "ok", "the control: {:?}", told.lines);
    assert_eq!(row(&told, "clock")["health"], "ok");
    assert!(row(&told, "disk for the night")["text"].as_str().unwrap().contains("for 50 tasks"));
    assert_eq!(row(&told, "quota")["health"], "ok");
    let left = house.midwatch(&repository, &["get"]);
    assert!(left.lines.is_empty(), "its task is gone: {:?}", left.lines);
    let branches = house.git(&repository, &["branch", "--list", "midwatch/*"]);
    assert_eq!(branches, "");
}

#[test]
fn too_little_disk_and_no_repository_are_told() {
    let house = House::new();
    let folder = house.folder("anywhere");
    std::fs::create_dir_all(house.state()).unwrap();
    std::fs::write(house.state().join("server.toml"), "taskDiskMib = 1000000000\n").unwrap();
    let told = doctor(&house, &folder, &["--tasks", "9"]);
    assert_eq!(row(&told, "disk for the night")["health"], "MISSING", "{:?}", told.lines);
    assert!(row(&told, "checks")["text"].as_str().unwrap().contains("not run"));
}

#[test]
fn settings_of_a_server_that_cannot_be_are_refused_by_name() {
    let house = House::new();
    let folder = house.folder("anywhere");
    for (words, word) in [
        (&["serve", "--concurrency", "0"][..], "--concurrency '0' is not 1 to 1000"),
        (&["serve", "--per-repository", "9999"], "--per-repository '9999'"),
        (&["serve", "--per-credential", "x"], "--per-credential"),
    ] {
        let told = house.midwatch(&folder, words);
        assert_eq!(told.code, Some(2), "{words:?}: {}", told.stderr);
        assert!(told.stderr.contains(word), "{words:?}: {}", told.stderr);
    }
    std::fs::write(house.state().join("server.toml"), "concurency = 3\n").unwrap();
    let told = house.midwatch(&folder, &["serve"]);
    assert_eq!(told.code, Some(2), "{}", told.stderr);
    assert!(told.stderr.contains("concurency"), "{}", told.stderr);
    assert!(told.stderr.contains("server.toml"), "{}", told.stderr);
}
