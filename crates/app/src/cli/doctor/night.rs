//! Before somebody leaves for the night: room for all tasks, a clock that can be relied on, what
//! waits, and the checks of this repository, really run on its base.

use std::time::{Duration, SystemTime};

use midwatch_api::control::{Asked, FollowFrom, PAGE_MAX, TaskView};
use midwatch_api::order::CustomAgent;
use midwatch_api::profile::{CredentialSpec, ProfileSpec};
use midwatch_api::view::Progress;
use midwatch_core::agent::CredentialKind;
use midwatch_core::evidence::CheckOutcome;
use midwatch_core::id::TaskName;
use midwatch_core::reason::HoldReason;
use midwatch_local::folder::StateFolder;

use super::super::beside;
use super::super::decide::whoever;
use super::super::run::suffix;
use super::super::serve::limits;
use super::agents::Seen;
use super::{Context, Health, Row, SERVER};
use crate::client::{Client, Start};
use crate::discover::agent::Chosen;
use crate::discover::{self, Given, Wanted};
use crate::output::lines::verdict;
use crate::problem::{Problem, exit};

/// No clock of this program's time can be before it was written: 2026-01-01, seconds since 1970.
const WRITTEN: u64 = 1_767_225_600;
/// How far the newest file of ours may be ahead of the clock before the clock is doubted.
const AHEAD: Duration = Duration::from_mins(5);
/// Seconds between our clock and a provider's that are worth knowing, its answer's way included.
const OFF: i64 = 60;
/// Seconds between them with which a reset is missed.
const FAR: i64 = 5 * 60;
/// Where systemd says that the clock was set by the network.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// One row for each. Checks are run only when `ready`: nothing that every run needs is missing.
pub(super) async fn rows(
    context: &Context,
    folder: &StateFolder,
    tasks: Option<u32>,
    ready: bool,
    seen: &Seen,
) -> Result<Vec<Row>, Problem> {
    let client = Client::new(&context.environment);
    let waiting = waiting(&client, &seen.limits).await?;
    let tasks = tasks.unwrap_or(waiting.open).max(1);
    let mut rows = vec![room(folder, tasks)?, clock(folder, seen.ahead)];
    rows.extend(waiting.rows);
    if ready && rows.iter().all(|row| row.name != SERVER) {
        rows.extend(checks(context, &client).await?);
    } else {
        rows.push(Row::new("checks", Health::Notable, "not run: something is missing above"));
    }
    Ok(rows)
}

