//! The units of `install-service`: taken by systemd, and enough for a server and its sandboxes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use midwatch_local::folder::StateFolder;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;

use crate::house::{House, LIMIT, tell, until, wait};

/// What systemd itself says of the unit, where its tool is here.
#[test]
fn systemd_takes_the_units() {
    let house = House::new();
    let folder = house.folder("anywhere");
    for scope in ["--system", "--user"] {
        let program = env!("CARGO_BIN_EXE_midwatch");
        let words = ["install-service", "--print", scope];
        let unit = house.command(program, &folder).args(words).output().unwrap().stdout;
        let path = folder.join(format!("midwatch{scope}.service"));
        std::fs::write(&path, unit).unwrap();
        let mut verify = house.command("systemd-analyze", &folder);
        verify.env("XDG_RUNTIME_DIR", &folder).args([scope, "verify"]).arg(&path);
        match verify.output() {
            Ok(told) => {
                let said = String::from_utf8_lossy(&told.stderr).into_owned();
                assert!(told.status.success() && said.is_empty(), "{scope}: {said}");
            }
            Err(_) => tell("NOT RUN: systemd-analyze is not here"),
        }
    }
}

/// systemd gives a unit of the machine no variable of anybody's, not even HOME. The control leaves
/// out what the unit sets.
#[test]
fn a_server_starts_with_the_variables_of_its_unit_alone() {
    let house = House::new();
    let folder = house.folder("anywhere");
    let program = env!("CARGO_BIN_EXE_midwatch");
    let words = ["install-service", "--print", "--system"];
    let unit = house.command(program, &folder).args(words).output().unwrap().stdout;
    let unit = String::from_utf8(unit).unwrap();
    let variables: Vec<(&str, &str)> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Environment=\"")?.strip_suffix('"')?.split_once('='))
        .collect();
    let socket = |variables: &[(&str, &str)]| {
        let (_, state) = variables.iter().find(|(name, _)| *name == "MIDWATCH_HOME").unwrap();
        StateFolder::new(PathBuf::from(state)).socket()
    };
    let start = |variables: &[(&str, &str)]| {
        let mut server = Command::new(program);
        let server = server.arg("serve").env_clear().current_dir("/");
        server.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(variables.iter().copied());
        server.stdout(Stdio::null()).spawn().unwrap()
    };
    let mut server = start(&variables);
    let serves =
        until(LIMIT, || socket(&variables).exists() || server.try_wait().unwrap().is_some());
    let ended = server.try_wait().unwrap();
    let _ = kill_process(Pid::from_child(&server), Signal::TERM);
    server.wait().unwrap();
    assert!(serves && ended.is_none(), "{ended:?}: {unit}");
    let fewer: Vec<_> = variables.into_iter().filter(|(name, _)| *name != "HOME").collect();
    assert_eq!(start(&fewer).wait().unwrap().code(), Some(6));
}

/// The unit of this program, and the server under the restrictions of it that can be had without
/// systemd: no new privileges, and the system's folders read-only.
#[test]
fn a_server_under_the_units_restrictions_still_makes_its_sandboxes() {
    let house = House::new();
    let folder = house.folder("anywhere");
    let program = env!("CARGO_BIN_EXE_midwatch");
    let unit = house.command(program, &folder).args(["install-service", "--print"]).output();
    let unit = String::from_utf8(unit.unwrap().stdout).unwrap();
    for line in ["KillMode=process", "Delegate=yes", "NoNewPrivileges=yes", "Restart=on-failure"] {
        assert!(unit.lines().any(|found| found == line), "no {line}: {unit}");
    }
    if !geteuid().is_root() {
        tell("NOT RUN: read-only system folders need root, to make the mounts");
        return;
    }
    let repository = house.repository("repo", &[("package.json", "{}")]);
    let profile = house.scripted(", egress: none");
    let script = "mount --make-rprivate / && \
        for f in /usr /boot /etc; do mount --bind $f $f && mount -o remount,bind,ro $f; done && \
        ! touch /usr/midwatch-probe 2>/dev/null && exec setpriv --no-new-privs \"$@\"";
    let output = house
        .command("unshare", &repository)
        .args(["--mount", "sh", "-c", script, "sh", program, "run", "do: append package.json  "])
        .args(["--profile", profile.to_str().unwrap(), "--pipeline", "quick", "--check", "true"])
        .args(["--name", "hardened", "--output", "json"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let last: Value = serde_json::from_str(told.lines().last().unwrap_or("{}")).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((&last["state"], &last["verified"]), (&"Done".into(), &true.into()), "{said}{told}");
}

/// Both units below a systemd of their own: killed, stopped, started and started in vain.
#[track_caller]
fn lives(scope: &str) {
    let house = House::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/systemd/live.sh");
    let mut live = house.command("bash", &house.home());
    let live = live.arg(script).args([scope, env!("CARGO_BIN_EXE_midwatch")]);
    let told = wait(live.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    if let Some(why) = said.lines().find(|line| line.starts_with("NOT RUN:")) {
        return tell(why);
    }
    assert!(told.status.success(), "{said}{}", String::from_utf8_lossy(&told.stderr));
    for control in ["without RestartPreventExitStatus", "with KillMode=control-group"] {
        assert!(said.contains(&format!("control: {control}")), "{said}");
    }
}

#[test]
fn the_machines_unit_lives_under_systemd() {
    lives("system");
}

#[test]
fn a_users_unit_lives_under_systemd() {
    lives("user");
}
