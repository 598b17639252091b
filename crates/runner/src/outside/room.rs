//! The policy of a run's sandboxes: what is bound where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use midwatch_api::order::{Order, inside};
use midwatch_sandbox::policy::{Mount, Policy};

use super::environment::{Surroundings, java_bundle};

/// The order of the inside half, in the run's folder.
pub(super) const INSIDE_FILE: &str = "inside.json";

/// The CA bundle for Java, in the run's folder.
pub(super) const TRUST_STORE_FILE: &str = "ca.jks";

/// /tmp is memory: a quarter of what the run may have, within these bounds.
const TMP_LEAST: u64 = 64 << 20;
/// More than this is better written to HOME or the workspace.
const TMP_MOST: u64 = 4 << 30;

/// What one sandbox has beside the system and the toolchains.
#[derive(Debug, Default)]
pub(super) struct Room {
    mounts: Vec<Mount>,
    env: BTreeMap<String, String>,
    tmp_bytes: u64,
}

impl Room {
    /// The environment, and nothing beside the system.
    pub(super) fn bare(order: &Order, around: &Surroundings) -> Self {
        Self {
            mounts: Vec::new(),
            env: around.env.clone(),
            tmp_bytes: (order.limits.memory_bytes / 4).clamp(TMP_LEAST, TMP_MOST),
        }
    }

    /// The toolchains, the CA bundle and the environment.
    pub(super) fn new(order: &Order, around: &Surroundings) -> Self {
        let mut room = Self::bare(order, around);
        for (outside, seen) in &around.toolchains {
            room.look(outside, seen);
        }
        for (at, to) in &around.links {
            room.mounts.push(Mount::Symlink { to: to.clone(), target: at.clone() });
        }
        if let Some(bundle) = &order.ca_bundle {
            room.look(bundle, inside::CA_BUNDLE);
        }
        if java_bundle(order).is_some() {
            room.look(&order.folder.join(TRUST_STORE_FILE), inside::TRUST_STORE);
        }
        room
    }

    /// Something read-only.
    pub(super) fn look(&mut self, source: &Path, target: impl Into<PathBuf>) -> &mut Self {
        self.mounts.push(Mount::Bind {
            source: source.to_owned(),
            target: target.into(),
            writable: false,
        });
        self
    }

    /// Something writable.
    pub(super) fn write(&mut self, source: &Path, target: impl Into<PathBuf>) -> &mut Self {
        self.mounts.push(Mount::Bind {
            source: source.to_owned(),
            target: target.into(),
            writable: true,
        });
        self
    }

    /// An empty folder in memory.
    pub(super) fn empty(&mut self, target: impl Into<PathBuf>, size_bytes: u64) -> &mut Self {
        self.mounts.push(Mount::Tmpfs { target: target.into(), size_bytes });
        self
    }

    /// Something read-only over a place in a writable folder that is still as we made it.
    pub(super) fn guard(&mut self, source: &Path, target: impl Into<PathBuf>) -> &mut Self {
        self.mounts.push(Mount::Guard { source: source.to_owned(), target: target.into() });
        self
    }

    /// The way out: the folder with the broker's sockets, which may be made anew in it.
    pub(super) fn sockets(&mut self, order: &Order) -> &mut Self {
        if let Some(door) = &order.broker {
            self.look(&door.folder, inside::SOCKETS);
        }
        self
    }

    /// The policy.
    pub(super) fn policy(self) -> Policy {
        Policy {
            mounts: self.mounts,
            env: self.env,
            cwd: inside::WORKSPACE.into(),
            home: inside::HOME.into(),
            hostname: "midwatch".into(),
            tmp_bytes: self.tmp_bytes,
        }
    }
}

/// Loopback ports that the inside forwards to the broker's sockets.
pub(super) fn forwards(order: &Order) -> Vec<(u16, PathBuf)> {
    let Some(door) = &order.broker else {
        return Vec::new();
    };
    let socket = |name: &str| Path::new(inside::SOCKETS).join(name);
    let gateway = door.gateway.then(|| (inside::GATEWAY_PORT, socket("gateway.sock")));
    let proxy = door.proxy.then(|| (inside::PROXY_PORT, socket("proxy.sock")));
    gateway.into_iter().chain(proxy).collect()
}
