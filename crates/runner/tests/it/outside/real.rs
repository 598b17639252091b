//! The real CLIs, once through: order, sandbox, forwarder, socket, scripted model, bundle.

use std::fs;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use midwatch_api::order::{AgentWork, BrokerDoor, Toolchain, Work};
use midwatch_api::report::Ending;
use midwatch_testkit::agent_clis::Cli;
use midwatch_testkit::model_server::{Credential, ModelServer};
use midwatch_testkit::script::Script;

use super::world::{World, as_everyone, process, read};

const RUN_TOKEN: &str = "run-token-of-this-test-0123456789";

#[test]
fn claude_code_works_in_the_sandbox() {
    drive(Cli::ClaudeCode);
}

#[test]
fn codex_works_in_the_sandbox() {
    drive(Cli::Codex);
}

#[test]
fn gemini_cli_works_in_the_sandbox() {
    drive(Cli::GeminiCli);
}

fn drive(cli: Cli) {
    let modules = match cli.modules() {
        Ok(modules) => modules,
        Err(why) => {
            println!("NOT RUN: {} could not be driven: {why}", cli.as_str());
            return;
        }
    };
    let server = ModelServer::builder()
        .credential(Credential::AnthropicKey(RUN_TOKEN.into()))
        .credential(Credential::OpenAiKey(RUN_TOKEN.into()))
        .credential(Credential::GeminiKey(RUN_TOKEN.into()))
        .script(Script::saying("It is written.").write("note.txt", "hello\n").shell(
            "cat note.txt && git add -A && git commit -q -m note && git log --oneline | wc -l",
        ))
        .start()
        .unwrap();
    let address = server.url().trim_start_matches("http://").to_owned();
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        // Everybody's, and in reach of an ordinary user: links to the installed files. Links among
        // them stay links (-P): a program looks for its parts beside where it really is.
        let installed = world.path("agents/node_modules");
        fs::create_dir(world.path("agents")).unwrap();
        let linked = Command::new("cp").arg("-rlP").arg(&modules).arg(&installed).status().unwrap();
        assert!(linked.success());
        let door = world.path("door");
        fs::create_dir(&door).unwrap();
        forward(&door.join("gateway.sock"), address.clone());

        let (kind, model) = match cli {
            Cli::ClaudeCode => ("AnthropicKey", "claude-sonnet-4-5"),
            Cli::Codex => ("OpenAiKey", "gpt-5.1-codex"),
            Cli::OpenCode | Cli::QwenCode | Cli::Aider => ("OpenAiKey", "gpt-5"),
            Cli::GeminiCli => ("GeminiKey", "gemini-2.5-pro"),
        };
        let work = Work::Agent {
            workspace,
            home: world.path("homes/real"),
            agent: Box::new(AgentWork {
                adapter: cli.as_str().into(),
                program: installed.join(cli.programs()).join(cli.program()),
                model: Some(model.into()),
                prompt: "Write a note, as prompt-canary says.".into(),
                preamble: "preamble-canary".into(),
                session: "0190f3a0-0000-4000-8000-000000000001".into(),
                resume: false,
                read_only: false,
                credential_kind: kind.into(),
                run_token: RUN_TOKEN.into(),
                max_turns: None,
                max_cost_cents: None,
                checkpoint_seconds: 0,
                custom: None,
            }),
        };
        let mut started = world
            .order("real", work)
            .limits(|limits| limits.memory_bytes = 4 << 30)
            .with(|order| {
                order.broker =
                    Some(BrokerDoor { folder: door.clone(), gateway: true, proxy: false });
                order.toolchains = vec![Toolchain {
                    name: "agents".into(),
                    folder: installed.clone(),
                    path: vec![cli.programs().into()],
                    env: std::collections::BTreeMap::new(),
                }];
            })
            .start();
        started.until("a session", |folder| {
            read(folder, "events.jsonl").contains("\"type\":\"session\"")
        });
        assert_eq!(process("prompt-canary"), None, "a prompt is in no argv");
        assert_eq!(process(RUN_TOKEN), None, "nor is a token");
        let folder = started.folder.clone();
        let report = started.report();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        let agent = report.agent.as_ref().unwrap();
        assert!(agent.completed && agent.input_tokens > 0, "{agent:#?}");
        assert_eq!(agent.final_text, "It is written.");
        assert_eq!(world.changed(&folder.join("out/work.bundle"), &report), "note.txt");
        let events = read(&folder, "events.jsonl");
        for part in ["\"type\":\"tool\"", "\"type\":\"usage\"", "\"type\":\"finished\""] {
            assert!(events.contains(part), "{part}: {events}");
        }
    });
    assert!(
        server.requests().iter().all(|request| request.status == 200),
        "{:#?}",
        server.requests()
    );
}

/// Stands in for the broker: each connection to the socket goes to the model server.
fn forward(socket: &Path, address: String) {
    let listener = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, fs::Permissions::from_mode(0o777)).unwrap();
    thread::spawn(move || {
        for inside in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(&address) else { continue };
            let pair = (inside.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || copy_out(inside, server));
            thread::spawn(move || copy_in(pair.1, pair.0));
        }
    });
}

fn copy_out(mut from: UnixStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn copy_in(mut from: TcpStream, mut to: UnixStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
