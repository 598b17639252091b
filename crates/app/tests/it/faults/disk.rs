//! The disk of the state folder is full, or cannot be written, while tasks run.

use rustix::process::Signal;

use super::gate::Gate;
use super::ground::Ground;
use super::until;

/// Room for the reserve, for what a run needs to begin, and a little more.
const DISK: u32 = 800;
/// What a task is admitted with, so that the small disk has room for one and its neighbour.
const SETTINGS: &str = "taskDiskMib = 64\nspareDiskMib = 300\n";
/// What an agent has done when the disk becomes full: more than what is left of it then, and less
/// than the room that is kept for saving.
const WORK: &str = "do: write half yes\ndo: run for n in 1 2 3; do head -c 10000000 /dev/urandom > \
                    large$n; done";

impl Ground {
    /// Leaves so many mebibytes free.
    fn fill(&self, leave: u64) {
        self.sh(&format!(
            "set -- \"$1\" $(stat -f -c '%a %S' \"$1\"); size=$(($2 * $3 - ({leave} << 20))); \
             test $size -le 0 || fallocate -o $(stat -c %s \"$1/filler\" 2>/dev/null || echo 0) \
             -l $size \"$1/filler\""
        ));
    }

    fn make_room(&self) {
        self.sh("rm -f \"$1/filler\"");
    }
}

#[test]
fn a_full_disk_stops_new_work_and_saves_what_runs_and_the_server_goes_on() {
    let Some(ground) = Ground::on_disk(DISK) else { return };
    std::fs::write(ground.state().root().join("server.toml"), SETTINGS).unwrap();
    let gate = Gate::new();
    let mut server = ground.serve(&[]);
    let goal = format!("{WORK}\ndo: run {}\ndo: write whole yes", gate.command());
    ground.begin("works", &goal, "", &[]);
    gate.reached();

    ground.fill(20);
    let told = ground.wait("works");
    told.is("Failed", Some("Disk"), 3);
    let saved = told.result["rescueRef"].as_str().expect("its work was saved").to_owned();
    // What waits is told why; reading goes on.
    ground.begin("waits", "do: write made x", "", &[]);
    until("a reason", || ground.explain("waits").contains("DiskLow"));
    assert_eq!(ground.midwatch(&["get"]).code, Some(0));

    // Without a byte left nothing is taken, and everything can still be read.
    ground.fill(0);
    let refused = (0..200).find_map(|number| {
        ground.fill(0);
        let told = ground.submit(&format!("more{number}"), "do: write made x", "", &[]);
        (told.code != Some(0)).then_some(told)
    });
    let refused = refused.expect("a full disk takes everything");
    assert_eq!(refused.code, Some(6), "{}", refused.stderr);
    assert!(refused.stderr.contains("the disk is full"), "{}", refused.stderr);
    assert_eq!(ground.result("works")["state"], "Failed", "reading goes on");

    ground.make_room();
    ground.wait("waits").is_done();
    assert!(server.lives(), "it was never started again");
    let opened = ground.midwatch(&["open", "works"]);
    assert_eq!(opened.code, Some(0), "{saved}: {}", opened.stderr);
    let folder = opened.of("opened")[0]["folder"].as_str().unwrap().to_owned();
    assert!(std::path::Path::new(&folder).join("half").exists(), "what was saved is there");
    // The control: with room, the same order is carried out to its end.
    let goal = goal.replace(&gate.command(), "true");
    ground.begin("again", &goal, "", &[]);
    ground.wait("again").is_done();
}

/// The control of the room that is kept: somebody took it away, and the same work on the same disk
/// is not saved.
#[test]
fn without_the_room_that_is_kept_the_same_work_cannot_be_saved() {
    let Some(ground) = Ground::on_disk(DISK) else { return };
    std::fs::write(ground.state().root().join("server.toml"), SETTINGS).unwrap();
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    ground.begin("t", &format!("{WORK}\ndo: run {}", gate.command()), "", &[]);
    gate.reached();
    ground.sh("rm \"$1/reserve\"");
    ground.fill(20);
    let held = ground.in_state("t", "Held");
    assert_eq!(
        (&held["reason"], &held["rescueRef"]),
        (&"DiskLow".into(), &serde_json::Value::Null)
    );
}

