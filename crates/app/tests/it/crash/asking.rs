//! An agent that asks a scripted model by way of the gateway, with a key that only the server has.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use midwatch_testkit::model_server::{Credential, ModelServer};
use midwatch_testkit::script::Script;

use super::place::{Place, TASK};
use super::story::ASKED;
use crate::house::claude::BEGINS;

/// What the provider knows nothing of.
pub(super) const OLD: &str = "sk-ant-of-a-year-that-is-over-0123456789";
/// What it takes.
pub(super) const NEW: &str = "sk-ant-of-the-year-that-begins-9876543210";
/// What the model says until the test lets it answer.
const NOT_YET: &str = "later";

/// Claude Code as far as questions go: asks until there is an answer or a refusal, and leaves a line
/// in a HOME that outlives runs for each start and for each question that nobody took.
const PROGRAM: &str = r#"echo started >> "$HOME/starts"
echo yes > early
result="{\"type\":\"result\",\"subtype\":\"success\",\"session_id\":\"$session\",$end"
while :; do
    status=$(curl -sS -m 3 -o "$HOME/said" -w '%{http_code}' -H "x-api-key: $ANTHROPIC_API_KEY" \
        -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' \
        -d '{"model":"claude-sonnet-4-5","max_tokens":1,"tools":[{"name":"Bash"}],"messages":[{"role":"user","content":"hi"}]}' \
        "$ANTHROPIC_BASE_URL/v1/messages" 2> /dev/null) || status=cut
    said=$(sed -n 's/.*"text": *"\([^"]*\)".*/\1/p' "$HOME/said" 2> /dev/null)
    case "$status $said" in
    '200 later') sleep 0.1 ;;
    200*) echo "$said" > answer; echo "$result,\"is_error\":false,\"result\":\"Done.\"}"; exit 0 ;;
    401*)
        echo "$result,\"is_error\":true,\"api_error_status\":401,\"result\":\"Invalid API key\"}"
        exit 1
        ;;
    *) echo "$status" >> "$HOME/failed"; sleep 0.1 ;;
    esac
done
"#;

/// A model that takes the new key, and the switch that lets it answer.
pub(super) fn model(answers: bool) -> (ModelServer, Arc<AtomicBool>) {
    let lets = Arc::new(AtomicBool::new(answers));
    let now = Arc::clone(&lets);
    let says = move || if now.load(Ordering::SeqCst) { "42" } else { NOT_YET };
    let builder = ModelServer::builder().credential(Credential::AnthropicKey(NEW.into()));
    let model = builder.scripts(move |_| Script::saying(says())).start().unwrap();
    (model, lets)
}

/// A place whose user has a key and such an agent.
pub(super) fn place(model: &ModelServer, key: &str) -> Place {
    let place =
        Place::new(ASKED).with("ANTHROPIC_API_KEY", key).with("ANTHROPIC_BASE_URL", &model.url());
    let folder = place.path("agent");
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("claude");
    std::fs::write(&program, format!("{BEGINS}{PROGRAM}")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let profile = format!(
        "apiVersion: midwatch.dev/v1alpha1\nkind: AgentProfile\nmetadata: {{name: scripted}}\n\
         spec: {{agent: claude-code, program: {}, egress: none}}\n",
        program.display()
    );
    std::fs::write(place.path("profile.yaml"), profile).unwrap();
    place
}

/// A file that the agent left in its HOME.
pub(super) fn in_home(place: &Place, name: &str) -> PathBuf {
    place.state().home(TASK, "implement-scripted").join("upper").join(name)
}

/// Files of a place that hold a key. Not looked through is the room that is kept for saving, which is
/// large and empty.
pub(super) fn holding(place: &Place, key: &str) -> Vec<PathBuf> {
    let mut search = Command::new("grep");
    search.args(["-r", "-s", "-l", "-F", "-f", "-", "--exclude=reserve"]).arg(place.root());
    let mut search = search.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(search.stdin.take().unwrap(), "{key}").unwrap();
    let found = search.wait_with_output().unwrap();
    // 1 where nothing holds it; 2 where a file went meanwhile.
    assert!(found.status.code().is_some_and(|code| code <= 2), "{found:?}");
    String::from_utf8(found.stdout).unwrap().lines().map(PathBuf::from).collect()
}
