//! Agents: events, results and claims, and what ends them.

use std::os::unix::fs::FileTypeExt;

use midwatch_api::order::{Work, Workspace};
use midwatch_api::report::{Ending, LeftOut, Output};

use super::world::{World, as_everyone, process, read, wait_gone};

#[test]
fn a_custom_agent_works_and_leaves_a_bundle() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let commit = world.commit(&[("answer.txt", "41\n")]);
        let workspace = world.workspace(&commit);
        let script = "cat; echo 42 > answer.txt; git config user.name; \
                      echo '{\"type\":\"noChange\",\"why\":\"x\"}' > /midwatch/out/outputs.jsonl; echo mended";
        let (report, folder) = world.agent(&workspace, script).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        let agent = report.agent.as_ref().unwrap();
        assert!(agent.completed, "{agent:#?}");
        assert_eq!(agent.outputs, [Output::NoChange { why: "x".into() }]);
        let claim = report.claim.as_ref().unwrap();
        assert!(claim.head.is_some() && claim.error.is_none(), "{claim:#?}");
        assert_eq!(world.changed(&folder.join("out/work.bundle"), &report), "answer.txt");
        let events = read(&folder, "events.jsonl");
        for part in [
            "\"text\":\"the prompt, by stdin",
            "\"text\":\"mended\"",
            "\"phase\":\"selfTest\"",
            "\"phase\":\"command\"",
            "\"phase\":\"bundle\"",
        ] {
            assert!(events.contains(part), "{part}: {events}");
        }
        assert_eq!(report.tail.last().unwrap(), "mended");
    });
}

#[test]
fn home_is_kept_from_run_to_run_and_the_repositorys_settings_are_guarded() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let script = "echo remembered > ~/.state; git config core.fsmonitor evil; echo $? config; \
                      echo evil > .git/hooks/pre-commit; echo $? hook; mv .git/hooks .git/h; echo $? move; \
                      echo x > .git/description; git commit -q --allow-empty -m fine && echo committed";
        let (report, folder) = world.agent(&workspace, script).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        let log = read(&folder, "stdout.log");
        assert!(log.contains("committed") && !log.contains("0 config"), "{log}");
        assert!(!log.contains("0 hook") && !log.contains("0 move"), "{log}");
        let (report, folder) = world.agent(&workspace, "cat ~/.state").finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(read(&folder, "stdout.log"), "remembered\n");
    });
}

#[test]
fn hostile_results_are_refused_and_cleared_away() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let script = "cd /midwatch/out; ln -s /etc/passwd outputs.jsonl; mkfifo pipe; mkdir -p folder/x; \
                      ln -s / way; for n in 1 2 3; do echo '{\"phase\":\"verified\\u001b[2J\"}' >> progress.jsonl; done";
        let (report, folder) = world.agent(&workspace, script).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        let agent = report.agent.unwrap();
        assert!(agent.outputs.is_empty());
        assert!(agent.outputs_refused.unwrap().contains("not a regular file"));
        for entry in std::fs::read_dir(folder.join("out")).unwrap() {
            let kind = entry.as_ref().unwrap().file_type().unwrap();
            assert!(kind.is_file() && !kind.is_fifo(), "{entry:?}");
        }
        assert!(!read(&folder, "events.jsonl").contains('\u{1b}'));
    });
}

#[test]
fn a_program_that_is_not_there_fails_the_self_test() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let report = world
            .agent(&workspace, "true")
            .with(|order| {
                let Work::Agent { agent, .. } = &mut order.work else { unreachable!() };
                agent.custom.as_mut().unwrap().argv = vec!["no-such-agent".into()];
            })
            .report();
        assert!(
            matches!(&report.ending, Ending::SelfTest { what, .. } if what == "agent"),
            "{report:#?}"
        );
    });
}

#[test]
fn a_prompt_and_a_token_are_in_no_argv() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let mut started = world
            .agent(&workspace, "cat > /dev/null; echo begun; exec sleep 7171")
            .with(|order| {
                let Work::Agent { agent, .. } = &mut order.work else { unreachable!() };
                agent.prompt = "a prompt of canaries".into();
                agent.run_token = "token-of-canaries".into();
            })
            .start();
        started.until_printed("begun");
        assert!(process("sleep 7171").is_some(), "the control: what is in an argv is found");
        assert_eq!(process("of canaries"), None);
        assert_eq!(process("token-of-canaries"), None);
        std::fs::write(started.folder.join("stop"), "").unwrap();
        assert_eq!(started.report().ending, Ending::Stopped);
        wait_gone("sleep 7171");
    });
}

