//! Where the kernel does not count for us: the sandbox's processes are the descendants of its
//! init, because whoever loses a parent in there becomes init's child.

use std::collections::BTreeMap;
use std::io;

use rustix::process::{Pid, Signal};

use super::Sample;

/// Looks at the processes below one init.
#[derive(Debug, Default)]
pub struct Polled {
    init_pid: Option<u32>,
}

/// What /proc/PID/stat says of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) parent: u32,
    resident_pages: u64,
}

impl Polled {
    pub(super) fn attach(&mut self, init_pid: u32) {
        self.init_pid = Some(init_pid);
    }

    pub(super) fn sample(&self, limit: Option<u64>) -> io::Result<Sample> {
        let Some(init) = self.init_pid else {
            return Ok(Sample::default());
        };
        let table = table()?;
        let members = members(&table, init);
        let page = page_bytes();
        let resident: u64 = members.iter().map(|pid| table[pid].resident_pages * page).sum();
        // Shared pages are counted once per process above; where that decides, look closer.
        let memory_bytes = if limit.is_some_and(|limit| resident > limit) {
            members.iter().map(|pid| proportional(*pid, table[pid].resident_pages * page)).sum()
        } else {
            resident
        };
        Ok(Sample { memory_bytes, processes: members.len() as u64, ..Sample::default() })
    }

    /// Killing init is enough, and is done by pidfd elsewhere; this is for those that remain.
    pub(super) fn kill_all(&self) -> io::Result<()> {
        let Some(init) = self.init_pid else {
            return Ok(());
        };
        let table = table()?;
        for pid in members(&table, init) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // It may have ended meanwhile.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        Ok(())
    }
}

fn page_bytes() -> u64 {
    #[expect(unsafe_code, reason = "sysconf has no wrapper")]
    // SAFETY: takes a number, gives a number.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

fn table() -> io::Result<BTreeMap<u32, Process>> {
    let mut table = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may end between the two.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if let Some(process) = parse_stat(&stat) {
            table.insert(pid, process);
        }
    }
    Ok(table)
}

/// The name in the second field is hostile: it may hold spaces and brackets.
pub(super) fn parse_stat(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let parent = fields.nth(1)?.parse().ok()?;
    // proc(5): rss is field 24, the parent field 4.
    let resident_pages = fields.nth(19)?.parse().ok()?;
    Some(Process { parent, resident_pages })
}

/// `init` and everything below it.
fn members(table: &BTreeMap<u32, Process>, init: u32) -> Vec<u32> {
    let mut found: Vec<u32> = table.keys().copied().filter(|pid| *pid == init).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = table.iter().filter(|(_, process)| process.parent == parent);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// The proportional share, or the resident size where that may not be read.
fn proportional(pid: u32, resident: u64) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .ok()
        .and_then(|text| parse_pss(&text))
        .unwrap_or(resident)
}

fn parse_pss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_move_the_fields() {
        let stat = "7 (x) R 1 (y) S 3 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 5 1000 42 18 1";
        let parsed = parse_stat(stat).unwrap();
        assert_eq!(parsed, Process { parent: 3, resident_pages: 42 });
        assert_eq!(parse_stat("7 (x"), None);
    }

    #[test]
    fn descendants_only() {
        let process = |parent| Process { parent, resident_pages: 1 };
        let table = BTreeMap::from([
            (1, process(0)),
            (10, process(1)),
            (11, process(10)),
            (9, process(11)),
            (20, process(1)),
        ]);
        assert_eq!(members(&table, 10), [10, 11, 9]);
        assert!(members(&table, 99).is_empty());
    }

    #[test]
    fn proportional_size() {
        assert_eq!(parse_pss("Rss:   8 kB\nPss:             5 kB\n"), Some(5120));
    }
}
