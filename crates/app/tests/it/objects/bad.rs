//! The table of bad inputs, as far as it concerns objects in files: each is refused with its
//! place, field, value, rule and fix, and leaves nothing behind.
//!
//! A row's number is the requirement's; several values of one kind share it.

use super::Place;
use crate::house::misleads;

/// One bad file.
struct Row {
    number: u8,
    text: Vec<u8>,
    says: Vec<&'static str>,
    hides: Option<&'static str>,
}

fn row(number: u8, text: impl Into<Vec<u8>>, says: &[&'static str]) -> Row {
    Row { number, text: text.into(), says: says.to_vec(), hides: None }
}

fn object(kind: &str, spec: &str) -> String {
    format!(
        "apiVersion: midwatch.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n"
    )
}

fn task(more: &str) -> String {
    object("AgentTask", &format!("{{goal: mend it, repository: {{path: /r}}{more}}}"))
}

fn named(name: &str) -> String {
    task("").replace("name: x", &format!("name: {name}"))
}

fn at_url(url: &str) -> String {
    object(
        "AgentTask",
        &format!("{{goal: g, checks: [{{run: make}}], repository: {{url: {url}}}}}"),
    )
}

fn urls() -> Vec<Row> {
    let field = "spec.repository.url";
    let long = format!("'https://h.example/{}'", "a".repeat(10_000));
    let mut rows = vec![
        row(1, at_url("'ext::sh -c id'"), &[field, "f.yaml:4:", "https or ssh"]),
        row(2, at_url("'EXT::sh -c id'"), &[field, "https or ssh"]),
        row(2, at_url("' ext::sh'"), &[field]),
        row(3, at_url("'file:///etc'"), &[field]),
        row(3, at_url("../x"), &[field]),
        row(3, at_url("/abs/path"), &[field]),
        row(4, at_url("'--upload-pack=x'"), &[field, "must not start with '-'"]),
        row(5, at_url("'ssh://-oProxyCommand=x/y'"), &[field, "-"]),
        row(7, at_url("'http://h.example/x'"), &[field, "https"]),
        row(8, at_url("'https://169.254.169.254/x'"), &[field]),
        row(9, at_url("'https://0x7f.1/x'"), &[field]),
        row(9, at_url("'https://2130706433/x'"), &[field]),
        row(10, at_url("'https://[::ffff:10.0.0.1]/x'"), &[field]),
        row(11, at_url("\"https://h.example/a\\nb\""), &[field, "control character"]),
        row(11, at_url("'https://h%00.example/x'"), &[field]),
        row(12, at_url("'https://g\u{0456}thub.example/x'"), &[field]),
        row(13, at_url(&long), &[field, "2048"]),
    ];
    rows.push(Row {
        hides: Some("tok-canary"),
        ..row(6, at_url("'https://user:tok-canary@h.example/x'"), &[field, "must not hold"])
    });
    rows
}

fn names() -> Vec<Row> {
    let field = "metadata.name";
    let labels = |text: &str| task("").replace("name: x", &format!("name: x, labels: {text}"));
    let long = "x".repeat(64);
    let notes = format!("{{n: '{}'}}", "x".repeat(300 << 10));
    vec![
        row(15, task(", branch: '--upload-pack=x'"), &["spec.branch", "must not start with '-'"]),
        row(15, task(", branch: '-f'"), &["spec.branch", "-f"]),
        row(16, task(", branch: a..b"), &["spec.branch", "a..b"]),
        row(16, task(", branch: x.lock"), &["spec.branch", ".lock"]),
        row(16, task(", branch: '@{-1}'"), &["spec.branch"]),
        row(16, task(", branch: a b"), &["spec.branch"]),
        row(16, task(", branch: a~1"), &["spec.branch"]),
        row(17, task(", branch: refs/heads/x"), &["spec.branch", "refs/heads/"]),
        row(17, task(", branch: HEAD"), &["spec.branch", "short name"]),
        row(18, task(", branch: '$(id)'"), &["spec.branch", "A-Z a-z"]),
        row(18, task(", branch: 'a;id'"), &["spec.branch"]),
        row(19, task(&format!(", branch: {}", "b".repeat(300))), &["spec.branch", "200"]),
        row(22, task(", base: '--output=x'"), &["spec.base"]),
        row(23, named("''"), &[field, "is required", "f.yaml:3:"]),
        row(23, named(""), &[field, "text is expected"]),
        row(24, named(&long), &[field, "64 characters"]),
        row(25, named("Foo_Bar"), &[field, "for example foo-bar"]),
        row(25, named("'-x'"), &[field, "-x"]),
        row(25, named("x-"), &[field]),
        row(27, named("'..'"), &[field]),
        row(27, named("a/b"), &[field]),
        row(27, named("con"), &[field, "Windows"]),
        row(28, named("\"\\u202Eabc\""), &[field, "\\u{202e}abc"]),
        row(28, named("\u{0430}bc"), &[field, "ASCII"]),
        row(29, labels(&format!("{{a: {long}}}")), &["metadata.labels.a", "64 characters"]),
        row(29, labels("{x/y/z: b}"), &["metadata.labels", "x/y/z"]),
        row(29, labels("{'-a': b}"), &["metadata.labels", "-a"]),
        row(29, labels("{a: true}"), &["metadata.labels.a", "in quotes"]),
        row(30, labels("{midwatch.dev/task: b}"), &["reserved", "midwatch.dev"]),
        row(
            31,
            task("").replace("name: x", &format!("name: x, annotations: {notes}")),
            &["metadata.annotations", "262144"],
        ),
    ]
}

fn goals_and_types() -> Vec<Row> {
    let goal = |goal: &str| task("").replace("goal: mend it", &format!("goal: {goal}"));
    let bomb: String = (1..12).fold(String::from("a0: &a0 [x]\n"), |text, n| {
        let row = vec![format!("*a{}", n - 1); 9].join(",");
        format!("{text}a{n}: &a{n} [{row}]\n")
    });
    let raw = [task("").as_bytes(), b"# \xff"].concat();
    vec![
        row(32, goal("''"), &["spec.goal", "is required"]),
        row(32, goal("'  '"), &["spec.goal", "is required"]),
        row(33, goal("\"a\\0b\""), &["spec.goal", "NUL at byte 1"]),
        row(34, goal(&"x".repeat(300 << 10)), &["spec.goal", "262144", "file"]),
        row(34, goal(&"x".repeat(10 << 20)), &["1 MiB", "split it"]),
        row(36, raw, &["is not UTF-8 at byte", "save it as UTF-8"]),
        row(40, task(", gaol: x"), &["f.yaml:4:", "'gaol'", "did you mean 'goal'"]),
        row(40, task("").replace("spec", "sepc"), &["'sepc'", "did you mean 'spec'"]),
        row(40, task(", checks: [{run: x, runn: y}]"), &["spec.checks[0]", "did you mean 'run'"]),
        row(41, task(", timeout: soon"), &["spec.timeout", "30m", "f.yaml:4:"]),
        row(41, task(", checks: soon"), &["spec.checks", "a list"]),
        row(42, task(", branch: no"), &["spec.branch", "a truth value", "in quotes"]),
        row(42, task(", model: 1e3"), &["spec.model", "a number", "in quotes"]),
        row(42, task(", base: 0777"), &["spec.base", "a number"]),
        row(42, task(", noCheck: 'true'"), &["spec.noCheck", "true or false"]),
        row(43, task("").replace("kind:", "kind: A\nkind:"), &["'kind'", "line 2 and line 3"]),
        row(44, bomb, &["alias", "f.yaml:2:"]),
        row(44, format!("a: {}", "[".repeat(1000)), &["f.yaml:1:"]),
        row(44, task(", agent: !!python/object x"), &["YAML tag"]),
        row(45, "", &["without any object"]),
        row(45, "---\n---\n", &["without any object"]),
        row(45, "\u{feff}kind: X\n", &["apiVersion is required"]),
        row(45, "a: b\n\tc: d\n", &["tab"]),
        row(45, vec![b'#'; 50 << 20], &["1 MiB"]),
        row(45, task("") + "---\n" + &task(""), &["stands twice", "f.yaml:1"]),
        row(46, task(", timeout: '0'"), &["spec.timeout", "30m"]),
        row(46, task(", timeout: 9s"), &["10s to 24h"]),
        row(46, task(", timeout: -1s"), &["spec.timeout"]),
        row(46, task(", timeout: 1ns"), &["spec.timeout"]),
        row(46, task(", timeout: 1000000000000h"), &["10s to 24h"]),
        row(46, task(", timeout: NaN"), &["spec.timeout"]),
        row(49, task(", priority: 1000000000"), &["spec.priority", "-1000 to 1000"]),
        row(49, object("AgentPipeline", "{steps: [], maxRepairs: -1}"), &["maxRepairs", "-1"]),
        row(49, object("AgentPipeline", "{steps: [], maxRepairs: 1e9}"), &["whole number"]),
    ]
}

fn profiles() -> Vec<Row> {
    let profile = |spec: &str| object("AgentProfile", spec);
    let env =
        |env: &str| profile(&format!("{{agent: custom, custom: {{argv: [x], env: {{{env}}}}}}}"));
    let hidden =
        |text: String, says: &[&'static str]| Row { hides: Some("canary"), ..row(57, text, says) };
    vec![
        row(47, profile("{limits: {memoryMib: 4GG}}"), &["spec.limits.memoryMib", "whole number"]),
        row(47, profile("{limits: {memoryMib: 0}}"), &["spec.limits.memoryMib", "64 to"]),
        row(47, profile("{limits: {memoryMib: -1}}"), &["spec.limits.memoryMib", "-1"]),
        row(56, env("'A=B': x"), &["spec.custom.env", "A=B", "no name of a variable"]),
        row(56, env("'': x"), &["spec.custom.env", "no name of a variable"]),
        row(56, env("LD_PRELOAD: /x"), &["LD_PRELOAD", "reserved"]),
        row(56, env("GIT_SSH_COMMAND: x"), &["GIT_SSH_COMMAND", "reserved"]),
        row(56, env("MIDWATCH_HOME: x"), &["MIDWATCH_HOME", "reserved"]),
        hidden(env("KEY: sk-canary"), &["spec.custom.env.KEY", "looks like a key", "variable"]),
        hidden(env("KEY: ghp_canary"), &["spec.custom.env.KEY", "looks like a key"]),
        hidden(
            profile("{credential: {kind: AnthropicKey, variable: sk-canary}}"),
            &["spec.credential.variable", "name the variable"],
        ),
        row(
            61,
            profile("{toolchains: [{name: x, folder: /o, path: [../../etc]}]}"),
            &["spec.toolchains[0].path", "../../etc"],
        ),
        row(61, profile("{toolchains: [{name: x, folder: \"/o\\0\"}]}"), &["toolchains[0].folder"]),
        row(62, profile("{registries: ['*']}"), &["spec.registries", "*"]),
        row(62, profile("{registries: ['*.com']}"), &["spec.registries", "wildcard"]),
        row(62, profile("{registries: ['https://x']}"), &["spec.registries", "is a URL"]),
        row(62, profile("{registries: ['x:99999']}"), &["spec.registries", "x:99999"]),
        row(62, profile("{egress: '*'}"), &["spec.egress", "none, registries, public"]),
        row(63, profile("{registries: ['10.0.0.0/8']}"), &["spec.registries", "10.0.0.0/8"]),
        row(64, profile("{registries: ['a.com%00.b.com']}"), &["spec.registries"]),
        row(65, profile("{agent: cladue}"), &["spec.agent", "claude-code"]),
        row(7, profile("{baseUrl: 'http://llm.example'}"), &["spec.baseUrl", "https"]),
        row(65, object("AgentPod", "{}"), &["kind", "AgentPod", "known: AgentTask"]),
        row(65, profile("{}").replace("v1alpha1", "v9"), &["apiVersion", "v9", "v1alpha1"]),
    ]
}

/// Names of other objects, which are looked up.
fn unknown_names(place: &Place) -> Vec<Row> {
    let path = place.repository.display();
    let task = |more: &str| {
        object("AgentTask", &format!("{{goal: g, repository: {{path: {path}}}{more}}}"))
    };
    let by_name = object("AgentTask", "{goal: g, repository: {name: reop}}");
    let beside = object("AgentRepository", "{path: /r}").replace("name: x", "name: repo");
    vec![
        row(65, task(", agent: cladue-code"), &["spec.agent", "did you mean claude-code"]),
        row(65, task(", agent: \"\\e[31mx\""), &["spec.agent", "\\u{1b}[31mx"]),
        row(65, task(", pipeline: quik"), &["spec.pipeline", "did you mean quick"]),
        row(
            65,
            task(", pipeline: answer, checks: [{run: make}]"),
            &["spec.checks", "make", "is of no use", "leave it away"],
        ),
        row(65, task(", pipeline: answer, setup: make"), &["spec.setup", "is of no use"]),
        row(65, task(", pipeline: answer, branch: b"), &["spec.branch", "publishes a branch"]),
        row(65, by_name + "---\n" + &beside, &["spec.repository.name", "did you mean repo"]),
        row(
            61,
            object("AgentTask", "{goal: g, repository: {path: /nowhere/at/all}}"),
            &["spec.repository.path", "no folder"],
        ),
        row(61, object("AgentTask", "{goal: g, repository: {path: ../x}}"), &["absolute"]),
    ]
}

/// What is wrong with the answer to a row; empty when it is clear.
fn faults(place: &Place, row: &Row) -> Vec<String> {
    let path = place.house.folder("files").join("f.yaml");
    std::fs::write(&path, &row.text).unwrap();
    let told = place.midwatch(&["apply", "-f", path.to_str().unwrap()]);
    let mut faults = Vec::new();
    if told.code != Some(2) {
        faults.push(format!("exit {:?}", told.code));
    }
    let detail = told.result["detail"].as_str().unwrap_or_default();
    for (what, said) in [("stderr", told.stderr.as_str()), ("the result", detail)] {
        let missing = row.says.iter().filter(|word| !said.contains(**word));
        faults.extend(missing.map(|word| format!("'{word}' is not said in {what}")));
    }
    let all = format!("{}{}", told.stderr, told.stdout);
    if all.contains(misleads) {
        faults.push("something is not escaped".into());
    }
    if row.hides.is_some_and(|secret| all.contains(secret)) {
        faults.push("a secret is repeated".into());
    }
    if all.len() > 8000 {
        faults.push(format!("{} bytes are said", all.len()));
    }
    if place.house.state().join("midwatch.db").exists() {
        faults.push("something was stored".into());
    }
    if !faults.is_empty() {
        faults.push(all.chars().take(1000).collect());
    }
    faults
}

#[test]
fn every_bad_object_gets_a_clear_error_and_leaves_nothing() {
    let place = Place::new();
    let tables = [urls(), names(), goals_and_types(), profiles(), unknown_names(&place)];
    let (mut tried, mut unclear) = (0, Vec::new());
    for row in tables.iter().flatten() {
        tried += 1;
        let faults = faults(&place, row);
        if !faults.is_empty() {
            unclear.push(format!("row {}: {}", row.number, faults.join("; ")));
        }
    }
    println!("bad inputs tried {tried} / clear errors {}", tried - unclear.len());
    assert!(unclear.is_empty(), "{}", unclear.join("\n\n"));
    midwatch_testkit::counts::are_told(&format!("bad inputs of objects tried {tried}"));
}
