//! A group of our own in each hierarchy that has `memory` or `pids`.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::process::{Pid, Signal};

use super::place::{self, Place, Version};
use super::{CgroupError, Limits, Sample, leftover};

/// All our groups are below one of this name, so that leftovers are found.
const PARENT: &str = "midwatch";

/// What "no limit" is called in files.
const NO_LIMIT_V2: &str = "max";

/// The groups of one sandbox: one in v2, one or two in v1.
#[derive(Debug)]
pub(super) struct Group {
    leaves: Vec<Leaf>,
    joins: Vec<File>,
    memory: Reading,
    pids: PathBuf,
    /// v2 only.
    kill: Option<File>,
    removed: bool,
}

#[derive(Debug)]
struct Leaf {
    parent: OwnedFd,
    path: PathBuf,
    name: String,
}

#[derive(Debug)]
struct Reading {
    version: Version,
    dir: PathBuf,
}

impl Group {
    pub(super) fn make(name: &str, limits: Limits, owner: u32) -> Result<Self, CgroupError> {
        let memory = locate("memory")?;
        let pids = locate("pids")?;
        let name = format!("{}-{name}", std::process::id());
        let memory_leaf = Leaf::make(&memory, &name, owner)?;
        let memory_dir = memory_leaf.path.clone();
        let mut leaves = vec![memory_leaf];
        let pids_dir = if pids == memory {
            memory_dir.clone()
        } else {
            let leaf = Leaf::make(&pids, &name, owner)?;
            let path = leaf.path.clone();
            leaves.push(leaf);
            path
        };
        let mut group = Self {
            leaves,
            joins: Vec::new(),
            memory: Reading { version: memory.version, dir: memory_dir },
            pids: pids_dir,
            kill: None,
            removed: false,
        };
        group.limit(limits)?;
        for leaf in &group.leaves {
            group.joins.push(open_write(&leaf.path.join("cgroup.procs"))?);
        }
        if memory.version == Version::V2 {
            // Linux 5.14; older ones are killed process by process.
            group.kill = open_write(&group.memory.dir.join("cgroup.kill")).ok();
        }
        if !rustix::process::geteuid().is_root() {
            group.try_join()?;
        }
        Ok(group)
    }

    /// A user may own a group and still not be let into it: that takes the right to write to
    /// the nearest group above both. Better known now than at the start of the sandbox.
    fn try_join(&self) -> Result<(), CgroupError> {
        use std::os::unix::process::CommandExt as _;
        let joins: Vec<_> = self
            .joins
            .iter()
            .map(File::try_clone)
            .collect::<Result<_, _>>()
            .map_err(|error| fault(&self.pids, error))?;
        let mut child = std::process::Command::new("/bin/true");
        #[expect(unsafe_code, reason = "work between fork and exec")]
        // SAFETY: one system call per descriptor.
        unsafe {
            child.pre_exec(move || {
                for join in &joins {
                    rustix::io::write(join, b"0")?;
                }
                Ok(())
            });
        }
        child.status().map(|_| ()).map_err(|error| fault(&self.pids, error))
    }

    fn limit(&self, limits: Limits) -> Result<(), CgroupError> {
        let dir = &self.memory.dir;
        match self.memory.version {
            Version::V1 => {
                if let Some(bytes) = limits.memory_bytes {
                    write(&dir.join("memory.limit_in_bytes"), &bytes.to_string())?;
                    // There only with swap accounting; without swap it makes no difference.
                    let _ = write(&dir.join("memory.memsw.limit_in_bytes"), &bytes.to_string());
                }
            }
            Version::V2 => {
                let bytes = limits.memory_bytes.map_or(NO_LIMIT_V2.to_owned(), |b| b.to_string());
                write(&dir.join("memory.max"), &bytes)?;
                let _ = write(&dir.join("memory.swap.max"), "0");
                write(&dir.join("memory.oom.group"), "1")?;
            }
        }
        let pids = limits.pids.map_or(NO_LIMIT_V2.to_owned(), |pids| pids.to_string());
        write(&self.pids.join("pids.max"), &pids)
    }

    pub(super) fn joins(&self) -> &[File] {
        &self.joins
    }

