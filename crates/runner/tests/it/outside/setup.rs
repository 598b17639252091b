//! Setup: what becomes a layer, and what hostile dependencies do not get into it.

use std::fs;
use std::path::{Path, PathBuf};

use midwatch_api::order::{Work, Workspace};
use midwatch_api::report::Ending;

use super::world::{Draft, Persona, World, as_everyone, read};

fn setup<'a>(world: &'a World, workspace: &Workspace, command: &str, deps: &Path) -> Draft<'a> {
    world.order(
        "setup",
        Work::Setup {
            workspace: workspace.clone(),
            command: command.to_owned(),
            deps: deps.to_owned(),
            keep_home: vec![".cache/tool".into()],
        },
    )
}

#[test]
fn a_layer_is_below_the_base_in_later_sandboxes() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let commit = world.commit(&[("lock", "1\n"), ("src/a", "tracked\n")]);
        let mut workspace = world.workspace(&commit);
        let deps = world.path("deps/one");
        let command = "mkdir -p modules/x ~/.cache/tool ~/.other && echo dep > modules/x/code && \
                       echo cached > ~/.cache/tool/file && echo no > ~/.other/file && \
                       echo made > src/made && ln -s x modules/link && chmod -R a-w modules";
        let report = setup(&world, &workspace, command, &deps).report();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        let untracked = read(&deps, "untracked.json");
        assert_eq!(untracked, r#"["modules","src/made"]"#);
        assert_eq!(names(&world.path("deps")), ["one"], "nothing else is left");

        workspace.deps = vec![deps.clone()];
        let command = "cat modules/x/code src/a src/made ~/.cache/tool/file modules/link/code && \
                       ! test -e ~/.other && rm modules/x/code && echo new > modules/x/code && rm -r modules/link src/made";
        let (report, folder) = world.check(&workspace, command).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(read(&folder, "stdout.log"), "dep\ntracked\nmade\ncached\ndep\n");
        // Layers are never written.
        assert_eq!(read(&deps, "workspace/modules/x/code"), "dep\n");

        // An agent's commit leaves out what belongs to the layer.
        let script = "echo mine > src/mine; ls modules/x";
        let (report, folder) = world.agent(&workspace, script).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        let changed = world.changed(&folder.join("out/work.bundle"), &report);
        assert_eq!(changed, "src/mine");
    });
}

#[test]
fn a_hostile_setup_plants_nothing() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let commit = world.commit(&[("check.sh", "exit 5\n"), ("lib/x", "tracked\n")]);
        let mut workspace = world.workspace(&commit);
        let deps = world.path("deps/evil");
        let command = "echo 'exit 0' > check.sh; rm -r lib; ln -s /etc lib; \
                       mkdir -p .git/hooks vendor/y/.git/hooks; \
                       printf '#!/bin/sh\\necho planted >&2\\n' > .git/hooks/post-checkout; \
                       chmod +x .git/hooks/post-checkout; cp .git/hooks/post-checkout vendor/y/.git/hooks/; \
                       printf '[core]\\n\\tfsmonitor = false\\n' >> .git/config; \
                       echo kept > vendor/y/code; mkfifo vendor/pipe; \
                       mkdir -p ~/.cache; ln -s /etc ~/.cache/tool; echo evil > ~/.bashrc; \
                       echo '[safe]' > ~/.gitconfig; rm -f .gitignore";
        let started = setup(&world, &workspace, command, &deps).start();
        let folder = started.folder.clone();
        let report = started.report();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        let kept = files(&deps);
        assert_eq!(
            kept,
            ["untracked.json", "workspace/vendor/y/code"],
            "{}",
            read(&folder, "stderr.log")
        );

        workspace.deps = vec![deps];
        let command = "git checkout -q -f HEAD; cat lib/x; ls -A ~; sh check.sh";
        let (report, folder) = world.check(&workspace, command).finish();
        assert_eq!(report.ending, Ending::Exited { code: 5 }, "{report:#?}");
        assert_eq!(read(&folder, "stdout.log"), "tracked\n");
        assert_eq!(read(&folder, "stderr.log"), "");
    });
}

