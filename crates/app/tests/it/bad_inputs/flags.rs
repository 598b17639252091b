//! Names, branches, references, goals, limits and modes, as words of the command line.

use super::{Place, Row, raw};

/// Rows 15 to 28.
pub(super) fn names_and_branches(place: &Place) -> Vec<Row> {
    place.house.git(&place.repository, &["branch", "taken"]);
    let label = "lower-case ASCII letters, digits and '-'";
    let long = "x".repeat(64);
    let longer = "b".repeat(300);
    let names = [
        (23, "", "is required", "give a name"),
        (24, &long, "has 64 characters, 63 at most", "shorten it"),
        (25, "Foo_Bar", label, "for example foo-bar"),
        (25, "-x", label, "for example x"),
        (25, "x-", label, "for example x"),
        (27, "..", label, "use a name such as"),
        (27, "a/b", label, "for example a-b"),
        (27, "a.b", label, "for example a-b"),
        (27, "con", "is the name of a device", "for example con-1"),
        (28, "n\u{430}me", label, "for example n-me"),
        (28, "a\u{202e}b", label, "for example a-b"),
        (28, "a\nb", label, "for example a-b"),
    ];
    let branches = [
        (15, "--upload-pack=x", "must not start with '-'", "begin with a letter"),
        (15, "-f", "must not start with '-'", "begin with a letter"),
        (16, "a..b", "must not hold '..'", "git check-ref-format"),
        (16, "x.lock", "ends with .lock", "rename it"),
        (16, "@{-1}", "may hold only", "replace"),
        (16, "a b", "may hold only", "replace"),
        (16, "a~1", "may hold only", "replace"),
        (17, "refs/heads/x", "short name", "leave refs/heads/ away"),
        (17, "HEAD", "short name", "leave refs/heads/ away"),
        (18, "$(id)", "may hold only A-Z a-z 0-9 . _ / -", "replace"),
        (18, "a;id", "may hold only A-Z a-z 0-9 . _ / -", "replace"),
        (18, "`id`", "may hold only A-Z a-z 0-9 . _ / -", "replace"),
        (18, "a\u{202e}b", "may hold only A-Z a-z 0-9 . _ / -", "replace"),
        (19, &longer, "longer than 200", "shorten it"),
        (20, "main", "branch", "another"),
        (20, "taken", "already exists", "choose another with --branch"),
        (21, "taken/more", "beside the existing branch taken", "choose another with --branch"),
    ];
    let bases = [
        (22, "deadbee", "names no commit", "see `git log`"),
        (22, "nobody", "names no commit", "see `git log`"),
        (22, "HEAD:package.json", "names no commit", "see `git log`"),
        (22, "", "must not be empty", "give a branch or commit"),
        (22, "--all", "start with '-'", "give a branch or commit"),
        (22, "a\u{1b}b", "is no reference", "give a branch or commit"),
    ];
    let row = |flag: &str, (number, value, rule, fix): (u8, &str, &str, &str), apart: bool| {
        let shown: String = midwatch_core::input::shown(value).chars().take(60).collect();
        let joined = format!("{flag}={value}");
        let words = if apart { vec![flag, value] } else { vec![joined.as_str()] };
        place.flag(number, &words, &[flag.trim_start_matches('-'), &shown, rule, fix])
    };
    let mut rows = Vec::new();
    for apart in [false, true] {
        rows.extend(names.iter().map(|case| row("--name", *case, apart)));
        rows.extend(branches.iter().map(|case| row("--branch", *case, apart)));
        rows.extend(bases.iter().map(|case| row("--base", *case, apart)));
    }
    rows
}

