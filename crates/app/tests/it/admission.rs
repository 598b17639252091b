//! What a server is told to allow, by a flag or by its file, is what its queue keeps to.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::faults::gate::Gate;
use crate::house::{House, LIMIT, until};

/// A user with two repositories and a key.
struct Place {
    house: House,
    one: PathBuf,
    two: PathBuf,
}

impl Place {
    /// With a server that has these flags and this file.
    fn new(flags: &[&str], file: &str) -> Self {
        let house = House::new().with("SAMPLE_KEY", "sk-ant-api03-nobodys-key-0123456789");
        let [one, two] = ["one", "two"].map(|name| house.repository(name, &[("README", "x\n")]));
        std::fs::write(house.folder("state").join("server.toml"), file).unwrap();
        // It ends with the house.
        drop(house.start(&one, &[&["serve"], flags].concat()));
        let socket = house.state().join("server.sock");
        assert!(until(LIMIT, || UnixStream::connect(&socket).is_ok()), "no server");
        Self { house, one, two }
    }

    /// Submits a task; `spec` is more of its profile.
    fn begin(&self, repository: &Path, name: &str, goal: &str, spec: &str) {
        let profile = self.house.scripted(&format!(", egress: none{spec}"));
        let profile = profile.to_str().unwrap();
        let first = ["run", goal, "--profile", profile, "--pipeline", "quick", "--detach"];
        let more = ["--name", name, "--check", "test -e README"];
        let told = self.house.midwatch(repository, &[&first[..], &more].concat());
        assert_eq!(told.code, Some(0), "{}", told.stderr);
    }

    /// One task works until the gate is opened, and another is kept out meanwhile, for this reason
    /// and with this sentence; a third goes its way beside both, where there is one.
    fn keeps_out(&self, kept: (&Path, &str), beside: Option<(&Path, &str)>, says: [&str; 2]) {
        let gate = Gate::new();
        let goal = format!("do: run {}\ndo: write made x", gate.command());
        self.begin(&self.one, "works", &goal, KEYED);
        gate.reached();
        self.begin(kept.0, "waits", "do: write made x", kept.1);
        if let Some((repository, spec)) = beside {
            self.begin(repository, "beside", "do: write made x", spec);
            self.house.midwatch(repository, &["wait", "beside"]).is_done();
        }
        let waiting = || self.house.midwatch(&self.one, &["get", "waits"]).lines[0].clone();
        let seen = until(LIMIT, || waiting()["waiting"]["reason"] == says[0]);
        let told = waiting();
        assert!(seen && told["state"] == "Queued", "{told}");
        let detail = told["waiting"]["detail"].as_str().unwrap();
        assert!(detail.contains(says[1]), "{detail}");
        let table =
            self.house.command(env!("CARGO_BIN_EXE_midwatch"), &self.one).arg("get").output();
        let table = String::from_utf8(table.unwrap().stdout).unwrap();
        assert!(table.contains(&format!("{}, place 1 of 1", says[0])), "{table}");
        // The control: it was kept out by the first, and by nothing else.
        gate.open(Signal::TERM);
        for name in ["works", "waits"] {
            self.house.midwatch(&self.one, &["wait", name]).is_done();
        }
    }
}

/// A login that tasks have in common.
const KEYED: &str = ", credential: {variable: SAMPLE_KEY, kind: AnthropicKey}";

#[test]
fn a_flag_for_repositories_keeps_the_second_task_of_one_out() {
    let place = Place::new(&["--per-repository", "1", "--concurrency", "3"], "perRepository = 3\n");
    let says = ["RepositoryLimit", "1 of 1 tasks of this repository run"];
    place.keeps_out((&place.one, ""), Some((&place.two, KEYED)), says);
}

#[test]
fn a_file_for_credentials_keeps_the_second_task_of_one_out() {
    let place = Place::new(&[], "perCredential = 1\n");
    let says = ["CredentialLimit", "1 of 1 tasks of this credential run"];
    place.keeps_out((&place.two, KEYED), Some((&place.one, "")), says);
}

#[test]
fn where_memory_is_low_one_task_goes_on_alone() {
    // More than any machine has, in mebibytes.
    let place = Place::new(&[], "taskMemoryMib = 1000000000\n");
    place.keeps_out((&place.two, ""), None, ["MemoryLow", "MiB of memory are free, 1000000000"]);
}

/// In the moment between two attempts a task keeps its slot, but nothing of it runs.
#[test]
fn who_waits_is_told_of_a_slot_whose_task_only_pauses() {
    let place = Place::new(&["--concurrency", "1"], "");
    let goal = "do@implement/1: exit 7\ndo@implement/2: write made x";
    place.begin(&place.one, "tries", goal, "");
    place.begin(&place.two, "waits", "do: write made x", "");
    let mut said = String::new();
    let told = until(LIMIT, || {
        said = place.house.midwatch(&place.one, &["explain", "waits"]).stdout;
        said.contains("0 of 1 tasks run, and 1 waits for its next attempt")
    });
    assert!(told, "{said}");
    for name in ["tries", "waits"] {
        place.house.midwatch(&place.one, &["wait", name]).is_done();
    }
}
