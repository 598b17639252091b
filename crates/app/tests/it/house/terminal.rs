//! A pseudo terminal, as a program finds one at its ends.

use std::fs::File;
use std::io::Read as _;
use std::thread::JoinHandle;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Our end of it.
pub(crate) struct Ours(File);

impl Ours {
    /// What is written here is typed there.
    pub(crate) fn keys(&self) -> File {
        self.0.try_clone().unwrap()
    }

    /// Reads what is shown until nobody has the other end any more.
    pub(crate) fn read(mut self) -> JoinHandle<String> {
        std::thread::spawn(move || {
            let mut shown = Vec::new();
            // The last one to close its end makes this an error, which is the end.
            let _ = self.0.read_to_end(&mut shown);
            String::from_utf8_lossy(&shown).into_owned()
        })
    }
}

/// One of so many columns: our end, and the program's.
pub(crate) fn terminal(columns: u16) -> (Ours, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&ours, size).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = File::options().read(true).write(true).open(name).unwrap();
    (Ours(File::from(ours)), theirs)
}
