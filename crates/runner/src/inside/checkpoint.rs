//! Work in progress, bundled while the agent works: what a crash of the machine or of the
//! sandbox leaves behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use midwatch_api::report::CHECKPOINT_FILE;

use super::bundle::{self, CHECKPOINT_REF};
use super::commit;
use super::foreign::Foreign;
use super::git::GitError;
use super::leave;
use super::nested;
use super::side::Side;

/// Our git directory for checkpoints, below `out`.
const SIDE: &str = ".checkpoint.git";

/// Below what the agent itself runs with.
const NICE: i32 = 10;

/// The thread that makes checkpoints.
#[derive(Debug)]
pub(super) struct Checkpoints {
    cancel: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What is checkpointed, how often, on what.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) workspace: PathBuf,
    pub(super) out: PathBuf,
    pub(super) base: String,
    /// The tree of the base: a checkpoint of it says nothing.
    pub(super) base_tree: Option<String>,
    pub(super) exclude: Vec<String>,
    pub(super) every: Duration,
}

impl Checkpoints {
    /// Starts the thread.
    pub(super) fn start(plan: Plan) -> std::io::Result<Self> {
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancel);
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .stack_size(256 << 10)
            .spawn(move || {
                // On Linux this is the thread's own, and its children inherit it.
                let _as_it_was = rustix::process::setpriority_process(None, NICE);
                run(&plan, &flag);
            })?;
        Ok(Self { cancel, thread: Some(thread) })
    }
}

impl Drop for Checkpoints {
    /// Calls off what is being done and waits for the thread.
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _its_panic_is_its_own = thread.join();
        }
    }
}

fn run(plan: &Plan, cancel: &Arc<AtomicBool>) {
    let mut last = plan.base_tree.clone();
    let mut number = 0;
    let mut side = None;
    loop {
        std::thread::park_timeout(plan.every);
        if cancel.load(Ordering::Relaxed) {
            break;
        }
        match once(plan, cancel, &mut side, last.as_deref()) {
            Ok(Some(tree)) => {
                number += 1;
                last = Some(tree);
                leave::checkpoint(&plan.out, number);
            }
            Ok(None) => {}
            // The agent may have done anything to its .git meanwhile: begin anew next time.
            Err(_) => side = None,
        }
    }
    let _left_for_the_outside = leave::remove(&plan.out.join(SIDE));
}

/// One checkpoint; the tree's id if it is another than the last.
fn once(
    plan: &Plan,
    cancel: &Arc<AtomicBool>,
    kept: &mut Option<Side>,
    last: Option<&str>,
) -> Result<Option<String>, GitError> {
    let foreign = Foreign::at(&plan.workspace);
    let side = match kept {
        Some(side) => side,
        None => kept.insert(begin(plan, cancel, &foreign)?),
    };
    nested::add_files(side, &foreign)?;
    let (tree, _missed) = side.snapshot(Some(&plan.base))?;
    if last == Some(tree.as_str()) {
        return Ok(None);
    }
    let head = commit::on_base(side, tree.clone(), &plan.base)?;
    bundle::one(side, CHECKPOINT_REF, &head, &plan.base, &plan.out, CHECKPOINT_FILE)?;
    Ok(Some(tree))
}

fn begin(plan: &Plan, cancel: &Arc<AtomicBool>, foreign: &Foreign) -> Result<Side, GitError> {
    let dir: &Path = &plan.out.join(SIDE);
    let side = Side::make(dir, &plan.workspace, foreign, &plan.base, &plan.exclude)?;
    let mut side = side.cancelled_by(cancel);
    side.seed_index(foreign, Some(&plan.base))?;
    nested::drop_links(&side, Some(&plan.base))?;
    Ok(side)
}