/// Disk for that many tasks, one after the other and as many at once as may be.
fn room(folder: &StateFolder, tasks: u32) -> Result<Row, Problem> {
    let limits = limits::of(folder)?;
    let at_once = u64::from(tasks).min(limits.slots as u64);
    // What runs needs its own room; of what is over a repository's objects and logs stay.
    let stays = (limits.task_disk / 16).saturating_mul(u64::from(tasks));
    let needed = limits.task_disk.saturating_mul(at_once) + limits.spare_disk + stays;
    let Ok(found) = rustix::fs::statvfs(folder.root()) else {
        return Ok(Row::new("disk for the night", Health::Notable, "cannot be measured"));
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let (free_gib, needed_gib) = (free >> 30, needed.div_ceil(1 << 30));
    let text =
        format!("{free_gib} GiB free, {needed_gib} needed for {tasks} tasks, {at_once} at once");
    Ok(if free < needed {
        Row::new("disk for the night", Health::Missing, text).with(
            "free some, `midwatch gc` helps, or run fewer at once: concurrency in server.toml",
        )
    } else {
        Row::new("disk for the night", Health::Good, text)
    })
}

/// A clock that is neither before this program nor before its own files, nor far from the clock of a
/// provider that has just answered.
fn clock(folder: &StateFolder, ahead: Option<i64>) -> Row {
    let now = SystemTime::now();
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if seconds < WRITTEN {
        let row = Row::new("clock", Health::Missing, "it says a time before this program was made");
        return row.with("set it: limits are held until a time that it must reach");
    }
    let written = [folder.database(), folder.log()]
        .iter()
        .filter_map(|path| std::fs::metadata(path).ok()?.modified().ok())
        .max();
    if let Some(written) = written
        && written.duration_since(now).is_ok_and(|ahead| ahead > AHEAD)
    {
        let text = "it is behind what was written here before: it was set back";
        return Row::new("clock", Health::Notable, text)
            .with("set it, or wait until it has passed");
    }
    if let Some(ahead) = ahead {
        let side = if ahead > 0 { "behind" } else { "ahead of" };
        let text = format!("{} s {side} the clock of a provider", ahead.abs());
        let health = match ahead.abs() {
            0..=OFF => Health::Good,
            ..=FAR => Health::Notable,
            _ => Health::Missing,
        };
        let row = Row::new("clock", health, text);
        let remedy = "set it: limits are held until a time that it must reach";
        return if health == Health::Good { row } else { row.with(remedy) };
    }
    if std::path::Path::new(SYNCHRONISED).exists() {
        return Row::new("clock", Health::Good, "set by the network");
    }
    Row::new("clock", Health::Good, "plausible; who sets it is not known here")
}

struct Waiting {
    open: u32,
    rows: Vec<Row>,
}

/// What is open, and what of it nobody will go on with this night.
async fn waiting(client: &Client, limits: &[String]) -> Result<Waiting, Problem> {
    let quota = if limits.is_empty() {
        let text = "no limit was met; providers tell of one when it is reached";
        Row::new("quota", Health::Good, text)
    } else {
        Row::new("quota", Health::Notable, limits.join("; "))
    };
    let mut none = Waiting { open: 0, rows: vec![quota] };
    if !client.knows_tasks() {
        return Ok(none);
    }
    if let Err(problem) = client.ready(Start::Any).await {
        none.rows.push(Row::no_server(problem));
        return Ok(none);
    }
    let states = ["Queued", "Running", "Held"].map(ToOwned::to_owned).to_vec();
    let page = client.list(&Asked { limit: PAGE_MAX, after: None, states }).await?;
    let held = |reason: HoldReason| {
        let of = |task: &&TaskView| task.result.reason.as_deref() == Some(reason.as_str());
        page.tasks.iter().filter(of).collect::<Vec<_>>()
    };
    let mut rows = Vec::new();
    let limited = held(HoldReason::CredentialCoolingDown);
    match limited.first() {
        None => rows.extend(none.rows),
        Some(first) => {
            let text = format!("{} tasks wait for a reset: {}", limited.len(), first.explain);
            let all = [&[text][..], limits].concat().join("; ");
            rows.push(Row::new("quota", Health::Notable, all));
        }
    }
    for (reason, what) in [
        (HoldReason::Approval, "wait for your approval"),
        (HoldReason::Question, "wait for your answer"),
        (HoldReason::NeedsLogin, "wait for a login"),
    ] {
        let held = held(reason);
        if let Some(first) = held.first() {
            let name = first.result.task.clone().unwrap_or_default();
            let text = format!("{} tasks {what}, such as {name}", held.len());
            let row = Row::new("waiting", Health::Notable, text);
            rows.push(row.with(format!("`midwatch explain {name}`")));
        }
    }
    Ok(Waiting { open: u32::try_from(page.tasks.len()).unwrap_or(u32::MAX), rows })
}

/// Runs setup and checks of this repository on HEAD, by a task whose agent does nothing: what is
/// found is kept for the tasks of the night.
async fn checks(context: &Context, client: &Client) -> Result<Vec<Row>, Problem> {
    let environment = context.environment.clone();
    let wanted = wanted(&context.environment)?;
    let name = wanted.name.as_str().to_owned();
    let found = beside(move || discover::order(&environment, &wanted)).await?;
    let found = match found {
        Ok(found) => found,
        Err(problem) => {
            let text = format!("not run: {}", problem.message);
            let row = Row::new("checks", Health::Notable, text);
            return Ok(vec![row.with("run it in a repository, to have its checks tried")]);
        }
    };
    let submit = found.submit(&name);
    context.output.say("the checks are run on HEAD in the sandbox; this takes as long as they do");
    client.submit(&submit).await?;
    drop(submit);
    let mut rows = Vec::new();
    let result = client.follow(&name, FollowFrom::default(), |line| {
        if let Progress::Check { on_base: true, check } = &line.progress {
            let good = check.outcome == CheckOutcome::Pass.as_str();
            let text = format!("{}: {}", check.command, verdict(check));
            let row = Row::new("check", if good { Health::Good } else { Health::Missing }, text);
            rows.push(if good {
                row
            } else {
                row.with("mend it, or say --known-failures; tasks on a red base cost more")
            });
        }
    });
    let result = result.await?;
    if rows.is_empty() {
        let detail = result.detail.unwrap_or_else(|| "no check was run".to_owned());
        let row = Row::new("checks", Health::Missing, detail);
        rows.push(row.with(result.hint.unwrap_or_else(|| "see `midwatch logs`".to_owned())));
    }
    let by = whoever(&context.environment);
    match client.delete_task(&name, by.as_str()).await {
        Ok(_) => {}
        // It is only in the way of nobody.
        Err(problem) if problem.exit == exit::USAGE => {}
        Err(problem) => return Err(problem),
    }
    Ok(rows)
}

/// A task that tries the checks of HEAD and changes nothing.
fn wanted(environment: &crate::environment::Environment) -> Result<Wanted, Problem> {
    let name = TaskName::parse(&format!("doctor-{}", suffix()?))?;
    let program = environment
        .find("true")
        .ok_or_else(|| Problem::cannot("there is no program `true` on PATH", "mend PATH"))?;
    let spec = ProfileSpec {
        agent: Some("custom".to_owned()),
        program: Some(program.to_string_lossy().into_owned()),
        custom: Some(CustomAgent {
            argv: vec!["true".to_owned()],
            prompt_by: midwatch_api::order::PromptBy::Stdin,
            env: std::collections::BTreeMap::new(),
            mapping: None,
        }),
        credential: Some(CredentialSpec {
            kind: CredentialKind::None.as_str().to_owned(),
            variable: None,
        }),
        ..ProfileSpec::default()
    };
    let goal = "try the checks of the base; change nothing".to_owned();
    let profile = Some(Chosen { name: "doctor".to_owned(), spec });
    Ok(Wanted {
        named: true,
        pipeline: "quick".to_owned(),
        given: Given { profile, ..Given::default() },
        ..Wanted::new(name, goal)
    })
}
