//! The agent's job from the first file to the claim, and the rescue of one that did not get
//! that far.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use midwatch_api::report::{BUNDLE_FILE, BundleClaim};

use super::beside;
use super::bundle::{self, WORK_REF};
use super::checkpoint::{Checkpoints, Plan};
use super::commit::{self, Head, Start};
use super::execute::{self, Exit};
use super::foreign::Foreign;
use super::git::{Git, GitError};
use super::leave::{self, Phase};
use super::names::pattern;
use super::readable;
use super::side::{LITTER, Side};
use super::{InsideError, Places, rescue as rescuing, self_test, special, stopped};
use crate::inside_order::{AgentJob, FULL_CODE, INSIDE_CODE, SELF_TEST_CODE, left};

/// Our git directory for the work, below `out`.
const SIDE: &str = ".work.git";

/// Ignored files that are listed.
const IGNORED_MAX: usize = 200;

/// Writes files, tests, runs the agent, saves what it left.
pub(super) fn carry_out(
    job: &AgentJob,
    places: &Places,
    stop: &Arc<AtomicBool>,
) -> Result<i32, InsideError> {
    leave::phase(&places.out, Phase::SelfTest);
    if let Err(failed) = prepared(job, places, stop) {
        if let Some(code) = stopped(stop) {
            return Ok(code);
        }
        let _outside_sees_the_code = leave::json(&places.out, left::SELF_TEST, &failed);
        return Ok(SELF_TEST_CODE);
    }
    if let Some(code) = stopped(stop) {
        return Ok(code);
    }
    let began = SystemTime::now();
    let start = job
        .range_base
        .as_deref()
        .map(|base| Start::of(base, &Git::new(&places.workspace.join(".git"), &places.workspace)));

    leave::phase(&places.out, Phase::Command);
    let checkpoints = start.as_ref().and_then(|start| checkpoints(job, places, start));
    let exit = agent(job, places, stop);
    drop(checkpoints);
    execute::sweep();
    leave::reclaim(&places.out);
    leave::enterable(&places.workspace);
    if let Ok(exit) = &exit {
        let _outside_sees_the_code = leave::json(&places.out, left::AGENT_EXIT, exit);
    }
    if let Some(start) = start {
        special::remove_all(&places.workspace);
        let claim =
            save(&start, &job.exclude, began, places).unwrap_or_else(|error| failed(&error));
        left_claim(places, &claim)?;
    }
    match exit {
        Ok(exit) => Ok(exit.code()),
        // As a shell says it.
        Err(error) => {
            let _nobody_listens = writeln!(std::io::stderr(), "midwatch inside: {error}");
            Ok(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
        }
    }
}

/// What must be in place before anything of the agent's is run.
fn prepared(job: &AgentJob, places: &Places, stop: &AtomicBool) -> Result<(), self_test::Failed> {
    for (path, text) in &job.files {
        execute::write_file(&places.home, path, text).map_err(|error| self_test::Failed {
            what: self_test::What::Home,
            detail: format!("{}: {error}", path.display()),
        })?;
    }
    // An agent that says `git add -A` itself must not commit the deps either. A read-only .git
    // is found by the self-test.
    let _found_later = hide_deps(&places.workspace, &job.exclude);
    self_test::run(job, places, stop)
}

fn hide_deps(workspace: &Path, exclude: &[String]) -> std::io::Result<()> {
    let file = workspace.join(".git/info/exclude");
    let mut text = std::fs::read_to_string(&file).unwrap_or_default();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in exclude.iter().map(|path| pattern(path.as_bytes())).chain(LITTER.map(str::to_owned))
    {
        if !text.lines().any(|known| known == line) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    std::fs::create_dir_all(workspace.join(".git/info"))?;
    std::fs::write(file, text)
}

fn checkpoints(job: &AgentJob, places: &Places, start: &Start) -> Option<Checkpoints> {
    if job.checkpoint_seconds == 0 {
        return None;
    }
    // Without them the run is still worth its time.
    Checkpoints::start(Plan {
        workspace: places.workspace.clone(),
        out: places.out.clone(),
        base: start.base.clone(),
        base_tree: start.tree.clone(),
        exclude: job.exclude.clone(),
        every: Duration::from_secs(job.checkpoint_seconds.into()),
    })
    .ok()
}

fn agent(job: &AgentJob, places: &Places, stop: &AtomicBool) -> std::io::Result<Exit> {
    let AgentJob { argv, env, stdin, grace_seconds, .. } = job;
    let (program, args) = argv.split_first().ok_or(std::io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(args).envs(env).current_dir(&places.workspace);
    execute::supervise(&mut command, stdin, stop, Duration::from_secs(*grace_seconds))
}

/// The agent's `.git`, with the modes given back that reading it needs.
fn opened(workspace: &Path) -> Foreign {
    readable::make_readable(&workspace.join(".git"), &[]);
    Foreign::at(workspace)
}

/// Commits and bundles. From here on a stop changes nothing: it is what saves the work.
fn save(
    start: &Start,
    exclude: &[String],
    began: SystemTime,
    places: &Places,
) -> Result<BundleClaim, GitError> {
    leave::phase(&places.out, Phase::Commit);
    let foreign = opened(&places.workspace);
    let dir = places.out.join(SIDE);
    let mut side = Side::make(&dir, &places.workspace, &foreign, &start.base, exclude)?;
    let work = commit::save(&mut side, &foreign, start)?;
    let beside = beside::names(&side, &foreign, start, work.head.as_ref().map(Head::id));
    list_ignored(&side, Some(began), &places.out);
    leave::phase(&places.out, Phase::Bundle);
    if let Some(head) = &work.head {
        bundle::one(&side, WORK_REF, head, &start.base, &places.out, BUNDLE_FILE)?;
    }
    let _left_for_the_outside = leave::remove(&dir);
    Ok(BundleClaim {
        head: work.head.as_ref().map(Head::id).map(str::to_owned),
        set_aside: work.set_aside,
        notes: work.notes,
        left_out: work.left_out,
        beside,
        error: None,
    })
}

/// Saves what an earlier run left in the workspace.
pub(super) fn rescue(base: &str, commit: Option<&str>, exclude: &[String], places: &Places) -> i32 {
    special::remove_all(&places.workspace);
    let foreign = opened(&places.workspace);
    let dir = places.out.join(SIDE);
    let done = Side::make(&dir, &places.workspace, &foreign, base, exclude).and_then(|mut side| {
        let claim = rescuing::rescue(&mut side, &foreign, (base, commit), &places.out)?;
        list_ignored(&side, rescuing::checked_out_at(&places.workspace), &places.out);
        Ok(claim)
    });
    let _left_for_the_outside = leave::remove(&dir);
    let done = done.and_then(|claim| {
        let told = leave::json(&places.out, left::CLAIM, &claim);
        told.map_err(|source| GitError::Io { what: "claim".to_owned(), source })
    });
    match done {
        Ok(()) => 0,
        Err(error) => {
            let _the_code_says_it_too = left_claim(places, &failed(&error));
            if error.is_full() { FULL_CODE } else { INSIDE_CODE }
        }
    }
}

fn list_ignored(side: &Side, since: Option<SystemTime>, out: &Path) {
    let names = side.ignored(since, IGNORED_MAX);
    let lines = names.iter().filter_map(|name| serde_json::to_string(name).ok());
    let text: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
    let _only_informs = leave::whole(out, left::IGNORED, text.as_bytes());
}

fn failed(error: &GitError) -> BundleClaim {
    BundleClaim {
        head: None,
        set_aside: Vec::new(),
        notes: Vec::new(),
        left_out: Vec::new(),
        beside: Vec::new(),
        error: Some(error.to_string()),
    }
}

fn left_claim(places: &Places, claim: &BundleClaim) -> Result<(), InsideError> {
    leave::json(&places.out, left::CLAIM, claim)
        .map_err(|source| InsideError::Io { what: "claim", source })
}
