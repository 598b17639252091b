#!/usr/bin/env python3
"""Many tasks, and a server and runs that are killed at random moments, then an audit.

Every task writes one file of its own name. At the end each must have ended once, with one branch
that holds exactly that file, and nothing may be left running, mounted or lying about. The seed
decides the moments and the victims; what a moment hits depends on the machine.
"""

import argparse
import json
import pathlib
import random
import re
import sys
import time

# Nothing is left beside the scripts.
sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import audit
import chaos
from bench import machine
from measure import p50, p99, tell
from place import ROOT, Place, build, git, programs

REPOSITORIES = 8
FILES = 20
# Waits for nothing: the whole of a task is Midwatch's own work.
AGENT = r"""
name=$(sed -n 's/^soak: \([a-z0-9-]*\)$/\1/p' | head -1)
test -n "$name" || exit 9
mkdir -p out && echo "$name" > "out/$name"
"""
# Green on the base, which has no such file, and only then green with a right one.
CHECK = """for file in out/*; do
    test -e "$file" || continue
    test "$(cat "$file")" = "$(basename "$file")" || exit 1
done
"""


def repositories(place, count):
    """Repositories with the check that judges the work."""
    made = []
    for number in range(count):
        folder = place.repository(f"repository-{number}", FILES)
        (folder / "check.sh").write_text(CHECK)
        git(folder, "commit", "-q", "-a", "-m", "check")
        made.append(folder)
    return made


def orders(state, folders):
    """An order for each repository, as `midwatch run` makes it."""
    state.profile("soak", AGENT)
    words = ["--profile", "soak", "--pipeline", "quick", "--check", "sh check.sh"]
    found = []
    for number, folder in enumerate(folders):
        name = f"first-{number}"
        state.run(folder, f"soak: {name}", "--name", name, *words)
        found.append(state.ask("GET", f"/v1/tasks/{name}/order"))
    return found


def submit(state, found, tasks):
    """All tasks at once, as a night begins."""
    for number in range(tasks):
        name = f"soak-{number:05}"
        order = {**found[number % len(found)], "goal": f"soak: {name}", "branch": None}
        state.patiently("POST", "/v1/tasks", {"name": name, "order": order, "secret": None})


def measure(place, tasks, kills, seed, minutes):
    """One soak; the audit's findings and the table's cells."""
    folders = repositories(place, REPOSITORIES)
    before = audit.groups()
    with chaos.Server(programs() / "midwatch", place.path / "soak") as state:
        found = orders(state, folders)
        began = time.monotonic()
        submit(state, found, tasks)
        tell(f"{tasks} tasks are accepted after {time.monotonic() - began:.0f} s")
        killer = chaos.Killer(state, random.Random(seed), kills)
        ended = killer.until_over(tasks, began + minutes * 60)
        taken = time.monotonic() - began
        tell("the last task has ended: looking at what is left")
        views = state.views()
    names = [f"soak-{number:05}" for number in range(tasks)]
    findings = audit.everything(place, state, folders, names, views, before)
    return findings, killer, ended, taken


def versions():
    """What the outcome holds for: `cargo xtask tidy` asks for a new soak when one of them changes."""
    manifest = (ROOT / "Cargo.toml").read_text()
    schema = (ROOT / "crates/local/src/store/schema.rs").read_text()
    return {
        "program": re.search(r'^version = "([^"]+)"', manifest, re.M)[1],
        "schema": int(re.search(r"pub const VERSION: u32 = (\d+);", schema)[1]),
    }


def keep(path, chosen, findings, killer, ended, taken):
    """The outcome as a file that a test reads."""
    outcome = {
        **versions(),
        "tasks": chosen.tasks,
        "ended": ended,
        "killsOfTheServer": len(killer.recoveries),
        "killsOfRuns": killer.runs_killed,
        "seed": chosen.seed,
        **{kind: getattr(findings, kind) for kind in ("lost", "failed", "doubled", "stuck", "left")},
        "seconds": round(taken),
        "recoveryP50Ms": round(p50(killer.recoveries or [0]) * 1000),
        "recoveryP99Ms": round(p99(killer.recoveries or [0]) * 1000),
    }
    pathlib.Path(path).write_text(json.dumps(outcome, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=60, help="after which it has failed")
    parser.add_argument("--no-build", action="store_true", help="the release binaries are new enough")
    parser.add_argument("--where", help="a folder for temporary files, on an ordinary file system")
    parser.add_argument("--keep", metavar="FILE", help="write the outcome there, such as docs/soak.json")
    chosen = parser.parse_args()
    if not chosen.no_build:
        build()
    print(machine(), flush=True)
    with Place(chosen.where) as place:
        findings, killer, ended, taken = measure(
            place, chosen.tasks, chosen.kills, chosen.seed, chosen.minutes
        )
        for finding in findings.all[:50]:
            tell(finding)
        recovery = killer.recoveries
        print(
            f"tasks {chosen.tasks} / ended {ended} / kills of the server {len(recovery)} / "
            f"kills of runs {killer.runs_killed} / seed {chosen.seed}\n"
            f"lost {findings.lost} / failed {findings.failed} / doubled {findings.doubled} / "
            f"stuck {findings.stuck} / left over {findings.left}\n"
            f"{taken:.0f} s, {taken / chosen.tasks:.2f} s a task; a new server answers after "
            f"p50 {p50(recovery or [0]):.2f} s, p99 {p99(recovery or [0]):.2f} s",
            flush=True,
        )
        if chosen.keep:
            keep(chosen.keep, chosen, findings, killer, ended, taken)
        if findings.all:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
