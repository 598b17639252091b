//! `midwatch install-service`: a systemd unit for the server, as hard as our sandbox permits.

use std::path::{Path, PathBuf};

use super::{Context, json_alone};
use crate::environment::Environment;
use crate::output::Ink;
use crate::problem::{Problem, exit};

/// The unit's name.
const UNIT: &str = "midwatch.service";

/// Writes a systemd unit that keeps the server running
///
/// A user's unit (the default for ordinary users) needs `loginctl enable-linger` to go on after
/// logging out. Nothing is started; the next commands are said.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch install-service --print\n  midwatch install-service && systemctl --user enable --now midwatch\n  sudo midwatch install-service --system"
)]
pub(super) struct InstallService {
    /// For this user
    #[arg(long, conflicts_with = "system")]
    user: bool,

    /// For the machine; needs root
    #[arg(long)]
    system: bool,

    /// Print the unit and write nothing
    #[arg(long)]
    print: bool,
}

/// Whose unit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    User,
    System,
}

impl InstallService {
    pub(super) fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let environment = &context.environment;
        let root = rustix::process::geteuid().is_root();
        let system = self.system || (root && !self.user);
        let scope = if system { Scope::System } else { Scope::User };
        let program = std::env::current_exe().map_err(|error| {
            Problem::internal(format!("this program's own path is not known: {error}"))
        })?;
        let text = unit(scope, &program, &environment.state_folder(), environment.home())?;
        let output = context.output;
        if self.print {
            if output.is_json() {
                json_alone(output, &serde_json::json!({"type": "unit", "text": text}));
            } else {
                output.tell(text.trim_end());
            }
            return Ok(exit::FINE);
        }
        if scope == Scope::System && !root {
            return Err(Problem::usage("--system", "", "needs root", "use sudo, or --user"));
        }
        let folder = folder(scope, environment);
        let path = folder.join(UNIT);
        let failed = |error: std::io::Error| {
            Problem::cannot(format!("{}: {error}", path.display()), "or use --print")
        };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let there = std::fs::read_to_string(&path).ok();
        if there.as_deref() != Some(text.as_str()) {
            let new = path.with_extension("service.new");
            std::fs::write(&new, &text)
                .and_then(|()| std::fs::File::open(&new)?.sync_all())
                .and_then(|()| std::fs::rename(&new, &path))
                .and_then(|()| std::fs::File::open(&folder)?.sync_all())
                .map_err(failed)?;
        }
        if output.is_json() {
            let unit = serde_json::json!({"type": "unit", "path": path, "text": text});
            json_alone(output, &unit);
        } else {
            output.tell(&path.to_string_lossy());
        }
        let flag = match scope {
            Scope::User => " --user",
            Scope::System => "",
        };
        output.say_marked(
            Ink::Faint,
            "next:",
            &format!("systemctl{flag} daemon-reload && systemctl{flag} enable --now midwatch"),
        );
        if scope == Scope::User {
            let text = "loginctl enable-linger, so that it goes on when you log out";
            output.say_marked(Ink::Faint, "next:", text);
        }
        Ok(exit::FINE)
    }
}

fn folder(scope: Scope, environment: &Environment) -> PathBuf {
    match scope {
        Scope::System => PathBuf::from("/etc/systemd/system"),
        Scope::User => {
            let config = environment.path("XDG_CONFIG_HOME");
            config.unwrap_or_else(|| environment.home().join(".config")).join("systemd/user")
        }
    }
}

/// A path as systemd reads it: quoted, its specifiers doubled.
fn quoted(field: &str, path: &Path) -> Result<String, Problem> {
    match path.to_str().filter(|text| !text.contains(char::is_control)) {
        Some(text) => {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
            Ok(format!("\"{text}\""))
        }
        None => Err(Problem::usage(
            field,
            &path.to_string_lossy(),
            "is no path that a unit can hold",
            "use one of UTF-8 without control characters",
        )),
    }
}

/// A line that sets a variable to a path.
fn variable(name: &str, path: &Path) -> Result<String, Problem> {
    let mut setting = std::ffi::OsString::from(format!("{name}="));
    setting.push(path);
    Ok(format!("Environment={}", quoted(name, Path::new(&setting))?))
}

/// What root's server needs no capability for. The rest makes mounts, becomes the service user and
/// writes into folders of others.
const NEEDLESS: &str = "CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE CAP_BLOCK_SUSPEND CAP_BPF \
    CAP_IPC_LOCK CAP_IPC_OWNER CAP_LEASE CAP_LINUX_IMMUTABLE CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_MKNOD \
    CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_RAW CAP_PERFMON CAP_SYS_BOOT \
    CAP_SYS_MODULE CAP_SYS_PACCT CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_SYSLOG CAP_WAKE_ALARM";

