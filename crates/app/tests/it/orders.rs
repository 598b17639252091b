//! The table of bad orders: what no command of ours would send is refused over the control socket
//! as it would be on the command line, by field, value, rule and fix, and leaves nothing behind.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::house::{House, holding, misleads, tell};

/// One bad value at a place of an order that is fine otherwise.
struct Row {
    at: &'static str,
    value: Value,
    /// Field, value as shown, rule and fix.
    says: Vec<&'static str>,
}

fn row(at: &'static str, value: impl Into<Value>, says: &[&'static str]) -> Row {
    Row { at, value: value.into(), says: says.to_vec() }
}

/// A user with a repository, a task that is done, and a server that stays.
struct Place {
    house: House,
    repository: PathBuf,
    /// The order of that task.
    order: Value,
}

impl Place {
    fn new() -> Self {
        let house = House::new().with("MIDWATCH_IDLE_SECONDS", "60");
        let repository = house.repository("repo", &[("README", "x\n")]);
        let flags = ["--check", "test -e README", "--name", "good"];
        house.run(&repository, "do: append README more", &flags).is_done();
        let (status, order) = house.ask("GET", "/v1/tasks/good/order", &Value::Null);
        assert_eq!(status, 200, "{order}");
        Self { house, repository, order }
    }

    fn submit(&self, name: &str, order: &Value) -> (u16, Value) {
        let submit = json!({"name": name, "order": order, "secret": null});
        self.house.ask("POST", "/v1/tasks", &submit)
    }

    fn apply(&self, kind: &str, spec: &Value) -> (u16, Value) {
        let object = json!({"kind": kind, "metadata": {"name": "x"}, "spec": spec});
        self.house.ask("POST", "/v1/apply", &json!({"objects": [object], "tasks": []}))
    }

    /// The names of everything that is stored.
    fn stored(&self) -> Vec<String> {
        let (_, page) = self.house.ask("GET", "/v1/tasks", &Value::Null);
        let tasks = page["tasks"].as_array().unwrap().iter();
        let mut names: Vec<String> =
            tasks.map(|task| task["result"]["task"].as_str().unwrap().to_owned()).collect();
        for kind in ["profiles", "repositories", "tasks"] {
            let (_, objects) = self.house.ask("GET", &format!("/v1/objects/{kind}"), &Value::Null);
            let objects = objects.as_array().unwrap().iter();
            names
                .extend(objects.map(|one| format!("{kind} {}", one["object"]["metadata"]["name"])));
        }
        names
    }
}

/// Puts a value at a place, which may have none yet.
fn put(order: &mut Value, at: &str, value: &Value) {
    let (above, key) = at.rsplit_once('/').unwrap();
    order.pointer_mut(above).unwrap_or_else(|| panic!("{at}"))[key] = value.clone();
}

/// What is wrong with an answer, where it is no clear refusal.
fn unclear(row: &str, says: &[&str], (status, told): &(u16, Value)) -> Option<String> {
    let message = told["message"].as_str().unwrap_or_default();
    let lacks: Vec<&&str> = says.iter().filter(|word| !message.contains(**word)).collect();
    let clear = (400..500).contains(status)
        && matches!(told["exit"].as_u64(), Some(2 | 6))
        && lacks.is_empty()
        && !message.contains(misleads);
    (!clear).then(|| format!("{row}: {status} {told} lacks {lacks:?}"))
}

