//! The measuring itself: one short-lived child per layer.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::mount::MountFlags;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::Found;
use crate::cgroup::{Limits, LimitsMode, Meter};
use crate::layer::Layer;
use crate::prelude::become_user;
use crate::{bubblewrap, landlock, overlay, seccomp};

/// The kernel's switches that forbid user namespaces, with the value that forbids and the way
/// out. The first is Ubuntu's (since 23.10), the second Debian's (before 11).
const SWITCHES: [(&str, &str, &str); 3] = [
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor forbids them to programs without a profile: add a profile with `userns,` for \
         midwatch and bwrap, or sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "sysctl kernel.unprivileged_userns_clone=1",
    ),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
];

pub(super) struct Measure {
    dir: PathBuf,
    /// Who to become first; none when we are an ordinary user already.
    become_uid: Option<u32>,
    service_uid: u32,
}

impl Measure {
    pub(super) fn new(dir: &Path, service_uid: u32) -> Self {
        let become_uid = rustix::process::geteuid().is_root().then_some(service_uid);
        Self { dir: dir.to_owned(), become_uid, service_uid }
    }

    pub(super) fn layer(&self, layer: Layer) -> Found {
        match layer {
            Layer::UserNamespace => self.user_namespace(),
            Layer::Bubblewrap => self.bubblewrap(),
            Layer::Seccomp => self.seccomp(),
            Layer::Landlock => self.landlock(),
            Layer::Cgroup => self.cgroup(),
            Layer::Overlay => self.overlay(),
        }
    }

