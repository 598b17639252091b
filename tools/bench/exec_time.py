"""From an order to the first word of its agent, beside `git worktree add`."""

import copy
import os
import time

from measure import Table, both, milliseconds, p50, ratio, tell, timed
from orders import Orders, printed
from place import State, git, programs

FILES = 10_000
# A working agent's commit: how many files it changes.
CHANGED = 50
# Cold samples take seconds each.
COLD_ROUNDS = 6

# When the agent began; when the self-test began and ended, which is when the inside half made
# the file of its phases and wrote its second line.
AGENT = "echo $EPOCHREALTIME $(stat -c '%.W %.Y' /midwatch/out/progress.jsonl) > started"


def settle():
    """What was written before is on disk: nobody pays for the one before them."""
    os.sync()


def worktree(repository, commit, *settings):
    """Seconds of `git worktree add`."""
    folder = repository.parent / f"worktree-{time.monotonic_ns()}"
    words = ["git", "-C", str(repository), *settings, "worktree", "add", "-q", "--detach"]
    settle()
    taken = timed([*words, str(folder), commit])
    # Left until the end: ext4 is slow to make files where as many were just removed.
    tell(f"worktree {' '.join(settings)}: {milliseconds(taken)}")
    return taken


def two_workers(repository, commit):
    """The same with two workers, however few files there are."""
    settings = ["-c", "checkout.workers=2", "-c", "checkout.thresholdForParallelism=0"]
    return worktree(repository, commit, *settings)


def submitted(state, order, name):
    """Gives an order; seconds to its agent's start, and how many of them the self-test took."""
    body = {"name": name, "order": order, "secret": None}
    settle()
    began = time.time()
    state.ask("POST", "/v1/tasks", body)
    result = state.ended(name)
    folder = order["repository"]["path"]
    said = git(folder, "show", f"{result['branch']}:started")
    agent, test_began, test_ended = (float(word) for word in said.split())
    tell(f"{name}: {milliseconds(agent - began)}, self-test {milliseconds(test_ended - test_began)}")
    return agent - began, test_ended - test_began


def found(state, repository):
    """An order as `midwatch run` makes it."""
    state.profile("bench", AGENT)
    words = ["--profile", "bench", "--pipeline", "quick", "--check", "sh check.sh"]
    result = state.run(repository, "take the time", *words)
    order = state.ask("GET", f"/v1/tasks/{result['task']}/order")
    return {**order, "branch": None}


def warm(place, program, repository, rounds):
    """Base cached: totals, self-tests, and some worktrees; the order."""
    totals, tests = [], []
    head = git(repository, "rev-parse", "HEAD")
    with State(program, place.path / "warm") as state:
        order = found(state, repository)
        for number in range(rounds):
            total, test = submitted(state, order, f"warm-{number}")
            totals.append(total)
            tests.append(test)
    # For the scale. Not in turn: ten thousand files are no neighbours for what takes so little.
    worktrees = [worktree(repository, head) for _ in range(3)]
    return totals, tests, worktrees, order


def cold_commit(place, program, repository, order, rounds):
    """A known repository, a commit that was never seen."""
    totals, tests, worktrees, parallel = [], [], [], []
    with State(program, place.path / "commits") as state:
        submitted(state, order, "first")
        for number in range(rounds):
            (repository / "src/part000/file00.txt").write_text(f"commit {number}\n")
            git(repository, "commit", "-q", "-a", "-m", "next")
            head = git(repository, "rev-parse", "HEAD")
            total, test = submitted(state, {**copy.deepcopy(order), "base": head}, f"cold-{number}")
            totals.append(total)
            tests.append(test)
            worktrees.append(worktree(repository, head))
            parallel.append(two_workers(repository, head))
    return totals, tests, worktrees, parallel


def cold_state(place, program, repository, order, rounds):
    """Nothing was ever seen: a new state folder each time."""
    totals, tests, worktrees, parallel = [], [], [], []
    head = order["base"]
    for number in range(rounds):
        folder = place.path / f"cold-{number}"
        with State(program, folder) as state:
            total, test = submitted(state, order, f"new-{number}")
        totals.append(total)
        tests.append(test)
        worktrees.append(worktree(repository, head))
        parallel.append(two_workers(repository, head))
    return totals, tests, worktrees, parallel


def other_commit(place, program, repository, rounds):
    """A check's workspace: a commit checked out over a cached base, to the check's first word."""
    base = git(repository, "rev-parse", "HEAD")
    for number in range(CHANGED):
        path = repository / f"src/part{number:03}/file01.txt"
        path.write_text(f"changed {number}\n")
    git(repository, "commit", "-q", "-a", "-m", "change")
    head = git(repository, "rev-parse", "HEAD")
    orders = Orders(program, place.path / "orders", repository)
    plain = orders.workspace(base)
    work = orders.check(orders.on_top(plain, head), "exec bash -c 'echo $EPOCHREALTIME'")
    times, worktrees, parallel = [], [], []
    for _ in range(rounds):
        folder = orders.give(work)
        settle()
        began = time.time()
        orders.start(folder).wait()
        times.append(float(printed(folder)) - began)
        worktrees.append(worktree(repository, head))
        parallel.append(two_workers(repository, head))
    return times, worktrees, parallel


def aside(totals, tests):
    return [total - test for total, test in zip(totals, tests)]


def measure(place, rounds):
    """The table."""
    program = programs() / "midwatch"
    repository = place.repository("repository", FILES)
    few = min(rounds, COLD_ROUNDS)
    head = ["What", "Midwatch", "git worktree add", "with 2 workers", "Wanted"]
    table = Table(f"Submitted to the agent's exec, {FILES:,} files", head)

    totals, tests, trees, order = warm(place, program, repository, rounds)
    table.add(
        f"base cached, self-test aside (n={rounds})", both(aside(totals, tests)),
        milliseconds(p50(trees)), "", "p50 under 100 ms",
    )
    table.add("the same with the self-test", both(totals), "", "", "")

    for what, measured in [
        ("nothing cached: new state folder", cold_state),
        ("known repository, new commit", cold_commit),
    ]:
        totals, tests, trees, parallel = measured(place, program, repository, order, few)
        ours = aside(totals, tests)
        table.add(
            f"{what}, self-test aside (n={few})",
            f"{both(ours)}: {ratio(ours, trees):.2f} times, {ratio(ours, parallel):.2f} times",
            milliseconds(p50(trees)), milliseconds(p50(parallel)), "at most 1.0 times",
        )
        table.add("the same with the self-test", both(totals), "", "", "")

    times, trees, parallel = other_commit(place, program, repository, few)
    table.add(
        f"a check's workspace on a commit that changes {CHANGED} files (n={few})",
        f"{both(times)}: {ratio(times, trees):.2f} times, {ratio(times, parallel):.2f} times",
        milliseconds(p50(trees)), milliseconds(p50(parallel)), "shown",
    )
    return table
