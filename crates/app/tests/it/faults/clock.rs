//! A clock that is set, and a machine that slept: what waits for a time waits for that time, and
//! what may take so long may take so long.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use midwatch_testkit::model_server::{Failure, ModelServer};
use rustix::process::Signal;

use super::gate::Gate;
use super::ground::{ASKS, Ground, Server};
use super::until;
use crate::house::claude::BEGINS;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Claude Code as far as a limit goes: refused at its first start, with the reset, and at work
/// from its second on. Writes down each start with its session. What it says of the limit counts
/// because it asked first, and the gateway saw the answer.
const LIMITED: &str = r#"echo "$how $session" >> "$HOME/starts"
if [ "$(wc -l < "$HOME/starts")" = 1 ]; then
    ASKS
    echo "{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"rejected\",\"resetsAt\":RESET},\"session_id\":\"$session\"}"
    echo "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"api_error_status\":429,$end,\"result\":\"You've hit your session limit\",\"session_id\":\"$session\"}"
    exit 1
fi
echo more >> README
echo "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,$end,\"result\":\"Done.\",\"session_id\":\"$session\"}"
"#;

/// The house with such an agent, and its profile.
fn limited(mut ground: Ground, model: &ModelServer, asks: &str, reset: i64) -> (Ground, PathBuf) {
    let program = ground.house.folder("claude").join("claude");
    let script = LIMITED.replace("RESET", &reset.to_string()).replace("ASKS", asks);
    let script = format!("{BEGINS}{script}");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let spec = format!("{{agent: claude-code, program: {}, egress: none}}", program.display());
    let profile = ground.house.profile("limited", &spec);
    ground.house = ground
        .house
        .with("ANTHROPIC_API_KEY", "sk-ant-of-nobody")
        .with("ANTHROPIC_BASE_URL", model.url());
    (ground, profile)
}

/// In two hours, in seconds since 1970.
fn in_two_hours() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + 2 * 3600
}

/// The clock of a server, as a test moves it.
struct Moved {
    file: PathBuf,
}

impl Moved {
    fn new(ground: &Ground) -> Self {
        let moved = Self { file: ground.house.home().join("moved") };
        moved.by(0, 0);
        moved
    }

    /// From what it is: the wall clock, and the time since the machine began, which only sleep
    /// moves. Milliseconds.
    fn by(&self, wall: i64, since_boot: i64) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{wall} {since_boot}")).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    fn serve(&self, ground: &Ground) -> Server {
        ground.serve(&[("MIDWATCH_CLOCK_MOVED", self.file.as_os_str())])
    }
}

/// A task from its beginning to its end: the server has looked at its clock many times.
fn another(ground: &Ground, name: &str) {
    ground.begin(name, &format!("do: write {name} x"), "", &[]);
    ground.wait(name).is_done();
}

