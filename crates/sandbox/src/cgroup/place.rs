//! Where a controller's hierarchy is, from the kernel's two listings. Pure but for `of_self`.

use std::io;
use std::path::{Path, PathBuf};

/// The two generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// The group that a process is in, for one controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: Version,
    /// Where the hierarchy is mounted.
    pub(super) root: PathBuf,
    /// The process's own group.
    pub(super) own: PathBuf,
}

/// Finds the place of one controller for this process.
pub(super) fn of_self(controller: &str) -> io::Result<Option<Place>> {
    let groups = std::fs::read_to_string("/proc/self/cgroup")?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let Some(place) = find(controller, &groups, &mounts) else {
        return Ok(None);
    };
    if place.version == Version::V1 {
        return Ok(Some(place));
    }
    // In v2 a controller is there only where the root offers it.
    let offered = std::fs::read_to_string(place.root.join("cgroup.controllers"))?;
    Ok(offered.split_whitespace().any(|name| name == controller).then_some(place))
}

/// `groups` is /proc/self/cgroup, `mounts` /proc/self/mountinfo (proc(5)).
fn find(controller: &str, groups: &str, mounts: &str) -> Option<Place> {
    let v1 = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        let path = parts.next()?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    });
    let v2 = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let (version, path) = match (v1, v2) {
        (Some(path), _) => (Version::V1, path),
        (None, Some(path)) => (Version::V2, path),
        (None, None) => return None,
    };
    let (shown, root) = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let kind = right.next()?;
        let options = right.nth(1)?;
        let fits = match version {
            Version::V1 => kind == "cgroup" && options.split(',').any(|name| name == controller),
            Version::V2 => kind == "cgroup2",
        };
        let mut left = left.split(' ').skip(3);
        fits.then_some((left.next()?, left.next()?))
    })?;
    // In a container the mount shows a part of the hierarchy only.
    let root = PathBuf::from(root);
    let below = Path::new(path).strip_prefix(shown).ok();
    let own = below.map_or_else(|| root.clone(), |below| root.join(below));
    Some(Place { version, root, own })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "8:pids:/\n4:memory:/a/b\n0::/\n";
    const HYBRID_MOUNTS: &str = "\
1 2 0:1 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
1 2 0:1 / /sys/fs/cgroup/pids rw,relatime shared:3 - cgroup cgroup rw,pids
1 2 0:1 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn a_hybrid_machine() {
        let memory = find("memory", HYBRID, HYBRID_MOUNTS).unwrap();
        assert_eq!(memory.version, Version::V1);
        assert_eq!(memory.own, Path::new("/sys/fs/cgroup/memory/a/b"));
        let pids = find("pids", HYBRID, HYBRID_MOUNTS).unwrap();
        assert_eq!(pids.own, Path::new("/sys/fs/cgroup/pids"));
        assert_eq!(find("io", HYBRID, HYBRID_MOUNTS).unwrap().version, Version::V2);
    }

    #[test]
    fn a_v2_machine_and_a_container() {
        let groups = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n";
        let mounts = "1 2 0:1 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let place = find("memory", groups, mounts).unwrap();
        assert_eq!(place.version, Version::V2);
        assert!(place.own.ends_with("app.slice/x.scope"));
        let part = "1 2 0:1 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let place = find("memory", "0::/docker/abc/x\n", part).unwrap();
        assert_eq!(place.own, Path::new("/sys/fs/cgroup/x"));
    }

    #[test]
    fn nothing_there() {
        assert_eq!(find("memory", "", ""), None);
    }
}
