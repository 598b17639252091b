//! What a sandbox is to contain. Plain data: nothing here touches the machine.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The uid and gid inside. Which uid that is outside, the prelude decides; never 0.
pub const INSIDE_UID: u32 = 1000;

/// Where the running executable is bound inside: its `init` is our pid 1.
pub const INSIDE_EXE: &str = "/midwatch/midwatch";

/// The size of /tmp where a policy names none. It counts as memory.
pub const DEFAULT_TMP_BYTES: u64 = 1 << 30;

/// The size of /dev/shm. Browsers and databases want some; it counts as memory.
pub const SHM_BYTES: u64 = 256 << 20;

/// One thing bound into the sandbox. Targets are absolute; sources are paths of the host, and
/// [`crate::prelude::Entered`] finds the staged place for those that it staged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Mount {
    /// A file or folder of the host.
    Bind {
        /// On the host.
        source: PathBuf,
        /// Inside.
        target: PathBuf,
        /// May be written.
        writable: bool,
    },
    /// An empty folder in memory, gone with the sandbox.
    Tmpfs {
        /// Inside.
        target: PathBuf,
        /// The most bytes that it takes.
        size_bytes: u64,
    },
    /// Read-only folders under a writable one.
    Overlay {
        /// On the host, the topmost first. Never written.
        lowers: Vec<PathBuf>,
        /// On the host: takes what is written.
        upper: PathBuf,
        /// On the host, on the file system of `upper`, empty: the kernel's scratch.
        work: PathBuf,
        /// Inside.
        target: PathBuf,
    },
    /// An empty folder that cannot be written: a place to mount on.
    Dir {
        /// Inside.
        target: PathBuf,
    },
    /// A file or folder of the host, read-only, over a place in a writable folder. Only where no
    /// hostile code has written to that folder yet: it could have put a link in the way.
    Guard {
        /// On the host.
        source: PathBuf,
        /// Inside; exists already.
        target: PathBuf,
    },
    /// A symbolic link.
    Symlink {
        /// What it says.
        to: PathBuf,
        /// Where it is, inside.
        target: PathBuf,
    },
}

impl Mount {
    /// Where it is inside.
    pub fn target(&self) -> &Path {
        match self {
            Self::Bind { target, .. }
            | Self::Guard { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::Overlay { target, .. }
            | Self::Dir { target }
            | Self::Symlink { target, .. } => target,
        }
    }

    /// Whether code inside can write to it.
    pub const fn is_writable(&self) -> bool {
        match self {
            Self::Bind { writable, .. } => *writable,
            Self::Tmpfs { .. } | Self::Overlay { .. } => true,
            Self::Dir { .. } | Self::Guard { .. } | Self::Symlink { .. } => false,
        }
    }
}

/// What is bound, and what the command sees. The system (`/usr`, a synthetic `/etc`, `/proc`,
/// `/dev`) and our own executable come by themselves; there is never a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// In order: a later one may lie below an earlier one that is not writable.
    pub mounts: Vec<Mount>,
    /// The whole environment. Goes to bubblewrap by a descriptor, not by its argv.
    pub env: BTreeMap<String, String>,
    /// Inside.
    pub cwd: PathBuf,
    /// HOME in the synthetic /etc/passwd. The policy binds something there.
    pub home: PathBuf,
    /// The name of the machine inside.
    pub hostname: String,
    /// The size of /tmp.
    pub tmp_bytes: u64,
}

/// Why a policy is refused. Our own mistakes, never a user's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Relative, or with `..` in it.
    #[error("{0:?} is not a plain absolute path")]
    NotPlain(PathBuf),
    /// The system's own places are not to be covered.
    #[error("{0:?} is reserved inside a sandbox")]
    Reserved(PathBuf),
    /// What hostile code wrote there could lead the mount elsewhere.
    #[error("{inner:?} would be mounted below {outer:?}, which is writable")]
    BelowWritable {
        /// The later mount.
        inner: PathBuf,
        /// The earlier, writable one.
        outer: PathBuf,
    },
    /// A name of a variable with `=` or NUL, or a value with NUL.
    #[error("the environment variable {0:?} cannot be set")]
    Environment(String),
}

