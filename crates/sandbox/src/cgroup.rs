//! Limits on memory and processes: by the kernel where we may (cgroup v1 or v2), else by
//! looking every second. One face for both; the mode is said in the evidence.
//!
//! Killing never depends on it: who kills init kills the sandbox.

mod group;
mod leftover;
mod place;
mod polled;

use std::fs::File;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use group::Group;
pub use polled::Polled;

/// What one sandbox may take. None means no limit of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory, what lies in its tmpfs included where the kernel counts.
    pub memory_bytes: Option<u64>,
    /// Processes and threads where the kernel counts, processes where we do.
    pub pids: Option<u32>,
}

/// Who holds the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitsMode {
    /// The kernel.
    Enforced,
    /// The runner looks and kills. A burst between two looks gets through.
    Polled,
}

/// Which limit was gone over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// The kernel killed for it, or the sum was above it.
    Memory,
    /// A fork was refused, or there were more.
    Pids,
}

/// One look at a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// In use now.
    pub memory_bytes: u64,
    /// Alive now.
    pub processes: u64,
    /// Processes that the kernel killed for memory, since the start. 0 when polled.
    pub oom_kills: u64,
    /// Forks that the kernel refused, since the start. 0 when polled.
    pub forks_refused: u64,
}

/// Why there is no cgroup. A user without delegation is no error: that is [`LimitsMode::Polled`].
#[derive(Debug, Error)]
pub enum CgroupError {
    /// Root, but the hierarchy cannot be used.
    #[error("cgroup {path:?}: {error}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// Neither v1 nor v2 offers both controllers.
    #[error("no cgroup hierarchy with the controllers memory and pids is mounted")]
    NoControllers,
}

/// Removes the groups of killed runners, after ending what hangs in them. Answers the pids of
/// runners whose group is still there: the kernel refuses to remove one until the last process in
/// it is gone. Nobody has any where there are no groups for us.
pub fn sweep() -> Vec<u32> {
    group::sweep()
}

/// Counts for one sandbox, and kills it as a second way.
#[derive(Debug)]
pub struct Meter {
    limits: Limits,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Kernel(Group),
    Polled(Polled),
}

impl Meter {
    /// Makes the groups. To be called while still root, where that is how we were started:
    /// `owner` gets the right to remove them. `name` has no `/`.
    ///
    /// # Errors
    ///
    /// As root, when there is no usable hierarchy. An ordinary user gets a polled meter then.
    pub fn prepare(name: &str, limits: Limits, owner: u32) -> Result<Self, CgroupError> {
        match Group::make(name, limits, owner) {
            Ok(group) => Ok(Self { limits, source: Source::Kernel(group) }),
            Err(error) if rustix::process::geteuid().is_root() => Err(error),
            Err(_) => Ok(Self::polled(limits)),
        }
    }

    /// One that only looks.
    pub fn polled(limits: Limits) -> Self {
        Self { limits, source: Source::Polled(Polled::default()) }
    }

    /// Who holds the limits.
    pub const fn mode(&self) -> LimitsMode {
        match self.source {
            Source::Kernel(_) => LimitsMode::Enforced,
            Source::Polled(_) => LimitsMode::Polled,
        }
    }

    /// Files that a new process writes `0` to in order to join.
    pub(crate) fn joins(&self) -> &[File] {
        match &self.source {
            Source::Kernel(group) => group.joins(),
            Source::Polled(_) => &[],
        }
    }

    /// Tells the sandbox's pid 1, as seen from here.
    pub(crate) fn attach(&mut self, init_pid: u32) {
        match &mut self.source {
            Source::Kernel(_) => {}
            Source::Polled(polled) => polled.attach(init_pid),
        }
    }

    /// Looks. Costs one pass over /proc when polled, so once a second is right.
    pub fn sample(&self) -> io::Result<Sample> {
        match &self.source {
            Source::Kernel(group) => group.sample(),
            Source::Polled(polled) => polled.sample(self.limits.memory_bytes),
        }
    }

    /// Which limit a sample shows to be gone over, memory first.
    pub fn over(&self, sample: &Sample) -> Option<Over> {
        let above = |value: u64, limit: Option<u64>| limit.is_some_and(|limit| value > limit);
        let (memory, pids) = match self.mode() {
            LimitsMode::Enforced => (sample.oom_kills > 0, sample.forks_refused > 0),
            LimitsMode::Polled => (
                above(sample.memory_bytes, self.limits.memory_bytes),
                above(sample.processes, self.limits.pids.map(u64::from)),
            ),
        };
        match (memory, pids) {
            (true, _) => Some(Over::Memory),
            (false, true) => Some(Over::Pids),
            (false, false) => None,
        }
    }

    /// Kills every process that it counts. The second way: init first.
    pub fn kill_all(&self) -> io::Result<()> {
        match &self.source {
            Source::Kernel(group) => group.kill_all(),
            Source::Polled(polled) => polled.kill_all(),
        }
    }

    /// Removes the groups, which must be empty by now. What a killed runner leaves behind, the
    /// next root runner sweeps.
    pub fn remove(&mut self) -> io::Result<()> {
        match &mut self.source {
            Source::Kernel(group) => group.remove(),
            Source::Polled(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polled_meter_compares_by_itself() {
        let meter = Meter::polled(Limits { memory_bytes: Some(10), pids: Some(2) });
        let sample =
            |memory_bytes, processes| Sample { memory_bytes, processes, ..Sample::default() };
        assert_eq!(meter.over(&sample(10, 2)), None);
        assert_eq!(meter.over(&sample(11, 3)), Some(Over::Memory));
        assert_eq!(meter.over(&sample(1, 3)), Some(Over::Pids));
    }
}
