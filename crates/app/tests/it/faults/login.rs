//! A login that the provider rejects, with many tasks on it: a few try, all wait, and one resume
//! lets all go on.

use std::path::Path;

use midwatch_testkit::model_server::{Failure, ModelServer};

use super::ground::{ASKS, Ground};
use super::until;
use crate::house::claude::BEGINS;

/// Tasks on the one login.
const TASKS: usize = 8;
/// How many may run at once, and so may learn it at the same time.
const SLOTS: usize = 2;

/// Claude Code as far as a login goes: rejected until a file is beside the program. Writes down
/// each start in a HOME that outlives runs.
const REJECTED: &str = r#"if [ ! -e "$(dirname "$0")/works" ]; then
    echo rejected >> "$HOME/starts"
    ASKS
    echo "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"api_error_status\":401,$end,\"result\":\"Invalid API key\",\"session_id\":\"$session\"}"
    exit 1
fi
echo worked >> "$HOME/starts"
echo more >> README
echo "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,$end,\"result\":\"Done.\",\"session_id\":\"$session\"}"
"#;

fn name(number: usize) -> String {
    format!("t{number}")
}

/// How many starts came to this, over all tasks.
fn starts(ground: &Ground, what: &str) -> usize {
    let of = |number| {
        let home = ground.state().home(&name(number), "implement-rejected");
        let text = std::fs::read_to_string(home.join("upper/starts")).unwrap_or_default();
        text.lines().filter(|line| *line == what).count()
    };
    (0..TASKS).map(of).sum()
}

fn program(folder: &Path) -> std::path::PathBuf {
    let program = folder.join("claude");
    std::fs::write(&program, format!("{BEGINS}{}", REJECTED.replace("ASKS", ASKS))).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    program
}

#[test]
fn many_tasks_on_a_rejected_login_make_no_storm_and_one_resume_lets_all_go_on() {
    let model = ModelServer::builder().failure(Failure::Unauthorized).start().unwrap();
    let mut ground = Ground::new();
    let folder = ground.house.folder("claude");
    let spec =
        format!("{{agent: claude-code, program: {}, egress: none}}", program(&folder).display());
    let profile = ground.house.profile("rejected", &spec);
    ground.house = ground
        .house
        .with("ANTHROPIC_API_KEY", "sk-ant-of-nobody")
        .with("ANTHROPIC_BASE_URL", model.url());
    std::fs::create_dir_all(ground.house.state()).unwrap();
    let settings = format!("concurrency = {SLOTS}\n");
    std::fs::write(ground.house.state().join("server.toml"), settings).unwrap();
    let _server = ground.serve(&[]);
    let profile = profile.to_str().unwrap();
    for number in 0..TASKS {
        let name = name(number);
        let words = ["run", "add a line", "--profile", profile, "--pipeline", "quick", "--detach"];
        let told = ground.midwatch(&[&words[..], &["--name", &name, "--check", "true"]].concat());
        assert_eq!(told.code, Some(0), "{}{}", told.stdout, told.stderr);
    }
    let waits = |number| {
        let name = name(number);
        let told = ground.result(&name);
        told["reason"] == "NeedsLogin" || ground.explain(&name).contains("NeedsLogin")
    };
    until("all to wait", || (0..TASKS).all(waits));
    let rejected = starts(&ground, "rejected");
    assert!((1..=SLOTS).contains(&rejected), "{rejected} of {TASKS} tried it");

    std::fs::write(folder.join("works"), "").unwrap();
    let held = (0..TASKS).map(name).find(|name| ground.result(name)["state"] == "Held");
    assert_eq!(ground.midwatch(&["resume", &held.expect("one is held")]).code, Some(0));
    for number in 0..TASKS {
        ground.in_state(&name(number), "Done");
    }
    // The control: each that is done has asked for itself, once.
    assert_eq!((starts(&ground, "rejected"), starts(&ground, "worked")), (rejected, TASKS));
}
