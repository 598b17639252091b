//! The power goes: what was acknowledged before is there after it. The state folder is on an
//! image whose journal is cut off without a flush.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use midwatch_api::control::PauseAll;
use midwatch_local::folder::StateFolder;
use midwatch_local::server::{Server, Settings};
use midwatch_local::store::SqliteStore;

use super::world::{Closed, Lands};

/// Cuts a file system off; the same that tools/elsewhere/power-loss.sh uses.
const CUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/elsewhere/cut.py");

/// A disk whose power can be cut; gone with the test.
struct Disk {
    place: tempfile::TempDir,
    /// How often there was power: each time the image is another file.
    times: Cell<u32>,
}

fn done(program: &str, words: &[&str], paths: &[&Path]) -> bool {
    let status = Command::new(program).args(words).args(paths).status();
    status.is_ok_and(|status: ExitStatus| status.success())
}

impl Disk {
    fn new() -> Option<Self> {
        let disk = Self { place: tempfile::tempdir().unwrap(), times: Cell::new(0) };
        let image = disk.image();
        std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        std::fs::create_dir(disk.path()).unwrap();
        if !(done("mkfs.ext4", &["-q"], &[&image]) && disk.mount()) {
            println!("NOT RUN: an image needs root, a loop device and mkfs.ext4");
            return None;
        }
        Some(disk)
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("disk")
    }

    fn folder(&self) -> StateFolder {
        StateFolder::new(self.path().join("state"))
    }

    fn image(&self) -> PathBuf {
        self.place.path().join(format!("image-{}", self.times.get()))
    }

    fn mount(&self) -> bool {
        done("mount", &["-o", "loop"], &[&self.image(), &self.path()])
    }

    /// Cuts the power: nothing more reaches the disk.
    fn cut(&self) {
        assert!(done("python3", &[CUT], &[&self.path(), &self.lost()]), "the power was not cut");
    }

    /// With power again. The control is a file that nobody acknowledged: it is gone.
    ///
    /// What reached the disk is mounted from a copy: sandboxes that begin beside this test hold
    /// every mount for a moment, and as long as one does the same image has no power.
    fn back(&self) {
        let cut_off = self.image();
        self.times.set(self.times.get() + 1);
        std::fs::copy(cut_off, self.image()).unwrap();
        assert!(done("umount", &["-l"], &[&self.path()]) && self.mount());
        let lost = std::fs::read(self.lost()).unwrap_or_default();
        assert!(lost.is_empty(), "nothing was cut off");
    }

    fn lost(&self) -> PathBuf {
        self.path().join("lost")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        done("umount", &["-q", "-l"], &[&self.path()]);
    }
}

/// Turns the switch for everything, and cuts the power as soon as that is acknowledged.
fn pause(disk: &Disk, paused: bool) {
    let folder = disk.folder();
    let store = Arc::new(SqliteStore::open(&folder.database()).unwrap());
    let mut settings = Settings::new("/bin/false".into());
    // What it would keep free for rescues is more than the disk has: a full one stores nothing.
    settings.reserve_bytes = 1 << 20;
    let (server, driven) =
        Server::start(folder, store, Closed, Lands::default(), settings).unwrap();
    let told = server.pause_all(&PauseAll { paused, by: "me".into() }).unwrap();
    assert_eq!(told.unstored, None, "it was acknowledged as stored");
    disk.cut();
    drop((server, driven));
    disk.back();
}

#[test]
fn what_was_acknowledged_is_there_when_the_power_went() {
    let Some(disk) = Disk::new() else { return };
    let folder = disk.folder();
    folder.make().unwrap();
    let paused = || std::fs::read_to_string(folder.root().join("paused")).ok();
    pause(&disk, true);
    assert_eq!(paused().as_deref(), Some("me"), "paused, it is paused after it");
    pause(&disk, false);
    assert_eq!(paused(), None, "let go on, nothing holds it after it");

    let key = folder.key().unwrap();
    let id = folder.keep_credential("first").unwrap();
    let kept = || std::fs::read_to_string(folder.credential(&id)).unwrap();
    disk.cut();
    disk.back();
    assert_eq!((folder.key().unwrap(), kept().as_str()), (key, "first"));
    folder.replace_credential(&id, "renewed").unwrap();
    disk.cut();
    disk.back();
    assert_eq!(kept(), "renewed");
}
