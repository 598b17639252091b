//! What a sandbox looks like from inside, and what its exit says.

use std::fs;

use midwatch_sandbox::policy::Mount;

use crate::stand::{Stand, Starter, Trial, bind};

#[test]
fn exit_codes_are_inits() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let code = |script: &str| stand.run(&Trial::shell(script)).code;
        assert_eq!(code("exit 0"), Some(0));
        assert_eq!(code("exit 7"), Some(7));
        assert_eq!(code("exit 137"), Some(137));
        assert_eq!(code("kill -9 $$"), Some(137));
        assert_eq!(code("kill -15 $$"), Some(143));
        let missing = stand.run(&Trial::of(&["no-such-program"]));
        assert_eq!(missing.code, Some(127), "{}", missing.stderr);
        let folder = stand.run(&Trial::of(&["/usr"]));
        assert_eq!(folder.code, Some(126), "{}", folder.stderr);
        // What it says about itself decides nothing.
        let liar = stand.run(&Trial::shell("echo '{ \"exit-code\": 0 }'; echo lie >&2; exit 3"));
        assert_eq!(liar.code, Some(3));
    }
}

#[test]
fn a_sandbox_that_cannot_be_built_has_no_code() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let trial = Trial::shell("exit 0").with(bind(&stand.path("nowhere"), "/workspace", true));
        let ended = stand.run(&trial);
        assert_eq!(ended.code, None, "a setup failure must not look like an exit code");
        assert!(ended.stderr.contains("nowhere"), "{}", ended.stderr);
    }
}

#[test]
fn what_is_inside() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let script = "id -u; id -un; hostname; cat /proc/sys/kernel/hostname; echo $HOME; \
            grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; ls /; \
            getent hosts localhost; ls /proc/self/fd | wc -l; env | wc -l";
        let ended = stand.run(&Trial::shell(script));
        let has = |text: &str| assert!(ended.stdout.contains(text), "{text} in {}", ended.stdout);
        assert!(ended.stdout.starts_with("1000\nagent\nmidwatch\nmidwatch\n/tmp\n"), "{ended:?}");
        has("CapEff:\t0000000000000000");
        has("CapBnd:\t0000000000000000");
        has("NoNewPrivs:\t1");
        has("Seccomp:\t2");
        assert!(!ended.stdout.contains("\nroot\n"));
        has("localhost");
        // 0 to 2, and the listing's own.
        assert!(ended.stdout.contains("\n4\n"), "{}", ended.stdout);
    }
}

#[test]
fn files_belong_to_the_kernel_uid_that_was_promised() {
    use std::os::unix::fs::MetadataExt as _;
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let workspace = stand.folder("ws");
        let trial = Trial::shell("echo hi > /workspace/new; stat -c %u /workspace/new").with(bind(
            &workspace,
            "/workspace",
            true,
        ));
        let ended = stand.run(&trial);
        assert_eq!(ended.stdout, "1000\n", "{}", ended.stderr);
        let uid = fs::metadata(workspace.join("new")).unwrap().uid();
        assert_eq!(uid, starter.kernel_uid());
        assert_ne!(uid, 0);
    }
}

#[test]
fn an_overlay_keeps_what_is_below() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let base = stand.folder("base");
        let deps = stand.folder("deps");
        stand.file("base/file", "base");
        stand.file("deps/file", "deps");
        stand.file("deps/only", "deps");
        let mount = Mount::Overlay {
            lowers: vec![base.clone(), deps],
            upper: stand.folder("upper"),
            work: stand.folder("work"),
            target: "/workspace".into(),
        };
        let script = "cat /workspace/file /workspace/only; echo new > /workspace/file; \
            rm /workspace/only; cat /workspace/file; ls /workspace";
        let ended = stand.run(&Trial::shell(script).with(mount));
        assert_eq!(ended.stdout, "basedepsnew\nfile\n", "{}", ended.stderr);
        assert_eq!(fs::read_to_string(base.join("file")).unwrap(), "base");
        assert_eq!(fs::read_to_string(stand.path("upper/file")).unwrap(), "new\n");
        midwatch_sandbox::overlay::clear_work(&stand.path("work")).unwrap();
        fs::remove_dir_all(stand.path("work")).unwrap();
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(&*base.to_string_lossy()), "left mounted");
    }
}

