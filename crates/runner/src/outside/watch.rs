//! The one loop of a runner: reads what the sandbox prints, looks at the limits, and ends it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use midwatch_api::order::Limits;
use midwatch_core::supervise::Finding;
use midwatch_sandbox::cgroup::{Meter, Over, Sample};
use midwatch_sandbox::{Exit, Running, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::capture::Stream;
use super::disk::DiskMeter;
use super::stop::Asked;

/// How long the loop sleeps when nothing is printed: how soon a stop is seen.
const TICK: Duration = Duration::from_millis(200);
/// How often memory, processes and disk are looked at: one pass over /proc when polled.
const METER_EVERY: Duration = Duration::from_secs(1);
/// Bytes taken from a pipe at a time.
const READ_BYTES: usize = 64 << 10;
/// How long output is still read after the sandbox is gone. All who held the other end are
/// dead, so this only covers a kernel that is slow to say so.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a killed sandbox may take to be gone before it counts as lost: a process in an
/// uninterruptible wait cannot be killed by anybody.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

/// Why we ended a run. Each limit has its own word in the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cut {
    /// Wall clock.
    Deadline,
    /// No progress.
    Idle,
    /// Memory.
    Memory,
    /// Processes.
    Pids,
    /// Disk, with what was seen.
    Disk(String),
    /// Output.
    Output,
    /// Somebody asked.
    Stopped,
    /// Supervision found something.
    Found(Finding),
}

impl Cut {
    /// Whether what runs may still tidy up. A process that takes more than its share of the
    /// machine's memory, processes or disk would only take more.
    const fn is_gentle(&self) -> bool {
        match self {
            Self::Deadline | Self::Idle | Self::Output | Self::Stopped | Self::Found(_) => true,
            Self::Memory | Self::Pids | Self::Disk(_) => false,
        }
    }
}

/// What the loop asks of the run around it.
pub(super) trait Around {
    /// Bytes were printed. True when they count as progress.
    fn printed(&mut self, stream: Stream, bytes: &[u8]) -> bool;
    /// A tick went by. Looks for news that is not printed; true when there was progress.
    fn ticked(&mut self) -> bool;
    /// Whether somebody asked for a stop.
    fn asked(&mut self) -> Asked;
    /// What supervision found, if it found something.
    fn found(&mut self) -> Option<Finding>;
    /// Whether far too much was printed.
    fn is_flood(&self) -> bool;
    /// Whether the log could not be written.
    fn log_failed(&self) -> Option<io::ErrorKind>;
}

/// When to end a sandbox.
#[derive(Debug)]
pub(super) struct Bounds<'a> {
    /// The order's.
    pub(super) limits: &'a Limits,
    /// When the whole run has to be over.
    pub(super) deadline: Instant,
    /// Counts what is written.
    pub(super) disk: DiskMeter,
}

/// How a sandbox ended.
#[derive(Debug)]
pub(super) struct Watched {
    /// What bubblewrap says.
    pub(super) exit: Exit,
    /// Why we ended it, if we did, or which limit the kernel held.
    pub(super) cut: Option<Cut>,
    /// From the start of the watch to the end of the sandbox.
    pub(super) duration: Duration,
    /// Bytes.
    pub(super) peak_memory: u64,
}