/// The unit. User namespaces, mounts, overlay, seccomp and bubblewrap need what is left out;
/// `tools/systemd/live.sh` runs agents below it.
fn unit(scope: Scope, program: &Path, state: &Path, home: &Path) -> Result<String, Problem> {
    let program = quoted("the program", program)?;
    let (mounts, state) = (quoted("MIDWATCH_HOME", state)?, variable("MIDWATCH_HOME", state)?);
    let (wanted_by, after, more) = match scope {
        Scope::User => ("default.target", String::new(), String::new()),
        // The machine's systemd gives no HOME. Checkouts are in homes and elsewhere, and branches
        // land in them: all of that stays writable. A user's unit has no right to make mounts.
        Scope::System => (
            "multi-user.target",
            // A folder whose disk comes late looks like one that cannot be used.
            format!("RequiresMountsFor={mounts}\n"),
            format!(
                "ProtectSystem=full\n\
                 ProtectKernelModules=yes\n\
                 PrivateDevices=yes\n\
                 CapabilityBoundingSet=~{NEEDLESS}\n\
                 {}\n",
                variable("HOME", home)?
            ),
        ),
    };
    let (usage, cannot) = (exit::USAGE, exit::CANNOT);
    Ok(format!(
        "# Written by `midwatch install-service`; write a drop-in to change it.\n\
         [Unit]\n\
         Description=Midwatch: coding agents, unattended\n\
         {after}\
         # A start that fails for a minute will not get better by itself.\n\
         StartLimitIntervalSec=300\n\
         StartLimitBurst=30\n\
         \n\
         [Service]\n\
         Type=exec\n\
         ExecStart={program} serve\n\
         {state}\n\
         Restart=on-failure\n\
         RestartSec=2\n\
         # Settings that cannot be, a newer or damaged database, a folder that is another server's.\n\
         RestartPreventExitStatus={usage} {cannot}\n\
         # Runs outlive the server, and the next one adopts them: only the server is stopped.\n\
         KillMode=process\n\
         KillSignal=SIGTERM\n\
         TimeoutStopSec=30\n\
         # Each run gets a cgroup of its own below ours.\n\
         Delegate=yes\n\
         TasksMax=infinity\n\
         LimitNOFILE=65536\n\
         # A run that is out of memory is its own end, not the server's.\n\
         OOMPolicy=continue\n\
         UMask=0077\n\
         # What the sandbox permits. Not here, because it would end every run: RestrictNamespaces,\n\
         # PrivateUsers, ProtectProc, ProtectKernelTunables, ProtectKernelLogs, ProtectControlGroups\n\
         # (a fresh /proc and cgroups are mounted for each run), ProtectHostname (each has its own),\n\
         # SystemCallFilter (mounts are made), MemoryDenyWriteExecute (node compiles as it runs).\n\
         NoNewPrivileges=yes\n\
         LockPersonality=yes\n\
         RestrictRealtime=yes\n\
         SystemCallArchitectures=native\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n\
         {more}\
         \n\
         [Install]\n\
         WantedBy={wanted_by}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_keeps_runs_and_lets_the_sandbox_be_made() {
        for scope in [Scope::User, Scope::System] {
            let home = Path::new("/root");
            let program = Path::new("/opt/a b/midwatch");
            let text = unit(scope, program, Path::new("/s/100%"), home).unwrap();
            for line in [
                "ExecStart=\"/opt/a b/midwatch\" serve",
                "Environment=\"MIDWATCH_HOME=/s/100%%\"",
                "KillMode=process",
                "Delegate=yes",
                "Restart=on-failure",
                "RestartPreventExitStatus=2 6",
                "StartLimitBurst=30",
                "NoNewPrivileges=yes",
            ] {
                assert!(text.lines().any(|found| found == line), "no {line} in {text}");
            }
            let forbidden = [
                "RestrictNamespaces=",
                "PrivateUsers=",
                "ProtectProc=",
                "ProtectKernelTunables=",
                "ProtectKernelLogs=",
                "ProtectHostname=",
            ];
            for option in forbidden {
                assert!(!text.lines().any(|line| line.starts_with(option)), "{option} in {text}");
            }
        }
        assert!(quoted("x", Path::new("/a\nExecStart=/bin/sh")).is_err());
    }
}
