//! What a machine, a login, a state folder and a repository may lack, and origins that are none.

use super::{Place, Row};

/// Rows 7, 9, 65, 66 and 89.
pub(super) fn logins_and_state(place: &Place) -> Vec<Row> {
    let house = &place.house;
    let login = ["logged in", ".credentials.json", "ANTHROPIC_API_KEY"];
    let expired = house.folder("expired");
    let text = r#"{"claudeAiOauth":{"accessToken":"sk-ant-canary","expiresAt":1000}}"#;
    std::fs::write(expired.join(".credentials.json"), text).unwrap();
    let absent = house.profile("absent", "{agent: custom, custom: {argv: [no-such-agent]}}");
    let script = house.folder("agent").join("text");
    std::fs::write(&script, "no program").unwrap();
    let spec = format!("{{agent: custom, program: {}, custom: {{argv: [x]}}}}", script.display());
    let script = house.profile("script", &spec);
    let key = |value: &str| {
        let says = ["ANTHROPIC_API_KEY", "set"];
        Row::new(59, &["x"], &says).with("ANTHROPIC_API_KEY", value).hiding("canary").cannot()
    };
    let base_url = |value: &'static str, rule: &str| {
        let row = Row::new(7, &["x"], &["ANTHROPIC_BASE_URL", rule]).hiding("canary");
        row.with("ANTHROPIC_API_KEY", "k").with("ANTHROPIC_BASE_URL", value)
    };
    let state = |value: &str| {
        let says = ["MIDWATCH_HOME", "absolute path", "give one such as"];
        place.flag(89, &[], &says).with("MIDWATCH_HOME", value)
    };
    let mut rows = vec![
        Row::new(58, &["x"], &login).cannot(),
        Row::new(58, &["x", "--agent", "codex"], &["logged in", "codex login"]).cannot(),
        Row::new(58, &["x"], &["expired at 1970-01-01", "/login"])
            .with("CLAUDE_CONFIG_DIR", expired)
            .hiding("canary")
            .cannot(),
        key("a b canary"),
        key("a\ncanary"),
        base_url("http://llm.example", "use https"),
        base_url("ftp://llm.example", "use https"),
        base_url("https://u:canary@llm.example", "user name or password"),
        base_url("x", "no scheme"),
        Row::new(66, &["x", "--profile", absent.to_str().unwrap()], &["no-such-agent"]).cannot(),
        Row::new(66, &["x", "--profile", script.to_str().unwrap()], &["text", "executed"]).cannot(),
        state("state"),
        state("../state"),
        state("/a\nb"),
        Row::new(89, &["x"], &["HOME", "absolute path"]).with("HOME", "x").cannot(),
    ];
    rows.extend(repositories(place));
    rows
}

/// Repositories that are refused whole.
fn repositories(place: &Place) -> Vec<Row> {
    let house = &place.house;
    let empty = house.folder("empty");
    house.git(&empty, &["init", "-q"]);
    let bare = house.folder("bare.git");
    house.git(&bare, &["init", "-q", "--bare"]);
    let lfs = house.repository("lfs", &[(".gitattributes", "*.bin filter=lfs diff=lfs\n")]);
    let modules = house.repository("modules", &[("a", "b")]);
    let entry = format!("160000,{},sub", house.git(&lfs, &["rev-parse", "HEAD"]));
    house.git(&modules, &["update-index", "--add", "--cacheinfo", &entry]);
    let who = ["-c", "user.name=u", "-c", "user.email=u@localhost"];
    house.git(&modules, &[&who[..], &["commit", "-q", "-m", "sub"]].concat());
    let nothing = house.repository("nothing", &[("README", "x\n"), ("Makefile", "all:\n\ttrue\n")]);
    let check = |folder, says: &[&str]| place.flag(61, &["--check", "c"], says).within(folder);
    vec![
        check(house.folder("plain"), &["not in a git repository", "git init"]).cannot(),
        check(bare, &["is a bare repository", "git worktree add"]).cannot(),
        check(empty, &["no commit yet", "commit something first"]).cannot(),
        check(lfs, &["LFS", "not supported"]).cannot(),
        check(modules, &["submodules", "sub", "not supported"]).cannot(),
        place
            .flag(61, &[], &["--check", "is needed", "example: make", "--no-check"])
            .within(nothing),
    ]
}

/// No origin at all.
pub(super) fn origins(place: &Place) -> Vec<Row> {
    vec![place.flag(3, &["--push"], &["--push", "origin", "git remote add origin"]).cannot()]
}

/// Rows 1 to 13, as the origin that is to be pushed to.
pub(super) fn with_origin(place: &Place) -> Vec<(String, Row)> {
    let long = format!("https://h/{}", "x".repeat(10_000));
    let elsewhere = place.house.folder("elsewhere");
    let elsewhere = format!("file://{}", elsewhere.display());
    let rows: Vec<(u8, &str, Vec<&str>)> = vec![
        (1, "ext::sh -c id", vec!["scheme that is not allowed", "use https or ssh"]),
        (2, "EXT::sh -c id", vec!["scheme that is not allowed", "use https or ssh"]),
        (2, " ext::sh -c id", vec!["scheme that is not allowed", "use https or ssh"]),
        (3, "../nowhere", vec!["../nowhere", "local path"]),
        (3, &elsewhere, vec!["file:///", "local path"]),
        (4, "--upload-pack=x", vec!["must not start with '-'"]),
        (5, "ssh://-oProxyCommand=x/y", vec!["host that must not start with '-'"]),
        (7, "http://host.example/x", vec!["plain http", "use https"]),
        (8, "https://169.254.169.254/x", vec!["link-local address"]),
        (9, "https://0x7f.1/", vec!["non-canonical address"]),
        (9, "https://2130706433/", vec!["non-canonical address"]),
        (10, "https://[::ffff:10.0.0.1]/x", vec!["private address"]),
        (11, "https://h\u{1}ost/x", vec!["h\\u{1}ost", "control character at position"]),
        (12, "https://h\u{43e}st/x", vec!["outside ASCII", "xn--"]),
        (13, &long, vec!["longer than 2048", "shorten it"]),
    ];
    let row = |(number, url, mut says): (u8, &str, Vec<&str>)| {
        says.push("origin");
        (url.to_owned(), place.flag(number, &["--push"], &says))
    };
    let mut rows: Vec<(String, Row)> = rows.into_iter().map(row).collect();
    let secret = place.flag(6, &["--push"], &["origin", "must not hold", "give the credential"]);
    rows.push(("https://user:canary@host.example/x".into(), secret.hiding("canary")));
    rows
}