fn values() -> Vec<Row> {
    let long = "x".repeat(300);
    vec![
        row("/priority", 1_000_000, &["priority", "'1000000'", "-1000 to 1000", "in the range"]),
        row("/priority", -1001, &["priority", "'-1001'", "-1000 to 1000"]),
        row("/checks", json!(["true", "a\u{0}b"]), &["checks[1]", "NUL", "remove it"]),
        row("/checks", json!([" "]), &["checks[0]", "is empty", "give a command"]),
        row("/setup", json!({"command": "a\u{0}", "from": "", "keepHome": []}), &["setup", "NUL"]),
        row(
            "/setup",
            json!({"command": "a", "from": "", "keepHome": ["../.ssh"]}),
            &["setup.keepHome", "../.ssh", "leaves HOME"],
        ),
        row("/clientEnv", json!({"LD_PRELOAD": "/x"}), &["clientEnv", "'LD_PRELOAD'", "reserved"]),
        row("/checkEnv", json!({"GIT_SSH_COMMAND": "id"}), &["checkEnv", "reserved", "leave it"]),
        row("/clientEnv", json!({"A=B": ""}), &["clientEnv", "'A=B'", "name of a variable"]),
        row("/checkEnv", json!({"A": "\u{0}"}), &["checkEnv.A", "NUL"]),
        row("/clientEnv", json!({"A": "ghp_canary"}), &["clientEnv.A", "like a key", "leave it"]),
        row("/registries", json!(["*.com"]), &["registries", "'*.com'", "wildcard", "npmjs"]),
        row("/registries", json!(["https://h.example/"]), &["registries", "is a URL"]),
        row("/acceptMissing", json!(["all"]), &["acceptMissing", "'all'", "landlock"]),
        row("/agent/model", "--help", &["agent.model", "'--help'", "is no name"]),
        row("/agent/model", long, &["agent.model", "250"]),
        row("/agent/upstream", "http://h.example/", &["agent.upstream", "http", "https"]),
        row("/agent/custom/argv", json!([]), &["agent.custom.argv", "is empty"]),
        row("/agent/custom/env", json!({"LD_PRELOAD": "/x"}), &["agent.custom.env", "reserved"]),
        row("/agent/custom", Value::Null, &["agent.custom", "is required", "custom.argv"]),
        row("/limits/memoryBytes", 0, &["limits.memoryBytes", "'0'", "64 to", "MiB"]),
        row("/limits/memoryBytes", 1 << 20, &["limits.memoryBytes", "'1048576'", "64 to", "MiB"]),
        row("/limits/diskBytes", 1 << 20, &["limits.diskBytes", "'1048576'", "16 to", "MiB"]),
        row("/limits/outputBytes", 0, &["limits.outputBytes", "'0'", "1024 to", "in the range"]),
        row("/limits/graceSeconds", u64::MAX, &["limits.graceSeconds", "0 to 3600"]),
        row("/limits/pids", 1_000_000, &["limits.pids", "'1000000'", "16 to 100000"]),
        row("/limits/wallSeconds", 1, &["--timeout", "10s to 24h"]),
        row("/goal", " ", &["goal", "is required"]),
        row("/branch", "a..b", &["--branch", "'a..b'"]),
        row("/base", "f".repeat(40), &["base", "names no commit of this repository"]),
        row("/base", "main", &["base", "'main'"]),
    ]
}