#[test]
fn what_a_dead_agent_left_is_rescued() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n"), (".gitignore", "*.log\n")]));
        let script = "echo half > work.txt; echo x > debug.log; git stash -q -u; git stash apply -q; \
                      echo more >> work.txt; echo begun; exec sleep 8181";
        let mut started = world.agent(&workspace, script).start();
        started.until_printed("begun");
        started.child.kill().unwrap();
        started.child.wait().unwrap();
        wait_gone("sleep 8181");
        let upper = Some(started.folder.join("upper"));
        let workspace = Workspace { upper, ..workspace };
        let (report, folder) = world.order("rescue", Work::Rescue { workspace }).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert!(folder.join("out/rescue.bundle").is_file());
        assert!(report.claim.as_ref().unwrap().head.is_some());
        assert_eq!(world.changed(&folder.join("out/rescue.bundle"), &report), "work.txt");
        assert_eq!(report.ignored_files, ["debug.log"]);
    });
}

#[test]
fn what_is_in_no_commit_is_told_as_it_lies_in_the_workspace() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n"), (".gitignore", "*.log\n")]));
        let script = "truncate -s 300M core; truncate -s 300M x.log; echo half > work.txt";
        let (report, folder) = world.agent(&workspace, script).finish();
        let core = LeftOut { path: "core".into(), bytes: 300 << 20 };
        assert_eq!(report.left_out, std::slice::from_ref(&core), "{report:#?}");
        // A rescue finds the same in the same workspace.
        let upper = Some(folder.join("upper"));
        let rescue = Work::Rescue { workspace: Workspace { upper, ..workspace } };
        let (report, _) = world.order("rescue", rescue).finish();
        assert_eq!(report.left_out, [core], "{report:#?}");
    });
}

#[test]
fn work_behind_closed_doors_is_not_lost() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let close = "echo done > work.txt; cd /midwatch/out; for name in claim.json work.bundle \
                     agent-exit.json; do mkdir -p $name/x; done; chmod 000 /workspace ~ /midwatch/out";
        let (report, folder) = world.agent(&workspace, close).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(world.changed(&folder.join("out/work.bundle"), &report), "work.txt");

        // The same, and killed before anybody could tidy up: the rescue opens the doors.
        let script = format!("{close}; echo begun; exec sleep 8282");
        let mut started = world.agent(&workspace, &script).start();
        started.until_printed("begun");
        started.child.kill().unwrap();
        started.child.wait().unwrap();
        wait_gone("sleep 8282");
        let upper = Some(started.folder.join("upper"));
        let workspace = Workspace { upper, ..workspace };
        let (report, folder) = world.order("rescue", Work::Rescue { workspace }).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(world.changed(&folder.join("out/rescue.bundle"), &report), "work.txt");
    });
}

#[test]
fn work_is_checkpointed_while_it_grows_and_a_reader_leaves_none() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let script = "echo half > work.txt; echo begun; exec sleep 3131";
        let mut started = world
            .agent(&workspace, script)
            .with(|order| {
                let Work::Agent { agent, .. } = &mut order.work else { unreachable!() };
                agent.checkpoint_seconds = 1;
            })
            .start();
        started.until("a checkpoint", |folder| {
            read(folder, "events.jsonl").contains("\"type\":\"checkpoint\"")
                && folder.join("out/checkpoint.bundle").is_file()
        });
        started.child.kill().unwrap();
        started.child.wait().unwrap();
        wait_gone("sleep 3131");

        let (report, folder) = world
            .agent(&workspace, "echo no > a; echo looked")
            .with(|order| {
                let Work::Agent { agent, .. } = &mut order.work else { unreachable!() };
                agent.read_only = true;
            })
            .finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert!(!folder.join("out/work.bundle").exists());
        assert!(report.claim.is_none_or(|claim| claim.head.is_none()));
    });
}
