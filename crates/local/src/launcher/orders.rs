//! From what was decided to what a runner is told.

use std::path::PathBuf;

use midwatch_api::order::{
    AgentWork, BrokerDoor, CommitPack, ORDER_VERSION, Order, Work, Workspace,
};
use midwatch_api::task::{AgentRef, Egress, QuestionPolicy, TaskOrder};
use midwatch_core::agent::CredentialKind;
use midwatch_core::event::{AgentRun, Role, RunOrder, RunWork};
use midwatch_core::id::CommitId;
use midwatch_core::landing::FILE_BYTES;
use midwatch_core::task::Task;
use sha2::{Digest, Sha256};

use super::{Problem, process};
use crate::access::{Door, Model};
use crate::folder::{StateFolder, hex};

/// Seconds between checkpoints of a working agent.
const CHECKPOINT_SECONDS: u32 = 120;
/// The wall clock of runs that only prepare something, in seconds.
const PREPARE_SECONDS: u64 = 30 * 60;

/// What every agent is told beside its prompt.
const PREAMBLE: &str = "Your work counts when the repository's own checks, run elsewhere on your \
commit, are green; saying that it is done counts nothing. Typed outputs go to the file named by \
$MIDWATCH_OUTPUTS, one JSON object a line.";
/// What it is told of questions, by the profile's choice.
const PROCEED: &str = "Nobody answers questions: decide and go on.";
/// The other choice.
const ASK: &str = "What only a person can decide, ask, and end your turn: append to that file \
{\"type\":\"question\",\"id\":\"short-name\",\"text\":\"..\",\"choices\":[\"..\",\"..\"]}. You go on \
with the answer. Decide everything else yourself.";

/// Writes the order of a run.
pub(super) fn build(
    folder: &StateFolder,
    task: &Task,
    run: &RunOrder,
    wanted: &TaskOrder,
    token: Option<String>,
) -> Result<Order, Problem> {
    let identity = wanted.repository.identity();
    let door = door(folder, run, wanted);
    let mut limits = wanted.limits;
    let mut env = wanted.client_env.clone();
    let work = match &run.work {
        RunWork::Checkout { commit } => {
            limits.wall_seconds = PREPARE_SECONDS;
            Work::Checkout {
                commit: commit.as_str().to_owned(),
                upstream: store_of(folder, identity, commit),
                base: folder.base(identity, commit.as_str()),
                workers: 0,
            }
        }
        RunWork::Setup { commit, command, .. } => {
            limits.wall_seconds = PREPARE_SECONDS;
            let layer = layer_of(task, run, wanted)
                .ok_or_else(|| Problem::internal("a setup run without a layer"))?;
            Work::Setup {
                workspace: workspace(folder, task, commit, None, identity),
                command: command.clone(),
                deps: folder.deps(&layer),
                keep_home: wanted.setup.as_ref().map(|s| s.keep_home.clone()).unwrap_or_default(),
            }
        }
        RunWork::Check { commit, command, deps, .. } => {
            env.extend(wanted.check_env.clone());
            Work::Check {
                workspace: workspace(folder, task, commit, deps.as_deref(), identity),
                command: with_path(&wanted.workspace_path, command),
            }
        }
        RunWork::Agent(agent) => {
            limits.wall_seconds = agent.wall_seconds;
            agent_work(folder, task, run, agent, wanted, token)?
        }
        RunWork::Rescue { of, .. } => {
            limits.wall_seconds = PREPARE_SECONDS;
            Work::Rescue { workspace: left_by(folder, of.as_str())? }
        }
    };
    Ok(Order {
        version: ORDER_VERSION,
        run: run.run.as_str().to_owned(),
        epoch: run.epoch.0,
        folder: folder.run(run.run.as_str()),
        work,
        limits,
        toolchains: wanted.toolchains.clone(),
        ca_bundle: wanted.ca_bundle.clone(),
        broker: door.map(|door| BrokerDoor {
            folder: door.folder,
            gateway: door.model.is_some(),
            proxy: wanted.egress != Egress::None,
        }),
        client_env: env,
        client_files: wanted.client_files.clone(),
        accept_missing: wanted.accept_missing.clone(),
    })
}

