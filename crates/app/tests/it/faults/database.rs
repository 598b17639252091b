//! A database that is newer, damaged or gone is refused with a way out and left as it is; a task
//! whose rows are damaged rests alone.

use std::path::PathBuf;

use midwatch_local::store::{SqliteStore, VERSION};

use super::ground::Ground;
use super::until;
use crate::house::Told;

/// Where SQLite keeps the number of the schema, in the first page: its file format, 1.3.
const USER_VERSION: usize = 60;

/// A ground with one task that is done, and its database whole in one file, with no server.
fn filled() -> (Ground, PathBuf) {
    let ground = Ground::new();
    let server = ground.serve(&[]);
    ground.begin("t", "do: write made x", "", &[]);
    ground.wait("t").is_done();
    server.kill();
    let path = ground.state().database();
    // Whoever closes it last brings the log into it.
    drop(SqliteStore::open(&path).unwrap());
    assert!(!path.with_extension("db-wal").exists(), "the log is still beside it");
    (ground, path)
}

/// Refused by a server and by a client, with these words; not a byte was changed or added.
#[track_caller]
fn refused(ground: &Ground, path: &PathBuf, words: &[&str]) {
    let before = std::fs::read(path).ok();
    for said in [ground.midwatch(&["serve"]), ground.midwatch(&["get"])] {
        // No other start can fare better, which is what the code says.
        assert_eq!(said.code, Some(6), "{}", said.stdout);
        for word in words {
            assert!(said.stderr.contains(word), "no '{word}' in {}", said.stderr);
        }
    }
    assert_eq!(std::fs::read(path).ok(), before, "it was written to, or made anew");
    assert!(!ground.state().root().join("copies").exists(), "a copy is no refusal");
}

#[test]
fn a_newer_database_is_refused_before_anything_is_written() {
    let (ground, path) = filled();
    let whole = std::fs::read(&path).unwrap();
    let newer = VERSION + 1;
    let mut bytes = whole.clone();
    bytes[USER_VERSION..USER_VERSION + 4].copy_from_slice(&newer.to_be_bytes());
    std::fs::write(&path, bytes).unwrap();
    refused(&ground, &path, &[&format!("schema version {newer}"), "Use the newer program"]);
    // The control: with its number back it is read.
    std::fs::write(&path, whole).unwrap();
    assert_eq!(ground.result("t")["state"], "Done");
}

#[test]
fn a_damaged_or_missing_database_is_refused_and_never_made_anew() {
    let (ground, path) = filled();
    let whole = std::fs::read(&path).unwrap();
    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    for byte in &mut flipped[middle..middle + 8192] {
        *byte = !*byte;
    }
    std::fs::write(&path, flipped).unwrap();
    refused(&ground, &path, &["is damaged", "nothing was changed", "move "]);
    std::fs::write(&path, &whole[..middle]).unwrap();
    refused(&ground, &path, &["is damaged", "move "]);
    let doctor = || ground.midwatch(&["doctor", "--offline", "--night", "--profile", "fast"]);
    told_by_doctor(&doctor());
    std::fs::remove_file(&path).unwrap();
    refused(&ground, &path, &["is missing", "none was made"]);
    assert!(!path.exists());
    // The control: put back, it is read.
    std::fs::write(&path, whole).unwrap();
    assert_eq!(ground.result("t")["state"], "Done");
    let doctor = doctor();
    assert_eq!(doctor.code, Some(2), "a server says that there is no such profile");
    assert!(doctor.stderr.contains("fast"), "{}", doctor.stderr);
}

