//! Our system call filter, as bytes for bubblewrap's `--seccomp`.
//!
//! A deny list: what honest programs need is too wide for an allow list, and the namespaces
//! hold the rest. Each entry either reaches kernel code that has been a source of escapes, or
//! makes something that the other layers do not watch. The escape table measures it.
//!
//! `ptrace` is allowed: the address sanitizer, gdb and strace need it, our pid 1 is not dumpable,
//! and since Linux 4.8 a tracer cannot get round the filter of the one that it traces.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, sock_filter,
};

/// Denied whatever the arguments, with EPERM.
const DENIED: &[i64] = &[
    // Rings do input and output, and make sockets, behind the filter's back.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Keyrings are not part of any namespace.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Another process's memory and descriptors.
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Favourite tools of kernel exploits.
    libc::SYS_userfaultfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    // The kernel itself.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Mounts, old and new.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    OPEN_TREE_ATTR,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // Files by handle go round every path rule; fanotify watches whole file systems.
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // Namespaces. clone has its own rules below.
    libc::SYS_unshare,
    libc::SYS_setns,
    // Memory placement of others.
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

/// Linux 6.15, `include/uapi/asm-generic/unistd.h`; the same on every architecture.
const OPEN_TREE_ATTR: i64 = 467;

/// `CLONE_NEW*`. `CLONE_NEWTIME` shares its bit with the exit signal of clone: not reachable.
const NAMESPACE_FLAGS: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// The families that sockets may have. Packets, VMs, kernel crypto, radios: none of them.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Personalities that programs set: none, 32-bit, the old version number, no randomisation
/// (gdb), and the question which it is. Others weaken memory protection.
const PERSONALITIES: [u64; 6] = [0, 0x0008, 0x0002_0000, 0x0002_0008, 0x0004_0000, 0xffff_ffff];

/// Put characters into a terminal's input, or steer the console.
const TERMINAL_REQUESTS: [u64; 3] = [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD];

/// Compiles the filter for this architecture.
///
/// # Errors
///
/// Only when the tables above are wrong, or on another architecture than x86-64 and arm64.
pub fn filter() -> Result<Vec<u8>, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().map(|number| (*number, Vec::new())).collect();

    let mut namespaces = Vec::new();
    for flag in NAMESPACE_FLAGS {
        let flag = u64::from(flag.cast_unsigned());
        namespaces.push(rule([(0, SeccompCmpOp::MaskedEq(flag), flag)])?);
    }
    rules.insert(libc::SYS_clone, namespaces);

    let outside = FAMILIES.map(|family| (0, SeccompCmpOp::Ne, u64::from(family.cast_unsigned())));
    let route = u64::from(libc::NETLINK_ROUTE.cast_unsigned());
    let netlink = u64::from(libc::AF_NETLINK.cast_unsigned());
    let not_route = [(0, SeccompCmpOp::Eq, netlink), (2, SeccompCmpOp::Ne, route)];
    rules.insert(libc::SYS_socket, vec![rule(outside)?, rule(not_route)?]);
    let unix = u64::from(libc::AF_UNIX.cast_unsigned());
    rules.insert(libc::SYS_socketpair, vec![rule([(0, SeccompCmpOp::Ne, unix)])?]);

    let mut requests = Vec::new();
    for request in TERMINAL_REQUESTS {
        requests.push(rule([(1, SeccompCmpOp::Eq, request)])?);
    }
    rules.insert(libc::SYS_ioctl, requests);

    let odd = PERSONALITIES.map(|known| (0, SeccompCmpOp::Ne, known));
    rules.insert(libc::SYS_personality, vec![rule(odd)?]);

    // Limits of other processes: the kernel asks for no more than the same uid, and init's
    // limit of processor time is a way to end it.
    let other = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0)?;
    let set = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![other, set])?]);

    let eperm = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into()?;
    let denied: BpfProgram =
        SeccompFilter::new(rules, SeccompAction::Allow, eperm, arch)?.try_into()?;
    let mut program = preamble();
    program.extend(denied);
    Ok(bytes(&program))
}

/// All conditions must hold. The kernel takes each of these arguments as 32 bits, so the upper
/// half is not looked at: comparing all 64 let `TIOCSTI | 1 << 32` through (CVE-2019-10063).
fn rule<const N: usize>(
    conditions: [(u8, SeccompCmpOp, u64); N],
) -> Result<SeccompRule, BackendError> {
    let conditions = conditions
        .into_iter()
        .map(|(index, op, value)| SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value));
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

/// Two answers that seccompiler cannot give beside EPERM: `clone3` does not exist (its flags
/// are behind a pointer, and the C library then uses `clone`), and neither do the x32 calls,
/// which pass for x86-64 and would get round every rule.
fn preamble() -> BpfProgram {
    // include/uapi/linux/bpf_common.h and filter.h
    const LOAD_WORD: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const NUMBER_OFFSET: u32 = 0;
    const X32_BIT: u32 = 0x4000_0000;
    let clone3 = u32::try_from(libc::SYS_clone3).unwrap_or(u32::MAX);
    let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        step(LOAD_WORD, 0, 0, NUMBER_OFFSET),
        step(JUMP_EQUAL, 1, 0, clone3),
        step(JUMP_GREATER_OR_EQUAL, 0, 1, X32_BIT),
        step(RETURN, 0, 0, missing),
    ]
}

/// `struct sock_filter` in the byte order of this machine.
fn bytes(program: &[sock_filter]) -> Vec<u8> {
    let mut out = Vec::with_capacity(program.len() * 8);
    for step in program {
        out.extend(step.code.to_ne_bytes());
        out.extend([step.jt, step.jf]);
        out.extend(step.k.to_ne_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_compiles_within_the_kernels_limit() {
        let filter = filter().unwrap();
        assert_eq!(filter.len() % 8, 0);
        assert!(filter.len() / 8 < 4096, "BPF_MAXINSNS");
    }

    #[test]
    fn nothing_is_listed_twice() {
        let mut seen = DENIED.to_vec();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), DENIED.len());
    }
}
