"""The whole of `midwatch run`, beside the bare agent and the same check in a worktree."""

import os
import pathlib
import time

from exec_time import FILES
from measure import Table, both, milliseconds, p50, run
from place import QUIET_GIT, State, git, programs
from scripted_model import ScriptedModel

SMALL = 20
GOAL = "make the file made.txt"
AGENT = "echo made > made.txt"
CHECK = "sh check.sh"
# Works nowhere: the model is a script of ours.
KEY = "sk-ant-api03-not-a-real-one"


def claude():
    """The pinned CLI, if it is there; the tests install it."""
    cache = os.environ.get("MIDWATCH_CACHE") or pathlib.Path.home() / ".cache/midwatch"
    program = pathlib.Path(cache) / "agents/node_modules/.bin/claude"
    return program if program.exists() else None


def bare(repository, agent, environment, before):
    """The same by hand: a worktree, the agent in it, a commit, the check in a fresh worktree."""
    # Left until the end: ext4 is slow to make files where as many were just removed.
    place = repository.parent / f"by-hand-{time.monotonic_ns()}"
    folder, fresh = place / "work", place / "checked"
    place.mkdir()
    before(folder)
    environment = {**environment, **QUIET_GIT}
    began = time.time()
    git(repository, "worktree", "add", "-q", "--detach", str(folder))
    run(agent, cwd=folder, env=environment)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", GOAL)
    commit = git(folder, "rev-parse", "HEAD")
    git(repository, "worktree", "add", "-q", "--detach", str(fresh), commit)
    run(["sh", "-c", CHECK], cwd=fresh, env=environment)
    return time.time() - began


def alone(repository, agent, environment):
    """The agent alone, in the checkout."""
    began = time.time()
    run(agent, cwd=repository, env={**environment, **QUIET_GIT})
    taken = time.time() - began
    git(repository, "clean", "-q", "-f", "-d")
    return taken


def compare(state, repository, rounds, words, agent, environment, before=lambda folder: None):
    """All three in turn. What the first of each makes or warms, later ones find: it is apart."""
    times = {"run": [], "bare": [], "alone": []}
    for number in range(rounds + 1):
        before("/workspace")
        began = time.time()
        result = state.run(repository, GOAL, *words, **environment)
        times["run"].append(time.time() - began)
        if result["state"] != "Done":
            raise SystemExit(f"midwatch run: {result}")
        around = {**state.environment, **environment}
        times["bare"].append(bare(repository, agent, around, before))
        before(repository)
        times["alone"].append(alone(repository, agent, around))
    first = {name: taken.pop(0) for name, taken in times.items()}
    return first["run"], times


def measure(place, rounds):
    """The table."""
    program = programs() / "midwatch"
    head = [
        "What", "`midwatch run`, first", "`midwatch run`, later", "by hand: worktree, agent, commit, check in a worktree",
        "the agent alone",
    ]
    table = Table("The whole of `midwatch run`", head)

    def add(what, first, times):
        table.add(
            f"{what} (n={rounds})", milliseconds(first), both(times["run"]), both(times["bare"]),
            milliseconds(p50(times["alone"])),
        )

    for files in (SMALL, FILES):
        repository = place.repository(f"repository-{files}", files)
        with State(program, place.path / f"custom-{files}") as state:
            state.profile("bench", AGENT)
            words = ["--profile", "bench", "--pipeline", "quick", "--check", CHECK]
            measured = compare(state, repository, rounds, words, ["bash", "-c", AGENT], {})
            add(f"an agent that only makes a file, {files:,} files", *measured)
        if claude():
            with State(program, place.path / f"claude-{files}") as state, ScriptedModel() as model:
                add(f"claude on a scripted model, {files:,} files", *with_claude(state, model, repository, rounds))
        else:
            print("NOT RUN: the claude CLI is not installed (make test installs it)\n")
    return table


def with_claude(state, model, repository, rounds):
    """The real CLI. Its model takes no time, so what is left is the CLI's own and ours."""
    path = f"{claude().parent}:{state.environment['PATH']}"
    environment = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model.url, "PATH": path, "IS_SANDBOX": "1"}
    words = ["--agent", "claude-code", "--pipeline", "quick", "--check", CHECK, "--egress", "none"]
    bare_cli = [
        "claude", "-p", GOAL, "--model", "sonnet", "--output-format", "stream-json", "--verbose",
        "--dangerously-skip-permissions",
    ]
    return compare(state, repository, rounds, words, bare_cli, environment, model.works_in)