/// The store that holds a base: a snapshot of uncommitted work has one of its own.
fn store_of(folder: &StateFolder, identity: &str, commit: &CommitId) -> PathBuf {
    let mirror = folder.mirror(identity);
    let snapshot = mirror.join("snapshots").join(commit.as_str());
    if snapshot.is_dir() { snapshot } else { mirror.join("upstream.git") }
}

/// The door that a run needs. Checks, checkouts and rescues have none: no network at all.
pub(super) fn door(folder: &StateFolder, run: &RunOrder, wanted: &TaskOrder) -> Option<Door> {
    let model = match &run.work {
        RunWork::Agent(run) => {
            let who = wanted.worker(run.agent)?;
            let none = CredentialKind::None.as_str();
            (who.credential_kind != none).then(|| Model {
                credential: who.credential.clone(),
                kind: who.credential_kind.clone(),
                upstream: who.upstream.clone(),
            })
        }
        RunWork::Setup { .. } => None,
        RunWork::Checkout { .. } | RunWork::Check { .. } | RunWork::Rescue { .. } => return None,
    };
    if model.is_none() && wanted.egress == Egress::None {
        return None;
    }
    Some(Door {
        run: run.run.as_str().to_owned(),
        folder: folder.door(run.run.as_str()),
        model,
        egress: wanted.egress,
        registries: wanted.registries.clone(),
        ca_bundle: wanted.ca_bundle.clone(),
        proxy: wanted.proxy.as_ref().map(|proxy| proxy.id.clone()),
        log: folder.run(run.run.as_str()).join("broker.jsonl"),
    })
}

/// The layer that a setup run makes. Repository, lock files, setup text, toolchains and origin: a layer made for a commit of an
/// agent's never serves another task.
pub(super) fn layer_of(task: &Task, run: &RunOrder, wanted: &TaskOrder) -> Option<String> {
    let RunWork::Setup { origin, lock_hash, command, .. } = &run.work else {
        return None;
    };
    let mut hash = Sha256::new();
    for part in [
        task.spec.repository.as_str(),
        lock_hash,
        command,
        &serde_json::to_string(&wanted.toolchains).ok()?,
        &serde_json::to_string(&wanted.setup.as_ref().map(|s| &s.keep_home)).ok()?,
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let (kind, owner) = match origin {
        None => ("base", String::new()),
        Some(commit) => ("task", format!("{}\0{commit}", task.spec.name)),
    };
    hash.update(owner.as_bytes());
    Some(format!("{kind}-{}", hex(&hash.finalize()[..16])))
}

fn workspace(
    folder: &StateFolder,
    task: &Task,
    commit: &CommitId,
    deps: Option<&str>,
    identity: &str,
) -> Workspace {
    let base = &task.spec.base;
    let commit = (commit != base).then(|| CommitPack {
        id: commit.as_str().to_owned(),
        pack: folder.mirror(identity).join("packs").join(commit.as_str()),
    });
    Workspace {
        base_commit: base.as_str().to_owned(),
        base: folder.base(identity, base.as_str()),
        deps: deps.map(|layer| folder.deps(layer)).into_iter().collect(),
        commit,
        upper: None,
    }
}

fn agent_work(
    folder: &StateFolder,
    task: &Task,
    run: &RunOrder,
    agent: &AgentRun,
    wanted: &TaskOrder,
    token: Option<String>,
) -> Result<Work, Problem> {
    let identity = wanted.repository.identity();
    let step = run.step.as_str();
    let who = worker(wanted, agent)?;
    let home = match agent.role {
        Role::Plan | Role::Implement | Role::Answer => format!("{step}-{}", who.profile),
        // A reviewer sees a HOME that nobody was in before.
        Role::Review => format!("{step}-{}-{}", who.profile, run.epoch),
    };
    let questions = match wanted.questions {
        QuestionPolicy::Ask => ASK,
        QuestionPolicy::Proceed => PROCEED,
    };
    let network = network(wanted.egress, &wanted.registries);
    let mut preamble = format!(
        "You run unattended in a sandbox without a terminal. {network} {PREAMBLE} A commit with a \
         file over {} MiB is refused. {questions}",
        FILE_BYTES >> 20
    );
    if !who.instructions.is_empty() {
        preamble.extend(["\n\n", &who.instructions]);
    }
    let read_only = match agent.role {
        Role::Plan | Role::Review | Role::Answer => true,
        Role::Implement => false,
    };
    Ok(Work::Agent {
        workspace: workspace(folder, task, &agent.start, agent.deps.as_deref(), identity),
        home: folder.home(task.spec.first_of_chain().as_str(), &home),
        agent: Box::new(AgentWork {
            adapter: who.adapter.clone(),
            program: who.program.clone(),
            model: who.model.clone(),
            prompt: agent.prompt.clone(),
            preamble,
            session: agent.resume.clone().unwrap_or_else(|| session_id(run.run.as_str())),
            resume: agent.resume.is_some(),
            read_only,
            credential_kind: who.credential_kind.clone(),
            run_token: token.unwrap_or_default(),
            max_turns: agent.max_turns,
            max_cost_cents: who.max_cost_cents,
            checkpoint_seconds: if read_only { 0 } else { CHECKPOINT_SECONDS },
            custom: who.custom.clone(),
        }),
    })
}

/// What an agent is told of the network. A promise that does not hold costs it turns.
fn network(egress: Egress, registries: &[String]) -> &'static str {
    match egress {
        Egress::None => "There is no network: nothing can be downloaded.",
        Egress::Registries if registries.is_empty() => {
            "There is no network: no package registry was found that could be allowed."
        }
        Egress::Registries => {
            "The network is closed but for the package registries that were allowed."
        }
        Egress::Public => {
            "The network is open to public addresses by HTTP and HTTPS, by way of the proxy that \
             the environment names."
        }
    }
}

