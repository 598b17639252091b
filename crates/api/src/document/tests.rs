use super::*;

/// An object with a spec as YAML flow.
fn object(kind: &str, spec: &str) -> String {
    format!("apiVersion: {API_VERSION}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n")
}

fn task(more: &str) -> String {
    object("AgentTask", &format!("{{goal: mend it, repository: {{path: /r}}{more}}}"))
}

fn fault(text: &str) -> String {
    let faults = read("f.yaml", text.as_bytes()).unwrap_err();
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn several_kinds_in_one_file_are_read() {
    let text = [
        task(", checks: [{run: npm test}], timeout: 30m, priority: 5"),
        object("AgentProfile", "{agent: codex, limits: {wallSeconds: 600}}"),
        object("AgentRepository", "{url: 'https://example.com/a/b', checks: [{run: make}]}"),
        object(
            "AgentPipeline",
            "{steps: [{name: a, kind: agent, prompt: 'p'}, {name: c, kind: check}, {name: p, kind: publish}]}",
        ),
    ]
    .join("---\n");
    let documents = read("f.yaml", format!("\u{feff}# all\n---\n{text}---\n").as_bytes()).unwrap();
    let kinds: Vec<Kind> = documents.iter().map(|document| document.object.kind()).collect();
    assert_eq!(kinds, [Kind::Task, Kind::Profile, Kind::Repository, Kind::Pipeline]);
    assert_eq!(documents[1].place(), "f.yaml:8");
    let AnyObject::Task(first) = &documents[0].object else { panic!("no task") };
    assert_eq!((first.spec.wall_seconds(), first.spec.priority), (Ok(Some(1800)), 5));
}

#[test]
fn what_is_printed_with_a_status_is_read_again() {
    let text = task("") + "status: {state: Done, anything: [1, {a: b}]}\n";
    assert!(read("f.yaml", text.as_bytes()).is_ok());
    for document in read("f.yaml", text.as_bytes()).unwrap() {
        let wire = document.object.to_wire().unwrap();
        assert_eq!(AnyObject::try_from(wire).unwrap(), document.object);
    }
}

#[test]
fn a_fault_has_file_line_column_field_value_rule_and_fix() {
    let said = fault(&task(", gaol: x"));
    assert!(said.starts_with("f.yaml:4:47: spec 'gaol' is an unknown field;"), "{said}");
    assert!(said.contains("did you mean 'goal'?"), "{said}");
    let block = format!(
        "apiVersion: {API_VERSION}\nkind: AgentTask\nmetadata:\n  name: x\nspec:\n  goal: g\n  repository: {{path: /r}}\n  checks:\n    - run: a\n    - run: ' '\n"
    );
    let said = fault(&block);
    assert!(said.starts_with("f.yaml:10:12: spec.checks[1].run is empty;"), "{said}");
}

#[test]
fn every_object_tells_its_first_fault() {
    let text = [task(", timeout: soon"), task(""), task(", egress: open")].join("---\n");
    let faults = read("f.yaml", text.as_bytes()).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!((faults[0].place.unwrap().0, faults[1].place.unwrap().0), (4, 14));
}

#[test]
fn two_of_a_name_are_refused_with_both_places() {
    let documents = read("f.yaml", [task(""), task("")].join("---\n").as_bytes()).unwrap();
    let said = unique(&documents).unwrap_err()[0].to_string();
    assert!(said.starts_with("f.yaml:8:18: metadata.name 'x' stands twice"), "{said}");
    assert!(said.contains("f.yaml:1"), "{said}");
    let other = read("f.yaml", object("AgentProfile", "{}").as_bytes()).unwrap();
    assert_eq!(unique(&[&documents[..1], &other[..]].concat()), Ok(()));
}

#[test]
fn odd_words_are_never_taken_for_something_else() {
    for (text, words) in [
        (task(", branch: no"), vec!["spec.branch 'no' is a truth value", "\"no\""]),
        (task(", model: 1e3"), vec!["spec.model '1e3' is a number"]),
        (task(", base: 0777"), vec!["spec.base '0777' is a number"]),
        (task(", base: 0x1F"), vec!["0x1F", "is a number"]),
        (task(", model: 1_000"), vec!["1_000", "is a number"]),
        (task(", model: .inf"), vec![".inf"]),
        (task(", checks: [{run: true}]"), vec!["spec.checks[0].run 'true'"]),
        (task(", checks: [{run: }]"), vec!["spec.checks[0].run", "nothing"]),
        (task(", noCheck: yes"), vec!["spec.noCheck 'yes'", "true or false"]),
        (task(", noCheck: 'true'"), vec!["true or false"]),
        (task(", priority: '5'"), vec!["spec.priority '5'", "whole number"]),
        (task(", priority: 0777"), vec!["spec.priority '0777'", "whole number"]),
        (task(", priority: 1e3"), vec!["whole number"]),
        (task(", priority: 99999999999999999999999999999999999999999999"), vec!["whole number"]),
        (task(", priority: 5000000000"), vec!["spec.priority", "too large"]),
        (task(", checks: soon"), vec!["spec.checks 'soon'", "a list"]),
        (task(", goal: [1]").replace("goal: mend it, ", ""), vec!["spec.goal is a list"]),
    ] {
        let said = fault(&text);
        for word in words {
            assert!(said.contains(word), "{text}: no '{word}' in {said}");
        }
        assert!(said.starts_with("f.yaml:4:"), "{said}");
    }
    let plain = read("f.yaml", task(", model: v1.2, base: release-1, branch: 'no'").as_bytes());
    assert!(plain.is_ok(), "{plain:?}");
}

#[test]
fn text_that_is_no_file_of_ours_is_refused_within_bounds() {
    let deep = "[".repeat(1000);
    let bomb: String = (1..12).fold(String::from("a0: &a0 [x]\n"), |text, n| {
        let row = vec![format!("*a{}", n - 1); 9].join(",");
        format!("{text}a{n}: &a{n} [{row}]\n")
    });
    for (text, word) in [
        ("[]", "f.yaml:1:1: the document is no object"),
        ("just text", "the document is no object"),
        ("a: 1\na: 2\n", "f.yaml:2:1: the key 'a' is a duplicate: line 1 and line 2"),
        (&bomb, "f.yaml:2:10: the value is an alias"),
        (&deep, "f.yaml:1:"),
        ("a: !!binary x", "YAML tag"),
        ("? [1]\n: x\n", "in the place of a key"),
        ("a: b\n\tc: d\n", "found a tab"),
        ("kind: AgentTask\nspec: {}\n", "apiVersion is required"),
        ("apiVersion: v1\nkind: Pod\n", "f.yaml:1:13: apiVersion 'v1' is unknown; write midwatch"),
        (
            &object("AgentTsk", "{}"),
            "f.yaml:2:7: kind 'AgentTsk' is unknown; did you mean 'AgentTask'?",
        ),
        (&task("").replace("name: x", "nme: x"), "metadata 'nme' is an unknown field"),
        (&task("").replace("metadata", "metdata"), "did you mean 'metadata'?"),
        (&task("").replace("name: x", "name: Foo_Bar"), "f.yaml:3:18: metadata.name 'Foo_Bar'"),
        (&task("").replace("name: x", "name: x, labels: {x/y/z: b}"), "f.yaml:3:"),
    ] {
        let said = fault(text);
        assert!(said.contains(word), "{text:.80}: no '{word}' in {said}");
        assert!(said.len() < 600, "{said}");
    }
    assert!(read("f.yaml", b"").unwrap().is_empty());
    let long = read("f.yaml", &vec![b'#'; 50 << 20]).unwrap_err();
    assert!(long[0].to_string().contains("1 MiB"), "{long:?}");
    let raw = read("f.yaml", b"a: \xff").unwrap_err();
    assert!(raw[0].to_string().contains("byte 3"), "{raw:?}");
    let many = "a: b\n---\n".repeat(2000);
    assert!(fault(&many).contains("over 1000 objects"));
    let wide = format!("a: [{}]", "x,".repeat(200_000));
    assert!(fault(&wide).contains("over 100000 values"));
}

#[test]
fn values_of_a_file_are_shown_escaped_and_secrets_not_at_all() {
    let said = fault(&task(", agent: \"\\e[31mx\""));
    assert!(said.contains("\\u{1b}[31mx") && !said.contains('\u{1b}'), "{said}");
    let leak = object("AgentProfile", "{credential: {kind: AnthropicKey, variable: sk-canary}}");
    let said = fault(&leak);
    assert!(said.contains("spec.credential.variable") && !said.contains("canary"), "{said}");
}