/// Places that the sandbox makes itself, with all that is below them.
const RESERVED: [&str; 10] =
    ["/proc", "/dev", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", INSIDE_EXE];

/// Places that the sandbox makes itself, but lets a policy add to: a CA bundle, a socket.
const RESERVED_ALONE: [&str; 6] = ["/", "/etc", "/tmp", "/run", "/var", "/midwatch"];

impl Policy {
    /// Nothing but the system, in an empty folder.
    pub fn bare() -> Self {
        Self {
            mounts: Vec::new(),
            env: BTreeMap::from([
                ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
                ("HOME".to_owned(), "/tmp".to_owned()),
                ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ]),
            cwd: PathBuf::from("/tmp"),
            home: PathBuf::from("/tmp"),
            hostname: "midwatch".to_owned(),
            tmp_bytes: DEFAULT_TMP_BYTES,
        }
    }

    /// Refuses what could not be built safely.
    pub fn check(&self) -> Result<(), PolicyError> {
        for path in self.mounts.iter().map(Mount::target).chain([&*self.cwd, &*self.home]) {
            if !is_plain(path) {
                return Err(PolicyError::NotPlain(path.to_owned()));
            }
        }
        for (index, mount) in self.mounts.iter().enumerate() {
            let target = mount.target();
            let reserved = RESERVED.iter().any(|place| target.starts_with(place))
                || RESERVED_ALONE.iter().any(|place| target == Path::new(place));
            if reserved {
                return Err(PolicyError::Reserved(target.to_owned()));
            }
            let below = self.mounts[..index].iter().find(|earlier| {
                // A tmpfs of ours is still empty while the sandbox is built.
                let hostile = match earlier {
                    Mount::Bind { writable, .. } => *writable,
                    Mount::Overlay { .. } => true,
                    Mount::Tmpfs { .. }
                    | Mount::Dir { .. }
                    | Mount::Guard { .. }
                    | Mount::Symlink { .. } => false,
                };
                let guard = matches!(mount, Mount::Guard { .. });
                hostile && !guard && target.starts_with(earlier.target())
            });
            if let Some(outer) = below {
                return Err(PolicyError::BelowWritable {
                    inner: target.to_owned(),
                    outer: outer.target().to_owned(),
                });
            }
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(PolicyError::Environment(name.clone()));
            }
        }
        Ok(())
    }

    /// Where code inside may write, for Landlock. /proc is not among it: what honest programs
    /// write there they can do without, and a process could spare itself from the memory killer
    /// where the one that started us was spared.
    pub fn writable(&self) -> Vec<PathBuf> {
        let fixed = ["/tmp", "/dev"].map(PathBuf::from);
        let ours = self.mounts.iter().filter(|mount| mount.is_writable());
        fixed.into_iter().chain(ours.map(|mount| mount.target().to_owned())).collect()
    }
}

fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path.components().all(|part| match part {
            Component::RootDir | Component::Normal(_) => true,
            Component::CurDir | Component::ParentDir | Component::Prefix(_) => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(target: &str, writable: bool) -> Mount {
        Mount::Bind { source: "/srv/x".into(), target: target.into(), writable }
    }

    fn with(mounts: Vec<Mount>) -> Policy {
        Policy { mounts, ..Policy::bare() }
    }

    #[test]
    fn good_policies_pass() {
        let tmpfs = Mount::Tmpfs { target: "/home".into(), size_bytes: 1 };
        let fine = with(vec![tmpfs, bind("/home/agent", true), bind("/etc/ca.pem", false)]);
        assert_eq!(fine.check(), Ok(()));
    }

    #[test]
    fn bad_targets_are_refused() {
        for target in
            ["relative", "/a/../etc", "/", "/etc", "/usr/lib", "/proc/1", "/midwatch/midwatch"]
        {
            assert!(with(vec![bind(target, false)]).check().is_err(), "{target}");
        }
    }

    #[test]
    fn nothing_is_mounted_where_hostile_code_could_have_put_a_link() {
        let policy = with(vec![bind("/workspace", true), bind("/workspace/deps", false)]);
        assert!(matches!(policy.check(), Err(PolicyError::BelowWritable { .. })));
        let guard =
            Mount::Guard { source: "/srv/c".into(), target: "/workspace/.git/config".into() };
        assert_eq!(with(vec![bind("/workspace", true), guard]).check(), Ok(()));
        let policy = with(vec![bind("/workspace", true), bind("/workspace-2", false)]);
        assert_eq!(policy.check(), Ok(()));
    }

    #[test]
    fn environment_names_are_checked() {
        let mut policy = Policy::bare();
        policy.env.insert("A=B".into(), "c".into());
        assert!(matches!(policy.check(), Err(PolicyError::Environment(_))));
    }

    #[test]
    fn landlock_gets_what_is_writable() {
        let policy = with(vec![bind("/workspace", true), bind("/deps", false)]);
        let writable = policy.writable();
        assert!(writable.contains(&PathBuf::from("/workspace")));
        assert!(!writable.contains(&PathBuf::from("/deps")));
    }
}
