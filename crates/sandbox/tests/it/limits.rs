//! Memory and processes: kept by the kernel for root, looked at for a user.

use std::time::Duration;

use midwatch_sandbox::cgroup::Limits;

use crate::stand::{Stand, Starter, Trial, note};

/// Root's limits are the kernel's; a user's are where `probe` says so.
fn mode_of(stand: &Stand) -> &'static str {
    if stand.probe().contains("limits: polled") { "Polled" } else { "Enforced" }
}

/// Both versions of control groups have to hold limits, and a machine has them in one.
fn say_which_hierarchy() {
    let offered = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    if !offered.contains("memory") {
        note("NOT RUN: cgroup v2 and delegation to a user (v1 here): tools/elsewhere/cgroup-v2.sh");
    }
}

#[test]
fn memory_over_the_limit_ends_the_run() {
    say_which_hierarchy();
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let hog = "x = bytearray(400 << 20); print('kept', flush=True)\nimport time\n\
            while True: time.sleep(1)";
        let mut trial = Trial::of(&["/usr/bin/python3", "-I", "-c", hog]);
        trial.limits = Limits { memory_bytes: Some(100 << 20), pids: None };
        trial.timeout = Duration::from_secs(30);
        let ended = stand.run(&trial);
        assert_eq!(ended.mode, mode_of(&stand));
        assert!(starter == Starter::User || ended.mode == "Enforced");
        assert_eq!(ended.over.as_deref(), Some("Memory"), "{ended:?}");
        assert_eq!(ended.code, Some(137));
        assert!(!ended.timed_out);
        if ended.mode == "Enforced" {
            assert!(ended.oom_kills > 0 && !ended.stdout.contains("kept"), "{ended:?}");
        }
        // Control: with room it stays.
        trial.limits = Limits { memory_bytes: Some(2 << 30), pids: None };
        trial.timeout = Duration::from_millis(1500);
        let ended = stand.run(&trial);
        assert!(ended.timed_out && ended.over.is_none(), "{ended:?}");
    }
}

#[test]
fn what_lies_in_tmp_counts_for_the_kernel_and_is_capped_for_all() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let script = "dd if=/dev/zero of=/tmp/x bs=1M count=300 2>&1 | tail -1; ls -la /tmp/x";
        let mut trial = Trial::shell(script);
        trial.limits = Limits { memory_bytes: Some(100 << 20), pids: None };
        trial.policy.tmp_bytes = 50 << 20;
        let ended = stand.run(&trial);
        assert!(ended.stdout.contains("52428800"), "{ended:?}");
        if ended.mode == "Enforced" {
            trial.policy.tmp_bytes = 1 << 30;
            let ended = stand.run(&trial);
            assert_eq!(ended.over.as_deref(), Some("Memory"), "{ended:?}");
        } else {
            note("NOT RUN: tmpfs in a user's memory limit (polled limits do not see it)");
        }
    }
}

#[test]
fn too_many_processes_end_the_run() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let script = "i=0; while [ $i -lt 60 ]; do sleep 20 & i=$((i+1)); done; echo all; wait";
        let mut trial = Trial::shell(script);
        trial.limits = Limits { memory_bytes: None, pids: Some(20) };
        trial.timeout = Duration::from_secs(15);
        let ended = stand.run(&trial);
        assert_eq!(ended.over.as_deref(), Some("Pids"), "{ended:?}");
        trial.limits = Limits { memory_bytes: None, pids: Some(200) };
        trial.timeout = Duration::from_millis(500);
        let ended = stand.run(&trial);
        assert!(ended.over.is_none() && ended.stdout.contains("all"), "{ended:?}");
    }
}
