//! What the outside half tells the inside half. It is read inside the sandbox, so it holds
//! nothing that the agent may not know.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One order of the inside half, bound read-only into the sandbox as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsideOrder {
    /// Loopback ports to forward to unix sockets: port, socket path inside.
    pub forward: Vec<(u16, PathBuf)>,
    /// What to do.
    pub job: Job,
}

/// What the inside half does in one sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job")]
pub enum Job {
    /// Makes a base at `folder` from the packs hard-linked there already in `.git/objects/pack`.
    Checkout {
        /// Where the base is made.
        folder: PathBuf,
        /// The commit.
        commit: String,
        /// Checkout workers; 0 means as many as cores.
        workers: u32,
    },
    /// Checks a commit out at the workspace: an alternate for its pack, `git checkout -f --detach`.
    Prepare {
        /// The folder with `objects/pack`.
        pack: PathBuf,
        /// The commit.
        commit: String,
    },
    /// Runs setup's shell command with the forwarder beside it, and ends with its code.
    Setup {
        /// The command, for `sh -c`.
        command: String,
    },
    /// Self-test, agent, commit, bundle; ends with the agent's code, or with a code of ours.
    Agent(AgentJob),
    /// Bundles every ref, stash and reflog head and a snapshot of the tree.
    Rescue {
        /// Commits that need not be bundled again.
        base: String,
        /// The commit on top of it that the agent began with, where there was one.
        #[serde(default)]
        commit: Option<String>,
        /// Untracked top-level paths that belong to deps.
        exclude: Vec<String>,
    },
}

/// An agent's job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentJob {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment on top of the sandbox's.
    pub env: BTreeMap<String, String>,
    /// Files to write under HOME first.
    pub files: BTreeMap<PathBuf, String>,
    /// What the program reads on stdin.
    pub stdin: String,
    /// Arguments that make the program print its version, for the self-test.
    pub version_args: Vec<String>,
    /// The gateway's URL to try, if there is one.
    pub endpoint: Option<String>,
    /// The commit that the range begins at; none means that nothing is committed or bundled.
    pub range_base: Option<String>,
    /// Untracked top-level paths that belong to deps and are never committed.
    pub exclude: Vec<String>,
    /// Seconds between checkpoints; 0 means none.
    pub checkpoint_seconds: u32,
    /// Seconds between TERM and kill.
    pub grace_seconds: u64,
}

/// The code with which the inside ends when the self-test failed. A claim like all its codes:
/// for an agent's run nothing is decided on it but which message is shown.
pub const SELF_TEST_CODE: i32 = 198;

/// The code for a failure of our own inside.
pub const INSIDE_CODE: i32 = 199;

/// The code of a rescue that found no room on the disk. A claim, and only work of ours is done in a
/// rescue: it decides whether the next try waits for room.
pub const FULL_CODE: i32 = 197;

/// Files that the inside half leaves in `out` for the outside half, all of them claims.
pub mod left {
    /// `{"what": .., "detail": ..}` of a failed self-test.
    pub const SELF_TEST: &str = "self-test.json";
    /// The agent's exit: `{"code": ..}` or `{"signal": ..}`.
    pub const AGENT_EXIT: &str = "agent-exit.json";
    /// A `report::BundleClaim`.
    pub const CLAIM: &str = "claim.json";
    /// Names of ignored files newer than the start, one JSON string a line.
    pub const IGNORED: &str = "ignored.jsonl";
    /// A line for each phase or checkpoint, appended: `{"phase": ..}`, `{"checkpoint": n}`.
    pub const PROGRESS: &str = "progress.jsonl";
}
