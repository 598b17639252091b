//! Long transcripts: quick from any line on, and what is wrong with one is told of it alone.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use midwatch_api::report::EVENTS_FILE;
use midwatch_api::segment::{SEGMENT_BYTES, segment_name};
use midwatch_local::segment::{SegmentError, Stream, end_of};
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

    /// The numbers of the lines from one on, read to the end.
    fn from(&self, mut from: u64) -> Result<Vec<u64>, SegmentError> {
        let mut seen = Vec::new();
        loop {
            let read = self.stream().read(from, 7)?;
            if read.lines.is_empty() {
                return Ok(seen);
            }
            assert_eq!(read.first, from);
            from += read.lines.len() as u64;
            for line in read.lines {
                let line = String::from_utf8(line).unwrap();
                seen.push(line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap());
            }
        }
    }

    fn file(&self, number: u32) -> PathBuf {
        self.folder.join(segment_name(EVENTS_FILE, number))
    }
}

#[test]
fn every_line_is_found_by_its_number() {
    let run = run(&[10, 20, 5]);
    for from in [0, 1, 9, 10, 29, 30, 34, 35, 1000] {
        assert_eq!(run.from(from).unwrap(), (from..35).collect::<Vec<_>>(), "from {from}");
    }
    let rows = run.stream().index(false).unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.first, row.lines)).collect::<Vec<_>>(),
        [(0, 10), (10, 20)]
    );
    // The last file is full once the run is over; half a line waits until then.
    let last = fs::read_to_string(run.file(2)).unwrap();
    fs::write(run.file(2), format!("{last}{{\"half")).unwrap();
    assert_eq!(run.from(33).unwrap(), [33, 34]);
    assert_eq!(run.stream().index(true).unwrap().len(), 3);
    assert_eq!(run.from(33).unwrap(), [33, 34]);
}

#[test]
fn damage_is_told_with_its_kind_and_its_lines_and_the_rest_is_read() {
    type Attack = fn(&Run);
    let attacks: [(&str, Attack); 4] = [
        ("is missing", |run| fs::remove_file(run.file(1)).unwrap()),
        ("bytes instead of", |run| {
            let file = fs::File::options().write(true).open(run.file(1)).unwrap();
            file.set_len(17).unwrap();
        }),
        ("was changed", |run| {
            let mut bytes = fs::read(run.file(1)).unwrap();
            bytes[3] ^= 1;
            fs::write(run.file(1), bytes).unwrap();
        }),
        ("bytes instead of", |run| {
            let mut bytes = fs::read(run.file(1)).unwrap();
            bytes.extend_from_slice(b"{\"line\":666}\n");
            fs::write(run.file(1), bytes).unwrap();
        }),
    ];
    for (says, attack) in attacks {
        let run = run(&[10, 20, 5]);
        assert_eq!(run.from(0).unwrap().len(), 35, "the control: undamaged, all is read");
        assert!(run.stream().damage().unwrap().is_empty(), "the control: undamaged");
        attack(&run);
        let read = run.stream().read(10, 100);
        let error = read.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(says) && text.contains("lines 10 to 29"), "{text}");
        let damage = run.stream().damage().unwrap();
        assert_eq!(damage.iter().map(ToString::to_string).collect::<Vec<_>>(), [text.as_str()]);
        assert_eq!(error.next(), Some(30));
        assert_eq!(run.from(30).unwrap(), [30, 31, 32, 33, 34]);
        assert_eq!(run.stream().read(0, 100).unwrap().lines.len(), 10);
    }
}

/// Nobody read them while they were there: no row says what they held.
#[test]
fn a_file_that_went_before_it_was_counted_is_told() {
    for number in [0, 1, 2] {
        let run = run(&[10, 20, 5, 1]);
        let path = run.file(number);
        fs::remove_file(&path).unwrap();
        let damage = run.stream().damage().unwrap();
        let told: Vec<_> = damage.iter().map(ToString::to_string).collect();
        assert_eq!(told, [format!("{} is missing; it held a part of this run", path.display())]);
    }
    let run = run(&[10, 20, 5, 1]);
    fs::remove_file(run.file(3)).unwrap();
    assert!(run.stream().damage().unwrap().is_empty(), "the control: nobody knows of a last one");
}

#[test]
fn a_gigabyte_is_read_from_its_middle_and_its_end_at_once() {
    let home = Home::new();
    let store = SqliteStore::open(&home.database()).unwrap();
    let folder = home.folder("runs/t-implement-4");
    let files = 256;
    let line = format!("{{\"type\":\"text\",\"text\":\"{}\"}}\n", "x".repeat(4000));
    let lines = usize::try_from(SEGMENT_BYTES).unwrap() / line.len();
    let full = line.repeat(lines);
    fs::write(folder.join(EVENTS_FILE), &full).unwrap();
    for number in 1..files {
        // One file with many names: what is measured is reading, not filling a disk.
        let name = folder.join(segment_name(EVENTS_FILE, number));
        fs::hard_link(folder.join(EVENTS_FILE), name).unwrap();
    }
    let stream = Stream::new(&store, &folder, "t-implement-4", EVENTS_FILE);
    let rows = stream.index(true).unwrap();
    assert!(rows.iter().map(|row| row.bytes).sum::<u64>() > 1_000_000_000);
    let middle = rows[128].first + 5;
    let began = Instant::now();
    assert_eq!(stream.read(middle, 100).unwrap().lines.len(), 100);
    let (end, before) = end_of(&folder, EVENTS_FILE, 256 << 10).unwrap();
    assert!(end.len() == 256 << 10 && before > 1_000_000_000);
    // Most of it is the digest of one file, in a debug build and on a busy machine.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
