//! An agent's run, and the rescue of what one left.

use std::path::{Path, PathBuf};

use midwatch_api::order::{AgentWork, Workspace, inside};
use midwatch_api::report::{Ending, OUTPUTS_FILE};
use serde::Deserialize;

use super::conversation::Conversation;
use super::ground::{Ground, Layer};
use super::left as leftover;
use super::room::{Room, forwards};
use super::run::{Idle, Run, Site, Stopped, ending, ours};
use super::scene::{Folders, prepare, untracked};
use crate::inside_order::{
    AgentJob, FULL_CODE, INSIDE_CODE, InsideOrder, Job, SELF_TEST_CODE, left,
};

/// Who commits inside, where a repository does not say. Below HOME, so that any setting of the
/// repository's own goes before it.
const GIT_IDENTITY: &str = "[user]\n\tname = Midwatch agent\n\temail = agent@midwatch.invalid\n\
                            [init]\n\tdefaultBranch = main\n";
/// Tells an agent where its typed outputs go; prompts name it.
const OUTPUTS_VARIABLE: &str = "MIDWATCH_OUTPUTS";
/// Bytes of a self-test's result.
const SELF_TEST_BYTES: u64 = 64 << 10;

/// What the order says of an agent's run.
pub(super) struct Agent<'a> {
    /// Where it begins.
    pub(super) workspace: &'a Workspace,
    /// HOME's layer.
    pub(super) home: &'a Path,
    /// The CLI and its task.
    pub(super) work: &'a AgentWork,
}

/// Carries it out.
pub(super) fn carry_out(
    run: &mut Run<'_>,
    ground: &mut Ground,
    work: &Agent<'_>,
) -> Result<Ending, Stopped> {
    let order = run.order;
    run.around.home_files.entry(".gitconfig".into()).or_insert_with(|| GIT_IDENTITY.into());
    let exclude = untracked(work.workspace);
    let upper = layer_of(work.workspace, ground);
    let home = Layer::new(work.home.to_owned());
    let kept_home = home.upper().exists();
    let folders = Folders::make(ground, order, work.workspace, upper, home)?;
    let gateway = order.broker.as_ref().is_some_and(|door| door.gateway);

    let mut site = run.enter(ground)?;
    run.facts.written = written(&site, &folders);
    site.watched = vec![
        folders.upper.folder().to_owned(),
        folders.home.folder().to_owned(),
        folders.out.clone(),
    ];
    site.fresh = !kept_home && work.workspace.upper.is_none();
    let conversation = Conversation::new(
        work.work,
        &run.around.toolchains,
        gateway,
        &site.entered.resolve(folders.home.folder()),
    )?;
    let job = agent_job(run, work, &conversation, exclude, gateway)?;
    let ended = talk(run, &mut site, &folders, work, conversation, job);
    folders.clear(&site.entered, &ground.folder, &[]);
    ended
}

fn talk(
    run: &mut Run<'_>,
    site: &mut Site,
    folders: &Folders,
    work: &Agent<'_>,
    conversation: Conversation,
    job: AgentJob,
) -> Result<Ending, Stopped> {
    let order = run.order;
    let home = folders.merge_home(&site.entered, &run.around)?;
    let merged = folders.merge_workspace(&site.entered, &folders.lowers, &folders.upper)?;
    site.fresh = site.fresh && !merged.is_copy() && !home.is_copy();
    // An upper layer that is gone on with holds work that a checkout would throw away.
    if work.workspace.upper.is_none() {
        prepare(run, site, folders, work.workspace, &merged, &home)?;
    }
    run.conversation = Some(conversation);
    run.supervise(work.work.checkpoint_seconds > 0);
    run.follow(site.entered.resolve(&folders.out));
    let mut room = Room::new(order, &run.around);
    room.sockets(order);
    if let Some(commit) = &work.workspace.commit {
        room.look(&commit.pack, inside::PACK);
    }
    folders.furnish_inside(&mut room, order);
    Folders::furnish(&mut room, &merged, &home);
    if work.workspace.upper.is_none() {
        folders.guard_git(&site.entered, &mut room);
    }
    let job = InsideOrder { forward: forwards(order), job: Job::Agent(job) };
    let watched = run.inside(site, &room.policy(), &job, Idle::Counts)?;
    let ended = ending(&watched);
    let out = site.entered.resolve(&folders.out);
    if ended == (Ending::Exited { code: SELF_TEST_CODE })
        && let Some(failed) = failed_self_test(&out)
    {
        return Ok(failed);
    }
    // By the inside's own word the agent never started. A claim, and only a message hangs on it.
    if ended == (Ending::Exited { code: INSIDE_CODE })
        && leftover::read_text(&out, left::AGENT_EXIT, SELF_TEST_BYTES).is_err()
    {
        return Ok(ours(run, &watched));
    }
    Ok(ended)
}