/// The agent that a run was decided for.
fn worker<'a>(wanted: &'a TaskOrder, run: &AgentRun) -> Result<&'a AgentRef, Problem> {
    wanted.worker(run.agent).ok_or_else(|| Problem::internal("the order has no such agent"))
}

/// The workspace that an agent's run had, with what it wrote.
fn left_by(folder: &StateFolder, run: &str) -> Result<Workspace, Problem> {
    let of = folder.run(run);
    // What is saved may be removed: never while somebody works on it.
    if process::is_alive(&of).unwrap_or(true) {
        return Err(Problem::internal("its runner goes on"));
    }
    let bytes = std::fs::read(of.join(midwatch_api::order::ORDER_FILE))
        .map_err(|error| Problem::io("reading the agent's order", &error))?;
    let order: Order = serde_json::from_slice(&bytes).map_err(Problem::internal)?;
    match order.work {
        Work::Agent { workspace, .. } => Ok(Workspace { upper: Some(upper_of(&of)), ..workspace }),
        Work::Checkout { .. } | Work::Setup { .. } | Work::Check { .. } | Work::Rescue { .. } => {
            Err(Problem::internal("only an agent's run can be rescued"))
        }
    }
}

/// Where a runner keeps the upper layer of a run's workspace.
fn upper_of(run_folder: &std::path::Path) -> PathBuf {
    run_folder.join("upper")
}

/// A UUID that belongs to one run, so that it is the same after a restart.
fn session_id(run: &str) -> String {
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&Sha256::digest(format!("session\0{run}"))[..16]);
    // Made from a name, as version 5 is: qwen-code 0.15.10 takes versions 1 to 5 and no newer.
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Puts folders of the workspace, such as `.venv/bin`, before PATH.
fn with_path(folders: &[String], command: &str) -> String {
    if folders.is_empty() {
        return command.to_owned();
    }
    let inside = midwatch_api::order::inside::WORKSPACE;
    let path = folders.iter().map(|folder| [inside, "/", folder, ":"].concat()).collect::<String>();
    format!("PATH='{path}'\"$PATH\"; export PATH\n{command}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_told_of_no_network_that_is_not_there() {
        let some = ["registry.example".to_owned()];
        for registries in [&some[..], &[]] {
            assert!(network(Egress::None, registries).starts_with("There is no network:"));
        }
        assert!(network(Egress::Registries, &[]).starts_with("There is no network:"));
        assert!(
            network(Egress::Registries, &some).contains("closed but for the package registries")
        );
        assert!(network(Egress::Public, &[]).contains("open to public addresses"));
    }

    #[test]
    fn session_ids_are_uuids_and_stay_the_same() {
        let id = session_id("t-implement-3");
        assert_eq!(id, session_id("t-implement-3"));
        assert_ne!(id, session_id("t-implement-4"));
        let groups: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "5");
    }
}
