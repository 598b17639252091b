//! Objects in files: applied, asked for, deleted.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::house::{House, Told, wait};

mod bad;

/// A user with a repository and nothing stored.
struct Place {
    house: House,
    repository: PathBuf,
}

impl Place {
    fn new() -> Self {
        let house = House::new();
        let repository = house.repository("repo", &[("package.json", "{}")]);
        Self { house, repository }
    }

    /// A profile, a repository and tasks of these names, as a file.
    fn file(&self, name: &str, tasks: &[&str]) -> PathBuf {
        let agent = self.house.folder("agent").join("scripted-agent");
        let head = "apiVersion: midwatch.dev/v1alpha1\n";
        let mut text = format!(
            "{head}kind: AgentProfile\nmetadata: {{name: scripted, labels: {{team: night}}}}\n\
             spec: {{agent: custom, program: {}, custom: {{argv: [scripted-agent]}}, egress: none}}\n\
             ---\n{head}kind: AgentRepository\nmetadata: {{name: repo}}\n\
             spec: {{path: {}, checks: [{{run: test -e package.json}}]}}\n",
            agent.display(),
            self.repository.display()
        );
        for task in tasks {
            let object = format!(
                "---\n{head}kind: AgentTask\nmetadata: {{name: {task}}}\nspec:\n\
                 \x20 goal: \"do: append package.json  \"\n\
                 \x20 repository: {{name: repo}}\n  pipeline: quick\n  agent: scripted\n"
            );
            text.push_str(&object);
        }
        let path = self.house.folder("files").join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn midwatch(&self, words: &[&str]) -> Told {
        self.house.midwatch(&self.repository, words)
    }

    fn apply(&self, path: &Path) -> Told {
        self.midwatch(&["apply", "-f", path.to_str().unwrap()])
    }

    /// What a command prints for people, with something on its standard input.
    fn text(&self, words: &[&str], stdin: &str) -> (Option<i32>, String) {
        let program = env!("CARGO_BIN_EXE_midwatch");
        let mut command = self.house.command(program, &self.repository);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        // A program that refuses early reads nothing: then the pipe is closed.
        let _ = std::io::Write::write_all(&mut to, stdin.as_bytes());
        drop(to);
        let output = wait(child);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

/// Kind, name and what became of each object.
fn changes(told: &Told) -> Vec<(&str, &str, &str)> {
    told.lines
        .iter()
        .filter(|line| line["type"] == "applied")
        .map(|line| {
            let field = |name: &str| line[name].as_str().unwrap();
            (field("kind"), field("name"), field("change"))
        })
        .collect()
}

#[test]
fn a_file_is_applied_once_and_its_tasks_are_done() {
    let place = Place::new();
    let file = place.file("all.yaml", &["one", "two"]);
    let dry = place.midwatch(&["apply", "-f", file.to_str().unwrap(), "--dry-run"]);
    assert_eq!((dry.code, changes(&dry).len()), (Some(0), 4), "{}", dry.stderr);
    assert_eq!(place.midwatch(&["get", "one"]).code, Some(2), "a dry run makes nothing");
    let told = place.apply(&file);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let all = [
        ("AgentProfile", "scripted", "created"),
        ("AgentRepository", "repo", "created"),
        ("AgentTask", "one", "created"),
        ("AgentTask", "two", "created"),
    ];
    assert_eq!(changes(&told), all);
    for task in ["one", "two"] {
        place.midwatch(&["wait", task]).is_done();
    }
    // The base has moved on: what was written is the same, so it is the same task.
    std::fs::write(place.repository.join("more"), "x").unwrap();
    place.house.commit(&place.repository, "more");
    let again = place.apply(&file);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(changes(&again), all.map(|(kind, name, _)| (kind, name, "unchanged")));

    // Another spec under the name of a task is refused with all that stands beside it.
    let text = std::fs::read_to_string(&file).unwrap();
    let other = text.replace("append package.json", "append other.json").replace("night", "day");
    std::fs::write(&file, other).unwrap();
    let refused = place.apply(&file);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    for word in ["metadata.name 'one'", "immutable", "give another name", ":13:18:"] {
        assert!(refused.stderr.contains(word), "no '{word}': {}", refused.stderr);
    }
    let (_, yaml) = place.text(&["get", "profile", "scripted", "-o", "yaml"], "");
    assert!(yaml.contains("team: night"), "nothing of it was stored: {yaml}");

    // What is printed is taken again, and a changed profile is configured.
    let (code, said) = place.text(&["apply", "-f", "-"], &yaml);
    assert_eq!((code, said.as_str()), (Some(0), "AgentProfile scripted unchanged\n"));
    let (code, said) = place.text(&["apply", "-f", "-"], &yaml.replace("night", "day"));
    assert_eq!((code, said.as_str()), (Some(0), "AgentProfile scripted configured\n"));
    let (_, task) = place.text(&["get", "one", "-o", "yaml"], "");
    assert!(task.contains("state: Done"), "{task}");
    let (_, said) = place.text(&["apply", "-f", "-"], &task);
    assert_eq!(said, "AgentTask one unchanged\n");

    lists(&place);
    deletes(&place);
}

fn lists(place: &Place) {
    let (_, text) = place.text(&["get", "tasks", "--state", "done"], "");
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names.len(), 2, "{text}");
    assert!(!text.contains('\x1b'), "no colour where nobody looks: {text:?}");
    let (_, text) = place.text(&["get", "--state", "held"], "");
    assert_eq!(text, "");
    let (_, text) = place.text(&["get", "profiles"], "");
    assert!(text.starts_with("scripted") && text.contains("custom"), "{text}");
    let (_, text) = place.text(&["describe", "profile", "scripted"], "");
    assert!(text.contains("kind: AgentProfile") && text.contains("team: day"), "{text}");
    let told = place.midwatch(&["get", "runs", "one"]);
    assert!(told.lines.iter().any(|line| line["kind"] == "Agent"), "{:?}", told.lines);
    let page = place.midwatch(&["get", "--limit", "1"]);
    assert_eq!(page.lines.len(), 1, "{:?}", page.lines);
    let (_, text) = place.text(&["completions", "names"], "");
    assert_eq!(text.lines().count(), 2, "{text}");
    for (words, word) in [
        (&["get", "--state", "Hold"][..], "did you mean Held"),
        (&["get", "pods", "x"], "KIND 'pods'"),
        (&["get", "profile", "nobody"], "there is no AgentProfile 'nobody'"),
        (&["get", "profile", "../x"], "name '../x'"),
        (&["run", "x", "-o", "yaml"], "only for get and describe"),
    ] {
        let told = place.midwatch(words);
        let json = told.stderr.contains(word);
        let (code, _) = place.text(words, "");
        assert!(json || words.contains(&"yaml"), "{words:?}: {}", told.stderr);
        assert_eq!(code, Some(2), "{words:?}");
    }
}

fn deletes(place: &Place) {
    let hang = place.file("hang.yaml", &["hangs"]);
    let text = std::fs::read_to_string(&hang).unwrap();
    let text = text.replace("do: append package.json  ", "do: write new x\\ndo: hang");
    std::fs::write(&hang, text.replace("night", "day")).unwrap();
    let told = place.apply(&hang);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let open = place.midwatch(&["delete", "hangs"]);
    assert_eq!(open.code, Some(2), "{}", open.stderr);
    assert!(open.stderr.contains("--cancel"), "{}", open.stderr);
    let gone = place.midwatch(&["delete", "hangs", "--cancel"]);
    assert_eq!(gone.code, Some(0), "{}", gone.stderr);
    assert_eq!(place.midwatch(&["get", "hangs"]).code, Some(2));

    let told = place.midwatch(&["delete", "one"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let kept = told.lines[0]["kept"][0].as_str().unwrap();
    assert!(kept.contains("midwatch/one"), "{kept}");
    assert_eq!(place.midwatch(&["get", "one"]).code, Some(2));
    assert!(!place.house.state().join("runs/one-checkout-1").exists(), "its logs are gone");
    let branch = place.house.git(&place.repository, &["branch", "--list", "midwatch/one"]);
    assert_eq!(branch.trim(), "midwatch/one", "its work is not");
    for (kind, name) in [("profile", "scripted"), ("repository", "repo")] {
        assert_eq!(place.midwatch(&["delete", kind, name]).code, Some(0));
        assert_eq!(place.midwatch(&["delete", kind, name]).code, Some(2));
    }
}

/// A profile that was applied is found by its name, and a file of that name goes before it.
#[test]
fn an_applied_profile_is_run_with_and_explained() {
    let place = Place::new();
    let run = |name: &str| {
        let words = ["run", "do: append package.json  ", "--profile", "scripted", "--name", name];
        let more = ["--pipeline", "quick", "--check", "test -e package.json"];
        place.midwatch(&[&words[..], &more].concat())
    };
    let unknown = run("two");
    assert_eq!(unknown.code, Some(2), "the control: {}", unknown.stderr);
    assert!(unknown.stderr.contains("--profile 'scripted' is unknown"), "{}", unknown.stderr);
    assert_eq!(place.apply(&place.file("all.yaml", &["one"])).code, Some(0));
    place.midwatch(&["wait", "one"]).is_done();
    let ran = run("two");
    ran.is_done();
    assert_eq!(ran.found("profile"), "AgentProfile scripted, as it was applied");

    let told = place.midwatch(&["explain", "profile", "scripted"]);
    let line = told.of("explain")[0];
    let mut used: Vec<&str> =
        line["usedBy"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    used.sort_unstable();
    assert_eq!((used, &line["spec"]["egress"]), (vec!["one", "two"], &"none".into()), "{line}");
    let (_, text) = place.text(&["explain", "repository", "repo"], "");
    assert!(text.contains("AgentRepository repo: 1 task was made with it"), "{text}");
    assert!(text.contains("test -e package.json"), "{text}");
    let (code, _) = place.text(&["explain", "one"], "");
    assert_eq!(code, Some(0));
    let odd = place.midwatch(&["explain", "pods", "x"]);
    assert_eq!(odd.code, Some(2), "{}", odd.stderr);
    assert!(odd.stderr.contains("KIND 'pods'") && odd.stderr.contains("profiles"));

    let file = place.house.profile("scripted", "{agent: custom, custom: {argv: [no-such-agent]}}");
    let folder = place.house.home().join(".config/midwatch/profiles");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(file, folder.join("scripted.yaml")).unwrap();
    let other = run("three");
    assert_eq!(other.code, Some(6), "{}", other.stderr);
    assert!(other.stderr.contains("no-such-agent"), "{}", other.stderr);
    let (_, text) = place.text(&["explain", "profile", "scripted"], "");
    assert!(text.contains("takes the file of that name"), "{text}");
}

/// A pipeline that was applied is found by its name, and so is a profile that another one, here a
/// file, falls back on. The control is the same before they were applied.
#[test]
fn an_applied_pipeline_and_an_applied_fallback_are_run_with() {
    let place = Place::new();
    let program = place.house.folder("agent").join("scripted-agent");
    let first = format!(
        "{{agent: custom, program: {}, custom: {{argv: [scripted-agent]}}, egress: none, \
         fallback: [{{profile: scripted}}]}}",
        program.display()
    );
    let first = place.house.profile("first", &first);
    let run = |name: &str, more: &[&str]| {
        let words = ["run", "do: append package.json  ", "--check", "test -e package.json"];
        place.midwatch(&[&words[..], &["--name", name], more].concat())
    };
    let piped = ["--profile", "scripted", "--pipeline", "mine"];
    let falling = ["--profile", first.to_str().unwrap(), "--pipeline", "quick"];
    for (words, unknown) in [(piped, "'mine' is unknown"), (falling, "'scripted' is unknown")] {
        let told = run("early", &words);
        assert_eq!(told.code, Some(2), "{}", told.stderr);
        assert!(told.stderr.contains(unknown), "{}", told.stderr);
    }
    let all = place.file("all.yaml", &[]);
    let quick =
        include_str!("../../../api/src/pipelines/quick.yaml").replace("name: quick", "name: mine");
    let objects = std::fs::read_to_string(&all).unwrap();
    std::fs::write(&all, format!("{objects}---\n{quick}")).unwrap();
    assert_eq!(place.apply(&all).code, Some(0));
    run("piped", &piped).is_done();
    run("falling", &falling).is_done();
}

/// Pipelines that ship are shown as what was applied is, and stay as they are. The control is one
/// of another name.
#[test]
fn shipped_pipelines_are_shown_and_stay_as_they_are() {
    let place = Place::new();
    let (code, table) = place.text(&["get", "pipelines"], "");
    assert_eq!(code, Some(0));
    for name in ["quick", "change", "approved-change", "answer"] {
        let row = table.lines().find(|line| line.starts_with(&format!("{name} ")));
        assert!(row.is_some_and(|row| row.contains("  shipped  ")), "{name}: {table}");
    }
    let listed = place.midwatch(&["get", "pipelines"]);
    assert_eq!((listed.lines.len(), &listed.lines[0]["shipped"]), (4, &true.into()));
    let (code, described) = place.text(&["describe", "pipeline", "quick"], "");
    assert!(code == Some(0) && described.contains("shipped: true"), "{described}");
    let (code, explained) = place.text(&["explain", "pipeline", "quick"], "");
    assert!(code == Some(0) && explained.contains("ships with Midwatch"), "{explained}");
    let deleted = place.midwatch(&["delete", "pipeline", "quick"]);
    assert_eq!(deleted.code, Some(2), "{}", deleted.stderr);
    assert!(deleted.stderr.contains("'quick' ships with Midwatch"), "{}", deleted.stderr);
    assert_eq!(place.midwatch(&["get", "pipeline", "quick"]).code, Some(0), "it is there still");

    let (code, yaml) = place.text(&["get", "pipeline", "quick", "-o", "yaml"], "");
    assert_eq!(code, Some(0));
    let file = place.house.folder("files").join("quick.yaml");
    std::fs::write(&file, &yaml).unwrap();
    let told = place.apply(&file);
    assert_eq!(told.code, Some(2), "{}", told.stderr);
    assert!(told.stderr.contains("metadata.name 'quick'"), "{}", told.stderr);
    std::fs::write(&file, yaml.replace("name: quick", "name: mine")).unwrap();
    assert_eq!(place.apply(&file).code, Some(0), "the control");
    let listed = place.midwatch(&["get", "pipelines"]);
    let mine = listed.lines.iter().find(|line| line["metadata"]["name"] == "mine").unwrap();
    assert_eq!((listed.lines.len(), &mine["shipped"]), (5, &false.into()));
    assert_eq!(place.midwatch(&["delete", "pipeline", "mine"]).code, Some(0));
    assert_eq!(place.midwatch(&["get", "pipeline", "mine"]).code, Some(2));
}

/// Everything is stored or nothing: one task that cannot be taken keeps the others out.
#[test]
fn one_task_that_cannot_be_taken_keeps_all_out() {
    let place = Place::new();
    let file = place.file("all.yaml", &["one", "two"]);
    let text = std::fs::read_to_string(&file).unwrap();
    let head = "apiVersion: midwatch.dev/v1alpha1\nkind: AgentTask\n";
    let bad = format!(
        "{text}---\n{head}metadata: {{name: three}}\nspec: {{goal: g, repository: {{name: repo}}, agent: scripted, base: nowhere}}\n"
    );
    std::fs::write(&file, bad).unwrap();
    let told = place.apply(&file);
    assert_eq!(told.code, Some(2), "{}", told.stderr);
    assert!(
        told.stderr.contains("nowhere") && told.stderr.contains("all.yaml:"),
        "{}",
        told.stderr
    );
    assert!(!place.house.state().join("midwatch.db").exists(), "nothing was begun");
    std::fs::write(&file, text).unwrap();
    assert_eq!(place.apply(&file).code, Some(0), "the control");
    assert_eq!(place.midwatch(&["get"]).lines.len(), 2);
}

#[test]
fn what_is_wrong_with_an_applied_task_is_told_in_words_of_its_file() {
    let place = Place::new();
    let file = place.file("tasks.yaml", &["mine"]);
    assert_eq!(place.apply(&file).code, Some(0));
    place.midwatch(&["wait", "mine"]).is_done();
    assert_eq!(place.midwatch(&["delete", "task", "mine"]).code, Some(0));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("append package.json  ", "write notes x")).unwrap();
    let refused = place.apply(&file);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("spec.branch"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("--"), "{}", refused.stderr);
    // With a branch of its own it still has the name that saved work is kept by.
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("  pipeline:", "  branch: mine-2\n  pipeline:");
    std::fs::write(&file, &text).unwrap();
    let refused = place.apply(&file);
    assert!(refused.stderr.contains("metadata.name 'mine'"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("--"), "{}", refused.stderr);
    std::fs::write(&file, text.replace("{name: mine}", "{name: mine-2}")).unwrap();
    let applied = place.apply(&file);
    assert_eq!(applied.code, Some(0), "{}", applied.stderr);
    let told = place.midwatch(&["wait", "mine-2"]);
    assert_eq!(told.is_done().result["branch"], "mine-2");
}