/// The control: the upper layer as it is, above the base, changes the check and runs the hook.
#[test]
fn control_a_naive_copy_would_have_taken_it() {
    let world = World::new(Persona::User);
    let commit = world.commit(&[("check.sh", "exit 5\n")]);
    let workspace = world.workspace(&commit);
    // An agent's run keeps its upper layer: here as the naive layer, above the base.
    let script = "echo 'exit 0' > check.sh; printf '#!/bin/sh\\necho planted\\n' > .git/hook; \
                  chmod +x .git/hook";
    let (report, folder) = world.agent(&workspace, script).finish();
    assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
    let upper = folder.join("upper/upper");
    assert_eq!(read(&upper, "check.sh"), "exit 0\n");
    assert!(upper.join(".git/hook").exists());
}

#[test]
fn a_failed_setup_leaves_no_layer() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let deps = world.path("deps/none");
        let report = setup(&world, &workspace, "mkdir modules; exit 3", &deps).report();
        assert_eq!(report.ending, Ending::Exited { code: 3 });
        assert!(names(&world.path("deps")).is_empty());
    });
}

#[test]
fn a_commit_that_changes_lock_files_has_a_layer_of_its_own() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let base = world.commit(&[("lock", "1\n")]);
        let workspace = world.workspace(&base);
        let on_top =
            world.on_top(&workspace, &[("lock", "2\n"), ("tool/run", "tracked by the commit\n")]);
        let deps = world.path("deps/two");
        let command = "mkdir -p modules && cp lock modules/version && echo evil > tool/run && echo x > tool/cache";
        let report = setup(&world, &on_top, command, &deps).report();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(read(&deps, "workspace/modules/version"), "2\n");
        assert_eq!(read(&deps, "untracked.json"), r#"["modules","tool/cache"]"#);
        assert!(!deps.join("workspace/tool/run").exists());
    });
}

/// Where layers cannot be shown as one, they are copied: here because the kernel takes a page
/// of options at most.
#[test]
fn too_many_layers_are_copied_instead() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let commit = world.commit(&[("src/a", "tracked\n"), ("answer", "41\n")]);
        let mut workspace = world.workspace(&commit);
        for number in 0..200 {
            let deps = world.path("deps").join(number.to_string());
            fs::create_dir_all(deps.join("workspace/modules")).unwrap();
            fs::create_dir_all(deps.join("home")).unwrap();
            fs::write(deps.join("workspace/modules/number"), number.to_string()).unwrap();
            workspace.deps.push(deps);
        }
        let command = "cat modules/number src/a && git status --porcelain --ignored && test -d ~";
        let (report, folder) = world.check(&workspace, command).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(read(&folder, "stdout.log"), "0tracked\n?? modules/\n");

        let started = world.agent(&workspace, "echo 42 > answer; rm -r modules").start();
        let folder = started.folder.clone();
        let report = started.report();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert!(folder.join("upper/copy/answer").exists(), "the control: it is a copy");
        assert_eq!(world.changed(&folder.join("out/work.bundle"), &report), "answer");
        let rescued = Workspace { upper: Some(folder.join("upper")), ..workspace.clone() };
        let (report, folder) = world.order("rescue", Work::Rescue { workspace: rescued }).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(world.changed(&folder.join("out/rescue.bundle"), &report), "answer");

        let deps = world.path("deps/made");
        let command = "echo evil > src/a; mkdir more; echo x > more/x";
        let report = setup(&world, &workspace, command, &deps).report();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(read(&deps, "untracked.json"), r#"["modules","more"]"#);
        assert!(!deps.join("workspace/src").exists());
    });
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// All files below a folder, by path, links among them.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(at) = todo.pop() {
        for name in names(&root.join(&at)) {
            let path = at.join(name);
            if fs::symlink_metadata(root.join(&path)).unwrap().is_dir() {
                todo.push(path);
            } else {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}
