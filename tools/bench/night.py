"""A hundred tasks of an agent that does next to nothing, beside a bare loop of the shell that does the same."""

import json
import os
import subprocess
import time

from measure import Table, tell
from place import QUIET_GIT, State, git, programs, until

FILES = 20
TASKS = 100
AGENT = "echo made > made.txt"
CHECK = "sh check.sh"
OVER = ("Done", "Failed", "NoChange", "Cancelled", "Unverified")

# What people write by hand: a worktree, the agent in a bubblewrap, a commit, the check in a fresh worktree and bubblewrap.
LOOP = r"""
set -eu
one() {
    work=$1/work-$2 fresh=$1/fresh-$2
    box="bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --die-with-parent"
    git worktree add -q -b "by-hand/$2" "$work"
    $box --bind "$work" "$work" --chdir "$work" sh -c "$AGENT"
    git -C "$work" add -A
    git -C "$work" commit -q -m "task $2"
    git worktree add -q --detach "$fresh" "by-hand/$2"
    $box --bind "$fresh" "$fresh" --chdir "$fresh" sh -c "$CHECK" >/dev/null
    git worktree remove --force "$work"
    git worktree remove --force "$fresh"
}
for number in $(seq "$TASKS"); do one "$PLACE" "$number"; done
"""


def by_hand(place, repository):
    """Seconds of the loop, one task after the other: two at once meet on git's locks."""
    folder = place.path / "by-hand"
    folder.mkdir()
    who = {"GIT_AUTHOR_NAME": "b", "GIT_AUTHOR_EMAIL": "b@localhost"}
    who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
    more = {"AGENT": AGENT, "CHECK": CHECK, "TASKS": str(TASKS), "PLACE": str(folder)}
    began = time.time()
    subprocess.run(
        ["bash", "-c", LOOP], cwd=repository, env={**os.environ, **QUIET_GIT, **who, **more},
        stdin=subprocess.DEVNULL, check=True,
    )
    return time.time() - began


def ours(place, repository, at_once):
    """Seconds from the first order to the last end, and the server's most memory."""
    with State(programs() / "midwatch", place.path / f"at-once-{at_once}", at_once) as state:
        state.profile("bench", AGENT)
        words = ["--profile", "bench", "--pipeline", "quick", "--check", CHECK]
        first = f"first-{at_once}"
        state.run(repository, "make made.txt", "--name", first, *words)
        order = {**state.ask("GET", f"/v1/tasks/{first}/order"), "branch": None}
        names = [f"night-{at_once}-{number:03}" for number in range(TASKS)]
        began = time.time()
        for name in names:
            state.ask("POST", "/v1/tasks", {"name": name, "order": order, "secret": None})
        accepted = time.time() - began

        def ended():
            views = state.ask("GET", "/v1/tasks?limit=500")["tasks"]
            return all(view["result"]["state"] in OVER for view in views)

        until(ended, "end of the last task", pause=0.05, patience=900)
        taken = time.time() - began
        views = state.ask("GET", "/v1/tasks?limit=500")["tasks"]
        verified = sum(view["result"]["verified"] is True for view in views) - 1
        if verified != TASKS:
            raise SystemExit(f"{verified} of {TASKS} are verified: {json.dumps(views[:3])}")
        return taken, accepted, state.memory()


def measure(place, rounds):
    """The table."""
    table = Table(
        f"{TASKS} tasks of an agent that makes one file, one check each",
        ["What", "all of it", "a task", "beside the loop", "the server's most memory"],
    )
    repository = place.repository("night", FILES)
    git(repository, "config", "maintenance.auto", "false")
    for _ in range(rounds):
        tell("by hand")
        loop = by_hand(place, repository)
        table.add("by hand: worktree, bwrap, commit, worktree, bwrap", f"{loop:.1f} s", f"{loop / TASKS * 1000:.0f} ms", "1.0", "")
        for at_once in (1, 2, 4, 8):
            tell(f"{at_once} at once")
            taken, accepted, memory = ours(place, repository, at_once)
            table.add(
                f"{at_once} at once, all verified; all orders stored after {accepted:.1f} s", f"{taken:.1f} s",
                f"{taken / TASKS * 1000:.0f} ms", f"{taken / loop:.1f}", f"{memory:.1f} MiB",
            )
    return table
