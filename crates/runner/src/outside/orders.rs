//! Reading an order, and refusing one that cannot be carried out as it stands.

use std::fs;
use std::path::Path;

use midwatch_api::order::{ORDER_FILE, ORDER_VERSION, Order, Work, Workspace};
use midwatch_core::id::CommitId;
use serde::Deserialize;

use super::environment::is_normal;

/// The parts that every version of an order has: enough to report under the right name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Addressee {
    /// The order's version.
    pub(super) version: u32,
    /// The run.
    pub(super) run: String,
    /// Its epoch.
    pub(super) epoch: u32,
}

/// An order that is not carried out.
#[derive(Debug)]
pub(super) struct Refused {
    /// Who is to be told.
    pub(super) addressee: Addressee,
    /// Why.
    pub(super) why: String,
}

/// Reads the order in a run's folder.
pub(super) fn read(folder: &Path) -> Result<Order, Refused> {
    let nobody = |why: String| Refused { addressee: Addressee::default(), why };
    let bytes = fs::read(folder.join(ORDER_FILE))
        .map_err(|error| nobody(format!("{ORDER_FILE}: {error}")))?;
    let addressee: Addressee =
        serde_json::from_slice(&bytes).map_err(|error| nobody(format!("{ORDER_FILE}: {error}")))?;
    let refused = |why: String| Refused { addressee: addressee.clone(), why };
    if addressee.version != ORDER_VERSION {
        return Err(refused(format!(
            "the order has version {}, this runner knows version {ORDER_VERSION} only",
            addressee.version
        )));
    }
    let mut order: Order = serde_json::from_slice(&bytes)
        .map_err(|error| refused(format!("{ORDER_FILE}: {error}")))?;
    check(&order, folder).map_err(refused)?;
    // One spelling of it: places are found again by their path.
    folder.clone_into(&mut order.folder);
    Ok(order)
}

fn check(order: &Order, folder: &Path) -> Result<(), String> {
    let same = fs::canonicalize(&order.folder).ok() == fs::canonicalize(folder).ok();
    if !same {
        return Err(format!("the order is for the folder {}", order.folder.display()));
    }
    let limits = &order.limits;
    for (name, value) in [
        ("wallSeconds", limits.wall_seconds),
        ("memoryBytes", limits.memory_bytes),
        ("pids", limits.pids),
        ("diskBytes", limits.disk_bytes),
        ("outputBytes", limits.output_bytes),
    ] {
        if value == 0 {
            return Err(format!("limits.{name} is 0"));
        }
    }
    if let Some(door) = &order.broker {
        absolute("broker.folder", &door.folder)?;
    }
    if let Some(bundle) = &order.ca_bundle {
        absolute("caBundle", bundle)?;
    }
    match &order.work {
        Work::Checkout { commit, upstream, base, workers: _ } => {
            commit_id("commit", commit)?;
            absolute("upstream", upstream)?;
            absolute("base", base)
        }
        Work::Setup { workspace, command, deps, keep_home } => {
            check_workspace(workspace)?;
            shell_command(command)?;
            absolute("deps", deps)?;
            for kept in keep_home {
                if kept.is_absolute() || !is_normal(kept) || kept.as_os_str().is_empty() {
                    return Err(format!("keepHome: {} is not a path below HOME", kept.display()));
                }
            }
            Ok(())
        }
        Work::Agent { workspace, home, agent: _ } => {
            check_workspace(workspace)?;
            absolute("home", home)
        }
        Work::Check { workspace, command } => {
            check_workspace(workspace)?;
            shell_command(command)
        }
        Work::Rescue { workspace } => {
            check_workspace(workspace)?;
            if workspace.upper.is_none() {
                return Err("a rescue needs the upper layer of an earlier run".into());
            }
            Ok(())
        }
    }
}

fn check_workspace(workspace: &Workspace) -> Result<(), String> {
    commit_id("baseCommit", &workspace.base_commit)?;
    absolute("base", &workspace.base)?;
    for deps in &workspace.deps {
        absolute("deps", deps)?;
    }
    if let Some(commit) = &workspace.commit {
        commit_id("commit.id", &commit.id)?;
        absolute("commit.pack", &commit.pack)?;
    }
    workspace.upper.as_ref().map_or(Ok(()), |upper| absolute("upper", upper))
}

fn absolute(field: &str, path: &Path) -> Result<(), String> {
    if path.is_absolute() && is_normal(path) && path.file_name().is_some() {
        return Ok(());
    }
    Err(format!("{field}: {} is not a plain absolute path", path.display()))
}

fn commit_id(field: &str, text: &str) -> Result<(), String> {
    CommitId::parse(text).map(drop).map_err(|error| format!("{field}: {error}"))
}

fn shell_command(text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err("the command is empty or holds a NUL".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::environment::tests::order;
    use super::*;

    fn read_back(change: impl FnOnce(&mut serde_json::Value)) -> Result<Order, Refused> {
        let folder = tempfile::tempdir().unwrap();
        let mut order = order();
        folder.path().clone_into(&mut order.folder);
        let mut value = serde_json::to_value(order).unwrap();
        change(&mut value);
        fs::write(folder.path().join(ORDER_FILE), value.to_string()).unwrap();
        read(folder.path())
    }

    #[test]
    fn an_order_is_read_back() {
        read_back(|_| {}).unwrap();
    }

    #[test]
    fn an_order_of_another_version_is_refused_under_its_name() {
        let refused = read_back(|value| {
            value["version"] = 7.into();
            value["work"] = "something newer".into();
        })
        .unwrap_err();
        assert_eq!((refused.addressee.run.as_str(), refused.addressee.epoch), ("t-check-1", 1));
        assert!(refused.why.contains("version 7"));
    }

    #[test]
    fn odd_orders_are_refused() {
        let bad: [fn(&mut serde_json::Value); 7] = [
            |value| value["unknown"] = 1.into(),
            |value| value["folder"] = "/elsewhere".into(),
            |value| value["limits"]["pids"] = 0.into(),
            |value| value["work"]["command"] = " ".into(),
            |value| value["work"]["workspace"]["base"] = "base".into(),
            |value| value["work"]["workspace"]["base"] = "/a/../b".into(),
            |value| value["work"]["workspace"]["baseCommit"] = "--upload-pack=x".into(),
        ];
        for change in bad {
            assert!(!read_back(change).unwrap_err().why.is_empty());
        }
    }
}