/// Carries a rescue out: the agent's workspace again, with no way out.
pub(super) fn rescue(
    run: &mut Run<'_>,
    ground: &mut Ground,
    workspace: &Workspace,
) -> Result<Ending, Stopped> {
    let order = run.order;
    let exclude = untracked(workspace);
    let upper = layer_of(workspace, ground);
    let home = Layer::thrown_away(ground.folder.join("home"));
    let folders = Folders::make(ground, order, workspace, upper, home)?;
    let mut site = run.enter(ground)?;
    run.facts.written = written(&site, &folders);
    site.watched = vec![folders.out.clone()];
    let ended = (|| -> Result<Ending, Stopped> {
        let home = folders.merge_home(&site.entered, &run.around)?;
        let merged = folders.merge_workspace(&site.entered, &folders.lowers, &folders.upper)?;
        let mut room = Room::new(order, &run.around);
        if let Some(commit) = &workspace.commit {
            room.look(&commit.pack, inside::PACK);
        }
        folders.furnish_inside(&mut room, order);
        Folders::furnish(&mut room, &merged, &home);
        run.follow(site.entered.resolve(&folders.out));
        let job = InsideOrder {
            forward: Vec::new(),
            job: Job::Rescue {
                base: workspace.base_commit.clone(),
                commit: workspace.commit.as_ref().map(|commit| commit.id.clone()),
                exclude,
            },
        };
        let watched = run.inside(&mut site, &room.policy(), &job, Idle::Ignored)?;
        Ok(match ending(&watched) {
            Ending::Exited { code: FULL_CODE } => Ending::Disk,
            _ => ours(run, &watched),
        })
    })();
    folders.clear(&site.entered, &ground.folder, &[folders.home.folder()]);
    ended
}

/// Where the layer that takes the agent's work has it: over an overlay, or as a copy.
fn written(site: &Site, folders: &Folders) -> Vec<PathBuf> {
    [folders.upper.upper(), folders.upper.copy()].map(|path| site.entered.resolve(&path)).to_vec()
}

/// The layer that takes the agent's work: a given one is gone on with.
fn layer_of(workspace: &Workspace, ground: &Ground) -> Layer {
    let fresh = || ground.folder.join("upper");
    Layer::new(workspace.upper.clone().unwrap_or_else(fresh))
}

fn agent_job(
    run: &Run<'_>,
    work: &Agent<'_>,
    conversation: &Conversation,
    exclude: Vec<String>,
    gateway: bool,
) -> Result<AgentJob, Stopped> {
    // The order asks for what this CLI cannot take: no layer of the sandbox is missing.
    let command = conversation
        .command()
        .map_err(|detail| Ending::SelfTest { what: "agent".into(), detail })?;
    let mut env = command.env;
    env.insert(OUTPUTS_VARIABLE.to_owned(), format!("{}/{OUTPUTS_FILE}", inside::OUT));
    Ok(AgentJob {
        argv: command.argv,
        env,
        files: command.files,
        stdin: command.stdin,
        version_args: conversation.version_args(),
        endpoint: gateway.then(|| format!("http://127.0.0.1:{}", inside::GATEWAY_PORT)),
        range_base: (!work.work.read_only).then(|| work.workspace.base_commit.clone()),
        exclude,
        checkpoint_seconds: work.work.checkpoint_seconds,
        grace_seconds: agent_grace(run.order.limits.grace_seconds),
    })
}

/// The agent's own grace is shorter than ours: what it leaves is committed and bundled in the
/// rest.
fn agent_grace(grace: u64) -> u64 {
    (grace / 2).max(1)
}

#[derive(Deserialize)]
struct SelfTest {
    what: String,
    detail: String,
}

fn failed_self_test(out: &Path) -> Option<Ending> {
    let text = leftover::read_text(out, left::SELF_TEST, SELF_TEST_BYTES).ok()?;
    let SelfTest { what, detail } = serde_json::from_str(&text).ok()?;
    let line = |text: &str| super::escape::line(text.as_bytes(), 500);
    Some(Ending::SelfTest { what: line(&what), detail: line(&detail) })
}