/// Rows 32 to 36.
pub(super) fn goals(place: &Place) -> Vec<Row> {
    let from_stdin = |number, bytes: &[u8], says: &[&str]| {
        Row::new(number, &["--goal-file", "-"], says).reading(bytes)
    };
    let mut odd = Row::new(36, &[], &["goal", "byte 3", "save it as UTF-8"]);
    odd.words.push(raw(b"abc\xff"));
    let folder = place.house.folder("goals");
    let nowhere = folder.join("nowhere");
    let give = "give a text file";
    vec![
        Row::new(32, &[], &["goal", "is required", "midwatch run"]),
        Row::new(32, &[""], &["goal", "is required", "say what you want"]),
        Row::new(32, &[" \n\t"], &["goal", "is required", "say what you want"]),
        from_stdin(32, b"", &["goal", "is required", "say what you want"]),
        from_stdin(33, b"a\0b", &["goal", "NUL at byte 1", "remove it"]),
        from_stdin(34, &vec![b'x'; 10 << 20], &["goal", "262144", "into a file"]),
        from_stdin(34, &vec![b'x'; (256 << 10) + 1], &["goal", "262144", "into a file"]),
        from_stdin(36, b"ab\xffc", &["goal", "byte 2", "save it as UTF-8"]),
        odd,
        Row::new(
            32,
            &["x", "--goal-file", "y"],
            &["--goal-file", "beside a goal", "one of the two"],
        ),
        Row::new(
            32,
            &["--goal-file", nowhere.to_str().unwrap()],
            &["--goal-file", "nowhere", give],
        ),
        Row::new(32, &["--goal-file", folder.to_str().unwrap()], &["--goal-file", "goals", give]),
    ]
}

/// Rows 46, 62 and 65, and flags that cannot stand together.
pub(super) fn limits_and_modes(place: &Place) -> Vec<Row> {
    let mut rows = Vec::new();
    for bad in ["0", "-1", "1ns", "9s", "25h", "1000000000000h", "NaN", "soon", "1.5h", ""] {
        let says = ["--timeout", bad, "30m, from 10s to 24h"];
        rows.push(place.flag(46, &["--timeout", bad], &says));
    }
    for bad in ["*", "*.com", "https://x", "x:99999", "10.0.0.0/8", "open", "a.com%00.b.com"] {
        rows.push(place.flag(
            62,
            &["--egress", bad],
            &["--egress", bad, "none, registries, public"],
        ));
    }
    for bad in ["everything", "bubblewrap", "user-namespace"] {
        let says = ["--accept-missing", bad, "one of landlock, seccomp, cgroup"];
        rows.push(place.flag(65, &["--accept-missing", bad], &says));
    }
    let no_push = "only verified work is pushed";
    let commit = "commit first";
    rows.extend([
        Row::new(
            65,
            &["x", "--agent", "cladue"],
            &["--agent", "cladue", "did you mean claude-code"],
        ),
        Row::new(65, &["x", "--agent", "vim"], &["--agent", "vim", "known: claude-code, codex"]),
        Row::new(
            65,
            &["x", "--profile", "nobody"],
            &["--profile", "nobody", "is unknown", "known:"],
        ),
        place.flag(65, &["--pipeline", "chnage"], &["--pipeline", "chnage", "did you mean change"]),
        place.flag(65, &["--model", "a b"], &["--model", "a b", "is no name of a model"]),
        place.flag(65, &["--gaol", "y"], &["--gaol", "--help"]),
        place.flag(65, &["y"], &["'y'", "--help"]),
        place.flag(65, &["--pipeline", "/nowhere.yaml"], &["--pipeline", "/nowhere.yaml", "YAML"]),
        place.flag(65, &["--model=--help"], &["--model", "'--help'", "is no name of a model"]),
        place.flag(20, &["--no-check", "--push"], &["--no-check", "--push", no_push]),
        place.flag(20, &["--include-dirty", "--push"], &["--include-dirty", "--push", commit]),
        place.flag(
            20,
            &["--no-check", "--check", "c"],
            &["--no-check", "--check", "one of the two"],
        ),
        place.flag(
            20,
            &["--include-dirty", "--base", "HEAD"],
            &["--include-dirty", "--base", "HEAD"],
        ),
        place.flag(32, &["--check", " "], &["--check", "is empty", "npm test"]),
        place.flag(
            65,
            &["--pipeline", "answer", "--check", "make"],
            &["--check", "'make'", "is of no use", "leave it away"],
        ),
        place.flag(
            65,
            &["--pipeline", "answer", "--setup", "make"],
            &["--setup", "'make'", "is of no use", "leave it away"],
        ),
        place.flag(65, &["--pipeline", "answer", "--push"], &["--push", "publishes a branch"]),
    ]);
    rows
}
