//! The gateway is away while an agent asks it: the question waits, or fails in words, and goes by
//! no other way.

use midwatch_testkit::model_server::{Credential, ModelServer};
use rustix::process::Signal;

use super::gate::Gate;
use super::ground::Ground;

const KEY: &str = "sk-ant-canary-of-a-gateway-that-went-away";

#[test]
fn a_question_waits_for_the_gateway_and_never_goes_around_it() {
    let model =
        ModelServer::builder().credential(Credential::AnthropicKey(KEY.into())).start().unwrap();
    let mut ground = Ground::new();
    ground.house =
        ground.house.with("ANTHROPIC_API_KEY", KEY).with("ANTHROPIC_BASE_URL", model.url());
    let (gate, asks) = (Gate::new(), Gate::new());
    let program = ground.house.folder("agent").join("scripted-agent");
    let spec = format!(
        "{{agent: custom, program: {}, egress: none, credential: {{kind: AnthropicKey}}, \
         custom: {{argv: [scripted-agent]}}}}",
        program.display()
    );
    let profile = ground.house.profile("asks", &spec);
    let server = ground.serve(&[]);
    // The provider's own address, then the gateway, once while it is away.
    let goal = format!(
        "do: run {}\n\
         do: run curl -sS -m 2 {}/v1/models > direct.txt 2>&1 || echo no way >> direct.txt\n\
         do: run {} & curl -sS -m 50 -H \"x-api-key: $ANTHROPIC_API_KEY\" \
         -H 'anthropic-version: 2023-06-01' \"$ANTHROPIC_BASE_URL/v1/models\" > asked.txt 2>&1; \
         echo code $? >> asked.txt\n",
        gate.command(),
        model.url(),
        asks.command()
    );
    let words = ["run", &goal, "--profile", profile.to_str().unwrap(), "--pipeline", "quick"];
    let told =
        ground.midwatch(&[&words[..], &["--name", "t", "--detach", "--check", "true"]].concat());
    assert_eq!(told.code, Some(0), "{}{}", told.stdout, told.stderr);
    gate.reached();
    let before = model.requests().len();
    server.kill();
    gate.open(Signal::TERM);
    asks.reached();
    assert_eq!(model.requests().len(), before, "something reached the provider without us");
    let _server = ground.serve(&[]);
    ground.wait("t").is_done();
    let on = |file: &str| ground.on_branch("midwatch/t", file);
    assert!(on("direct.txt").contains("no way"), "{}", on("direct.txt"));
    // The control: with the gateway there the same question is answered, with the real key.
    assert!(on("asked.txt").ends_with("code 0"), "{}", on("asked.txt"));
    assert!(!on("asked.txt").contains(KEY));
    let requests = model.requests();
    let asked = requests.iter().filter(|request| request.target.contains("/v1/models")).count();
    assert!(asked >= 1, "the question never arrived");
    assert!(requests.iter().all(|request| request.header("x-api-key") == Some(KEY)));
    // From here it is reached directly: only the sandbox kept the agent from it.
    let direct = ground.command("curl").args(["-sS", "-m", "5", &model.url()]).output().unwrap();
    assert!(direct.status.success(), "{}", String::from_utf8_lossy(&direct.stderr));
}