fn places(place: &Place) -> Vec<Row> {
    let below = place.repository.join("below");
    std::fs::create_dir(&below).unwrap();
    let text = place.house.home().join("text");
    std::fs::write(&text, "no certificate").unwrap();
    let cut = place.house.home().join("cut.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    std::fs::write(&cut, pem).unwrap();
    let at = |field: &str| {
        let mut chain = json!({"name": "x", "folder": "/usr/share", "path": ["bin"], "env": {}});
        let (key, value) = field.split_once('=').unwrap();
        chain[key] = serde_json::from_str(value).unwrap();
        json!([chain])
    };
    let path = "/repository/path";
    vec![
        row(path, "/nowhere", &["repository.path", "'/nowhere'", "no git repository", "checkout"]),
        row(path, "../../etc", &["repository.path", "'../../etc'", "no absolute path"]),
        row(path, "/etc/../etc", &["repository.path", "without '..'"]),
        row(path, below.to_str().unwrap(), &["repository.path", "below", "top folder"]),
        row(path, "/etc", &["repository.path", "'/etc'", "no git repository"]),
        row("/repository/identity", "/etc", &["repository.identity", "'/etc'", "is not that of"]),
        row("/repository/identity", "x", &["repository.identity", "'x'", "no absolute path"]),
        row("/repository/sshAgent", "agent.sock", &["repository.sshAgent", "no absolute path"]),
        row("/workspacePath", json!(["../../etc"]), &["workspacePath", "leaves the workspace"]),
        row("/workspacePath", json!(["/etc"]), &["workspacePath", "'/etc'", "leaves the work"]),
        row("/workspacePath", json!(["a'b"]), &["workspacePath", "may hold no", "leave it away"]),
        row("/clientFiles", json!({"/etc/passwd": ""}), &["clientFiles", "'/etc/passwd'", "HOME"]),
        row("/clientFiles", json!({"../x": ""}), &["clientFiles", "'../x'", "leaves HOME"]),
        row("/caBundle", "/etc/shadow", &["caBundle", "'/etc/shadow'"]),
        row("/caBundle", text.to_str().unwrap(), &["caBundle", "holds no certificate", "PEM"]),
        row("/caBundle", cut.to_str().unwrap(), &["caBundle", "no certificate that can be used"]),
        row("/caBundle", "ca.pem", &["caBundle", "no absolute path"]),
        row("/caBundle", "/nowhere.pem", &["caBundle", "'/nowhere.pem'", "cannot be read"]),
        row("/agent/program", "claude", &["agent.program", "'claude'", "no absolute path"]),
        row("/agent/program", "/nowhere/x", &["agent.program", "'/nowhere/x'", "be executed"]),
        row("/agent/program", "/etc/passwd", &["agent.program", "be executed", "install"]),
        row("/toolchains", at(r#"name="../x""#), &["toolchains[0].name", "no plain name"]),
        row("/toolchains", at(r#"folder="/nowhere""#), &["toolchains[0].folder", "is no folder"]),
        row("/toolchains", at(r#"folder="x""#), &["toolchains[0].folder", "no absolute path"]),
        row("/toolchains", at(r#"path=["../x"]"#), &["toolchains[0].path", "leaves"]),
        row("/toolchains", at(r#"env={"LD_PRELOAD":"/x"}"#), &["toolchains[0].env", "reserved"]),
        // Ours are reserved for ourselves; what they hold has the rules of all.
        row(
            "/toolchains",
            at(r#"env={"MIDWATCH_NODE_MODULES":"\u0000"}"#),
            &["toolchains[0].env.MIDWATCH_NODE_MODULES", "holds a NUL"],
        ),
        row(
            "/toolchains",
            at(r#"env={"MIDWATCH_NODE_MODULES":"ghp_canary"}"#),
            &["toolchains[0].env.MIDWATCH_NODE_MODULES", "like a key"],
        ),
        row(
            "/agent/credential",
            json!({"from": "ClaudeLogin", "path": "login.json"}),
            &["agent.credential.path", "'login.json'", "no absolute path"],
        ),
    ]
}

#[test]
fn an_order_over_the_socket_keeps_the_rules_of_the_command_line() {
    let place = Place::new();
    let before = place.stored();
    assert_eq!(before, ["good"]);
    let rows: Vec<Row> = values().into_iter().chain(places(&place)).collect();
    let mut faults = Vec::new();
    for Row { at, value, says } in &rows {
        let mut order = place.order.clone();
        put(&mut order, at, value);
        let told = place.submit("bad", &order);
        faults.extend(unclear(&format!("{at} {value}"), says, &told));
        // A fallback has the rules of the first agent.
        if let Some(rest) = at.strip_prefix("/agent/") {
            let mut order = place.order.clone();
            order["fallbacks"] = json!([order["agent"]]);
            put(&mut order, &format!("/fallbacks/0/{rest}"), value);
            let told = place.submit("bad", &order);
            faults.extend(unclear(&format!("fallback {at}"), &["fallbacks[0]."], &told));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(place.stored(), before, "nothing was stored");
    tell(&format!("bad orders over the socket: tried {0}, clear errors {0}", rows.len()));

    // The control: the order as it was, which is done once more.
    let (status, told) = place.submit("again", &place.order);
    assert!(status < 300 && told["attached"] == false, "{told}");
    place.house.midwatch(&place.repository, &["wait", "again"]).is_done();
    // And the same name with the same order is the same task, wherever its checkout is by now.
    std::fs::rename(&place.repository, place.house.folder("moved").join("repo")).unwrap();
    let (status, told) = place.submit("again", &place.order);
    assert!(status < 300 && told["attached"] == true, "{told}");
}

#[test]
fn an_object_over_the_socket_keeps_the_rules_of_a_file() {
    let place = Place::new();
    let before = place.stored();
    let task = |key: &str, value: Value| {
        let mut spec = json!({"goal": "g", "repository": {"path": "/r"}});
        spec[key] = value;
        spec
    };
    let rows = [
        ("AgentRepository", json!({"url": "ext::sh -c id"}), ["spec.url", "https or ssh"]),
        ("AgentRepository", json!({"url": "https://u:canary@h.example/x"}), ["spec.url", "hold"]),
        ("AgentRepository", json!({"path": "../../etc"}), ["spec.path", "'../../etc'"]),
        ("AgentProfile", json!({"registries": ["*.com"]}), ["spec.registries", "wildcard"]),
        ("AgentProfile", json!({"baseUrl": "http://h.example"}), ["spec.baseUrl", "https"]),
        ("AgentTask", task("priority", 1001.into()), ["spec.priority", "-1000 to 1000"]),
        (
            "AgentTask",
            task("repository", json!({"url": "file:///etc"})),
            ["spec.repository.url", "local path"],
        ),
    ];
    let mut faults = Vec::new();
    for (kind, spec, says) in &rows {
        let told = place.apply(kind, spec);
        assert!(!told.1.to_string().contains("canary"), "{}", told.1);
        faults.extend(unclear(&format!("{kind} {spec}"), says, &told));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(place.stored(), before, "nothing was stored");
    // The control.
    let (status, told) = place.apply("AgentRepository", &json!({"url": "https://h.example/x"}));
    assert!(status < 300, "{told}");
    assert_eq!(place.stored().len(), before.len() + 1);
}

#[test]
fn a_request_that_is_none_is_refused() {
    let place = Place::new();
    let json = "content-type: application/json\r\n";
    let fields = |body: &[u8]| format!("{json}content-length: {}\r\n", body.len());
    // What is read only when its kind is known may have any shape, but for its depth.
    let head = r#"{"tasks":[],"objects":[{"kind":"AgentTask","metadata":{"name":"x"},"spec":"#;
    let bomb = [head, &"[".repeat(100_000), &"]".repeat(100_000), "}]}"].concat();
    let latin = b"{\"paused\":false,\"by\":\"\xff\"}";
    let twice = br#"{"paused":false,"by":"a","by":"b"}"#;
    let good = br#"{"paused":false,"by":"a"}"#;
    let bare = format!("content-length: {}\r\n", good.len());
    let lengths = format!("{}content-length: 2\r\n", fields(good));
    for (what, fields, body, expected) in [
        ("a depth bomb", fields(bomb.as_bytes()), bomb.as_bytes(), 400),
        ("bad UTF-8", fields(latin), &latin[..], 400),
        ("no kind of content", bare, &good[..], 415),
        ("a key twice", fields(twice), &twice[..], 422),
        ("two lengths", lengths, &good[..], 400),
        ("the control", fields(good), &good[..], 200),
    ] {
        let path = if what == "a depth bomb" { "/v1/apply" } else { "/v1/pause" };
        let (status, told) = place.house.ask_with("POST", path, &fields, body);
        assert_eq!(status, expected, "{what}: {told}");
    }
    let (status, told) = place.house.ask("POST", "/v1/tasks/good/open", &json!({"folder": "work"}));
    assert_eq!(status, 422);
    assert!(
        unclear("open", &["work is no absolute path"], &(status, told.clone())).is_none(),
        "{told}"
    );
}

#[test]
fn who_decides_is_told_in_one_short_line() {
    let place = Place::new();
    let by = format!("\u{1b}[2J{}", "x".repeat(100_000));
    let (status, told) = place.house.ask("POST", "/v1/pause", &json!({"paused": true, "by": by}));
    assert_eq!(status, 200, "{told}");
    let kept = std::fs::read_to_string(place.house.state().join("paused")).unwrap();
    assert!(kept.len() < 100 && !kept.contains('\u{1b}'), "{} bytes", kept.len());
    assert!(kept.starts_with("\\u{1b}[2Jxxx"), "{kept}");
    assert_eq!(told["pausedBy"].as_str(), Some(kept.as_str()));
    // Nothing begins, so what is cancelled here is not over before that.
    let (_, told) = place.submit("waits", &place.order);
    assert_eq!(told["task"], "waits", "{told}");
    let cancel = json!({"verb": "cancel", "by": by});
    let (status, told) = place.house.ask("POST", "/v1/tasks/waits/commands", &cancel);
    assert_eq!(status, 200, "{told}");
    // Nowhere is more of it; the control: the search finds what is kept.
    let found = |part: &str| holding(&place.house.state(), part);
    assert_eq!(found(&"x".repeat(100)), [""; 0].map(PathBuf::from));
    assert!(found(&"x".repeat(20)).len() > 1, "the switch, and the database");
    let (status, told) =
        place.house.ask("POST", "/v1/pause", &json!({"paused": false, "by": "me"}));
    assert_eq!((status, &told["pausedBy"]), (200, &Value::Null));
}