/// It says what is wrong, once, beside all that it sees without a server.
#[track_caller]
fn told_by_doctor(doctor: &Told) {
    let rows = doctor.of("doctor");
    let named = |name: &str| rows.iter().filter(|row| row["name"] == name).collect::<Vec<_>>();
    let server = named("server");
    assert_eq!((doctor.code, server.len()), (Some(6), 1), "{}", doctor.stdout);
    let text = server[0]["text"].as_str().unwrap();
    assert!(server[0]["health"] == "MISSING" && text.contains("is damaged"), "{}", server[0]);
    assert!(server[0]["remedy"].as_str().is_some(), "{}", server[0]);
    for name in ["git", "disk", "registries", "clock"] {
        assert_eq!(named(name).len(), 1, "{name}: {}", doctor.stdout);
    }
}

/// SQLite reads such a log up to where it is whole, and says nothing.
#[test]
fn a_log_that_was_cut_is_told_by_the_runs_that_nobody_knows() {
    let (ground, path) = filled();
    let log = path.with_extension("db-wal");
    let server = ground.serve(&[]);
    ground.begin("u", "do: write made x", "", &[]);
    ground.wait("u").is_done();
    server.kill();
    let told = || {
        let doctor = ground.midwatch(&["doctor", "--offline"]);
        let rows = doctor.of("doctor").into_iter().filter(|row| row["name"] == "database");
        let said: Vec<String> = rows.map(|row| row["text"].to_string()).collect();
        // Whoever asked started a server, which is to be gone before its files are touched.
        assert_eq!(ground.result("t")["state"], "Done");
        until("the server to end", || ground.house.server_if_any().is_none());
        (said, ground.log().contains("store.runs_unknown"))
    };
    let whole = std::fs::read(&log).unwrap();
    assert!(!whole.is_empty(), "it was cut off nowhere");
    let before = std::fs::read(&path).unwrap();
    assert_eq!(told(), (vec![], false), "the control: all of it is there");
    std::fs::write(&path, before).unwrap();
    std::fs::write(&log, &whole[..whole.len() / 9]).unwrap();
    let (said, logged) = told();
    assert!(said.len() == 1 && said[0].contains("such as u-"), "{said:?}");
    assert!(logged, "{}", ground.log());
    let listed = ground.midwatch(&["get"]);
    assert_eq!(listed.lines.len(), 1, "the other is lost: {}", listed.stdout);
    let kept = ground.midwatch(&["gc", "--dry-run"]);
    assert!(kept.stdout.contains("no task of that name is known"), "{}", kept.stdout);
}

#[test]
fn a_task_whose_row_is_damaged_rests_and_the_others_go_on() {
    let ground = Ground::new();
    let server = ground.serve(&[]);
    assert_eq!(ground.midwatch(&["pause", "--all"]).code, Some(0));
    for name in ["good", "bad"] {
        ground.begin(name, &format!("mark-of-{name}\ndo: write made x"), "", &[]);
    }
    server.kill();
    let path = ground.state().database();
    drop(SqliteStore::open(&path).unwrap());
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    // Order and summary are no JSON any more; the pages around them are whole.
    let mark = b"\"goal\":\"mark-of-bad";
    let mut found = 0;
    for at in 0..bytes.len() - mark.len() {
        if bytes[at..].starts_with(mark) {
            bytes[at] = b'!';
            found += 1;
        }
    }
    assert!(found > 0, "the order is not where it should be");
    std::fs::write(&path, &bytes).unwrap();
    let server = ground.serve(&[]);
    assert_eq!(ground.midwatch(&["resume", "--all"]).code, Some(0));
    ground.wait("good").is_done();
    let said = ground.midwatch(&["describe", "bad"]);
    assert!(
        said.stderr.contains("task bad, event 0: the stored row is damaged"),
        "{}",
        said.stderr
    );
    let listed = ground.midwatch(&["get"]);
    assert_eq!(listed.code, Some(0), "the list is there: {}", listed.stderr);
    for part in ["\"good\"", "cannot be read: task bad"] {
        assert!(listed.stdout.contains(part), "{}", listed.stdout);
    }
    assert!(server.end().success());
    // The control: the other one, undamaged, was begun and done by the same server.
    assert_eq!(ground.branches().lines().count(), 1, "{}", ground.branches());
}
