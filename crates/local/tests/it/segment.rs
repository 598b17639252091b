//! Long transcripts: what is wrong with one is told of it alone, and only what is shown is read.

use std::fs;
use std::path::PathBuf;

use midwatch_api::report::EVENTS_FILE;
use midwatch_api::segment::segment_name;
use midwatch_local::segment::{Compared, Stream};
use midwatch_local::store::SqliteStore;

use super::world::Home;

struct Run {
    store: SqliteStore,
    folder: PathBuf,
    _home: Home,
}

/// A run whose stream has files of that many lines each, as a runner writes them.
fn run(files: &[u64]) -> Run {
    let home = Home::new();
    let store = SqliteStore::open(&home.database()).unwrap();
    let folder = home.folder("runs/t-implement-4");
    let mut line = 0;
    for (number, lines) in (0..).zip(files) {
        let mut text = String::new();
        for _ in 0..*lines {
            text.extend(["{\"line\":", &line.to_string(), "}\n"]);
            line += 1;
        }
        fs::write(folder.join(segment_name(EVENTS_FILE, number)), text).unwrap();
    }
    Run { store, folder, _home: home }
}

impl Run {
    fn stream(&self) -> Stream<'_> {
        Stream::new(&self.store, &self.folder, "t-implement-4", EVENTS_FILE)
    }

    /// What is wrong with it, in sentences.
    fn damage(&self, compared: Compared) -> Vec<String> {
        let damage = self.stream().damage(compared).unwrap();
        damage.iter().map(ToString::to_string).collect()
    }

    fn file(&self, number: u32) -> PathBuf {
        self.folder.join(segment_name(EVENTS_FILE, number))
    }
}

#[test]
fn each_full_file_has_a_row_with_its_lines() {
    let run = run(&[10, 20, 5]);
    let lines = |over| -> Vec<(u64, u64)> {
        let rows = run.stream().index(over).unwrap();
        rows.iter().map(|row| (row.first, row.lines)).collect()
    };
    assert_eq!(lines(false), [(0, 10), (10, 20)]);
    // The last file is full once the run is over.
    assert_eq!(lines(true), [(0, 10), (10, 20), (30, 5)]);
}

#[test]
fn damage_is_told_with_its_kind_and_its_lines() {
    type Attack = fn(&Run);
    let attacks: [(&str, bool, Attack); 4] = [
        ("is missing", false, |run| fs::remove_file(run.file(1)).unwrap()),
        ("bytes instead of", false, |run| {
            let file = fs::File::options().write(true).open(run.file(1)).unwrap();
            file.set_len(17).unwrap();
        }),
        ("was changed", true, |run| {
            let mut bytes = fs::read(run.file(1)).unwrap();
            bytes[3] ^= 1;
            fs::write(run.file(1), bytes).unwrap();
        }),
        ("bytes instead of", false, |run| {
            let mut bytes = fs::read(run.file(1)).unwrap();
            bytes.extend_from_slice(b"{\"line\":666}\n");
            fs::write(run.file(1), bytes).unwrap();
        }),
    ];
    // The last file's bytes, and the same with one of the file before it.
    let last = run(&[10, 20, 5]).file(2).metadata().unwrap().len();
    for (says, by_content, attack) in attacks {
        let run = run(&[10, 20, 5]);
        assert_eq!(run.damage(Compared::All), [""; 0], "the control: undamaged");
        assert_eq!(run.damage(Compared::End(last + 1)), [""; 0], "the control: undamaged");
        attack(&run);
        let all = run.damage(Compared::All);
        assert!(all[0].contains(says) && all[0].contains("lines 10 to 29"), "{all:?}");
        assert_eq!(all.len(), 1);
        assert_eq!(run.damage(Compared::End(last + 1)), all);
        // What is not shown is not read: only its content is not known to be another.
        let of_the_end = run.damage(Compared::End(last));
        assert_eq!(of_the_end.is_empty(), by_content, "{of_the_end:?}");
    }
}

/// The control of the digest: in the file alone nothing is seen of it.
#[test]
fn without_its_digest_a_file_that_was_changed_tells_another_story() {
    let run = run(&[10, 20, 5]);
    assert_eq!(run.damage(Compared::All), [""; 0]);
    let told = || -> Vec<u64> {
        let text = fs::read_to_string(run.file(1)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.map(|line: serde_json::Value| line["line"].as_u64().unwrap()).collect()
    };
    assert_eq!(told(), (10..30).collect::<Vec<_>>());
    let text = fs::read_to_string(run.file(1)).unwrap();
    fs::write(run.file(1), text.replace(":17}", ":71}")).unwrap();
    let changed = told();
    assert!(changed.len() == 20 && changed[7] == 71, "every line is JSON still: {changed:?}");
    assert!(run.damage(Compared::All)[0].contains("was changed"));
}

/// Nobody read them while they were there: no row says what they held.
#[test]
fn a_file_that_went_before_it_was_counted_is_told() {
    for number in [0, 1, 2] {
        let run = run(&[10, 20, 5, 1]);
        let path = run.file(number);
        fs::remove_file(&path).unwrap();
        let told = [format!("{} is missing; it held a part of this run", path.display())];
        assert_eq!(run.damage(Compared::End(1)), told);
        assert_eq!(run.damage(Compared::All), told);
    }
    let run = run(&[10, 20, 5, 1]);
    fs::remove_file(run.file(3)).unwrap();
    assert!(run.damage(Compared::All).is_empty(), "the control: nobody knows of a last one");
}
