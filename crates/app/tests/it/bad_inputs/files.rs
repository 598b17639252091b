//! Files of users: profiles and pipelines, and `midwatch.yaml` of the base.

use super::{Place, Row};

/// Nine times nine times nine.
fn bomb() -> String {
    let level = |n: usize| {
        let before = vec![format!("*a{}", n - 1); 9].join(",");
        format!("a{n}: &a{n} [{before}]\n")
    };
    format!("a0: &a0 [x]\n{}", (1..12).map(level).collect::<String>())
}

/// Rows 29, 40 to 47, 56, 57 and 62 in a profile, and 40 to 46 in a pipeline.
pub(super) fn profiles_and_pipelines(place: &Place) -> Vec<Row> {
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "apiVersion: midwatch.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let profile = |spec: &str| object("AgentProfile", "p", spec);
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let whole = "a whole number";
    let profiles: Vec<(u8, String, Vec<&str>)> = vec![
        (40, profile("{agnet: codex}"), vec!["agnet", "agent", "4:"]),
        (40, profile("{limits: {wallSecond: 3}}"), vec!["wallSecond", "wallSeconds"]),
        (29, profile("{}").replace("name: p", "name: p, labels: {x/y/z: b}"), vec!["labels"]),
        (25, object("AgentProfile", "Foo_Bar", "{}"), vec!["metadata.name", "Foo_Bar"]),
        (41, profile("{limits: {wallSeconds: soon}}"), vec!["soon", "line 4", whole]),
        (42, profile("{limits: {wallSeconds: 1e3}}"), vec!["1e3", "line 4", whole]),
        (42, profile("{limits: {wallSeconds: 0777}}"), vec!["0777", "line 4", whole]),
        (43, profile("\n  agent: codex\n  agent: codex"), vec!["duplicate", "agent", "line 6"]),
        (44, bomb(), vec!["line 1"]),
        (44, profile(&deep), vec!["line 4"]),
        (45, profile("{}") + "---\nb: c\n", vec!["multiple YAML documents"]),
        (45, String::new(), vec!["end of input"]),
        (45, profile("\n\tagent: codex"), vec!["tabs", "line 5"]),
        (45, format!("\u{feff}{}", profile("{agnet: x}")), vec!["agnet"]),
        (45, "#".repeat(2 << 20), vec!["1 MiB"]),
        (46, profile("{limits: {wallSeconds: 0}}"), vec!["wallSeconds", "'0'", "10 to 86400"]),
        (46, profile("{limits: {wallSeconds: -1}}"), vec!["-1", whole]),
        (47, profile("{limits: {memoryMib: 0}}"), vec!["memoryMib", "64 to"]),
        (47, profile("{limits: {memoryMib: 4GG}}"), vec!["4GG", whole]),
        (
            56,
            profile("{credential: {kind: AnthropicKey, variable: 'A=B'}}"),
            vec!["spec.credential.variable", "is no name of a variable", "name the variable"],
        ),
        (62, profile("{egress: '*'}"), vec!["`*`", "none, registries, public"]),
        (62, profile("{registries: ['*.com']}"), vec!["spec.registries", "*.com", "wildcard"]),
        (62, profile("{registries: ['https://x']}"), vec!["spec.registries", "is a URL"]),
        (62, profile("{registries: ['x:99999']}"), vec!["spec.registries", "x:99999"]),
        (64, profile("{registries: ['a.com%00.b.com']}"), vec!["spec.registries", "a.com%00.b"]),
        (65, profile("{agent: cladue}"), vec!["spec.agent", "cladue", "known: claude-code"]),
        (65, profile("{agent: custom}"), vec!["spec.custom", "is required", "give custom.argv"]),
        (
            65,
            profile("{agent: custom, custom: {argv: [x, sk-canary], promptBy: Argument}}"),
            vec!["spec.custom.argv", "has no {prompt}", "where the prompt goes"],
        ),
        (65, profile("{agent: \"\\e[31mx\"}"), vec!["\\u{1b}[31mx", "known:"]),
        (7, profile("{baseUrl: 'http://llm.example'}"), vec!["spec.baseUrl", "http", "use https"]),
        (42, profile("{}").replace("v1alpha1", "v9"), vec!["apiVersion", "v9", "v1alpha1"]),
        (42, object("Pod", "p", "{}"), vec!["kind", "Pod", "AgentProfile"]),
        (
            42,
            object("AgentPipeline", "p", "{steps: []}"),
            vec!["kind is 'AgentPipeline', expected 'AgentProfile'"],
        ),
    ];
    let pipeline = |spec: &str| object("AgentPipeline", "p", spec);
    let pipelines: Vec<(u8, String, Vec<&str>)> = vec![
        (40, pipeline("{stesp: []}"), vec!["stesp", "steps"]),
        (40, pipeline("{steps: []}"), vec!["steps", "implement"]),
        (41, pipeline("{steps: [{name: a, kind: agnet}]}"), vec!["agnet", "agent, check"]),
        (
            42,
            object("AgentProfile", "p", "{agent: codex}"),
            vec!["kind is 'AgentProfile', expected 'AgentPipeline'"],
        ),
        (49, pipeline("{maxRepairs: -1, steps: []}"), vec!["-1", whole]),
    ];
    let folder = place.house.folder("written");
    let write = |flag: &str, index: usize, text: &str| {
        let path = folder.join(format!("{}-{index}.yaml", flag.trim_start_matches('-')));
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut rows = Vec::new();
    for (index, (number, text, says)) in profiles.iter().enumerate() {
        let path = write("--profile", index, text);
        rows.push(Row::new(*number, &["x", "--profile", &path], says));
    }
    let leak = profile("{credential: {kind: AnthropicKey, variable: sk-ant-canary}}");
    let path = write("--profile", profiles.len(), &leak);
    let says = ["spec.credential.variable", "name the variable"];
    rows.push(Row::new(57, &["x", "--profile", &path], &says).hiding("canary"));
    for (index, (number, text, says)) in pipelines.iter().enumerate() {
        let path = write("--pipeline", index, text);
        rows.push(place.flag(*number, &["--pipeline", &path], says));
    }
    rows
}

/// Rows 40 to 45 in the base.
pub(super) fn of_the_base(place: &Place) -> Vec<(String, Row)> {
    let deep = format!("checks: {}{}", "[".repeat(2000), "]".repeat(2000));
    let rows: Vec<(u8, String, Vec<&str>)> = vec![
        (40, "cheks: []\n".into(), vec!["cheks", "checks"]),
        (40, "checks: [{run: x, runn: y}]\n".into(), vec!["runn", "run"]),
        (41, "setup: [1]\n".into(), vec!["setup", "line 1"]),
        (41, "checks: soon\n".into(), vec!["line 1"]),
        (42, "checks: [{run: ' '}]\n".into(), vec!["checks[0].run", "is empty", "give a command"]),
        (42, "setup: \"a\\0b\"\n".into(), vec!["setup", "NUL", "remove it"]),
        (43, "setup: a\nsetup: b\n".into(), vec!["duplicate", "setup", "line 2"]),
        (44, bomb() + "checks: *a11\n", vec!["line 1"]),
        (44, deep, vec!["line 1"]),
        (45, "setup: a\n---\nsetup: b\n".into(), vec!["multiple YAML documents"]),
        (45, "#".repeat(2 << 20), vec!["1 MiB"]),
    ];
    let row = |(number, text, mut says): (u8, String, Vec<&str>)| {
        says.extend(["midwatch.yaml", "mend it"]);
        (text, place.flag(number, &[], &says))
    };
    rows.into_iter().map(row).collect()
}
