"""What a runner keeps for itself while its command sleeps."""

import pathlib

from measure import Table
from orders import Orders, until_printed
from place import git, programs

WANTED = "under 3 MiB"
SLEEP = "echo ready; exec sleep 60"


def private_dirty(pid):
    """KiB, from the kernel."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    line = next(line for line in text.splitlines() if line.startswith("Private_Dirty:"))
    return int(line.split()[1])


def asleep(orders, work):
    """Starts a run whose command says `ready` and sleeps; looks; ends it."""
    folder = orders.give(work)
    process = orders.start(folder)
    until_printed(folder, "ready")
    kib = private_dirty(process.pid)
    (folder / "stop").touch()
    process.wait()
    return kib


def measure(place, rounds):
    """The table."""
    repository = place.repository("memory", 20)
    commit = git(repository, "rev-parse", "HEAD")
    table = Table("A runner's private dirty memory", ["Program", "Run", "Most of all rounds", "Wanted"])
    for program in ("midwatch-runner", "midwatch"):
        orders = Orders(programs() / program, place.path / program, repository)
        workspace = orders.workspace(commit)
        works = [
            ("a check", lambda: orders.check(workspace, SLEEP)),
            ("an agent", lambda: orders.agent(workspace, SLEEP)),
        ]
        for what, work in works:
            most = max(asleep(orders, work()) for _ in range(rounds))
            table.add(f"`{program} runner`", what, f"{most:,} KiB", WANTED)
    return table