/// More than the room that is kept for saving, in files that each may be committed.
const WRITE: &str = "do: write small yes\ndo: run for n in $(seq 15); do head -c 10000000 \
                     /dev/urandom > large$n; done";
/// The last of them.
const LARGE: (&str, u64) = ("large15", 10_000_000);

/// A task whose agent left more than the full disk has room for.
fn unsaved(ground: &Ground, gate: &Gate) {
    std::fs::write(ground.state().root().join("server.toml"), SETTINGS).unwrap();
    let goal = format!("{WRITE}\ndo: run {}\ndo: exit 7", gate.command());
    ground.begin("t", &goal, "", &[]);
    gate.reached();
    ground.fill(20);
    let held = ground.in_state("t", "Held");
    assert_eq!(held["reason"], "DiskLow", "{held}");
    let told = ground.explain("t");
    assert!(told.contains("no room to save the work of t-implement"), "{told}");
}

#[test]
fn work_that_a_full_disk_lets_nobody_save_is_saved_once_there_is_room() {
    let Some(ground) = Ground::on_disk(DISK + 400) else { return };
    let gate = Gate::new();
    let server = ground.serve(&[]);
    unsaved(&ground, &gate);
    // A restart in between changes nothing.
    server.kill();
    let _server = ground.serve(&[]);
    until("room to be waited for", || ground.explain("t").contains("DiskLow"));
    ground.make_room();
    ground.in_state("t", "Failed");
    let told = ground.wait("t");
    told.is("Failed", Some("Disk"), 3);
    assert!(told.result["rescueRef"].is_string(), "{}", told.result);
    assert_eq!(told.result["kept"], serde_json::json!([]));
    let opened = ground.midwatch(&["open", "t"]);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    let folder = opened.of("opened")[0]["folder"].as_str().unwrap().to_owned();
    let large = std::path::Path::new(&folder).join(LARGE.0).metadata().unwrap();
    assert_eq!(large.len(), LARGE.1);
}

#[test]
fn work_that_a_full_disk_lets_nobody_save_stays_where_it_is_and_is_told() {
    let Some(ground) = Ground::on_disk(DISK + 400) else { return };
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    unsaved(&ground, &gate);
    // Somebody who does not wait for room.
    assert_eq!(ground.midwatch(&["cancel", "t"]).code, Some(0));
    let told = ground.wait("t");
    told.is("Cancelled", None, 130);
    assert_eq!(told.result["rescueRef"], serde_json::Value::Null, "{}", told.result);
    let kept = &told.result["kept"][0];
    assert_eq!(kept["files"], serde_json::json!([]), "{kept}");
    let folder = kept["folder"].as_str().expect("it is told where");
    let here = || {
        let below = std::path::Path::new(folder).strip_prefix(ground.house.state()).unwrap();
        let large = ground.state().root().join(below).join(LARGE.0).metadata();
        large.is_ok_and(|large| large.len() == LARGE.1)
    };
    for words in [&["explain", "t"][..], &["describe", "t"], &["brief"]] {
        let said = ground.midwatch(words).stdout;
        assert!(said.contains(folder), "{words:?}: {said}");
    }
    let refused = ground.midwatch(&["open", "t"]);
    assert!(refused.code == Some(2) && refused.stderr.contains(folder), "{}", refused.stderr);
    ground.make_room();
    let named = ground.midwatch(&["gc", "--older-than", "0s"]).of("gc")[0]["kept"].to_string();
    assert!(named.contains("never saved") && here(), "{named}");
    // The control: with room, the same work is saved.
    let gate = Gate::new();
    ground.begin("again", &format!("{WRITE}\ndo: run {}", gate.command()), "", &[]);
    gate.reached();
    assert_eq!(ground.midwatch(&["cancel", "again"]).code, Some(0));
    let told = ground.wait("again");
    told.is("Cancelled", None, 130);
    assert!(told.result["rescueRef"].is_string(), "{}", told.result);
    assert_eq!(told.result["kept"], serde_json::json!([]));
}

