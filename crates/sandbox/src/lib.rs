//! From a policy to bubblewrap, seccomp, Landlock, cgroups and overlays.
//!
//! ```text
//! probe::probe, probe::require          what this machine has; refuses what is missing
//!        │ Layers
//! prelude::enter(Plan) ─► Entered       once, by a process with one thread: an ordinary user
//!        │                              in its own user and mount namespace, cgroup made
//! spawn(Entered, Policy, command) ─► Running
//!        │        bubblewrap ─► init (pid 1: not dumpable) ─► command (behind Landlock)
//! Running::{signal, kill, try_exit, status_fd}   Entered::meter.{sample, over, kill_all}
//! ```
//!
//! The binary that calls [`spawn()`] must dispatch `argv[1] == "init"` to [`init::run`]: the
//! sandbox's pid 1 is the same executable. Knows nothing of orders, agents, git or the broker.
#![cfg(target_os = "linux")]

pub mod bubblewrap;
pub mod cgroup;
pub mod etc;
mod hidden;
pub mod init;
pub mod landlock;
mod layer;
pub mod overlay;
pub mod policy;
pub mod prelude;
pub mod probe;
pub mod seccomp;
mod spawn;
mod status;

pub use layer::{Layer, Layers};
pub use rustix::process::Signal;
pub use spawn::{Running, SpawnError, Stdin, spawn};
pub use status::Exit;
