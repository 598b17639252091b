//! From a policy to bubblewrap's options. Pure, so that a table can hold it.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::path::PathBuf;

use crate::policy::{INSIDE_EXE, INSIDE_UID, Mount, Policy, SHM_BYTES};

/// Where bubblewrap is looked for. A fixed list: a PATH is not ours to trust.
const PROGRAMS: [&str; 3] = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];

/// Finds the program.
pub fn program() -> Option<PathBuf> {
    PROGRAMS.iter().map(PathBuf::from).find(|path| path.exists())
}

/// One entry of the host's system that is shown inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemEntry {
    /// Bound read-only at the same path.
    Bind(PathBuf),
    /// A link, as `/bin` is one on a merged /usr.
    Link {
        /// What it says.
        to: PathBuf,
        /// Where it is.
        at: PathBuf,
    },
}

/// The host's system as far as it is shown inside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct System {
    /// In the order of mounting.
    pub entries: Vec<SystemEntry>,
}

impl System {
    /// What this host has of /usr and its aliases at the root.
    pub fn of_this_host() -> Self {
        let mut entries = Vec::new();
        for name in ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
            let at = PathBuf::from(name);
            match std::fs::read_link(&at) {
                Ok(to) => entries.push(SystemEntry::Link { to, at }),
                Err(_) if at.is_dir() => entries.push(SystemEntry::Bind(at)),
                Err(_) => {}
            }
        }
        Self { entries }
    }
}

/// What we made ourselves, by its place on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Our own executable.
    pub exe: PathBuf,
    /// The synthetic /etc, with places for what the policy mounts below it.
    pub etc: PathBuf,
    /// Files inside that are shown as others of ours: the file, what is shown.
    pub hidden: Vec<(PathBuf, PathBuf)>,
}

/// The descriptors that bubblewrap inherits, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptors {
    /// Takes the JSON status.
    pub status: RawFd,
    /// Holds the compiled filter; none only where that layer is left out.
    pub seccomp: Option<RawFd>,
}

/// Builds up a list of options.
struct Options(Vec<OsString>);

impl Options {
    fn add<const N: usize>(&mut self, words: [&dyn AsRef<OsStr>; N]) {
        self.0.extend(words.map(|word| word.as_ref().to_owned()));
    }
}

/// The options, without the program and without the command. They go in by `--args`, because
/// the environment is among them and an argv can be read by everyone.
///
/// Overlays must already be binds, see [`crate::prelude::Entered`]: bubblewrap 0.8 knows none.
pub fn argv(
    policy: &Policy,
    system: &System,
    staged: &Staged,
    descriptors: &Descriptors,
) -> Vec<OsString> {
    let mut options = Options(Vec::new());
    let uid = INSIDE_UID.to_string();
    for flag in [
        // --disable-userns wants the explicit form of the first.
        "--unshare-user",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--disable-userns",
        "--die-with-parent",
        "--as-pid-1",
        "--new-session",
        "--clearenv",
    ] {
        options.add([&flag]);
    }
    options.add([&"--cap-drop", &"ALL", &"--uid", &uid, &"--gid", &uid]);
    options.add([&"--hostname", &policy.hostname]);
    options.add([&"--json-status-fd", &descriptors.status.to_string()]);
    if let Some(fd) = descriptors.seccomp {
        options.add([&"--seccomp", &fd.to_string()]);
    }
    // Made on the way they would be 0700.
    options.add([&"--dir", &"/midwatch"]);
    for entry in &system.entries {
        match entry {
            SystemEntry::Bind(path) => options.add([&"--ro-bind", path, path]),
            SystemEntry::Link { to, at } => options.add([&"--symlink", to, at]),
        }
    }
    options.add([&"--ro-bind", &staged.etc, &"/etc"]);
    options.add([&"--proc", &"/proc", &"--dev", &"/dev"]);
    // Without this /dev would be a tmpfs of half the memory. Read-only does not stop the
    // devices in it from being used.
    options.add([&"--perms", &"1777", &"--size", &SHM_BYTES.to_string()]);
    options.add([&"--tmpfs", &"/dev/shm", &"--remount-ro", &"/dev"]);
    options.add([&"--perms", &"1777", &"--size", &policy.tmp_bytes.to_string()]);
    options.add([&"--tmpfs", &"/tmp", &"--dir", &"/var", &"--symlink", &"/tmp", &"/var/tmp"]);
    options.add([&"--dir", &"/run"]);
    for mount in &policy.mounts {
        add_mount(&mut options, mount);
    }
    for (file, blank) in &staged.hidden {
        options.add([&"--ro-bind", blank, file]);
    }
    options.add([&"--ro-bind", &staged.exe, &INSIDE_EXE]);
    for (name, value) in &policy.env {
        options.add([&"--setenv", name, value]);
    }
    options.add([&"--remount-ro", &"/", &"--chdir", &policy.cwd]);
    options.0
}

fn add_mount(options: &mut Options, mount: &Mount) {
    match mount {
        Mount::Bind { source, target, writable: true } => {
            options.add([&"--bind", source, target]);
        }
        Mount::Bind { source, target, writable: false } => {
            options.add([&"--ro-bind", source, target]);
        }
        Mount::Guard { source, target } => options.add([&"--ro-bind", source, target]),
        Mount::Tmpfs { target, size_bytes } => {
            options.add([&"--size", &size_bytes.to_string(), &"--tmpfs", target]);
        }
        // Mounted before as `upper`'s stand-in; `spawn` has made it a Bind. To bind the upper
        // alone would show a workspace without its base, so an empty folder it is.
        Mount::Overlay { target, .. } | Mount::Dir { target } => options.add([&"--dir", target]),
        // Already in what was staged, which is read-only by now.
        Mount::Symlink { target, .. } if target.starts_with("/etc") => {}
        Mount::Symlink { to, target } => options.add([&"--symlink", to, target]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_as_options() {
        let mut policy = Policy::bare();
        policy.env.insert("TOKEN".into(), "t".into());
        policy.mounts = vec![
            Mount::Bind { source: "/s/ws".into(), target: "/workspace".into(), writable: true },
            Mount::Bind { source: "/s/base".into(), target: "/base".into(), writable: false },
            Mount::Tmpfs { target: "/home".into(), size_bytes: 4096 },
            Mount::Dir { target: "/empty".into() },
            Mount::Symlink { to: "/base".into(), target: "/link".into() },
        ];
        let system = System {
            entries: vec![
                SystemEntry::Bind("/usr".into()),
                SystemEntry::Link { to: "usr/bin".into(), at: "/bin".into() },
            ],
        };
        let staged = Staged { exe: "/stage/exe".into(), etc: "/stage/etc".into(), hidden: vec![] };
        let descriptors = Descriptors { status: 3, seccomp: Some(4) };
        let words = argv(&policy, &system, &staged, &descriptors);
        let mut lines = String::new();
        for word in &words {
            let word = word.to_string_lossy();
            let sep = if word.starts_with("--") { "\n" } else { " " };
            lines.push_str(sep);
            lines.push_str(&word);
        }
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn this_host_has_a_system() {
        let system = System::of_this_host();
        assert!(system.entries.contains(&SystemEntry::Bind("/usr".into())));
    }
}