#[test]
fn a_guard_is_not_led_astray_by_a_link() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let workspace = stand.folder("ws");
        stand.file("ws/config", "theirs");
        let ours = stand.file("ours", "ours");
        let guard = |target: &str| Mount::Guard { source: ours.clone(), target: target.into() };
        let attack = || {
            let script = "cat /workspace/config; echo x > /workspace/config";
            Trial::shell(script).with(bind(&workspace, "/workspace", true))
        };
        let ended = stand.run(&attack().with(guard("/workspace/config")));
        assert_eq!((&*ended.stdout, ended.code), ("ours", Some(2)), "{}", ended.stderr);
        // The control: without the guard it is read and written.
        let ended = stand.run(&attack());
        assert_eq!((&*ended.stdout, ended.code), ("theirs", Some(0)), "{}", ended.stderr);

        std::os::unix::fs::symlink("/etc", workspace.join("link")).unwrap();
        let trial = Trial::shell("true")
            .with(bind(&workspace, "/workspace", true))
            .with(guard("/workspace/link/passwd"));
        let refused = stand.start(&trial, &[]).line();
        assert_eq!(refused["event"], "refused", "{refused}");
    }
}

#[test]
fn folders_that_others_may_not_enter_are_staged_for_root() {
    use std::os::unix::fs::PermissionsExt as _;
    if !Starter::all().contains(&Starter::Root) {
        return;
    }
    let stand = Stand::new(Starter::Root);
    let closed = stand.folder("closed");
    fs::create_dir(closed.join("tools")).unwrap();
    fs::write(closed.join("tools/data"), "tool").unwrap();
    std::os::unix::fs::chown(&closed, Some(0), Some(0)).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let mut trial = Trial::shell("cat /tools/data; id -u; touch /tools/x || echo read-only")
        .with(bind(&closed.join("tools"), "/tools", false));
    // Control: without it, it cannot be reached.
    assert_eq!(stand.run(&trial).code, None);
    trial.expose.push(closed.join("tools"));
    let ended = stand.run(&trial);
    assert_eq!(ended.stdout, "tool1000\nread-only\n", "{}", ended.stderr);
}

#[test]
fn a_policy_may_add_to_etc() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let bundle = stand.file("ca.pem", "bundle");
        let link = Mount::Symlink { to: "ca/bundle.pem".into(), target: "/etc/ca.pem".into() };
        let script = "cat /etc/ca.pem; ls /etc/empty; echo x > /etc/ca/bundle.pem || echo no";
        let trial = Trial::shell(script)
            .with(bind(&bundle, "/etc/ca/bundle.pem", false))
            .with(link)
            .with(Mount::Dir { target: "/etc/empty".into() });
        let ended = stand.run(&trial);
        assert_eq!(ended.stdout, "bundleno\n", "{ended:?}");
    }
}

#[test]
fn a_registrys_password_in_a_toolchain_is_not_shown() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let node = stand.folder("node");
        fs::create_dir(node.join("etc")).unwrap();
        fs::write(node.join("etc/npmrc"), "//registry.example/:_authToken=swordfish\n").unwrap();
        // The control: a file of another name in the same folder is shown as it is.
        fs::write(node.join("etc/other"), "_authToken=swordfish\n").unwrap();
        let script = "cat /toolchains/node/etc/npmrc; echo; cat /toolchains/node/etc/other; \
            test ! -e /etc/maven || cat /etc/maven/settings.xml";
        let ended = stand.run(&Trial::shell(script).with(bind(&node, "/toolchains/node", false)));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.starts_with("\n_authToken=swordfish\n"), "{ended:?}");
        assert!(!ended.stdout.contains("<password>"), "{ended:?}");
    }
}
