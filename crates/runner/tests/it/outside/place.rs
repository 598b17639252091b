//! What surrounds a run: toolchains, the CA bundle, the way out; what is refused; what a runner
//! costs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use midwatch_api::order::{BrokerDoor, ORDER_FILE, Toolchain, Work};
use midwatch_api::report::{Ending, LimitsMode, RunnerIdentity};

use super::world::{Persona, World, as_everyone, read};

#[test]
fn toolchains_are_seen_at_their_place_and_at_their_old_path() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let tool = world.path("private/.tool");
        fs::create_dir_all(tool.join("bin")).unwrap();
        let script = format!("#!{}/bin/interpreter\n", tool.display());
        fs::write(tool.join("bin/greet"), script).unwrap();
        fs::write(tool.join("bin/interpreter"), "#!/bin/sh\necho greeted by $TOOL_HOME\n").unwrap();
        for name in ["bin/greet", "bin/interpreter"] {
            fs::set_permissions(tool.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        if persona == Persona::Root {
            // Below a folder that the service user cannot enter, as /root is one.
            fs::set_permissions(world.path("private"), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let report_of = |command: &str| {
            world
                .check(&workspace, command)
                .with(|order| {
                    order.toolchains = vec![Toolchain {
                        name: "tool".into(),
                        folder: tool.clone(),
                        path: vec!["bin".into()],
                        env: BTreeMap::from([("TOOL_HOME".into(), "{}".into())]),
                    }];
                })
                .finish()
        };
        let (report, folder) = report_of("greet; ! touch $TOOL_HOME/x 2> /dev/null");
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(read(&folder, "stdout.log"), "greeted by /toolchains/tool/.tool\n");
    });
}

#[test]
fn a_setup_reaches_the_proxy_and_only_it() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let door = world.path("door");
        fs::create_dir(&door).unwrap();
        answer_once(&door.join("proxy.sock"));
        fs::write(world.path("ca.pem"), "a bundle\n").unwrap();
        let command = "cat > ask.py <<'END'\nimport os, urllib.request\n\
                       print(urllib.request.urlopen('http://registry.invalid/x').read().decode())\n\
                       print(open(os.environ['SSL_CERT_FILE']).read().strip())\n\
                       print(open(os.path.expanduser('~/.npmrc')).read().strip(), os.environ['MIRROR'])\nEND\n\
                       /usr/bin/python3 ask.py; test -e ~/.m2/settings.xml && ls /midwatch/sockets; \
                       ! touch /midwatch/sockets/x 2> /dev/null";
        let work = Work::Setup {
            workspace: workspace.clone(),
            command: command.into(),
            deps: world.path("deps/proxied"),
            keep_home: Vec::new(),
        };
        let (report, folder) = world
            .order("setup", work)
            .with(|order| {
                order.broker =
                    Some(BrokerDoor { folder: door.clone(), gateway: false, proxy: true });
                order.ca_bundle = Some(world.path("ca.pem"));
                order.client_env.insert("MIRROR".into(), "of mine".into());
                order.client_files.insert(".npmrc".into(), "registry=x\n".into());
            })
            .finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        let log = read(&folder, "stdout.log");
        assert_eq!(log, "from the registry\na bundle\nregistry=x of mine\nproxy.sock\n");
        assert!(!world.path("deps/proxied/home/.npmrc").exists(), "settings are no dependency");
    });
}

fn answer_once(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, fs::Permissions::from_mode(0o777)).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let count = stream.read(&mut request).unwrap();
        assert!(request[..count].starts_with(b"GET http://registry.invalid/x "));
        let body = "from the registry";
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).unwrap();
    });
}

#[test]
fn an_order_that_is_not_understood_is_reported_under_its_name() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let newer = world.check(&workspace, "true").with(|order| order.version = 99).report();
        assert!(
            matches!(&newer.ending, Ending::SandboxUnavailable { detail } if detail.contains("version 99")),
            "{newer:#?}"
        );
        assert!(newer.run.starts_with("task-check-"));
        let nowhere = world
            .check(&workspace, "true")
            .with(|order| {
                let Work::Check { workspace, .. } = &mut order.work else { unreachable!() };
                workspace.base = world.path("bases/none");
            })
            .report();
        assert!(
            matches!(&nowhere.ending, Ending::SandboxUnavailable { detail } if detail.contains("no base")),
            "{nowhere:#?}"
        );
        let layer = world
            .check(&workspace, "true")
            .with(|order| order.accept_missing = vec!["walls".into()])
            .report();
        assert!(
            matches!(&layer.ending, Ending::SandboxUnavailable { detail } if detail.contains("walls")),
            "{layer:#?}"
        );
    });
}

#[test]
fn a_layer_that_is_there_is_used_although_it_may_be_missing() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let accepted = ["landlock", "seccomp", "cgroup"].map(String::from).to_vec();
        let (report, folder) = world
            .check(&workspace, "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status")
            .with(|order| order.accept_missing = accepted)
            .finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(read(&folder, "stdout.log"), "NoNewPrivs:\t1\nSeccomp:\t2\n");
        assert!(report.accepted_missing.is_empty());
        assert_eq!(report.limits == LimitsMode::Enforced, persona == Persona::Root);
    });
}

#[test]
fn a_runner_says_who_it_is_and_costs_little() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let mut started = world
            .agent(
                &workspace,
                "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo begun; exec sleep 9191",
            )
            .start();
        started.until("the end of its output", |folder| {
            fs::metadata(folder.join("stdout.log")).is_ok_and(|meta| meta.len() >= 1 << 20)
        });
        let identity: RunnerIdentity =
            serde_json::from_str(&read(&started.folder, "runner.json")).unwrap();
        assert_eq!(identity.pid.cast_unsigned(), started.child.id());
        let pid = identity.pid;
        match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
            Ok(rollup) => {
                let dirty: u64 = rollup
                    .lines()
                    .find_map(|line| line.strip_prefix("Private_Dirty:"))
                    .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
                    .unwrap();
                println!("a runner's private dirty memory: {dirty} KiB");
                assert!(dirty < 3 << 10, "{dirty} KiB");
            }
            Err(error) => println!("NOT RUN: a runner's memory, which only root may read: {error}"),
        }
        // In a session of its own, and with one thread.
        assert_eq!(fs::read_dir(format!("/proc/{pid}/task")).unwrap().count(), 1);
        let session = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        assert_eq!(
            session.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap(),
            pid.to_string()
        );
        let owner = fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();
        assert_eq!(owner, 0, "not dumpable: its files in /proc are root's");
        fs::write(started.folder.join("stop"), "").unwrap();
        assert_eq!(started.report().ending, Ending::Stopped);
    });
}

#[test]
fn a_full_disk_is_said_before_anything_starts() {
    if !rustix::process::geteuid().is_root() {
        println!("NOT RUN: a full disk, because mounting a small one takes root");
        return;
    }
    let world = World::new(Persona::Root);
    let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
    let draft = world.check(&workspace, "true");
    let folder = draft.order.folder.clone();
    // A file system of the runner's own mount namespace, smaller than the floor.
    fs::create_dir(&folder).unwrap();
    fs::write(world.path(ORDER_FILE), serde_json::to_vec(&draft.order).unwrap()).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=16m none {0} && cp {1} {0}/ && {2} runner {0}; cat {0}/report.json",
        folder.display(),
        world.path(ORDER_FILE).display(),
        super::world::program().display(),
    );
    let output =
        std::process::Command::new("unshare").args(["-m", "sh", "-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\"type\": \"Disk\"") && text.contains("are the floor"), "{text}");
}