#[test]
fn a_state_folder_that_cannot_be_written_is_told_and_goes_on_when_it_can() {
    let ground = Ground::new();
    let gate = Gate::new();
    let mut server = ground.serve(&[]);
    ground.begin("t", &format!("do: run {}\ndo: write made x", gate.command()), "", &[]);
    gate.reached();
    // A kernel lets nobody remount while a file is open for writing; a file system that did it
    // by itself after an error looks like this to who has the files open.
    let files = "midwatch.db*";
    let made = ground.command("chattr").args(["+i"]).arg(ground.state().database()).output();
    if !made.is_ok_and(|made| made.status.success()) {
        crate::house::tell("NOT RUN: no file can be made immutable here");
        return;
    }
    let thaw = Thaw(&ground);
    ground.sh(&format!("chattr +i \"$1\"/{files} \"$1\""));
    gate.open(Signal::TERM);
    until("a word", || ground.submit("u", "do: write made x", "", &[]).code == Some(6));
    let refused = ground.submit("u", "do: write made x", "", &[]);
    assert!(refused.stderr.contains("cannot be written"), "{}", refused.stderr);
    let result = ground.result("t");
    assert_eq!(result["state"], "Running", "reading goes on, and nothing happens unwritten");
    assert_eq!(ground.branches(), "", "nothing is handed over that is not written down");
    let doctor = || {
        let told = ground.midwatch(&["doctor", "--offline"]);
        let row = told.of("doctor").into_iter().find(|row| row["name"] == "state").cloned();
        (told.code, row.map(|row| row["text"].to_string()))
    };
    let (code, row) = doctor();
    assert_eq!(code, Some(6));
    assert!(row.is_some_and(|text| text.contains("cannot be written")));
    assert!(server.lives());
    drop(thaw);
    assert_eq!(doctor().1, None, "the control: writable again");
    ground.wait("t").is_done();
    // The control: writable, the refused one is taken; and by the same server.
    ground.begin("u", "do: write made x", "", &[]);
    ground.wait("u").is_done();
    assert!(server.lives());
    assert_eq!(ground.story("t").runs("Agent").len(), 1);
}

/// Makes everything writable again.
struct Thaw<'a>(&'a Ground);

impl Drop for Thaw<'_> {
    fn drop(&mut self) {
        self.0.sh("chattr -i \"$1\" \"$1\"/midwatch.db*");
    }
}

#[test]
fn a_workspace_that_cannot_be_removed_is_told_and_goes_later() {
    let Some(ground) = Ground::apart("") else { return };
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    ground.begin("t", &format!("do: run {}\ndo: write made x", gate.command()), "", &[]);
    gate.reached();
    let busy = "cd \"$1\"/runs/t-implement-*/upper && mkdir busy && mount -t tmpfs none busy";
    ground.sh(busy);
    gate.open(Signal::TERM);
    // It costs the task nothing.
    ground.wait("t").is_done();
    until("a word", || ground.log().contains("could not be removed"));
    let told = ground.midwatch(&["gc", "--older-than", "0s"]);
    assert_eq!(told.code, Some(1), "{}", told.stdout);
    let gc = told.of("gc")[0];
    let error = gc["busy"][0]["error"].as_str().unwrap_or_default();
    assert!(error.contains("busy"), "{gc}");
    let left = || {
        ["runs", "trash"].map(|name| {
            let entries = std::fs::read_dir(ground.state().root().join(name));
            entries.map_or(0, |entries| entries.flatten().count())
        })
    };
    assert_eq!(left(), [0, 1], "out of sight, and still there");
    // The control: no longer busy, it goes.
    ground.sh("umount \"$1\"/trash/*/upper/busy");
    let told = ground.midwatch(&["gc", "--older-than", "0s"]);
    assert_eq!(told.of("gc")[0]["busy"], serde_json::json!([]), "{}", told.stdout);
    assert_eq!(left(), [0, 0]);
}
