//! The escape table: every way out that we know, tried inside, with a control outside that
//! shows that the way would work. An attempt whose control fails says nothing and is void.

mod attempt;
mod files;
mod kernel;
mod network;
mod processes;
mod world;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};

use attempt::{Attempt, Control, POSTAMBLE, PREAMBLE};
use world::World;

use crate::stand::{Starter, note};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Held,
    Escaped,
    /// The control did not succeed: nothing was shown.
    Void,
}

fn all() -> impl Iterator<Item = &'static Attempt> {
    [files::TABLE, processes::TABLE, network::TABLE, kernel::TABLE].into_iter().flatten()
}

fn script(attempt: &Attempt) -> String {
    let mut text = PREAMBLE.to_owned();
    for line in attempt.code.lines() {
        let _ = writeln!(text, "    {line}");
    }
    text.push_str(POSTAMBLE);
    text
}

/// Tries it outside. stdout is a file there, and descriptor 9 is the secret's, as a careless
/// runner would leave them.
fn control(world: &World, attempt: &Attempt, script: &str) -> bool {
    let privileged = attempt.control == Control::Root;
    // Without a network namespace of our own these would go out to a real network.
    let away = ["10.9.8.7", "169.254.", "fd00:", "203.0.113."];
    let away = away.iter().any(|address| attempt.code.contains(address));
    if (privileged || away) && !rustix::process::geteuid().is_root() {
        return false;
    }
    let victim = world.victim();
    let mut words = world.network();
    if privileged {
        let own = ["unshare", "--mount", "--uts", "--ipc", "--"];
        words.extend(own.map(ToOwned::to_owned));
    } else {
        words.extend(world.stand.starter.inside_prefix());
    }
    let python = ["timeout", "-k", "1", "20", "/usr/bin/python3", "-I", "-S", "-c", script];
    words.extend(python.map(ToOwned::to_owned));
    let log = world.stand.path("control.log");
    let file = || File::options().create(true).append(true).open(&log).unwrap();
    let secret = world.stand.path("outside/secret");
    let leak = ["sh", "-c", "exec 9<\"$0\" 8<\"$1\"; shift; exec \"$@\""];
    world.stand.file("control.log", "");
    let status = Command::new(leak[0])
        .args(&leak[1..])
        .arg(&secret)
        .arg(world.stand.path("outside"))
        .args(&words)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(world.names(false, victim.pid()))
        .stdin(Stdio::null())
        .stdout(file())
        .stderr(file())
        .status()
        .unwrap();
    let said = fs::read_to_string(&log).unwrap();
    let changed = !world.is_whole();
    world.mend();
    if std::env::var_os("MIDWATCH_TEST_VERBOSE").is_some() {
        note(&format!("control {}: {status} {said:?}", attempt.name));
    }
    said.contains("ESCAPED") || changed
}

fn inside(world: &World, attempt: &Attempt, script: &str) -> bool {
    let victim = world.victim();
    let command = ["/usr/bin/python3", "-I", "-S", "-c", script];
    let trial = world.trial(&command, victim.pid());
    let mut before = world.network();
    let secret = world.stand.path("outside/secret").display().to_string();
    let outside = world.stand.path("outside").display().to_string();
    let leak = ["sh", "-c", "exec 9<\"$0\" 8<\"$1\"; shift; exec \"$@\"", &secret, &outside];
    before.splice(0..0, leak.map(ToOwned::to_owned));
    let ended = world.stand.start(&trial, &before).ended();
    if std::env::var_os("MIDWATCH_TEST_VERBOSE").is_some() {
        note(&format!("inside {}: {ended:?}", attempt.name));
    }
    assert!(!ended.timed_out, "{}: {ended:?}", attempt.name);
    // It must have been tried: a script with a mistake in it holds nothing.
    let tried = ended.stdout.contains("held") || ended.stdout.contains("ESCAPED");
    let killed = ended.code == Some(128 + 31);
    assert!(tried || killed, "{}: {ended:?}", attempt.name);
    let changed = !world.is_whole();
    if changed {
        world.mend();
    }
    let _ = midwatch_sandbox::overlay::clear_work(&world.stand.path("work"));
    ended.stdout.contains("ESCAPED") || changed
}

/// Where we were started so that memory killers spare us, everyone below us may ask for it.
/// An ordinary login has no such right, so neither has the user of these tests.
fn give_up_being_spared() {
    if rustix::process::geteuid().is_root() {
        let _ = fs::write("/proc/self/oom_score_adj", "0");
    }
}

fn measure(starter: Starter) -> Vec<(&'static str, Outcome)> {
    if starter == Starter::User {
        give_up_being_spared();
    }
    let world = World::new(starter);
    all()
        .map(|attempt| {
            let script = script(attempt);
            let outcome = if inside(&world, attempt, &script) {
                Outcome::Escaped
            } else if control(&world, attempt, &script) {
                Outcome::Held
            } else {
                Outcome::Void
            };
            (attempt.name, outcome)
        })
        .collect()
}

#[test]
fn no_way_out() {
    let starters = Starter::all();
    let measured: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            starters.iter().map(|&starter| scope.spawn(move || measure(starter))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    midwatch_testkit::counts::are_told(&format!("escapes known {}", all().count()));
    let mut table = format!("{:<62}", "attempt");
    for starter in &starters {
        let _ = write!(table, "{:<10}", format!("{starter:?}"));
    }
    for (row, attempt) in all().enumerate() {
        let _ = write!(table, "\n{:<62}", attempt.name);
        for column in &measured {
            let _ = write!(table, "{:<10}", format!("{:?}", column[row].1));
        }
    }
    println!("{table}");
    // For people, and for docs; the build folder may be another's.
    let _ = fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/escapes.txt"), &table);
    let count = |outcome| measured.iter().flatten().filter(|(_, found)| *found == outcome).count();
    let (held, escaped, void) =
        (count(Outcome::Held), count(Outcome::Escaped), count(Outcome::Void));
    for (starter, column) in starters.iter().zip(&measured) {
        let of = |wanted| column.iter().filter(|(_, found)| *found == wanted).count();
        note(&format!(
            "escapes as {starter:?}: tried {} / succeeded {} (void {})",
            of(Outcome::Held) + of(Outcome::Escaped),
            of(Outcome::Escaped),
            of(Outcome::Void)
        ));
    }
    note(&format!("escapes tried {} / succeeded {escaped} (void {void})", held + escaped));
    assert_eq!(escaped, 0, "{table}");
    if rustix::process::geteuid().is_root() {
        for (starter, column) in starters.iter().zip(&measured) {
            let held = column.iter().filter(|(_, found)| *found == Outcome::Held).count();
            assert!(held >= 60, "{starter:?} {held}: {table}");
        }
    }
}