    /// A command that is run as an ordinary user.
    fn ordinary(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::null()).current_dir("/");
        let uid = self.become_uid;
        #[expect(unsafe_code, reason = "work between fork and exec")]
        // SAFETY: system calls only, on memory of this frame.
        unsafe {
            command.pre_exec(move || match uid {
                Some(uid) => become_user(uid).map_err(|_| io::ErrorKind::PermissionDenied.into()),
                None => Ok(()),
            });
        }
        command
    }

    fn user_namespace(&self) -> Found {
        let mut command = self.ordinary(Path::new("/bin/true"));
        #[expect(unsafe_code, reason = "work between fork and exec")]
        // SAFETY: system calls only.
        unsafe {
            command.pre_exec(|| {
                unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
                Ok(())
            });
        }
        match command.output() {
            Ok(_) => Found::Present { detail: "yes".to_owned() },
            Err(error) => {
                let forbidden = SWITCHES.iter().find(|(file, value, _)| {
                    std::fs::read_to_string(file).is_ok_and(|text| text.trim() == *value)
                });
                let remedy = forbidden.map_or(
                    "inside a container, give it the right to make user namespaces",
                    |(_, _, remedy)| *remedy,
                );
                Found::Missing { why: error.to_string(), remedy: remedy.to_owned() }
            }
        }
    }

    fn bubblewrap(&self) -> Found {
        let install = || "apt install bubblewrap (0.8 or later)".to_owned();
        let Some(program) = bubblewrap::program() else {
            return Found::Missing { why: "no bwrap".to_owned(), remedy: install() };
        };
        let version = Command::new(&program).arg("--version").output();
        match self.sandboxed(&program, None, "true") {
            Ok(output) if output.status.success() => {
                let version = version.map(|output| output.stdout).unwrap_or_default();
                let detail = String::from_utf8_lossy(&version).trim().to_owned();
                Found::Present { detail }
            }
            Ok(output) => Found::Missing { why: said(&output), remedy: install() },
            Err(error) => Found::Missing { why: error.to_string(), remedy: install() },
        }
    }

    /// Everything that a real start asks of bubblewrap, on the host's own root.
    fn sandboxed(&self, program: &Path, filter: Option<&File>, script: &str) -> io::Result<Output> {
        let mut command = self.ordinary(program);
        command.args([
            "--unshare-user",
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-uts",
            "--unshare-cgroup-try",
            "--disable-userns",
            "--die-with-parent",
            "--as-pid-1",
            "--new-session",
            "--cap-drop",
            "ALL",
        ]);
        // Not the whole root: the service uid may not see all of its mounts.
        command.args(["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]);
        for name in ["bin", "lib", "lib64"] {
            let at = Path::new("/").join(name);
            match std::fs::read_link(&at) {
                Ok(to) => command.arg("--symlink").arg(to).arg(at),
                Err(_) => command.arg("--ro-bind-try").arg(&at).arg(&at),
            };
        }
        if let Some(filter) = filter {
            let fd = filter.as_raw_fd();
            command.args(["--seccomp", &fd.to_string()]);
            #[expect(unsafe_code, reason = "work between fork and exec")]
            // SAFETY: one system call on a descriptor that the parent holds open.
            unsafe {
                command.pre_exec(move || {
                    let fd = std::os::fd::BorrowedFd::borrow_raw(fd);
                    Ok(fcntl_setfd(fd, FdFlags::empty())?)
                });
            }
        }
        command.args(["--", "/bin/sh", "-c", script]).output()
    }

    fn seccomp(&self) -> Found {
        let missing = |why: String| Found::Missing {
            why,
            remedy: "a kernel with CONFIG_SECCOMP_FILTER".to_owned(),
        };
        let Some(program) = bubblewrap::program() else {
            return missing("bwrap, which puts it on, is missing".to_owned());
        };
        let filter = || -> io::Result<File> {
            let filter = seccomp::filter().map_err(io::Error::other)?;
            let mut file = File::from(memfd_create(c"seccomp", MemfdFlags::CLOEXEC)?);
            file.write_all(&filter)?;
            file.rewind()?;
            Ok(file)
        };
        let output = filter().and_then(|filter| {
            self.sandboxed(
                &program,
                Some(&filter),
                "while read -r l; do echo \"$l\"; done \
                </proc/self/status",
            )
        });
        match output {
            Ok(output) => {
                let status = String::from_utf8_lossy(&output.stdout);
                if status.lines().any(|line| line.starts_with("Seccomp:") && line.ends_with('2')) {
                    Found::Present { detail: "filter".to_owned() }
                } else {
                    missing(said(&output))
                }
            }
            Err(error) => missing(error.to_string()),
        }
    }

    fn landlock(&self) -> Found {
        let missing = |why: String| Found::Missing {
            why,
            remedy: "a kernel from 5.13 on, with `landlock` in its lsm= list".to_owned(),
        };
        let wall = match landlock::prepare(&["/dev/null"], &["/"]) {
            Ok(wall) => wall,
            Err(error) => return missing(error.to_string()),
        };
        let file = self.dir.join(format!("landlock-{}", std::process::id()));
        let mut wall = Some(wall);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", ": > \"$1\"", "sh"]).arg(&file).stdin(Stdio::null());
        #[expect(unsafe_code, reason = "work between fork and exec")]
        // SAFETY: system calls on rules that were made before the fork.
        unsafe {
            command.pre_exec(move || match wall.take() {
                Some(wall) => wall.enclose().map_err(|_| io::ErrorKind::Unsupported.into()),
                None => Ok(()),
            });
        }
        let output = command.output();
        let wrote = std::fs::remove_file(&file).is_ok();
        match output {
            Ok(output) if !output.status.success() && !wrote => {
                Found::Present { detail: format!("ABI {}", landlock::kernel_abi()) }
            }
            Ok(_) => missing("it was put on and held nothing".to_owned()),
            Err(error) => missing(error.to_string()),
        }
    }

    fn cgroup(&self) -> Found {
        let limits = Limits { memory_bytes: Some(64 << 20), pids: Some(16) };
        let mut meter = match Meter::prepare("probe", limits, self.service_uid) {
            Ok(meter) => meter,
            Err(error) => {
                return Found::Missing {
                    why: error.to_string(),
                    remedy: "mount the cgroup controllers memory and pids".to_owned(),
                };
            }
        };
        let mode = meter.mode();
        let removed = meter.remove();
        match (mode, removed) {
            (LimitsMode::Enforced, Ok(())) => {
                Found::Present { detail: "limits: enforced".to_owned() }
            }
            (LimitsMode::Enforced, Err(error)) => Found::Missing {
                why: format!("a group could not be removed: {error}"),
                remedy: "see /sys/fs/cgroup".to_owned(),
            },
            (LimitsMode::Polled, _) => Found::Weaker {
                why: "limits: polled, no cgroup is delegated to this user".to_owned(),
                remedy: "for limits kept by the kernel start it with `systemd-run --user --scope \
                         -p Delegate=yes`"
                    .to_owned(),
            },
        }
    }

    fn overlay(&self) -> Found {
        let dir = self.dir.join(format!("overlay-{}", std::process::id()));
        let found = match mount_overlay(&dir) {
            Ok(()) => Found::Present { detail: "yes".to_owned() },
            Err(error) => Found::Weaker {
                why: format!("workspaces are checked out in full ({error})"),
                remedy: "a kernel from 5.11 on, and a state folder on ext4, xfs or btrfs"
                    .to_owned(),
            },
        };
        let _ = overlay::clear_work(&dir.join("work"));
        let _ = std::fs::remove_dir_all(&dir);
        found
    }
}

/// In a user namespace of the caller: the kernel then asks no more of it than of anyone.
fn mount_overlay(dir: &Path) -> io::Result<()> {
    for name in ["lower", "upper", "work", "merged"] {
        std::fs::create_dir_all(dir.join(name))?;
    }
    let options = overlay::options(&[dir.join("lower")], &dir.join("upper"), &dir.join("work"))
        .map_err(io::Error::other)?;
    let options = CString::new(options.into_vec())?;
    let target = CString::new(dir.join("merged").into_os_string().into_vec())?;
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    let maps = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{uid} {uid} 1")),
        ("/proc/self/gid_map", format!("{gid} {gid} 1")),
    ];
    let mut command = Command::new("/bin/true");
    #[expect(unsafe_code, reason = "work between fork and exec")]
    // SAFETY: system calls on memory that was allocated before the fork.
    unsafe {
        command.pre_exec(move || {
            // Where the caller is not, /proc/self is root's.
            set_dumpable_behavior(DumpableBehavior::Dumpable)?;
            unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
            for (file, text) in &maps {
                std::fs::write(file, text)?;
            }
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            rustix::mount::mount(c"overlay", &*target, c"overlay", flags, &*options)?;
            Ok(())
        });
    }
    command.stdin(Stdio::null()).output().map(|_| ())
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim();
    if text.is_empty() {
        format!("it ended with {}", output.status)
    } else {
        text.escape_debug().to_string()
    }
}
