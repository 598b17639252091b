//! Before the night: settings of the server, and what doctor says of disk, clock and checks.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use midwatch_local::folder::StateFolder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::house::{House, LIMIT, Told, until};

fn row<'a>(told: &'a Told, name: &str) -> &'a Value {
    let found = told.lines.iter().find(|line| line["type"] == "doctor" && line["name"] == name);
    found.unwrap_or_else(|| panic!("no row {name}: {:?}", told.lines))
}

fn doctor(house: &House, folder: &Path, more: &[&str]) -> Told {
    house.midwatch(folder, &[&["doctor", "--offline", "--night"][..], more].concat())
}

#[test]
fn the_checks_of_head_are_run_and_nothing_is_left_of_it() {
    let house = House::new();
    let repository = house.repository("repo", &[("midwatch.yaml", "checks: [{run: test -e x}]\n")]);
    let told = doctor(&house, &repository, &[]);
    let checked = row(&told, "check");
    assert_eq!(checked["health"], "MISSING", "a red base is told: {checked}");
    assert!(checked["text"].as_str().unwrap().contains("test -e x: Fail"), "{checked}");
    assert_eq!(told.code, Some(6), "{}", told.stderr);
    std::fs::write(repository.join("x"), "").unwrap();
    house.commit(&repository, "mended");
    let told = doctor(&house, &repository, &["--tasks", "50"]);
    assert_eq!(row(&told, "check")["health"], "ok", "the control: {:?}", told.lines);
    assert_eq!(row(&told, "clock")["health"], "ok");
    assert!(row(&told, "disk for the night")["text"].as_str().unwrap().contains("for 50 tasks"));
    assert_eq!(row(&told, "quota")["health"], "ok");
    let left = house.midwatch(&repository, &["get"]);
    assert!(left.lines.is_empty(), "its task is gone: {:?}", left.lines);
    let branches = house.git(&repository, &["branch", "--list", "midwatch/*"]);
    assert_eq!(branches, "");
}

#[test]
fn too_little_disk_and_no_repository_are_told() {
    let house = House::new();
    let folder = house.folder("anywhere");
    std::fs::create_dir_all(house.state()).unwrap();
    std::fs::write(house.state().join("server.toml"), "taskDiskMib = 1000000000\n").unwrap();
    let told = doctor(&house, &folder, &["--tasks", "9"]);
    assert_eq!(row(&told, "disk for the night")["health"], "MISSING", "{:?}", told.lines);
    assert!(row(&told, "checks")["text"].as_str().unwrap().contains("not run"));
}

#[test]
fn settings_of_a_server_that_cannot_be_are_refused_by_name() {
    let house = House::new();
    let folder = house.folder("anywhere");
    for (words, word) in [
        (&["serve", "--concurrency", "0"][..], "--concurrency '0' is not 1 to 1000"),
        (&["serve", "--per-repository", "9999"], "--per-repository '9999'"),
        (&["serve", "--per-credential", "x"], "--per-credential"),
    ] {
        let told = house.midwatch(&folder, words);
        assert_eq!(told.code, Some(2), "{words:?}: {}", told.stderr);
        assert!(told.stderr.contains(word), "{words:?}: {}", told.stderr);
    }
    std::fs::write(house.state().join("server.toml"), "concurency = 3\n").unwrap();
    let told = house.midwatch(&folder, &["serve"]);
    assert_eq!(told.code, Some(2), "{}", told.stderr);
    assert!(told.stderr.contains("concurency"), "{}", told.stderr);
    assert!(told.stderr.contains("server.toml"), "{}", told.stderr);
}

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
            Err(_) => crate::house::tell("NOT RUN: systemd-analyze is not here"),
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
    if !rustix::process::geteuid().is_root() {
        crate::house::tell("NOT RUN: read-only system folders need root, to make the mounts");
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