    pub(super) fn sample(&self) -> io::Result<Sample> {
        let dir = &self.memory.dir;
        let (usage, events) = match self.memory.version {
            Version::V1 => ("memory.usage_in_bytes", "memory.oom_control"),
            Version::V2 => ("memory.current", "memory.events"),
        };
        let events = read(&dir.join(events))?;
        let forks = read(&self.pids.join("pids.events"))?;
        Ok(Sample {
            memory_bytes: number(&read(&dir.join(usage))?),
            processes: number(&read(&self.pids.join("pids.current"))?),
            oom_kills: field(&events, "oom_kill"),
            forks_refused: field(&forks, "max"),
        })
    }

    pub(super) fn kill_all(&self) -> io::Result<()> {
        if let Some(mut kill) = self.kill.as_ref() {
            return io::Write::write_all(&mut kill, b"1");
        }
        // Until none is left: one may have forked while we read.
        for _ in 0..100 {
            let members = read(&self.pids.join("cgroup.procs"))?;
            if members.trim().is_empty() {
                break;
            }
            for pid in members.lines().filter_map(|line| line.parse().ok()) {
                if let Some(pid) = Pid::from_raw(pid) {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self) -> io::Result<()> {
        if self.removed {
            return Ok(());
        }
        for leaf in &self.leaves {
            match rustix::fs::unlinkat(&leaf.parent, &*leaf.name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.removed = true;
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Busy when something still runs in it; the next root runner sweeps.
        let _ = self.remove();
    }
}

impl Leaf {
    fn make(place: &Place, name: &str, owner: u32) -> Result<Self, CgroupError> {
        let parent = parent(place)?;
        let root = rustix::process::geteuid().is_root();
        if root {
            // Whoever may write the folder may remove groups from it, and no more: limits are
            // files of their own, which stay root's.
            rustix::fs::chown(&parent, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)))
                .map_err(|error| fault(&parent, error.into()))?;
        }
        // What is still dying goes with a later one.
        let _ = leftover::sweep(&parent);
        let path = parent.join(name);
        std::fs::create_dir(&path).map_err(|error| fault(&path, error))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::open(&parent, flags, Mode::empty())
            .map_err(|error| fault(&parent, error.into()))?;
        Ok(Self { parent, path, name: name.to_owned() })
    }
}

/// Removes groups whose runner is gone, in each hierarchy; see [`leftover::sweep`].
pub(super) fn sweep() -> Vec<u32> {
    let places = ["memory", "pids"].into_iter().filter_map(|controller| locate(controller).ok());
    places.filter_map(|place| parent(&place).ok()).flat_map(|it| leftover::sweep(&it)).collect()
}

/// The folder that takes our groups.
fn parent(place: &Place) -> Result<PathBuf, CgroupError> {
    match place.version {
        // Below our own, so that limits on us hold for the sandbox too.
        Version::V1 => {
            let parent = place.own.join(PARENT);
            create(&parent)?;
            Ok(parent)
        }
        // A v2 group with processes in it cannot give controllers to groups below.
        Version::V2 if rustix::process::geteuid().is_root() => {
            let parent = place.root.join(PARENT);
            let _ = write(&place.root.join("cgroup.subtree_control"), "+memory +pids");
            create(&parent)?;
            write(&parent.join("cgroup.subtree_control"), "+memory +pids")?;
            Ok(parent)
        }
        // Delegated by systemd's user manager: a group beside our own.
        Version::V2 => {
            let beside = place.own.parent().unwrap_or(&place.own).to_owned();
            let given = read(&beside.join("cgroup.subtree_control"))
                .map_err(|error| fault(&beside, error))?;
            let has = |name| given.split_whitespace().any(|word| word == name);
            if has("memory") && has("pids") { Ok(beside) } else { Err(CgroupError::NoControllers) }
        }
    }
}

fn locate(controller: &str) -> Result<Place, CgroupError> {
    let place =
        place::of_self(controller).map_err(|error| fault(Path::new("/proc/self/cgroup"), error))?;
    place.ok_or(CgroupError::NoControllers)
}

fn fault(path: &Path, error: io::Error) -> CgroupError {
    CgroupError::Io { path: path.to_owned(), error }
}

fn create(path: &Path) -> Result<(), CgroupError> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(fault(path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), CgroupError> {
    std::fs::write(path, text).map_err(|error| fault(path, error))
}

fn open_write(path: &Path) -> Result<File, CgroupError> {
    File::options().write(true).open(path).map_err(|error| fault(path, error))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

/// `name value` per line; 0 where the kernel has no such line.
fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .map_or(0, |(_, value)| number(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_event_files() {
        let v1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(field(v1, "oom_kill"), 3);
        let v2 = "low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(field(v2, "oom_kill"), 2);
        assert_eq!(field("", "max"), 0);
    }
}