#[test]
fn a_hold_until_a_reset_ends_once_and_not_early_whatever_the_clock_does() {
    let reset = in_two_hours();
    let model = ModelServer::builder().resets_at(reset).failure(Failure::UsageLimit);
    let model = model.start().unwrap();
    let (ground, profile) = limited(Ground::new(), &model, ASKS, reset);
    let moved = Moved::new(&ground);
    let server = moved.serve(&ground);
    let profile = profile.to_str().unwrap();
    let words = ["run", "add a line", "--profile", profile, "--pipeline", "quick", "--name", "t"];
    let held = ground.midwatch(&[&words[..], &["--check", "test -e README"]].concat());
    held.is("Held", Some("CredentialCoolingDown"), 5);
    let line = held.of("state").into_iter().find(|line| line["state"] == "Held").unwrap();
    let ends = line["untilMs"].as_i64().unwrap();
    assert!((reset * 1000..=reset * 1000 + 2 * MINUTE).contains(&ends), "{line}");
    let starts = ground.state().home("t", "implement-limited").join("upper/starts");
    let starts = || std::fs::read_to_string(&starts).unwrap().lines().count();

    // Set back by a day, then nearly there, then back again over a restart: it waits.
    moved.by(-DAY, 0);
    another(&ground, "a");
    moved.by(2 * HOUR - MINUTE, 0);
    another(&ground, "b");
    moved.by(-DAY, 0);
    server.kill();
    let server = moved.serve(&ground);
    another(&ground, "c");
    assert_eq!((&ground.result("t")["state"], starts()), (&"Held".into(), 1), "it went on early");

    // The machine slept: nobody has to tell the server.
    moved.by(3 * HOUR, 3 * HOUR);
    let told = ground.in_state("t", "Done");
    assert_eq!(told["verified"], true, "{told}");
    another(&ground, "d");
    assert_eq!(starts(), 2, "it went on once");
    server.kill();
    let said = ground.state().home("t", "implement-limited").join("upper/starts");
    let said = std::fs::read_to_string(said).unwrap();
    let [first, second] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    let session = first.strip_prefix("--session-id ").unwrap();
    assert_eq!(second, format!("--resume {session}"), "in the same session");
    let events = ground.events("t");
    assert!(events.is_sorted_by_key(|stored| stored.at), "the log's times go back");
    let charged = events.iter().filter(|stored| stored.event.name() == "Retried").count();
    assert_eq!(charged, 0, "a limit is no failed attempt");
}

/// The control of the test above: the same words, and no answer of the provider behind them.
#[test]
fn an_agent_that_only_says_that_there_is_a_limit_holds_nothing() {
    let model = ModelServer::builder().start().unwrap();
    let (ground, profile) = limited(Ground::new(), &model, ":", in_two_hours());
    let _server = ground.serve(&[]);
    let profile = profile.to_str().unwrap();
    let words = ["run", "add a line", "--profile", profile, "--pipeline", "quick", "--name", "t"];
    let told = ground.midwatch(&[&words[..], &["--check", "test -e README"]].concat());
    told.is_done();
    let events = ground.events("t");
    let of = |name: &str| events.iter().filter(|stored| stored.event.name() == name).count();
    assert_eq!((of("Retried"), of("AgentUnavailable")), (1, 0), "it cost itself an attempt");
}

#[test]
fn deadlines_and_pauses_keep_their_length_when_the_clock_is_set() {
    let ground = Ground::new();
    let (gate, moved) = (Gate::new(), Moved::new(&ground));
    let _server = moved.serve(&ground);
    // Ten minutes are enough for this test, and a day more would be too much.
    let goal = format!(
        "do@implement/1: run {}\ndo@implement/1: exit 7\ndo@implement/2: write made.txt x",
        gate.command()
    );
    ground.begin("t", &goal, ", limits: {wallSeconds: 600, idleSeconds: 500}", &[]);
    gate.reached();
    for (name, wall) in [("ahead", DAY), ("back", -DAY)] {
        moved.by(wall, 0);
        another(&ground, name);
        assert_eq!(gate.waiting().len(), 1, "{name}: the run was ended, or begun again");
    }
    gate.open(Signal::TERM);
    // Seconds before the next attempt, of a clock that is set back by another day meanwhile.
    until("the pause", || ground.explain("t").contains("pauses before"));
    moved.by(-2 * DAY, 0);
    let told = ground.wait("t");
    told.is_done();
    let story = ground.story("t");
    assert_eq!(story.runs("Agent").len(), 2, "one failed, one did it: {}", story.stdout);
    for check in story.of("check") {
        assert!(check["durationMs"].as_u64().unwrap() < 600_000, "{check}");
    }
    let task = ground.midwatch(&["get", "t"]);
    let view = &task.lines[0];
    let lasted = view["endedMs"].as_i64().unwrap() - view["submittedMs"].as_i64().unwrap();
    // The control: the day ahead was seen, and it counts as the clock tells it.
    assert!((DAY..2 * DAY).contains(&lasted), "{lasted}: {view}");
}