/// Follows a sandbox to its end. It is gone when this returns.
pub(super) fn watch(
    mut running: Running,
    meter: &Meter,
    mut bounds: Bounds<'_>,
    around: &mut impl Around,
) -> io::Result<Watched> {
    let began = Instant::now();
    let mut pipes = [running.stdout.take(), running.stderr.take()];
    let mut progress = began;
    let mut metered: Option<Instant> = None;
    let mut peak = 0;
    let mut cut: Option<Cut> = None;
    let mut kill_at: Option<Instant> = None;
    let mut killed: Option<Instant> = None;
    let mut exit: Option<(Exit, Instant)> = None;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        wait(&pipes, &running, exit.is_some())?;
        let mut news = false;
        for (pipe, stream) in pipes.iter_mut().zip([Stream::Stdout, Stream::Stderr]) {
            news |= take(pipe, stream, &mut buffer, around)?;
        }
        if exit.is_none() {
            exit = running.try_exit()?.map(|exit| (exit, Instant::now()));
        }
        news |= around.ticked();
        let now = Instant::now();
        if news {
            progress = now;
        }
        if let Some((exit, ended)) = exit {
            if pipes.iter().all(Option::is_none) || now.duration_since(ended) > DRAIN {
                let last = meter.sample().unwrap_or_default();
                return Ok(Watched {
                    exit,
                    cut: cut.or_else(|| kernel_held(meter, &last)),
                    duration: ended.duration_since(began),
                    peak_memory: peak.max(last.memory_bytes),
                });
            }
            continue;
        }
        let asked = around.asked();
        if cut.is_none() {
            let due = metered.is_none_or(|at| now.duration_since(at) >= METER_EVERY);
            cut = of_clock(&bounds, now, progress).or_else(|| of_output(around));
            if cut.is_none() && asked > Asked::Nothing {
                cut = Some(Cut::Stopped);
            }
            if cut.is_none() {
                cut = around.found().map(Cut::Found);
            }
            if cut.is_none() && due {
                metered = Some(now);
                let sample = meter.sample().unwrap_or_default();
                peak = peak.max(sample.memory_bytes);
                cut = kernel_held(meter, &sample).or_else(|| of_disk(&mut bounds, now));
            }
            if let Some(cut) = &cut {
                let grace = Duration::from_secs(bounds.limits.grace_seconds);
                let gentle = cut.is_gentle() && asked < Asked::Kill;
                kill_at = Some(if gentle { now + grace } else { now });
                if gentle {
                    running.signal(Signal::TERM)?;
                }
            }
        }
        let kill_now = asked == Asked::Kill || kill_at.is_some_and(|at| now >= at);
        if kill_now && killed.is_none_or(|at| now.duration_since(at) > METER_EVERY) {
            // Again and again: the second way finds what was forked meanwhile.
            running.kill()?;
            let _ = meter.kill_all();
            let first = *killed.get_or_insert(now);
            if now.duration_since(first) > KILL_PATIENCE {
                return Ok(Watched {
                    exit: Exit::Lost,
                    cut,
                    duration: now.duration_since(began),
                    peak_memory: peak,
                });
            }
        }
    }
}

fn of_clock(bounds: &Bounds<'_>, now: Instant, progress: Instant) -> Option<Cut> {
    if now >= bounds.deadline {
        return Some(Cut::Deadline);
    }
    let idle = Duration::from_secs(bounds.limits.idle_seconds);
    (!idle.is_zero() && now.duration_since(progress) >= idle).then_some(Cut::Idle)
}

fn of_output(around: &impl Around) -> Option<Cut> {
    if around.is_flood() {
        return Some(Cut::Output);
    }
    around.log_failed().map(|kind| Cut::Disk(format!("the log cannot be written: {kind}")))
}

fn of_disk(bounds: &mut Bounds<'_>, now: Instant) -> Option<Cut> {
    match bounds.disk.look(now) {
        Ok(Ok(())) => None,
        Ok(Err(full)) => Some(Cut::Disk(full.0)),
        // What cannot be measured is not without a limit.
        Err(error) => Some(Cut::Disk(format!("the disk cannot be measured: {error}"))),
    }
}

fn kernel_held(meter: &Meter, sample: &Sample) -> Option<Cut> {
    meter.over(sample).map(|over| match over {
        Over::Memory => Cut::Memory,
        Over::Pids => Cut::Pids,
    })
}

/// Until something can be read, or a tick went by.
fn wait(pipes: &[Option<OwnedFd>; 2], running: &Running, ended: bool) -> io::Result<()> {
    let mut fds: Vec<PollFd<'_>> =
        pipes.iter().flatten().map(|pipe| PollFd::new(pipe, PollFlags::IN)).collect();
    if !ended {
        fds.push(PollFd::from_borrowed_fd(running.status_fd(), PollFlags::IN));
    }
    let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
    match poll(&mut fds, Some(&tick)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn take(
    pipe: &mut Option<OwnedFd>,
    stream: Stream,
    buffer: &mut [u8],
    around: &mut impl Around,
) -> io::Result<bool> {
    let Some(fd) = pipe.as_ref() else {
        return Ok(false);
    };
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&now)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    match rustix::io::read(fd, &mut *buffer) {
        Ok(0) => {
            *pipe = None;
            Ok(false)
        }
        Ok(count) => Ok(around.printed(stream, &buffer[..count])),
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
