"""The server's memory, how quick its lists are, and how soon it is back after a kill, with many stored tasks."""

import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import time

from measure import Table, both, milliseconds, p50, p99, run, tell
from place import State, Unix, programs, until

ENDED = 10_000
OPEN = 1_000
LIST = 50
# Which rows a list of 50 needs, asked of SQLite by nobody's help.
ROWS = f"SELECT task, view FROM summary ORDER BY submitted DESC, task LIMIT {LIST}"
AT_REST = 5


def fill(place, name, ended, held):
    """A state folder with that many tasks, made by the store. In memory first: what is measured is not the filling."""
    state = place.path / name / "state"
    memory = pathlib.Path("/dev/shm") / f"midwatch-bench-{os.getpid()}-{name}"
    tell(f"filling {name}: {ended} tasks that are over, {held} that are held")
    try:
        run([programs() / "examples/fill_store", str(memory), str(ended), str(held)])
        shutil.copytree(memory, state)
    finally:
        shutil.rmtree(memory, ignore_errors=True)
    return state


class Filled(State):
    """A server on a state folder that is there already."""

    def __init__(self, place, name):
        self.program = programs() / "midwatch"
        self.folder, self.words = place.path / name, []
        (self.folder / "home").mkdir(exist_ok=True)
        self.environment = {
            **{word: os.environ[word] for word in ("PATH", "LANG") if word in os.environ},
            "HOME": str(self.folder / "home"),
            "MIDWATCH_HOME": str(self.folder / "state"),
        }

    def memory(self):
        """Resident MiB, and those that are its own."""
        text = pathlib.Path(f"/proc/{self.server.pid}/smaps_rollup").read_text()
        value = lambda word: int(next(line for line in text.splitlines() if line.startswith(word)).split()[1]) / 1024
        return value("Rss:"), value("Private_Clean:") + value("Private_Dirty:")

    def get(self, path):
        """One question, as a client asks it; the seconds it took."""
        began = time.perf_counter()
        self.ask("GET", path)
        return time.perf_counter() - began

    def command(self, *words):
        """One command; the seconds it took."""
        began = time.perf_counter()
        subprocess.run(
            [str(self.program), *words], env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, check=True,
        )
        return time.perf_counter() - began

    def killed(self):
        """Seconds from the start of a server to its first answer, after the one before was killed."""
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()
        (self.folder / "state/server.sock").unlink(missing_ok=True)
        began = time.perf_counter()
        self.__enter__()
        until(lambda: answers(self), "an answer")
        return time.perf_counter() - began


def answers(state):
    """Whether the server answers a list."""
    try:
        connection = Unix(state.folder / "state/server.sock")
        connection.request("GET", f"/v1/tasks?limit={LIST}")
        return connection.getresponse().status == 200
    except OSError:
        return False


def select(database):
    """The same rows by SQLite alone, in a process that is there already."""
    began = time.perf_counter()
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    connection.execute(ROWS).fetchall()
    connection.close()
    return time.perf_counter() - began


def shell(database):
    """The same rows by a process of SQLite's own shell."""
    began = time.perf_counter()
    subprocess.run(["sqlite3", "-readonly", str(database), ROWS], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def measure(place, rounds):
    """The table."""
    table = Table("Many stored tasks", ["What", "Midwatch", "SQLite alone", "Wanted"])
    fill(place, "empty", 0, 0)
    with Filled(place, "empty") as state:
        time.sleep(AT_REST)
        rss, own = state.memory()
        table.add("memory at rest, nothing stored", f"{rss:.1f} MiB, {own:.1f} MiB of its own", "", "under 30 MiB")
    database = fill(place, "many", ENDED, 0) / "midwatch.db"
    stored = database.stat().st_size / 2**20
    with Filled(place, "many") as state:
        time.sleep(AT_REST)
        rss, own = state.memory()
        table.add(
            f"memory with {ENDED:,} stored tasks ({stored:.0f} MiB on disk)",
            f"{rss:.1f} MiB, {own:.1f} MiB of its own", "", "under 60 MiB",
        )
        # All take turns, so that a busy machine slows all of them.
        lists, commands, plain, shells, one, rare = [], [], [], [], [], []
        for number in range(rounds * 10):
            lists.append(state.get(f"/v1/tasks?limit={LIST}"))
            plain.append(select(database))
            one.append(state.get(f"/v1/tasks/task-{number * 7 % ENDED:05}"))
            if number % 2 == 0:
                commands.append(state.command("get"))
                shells.append(shell(database))
        table.add(f"a list of {LIST} over the socket, n={len(lists)}", both(lists), both(plain), "p99 under 20 ms")
        table.add(f"`midwatch get`, the whole command, n={len(commands)}", both(commands), f"its shell: {both(shells)}", "p99 under 20 ms")
        table.add(f"one task over the socket, n={len(one)}", both(one), "", "p99 under 20 ms")
        rss, own = state.memory()
        table.add("memory after that", f"{rss:.1f} MiB, {own:.1f} MiB of its own", "", "under 60 MiB")
    fill(place, "open", ENDED, OPEN)
    with Filled(place, "open") as state:
        times = [state.killed() for _ in range(rounds)]
        rss, own = state.memory()
    worst = milliseconds(max(times))
    table.add(
        f"from the start after kill -9 to the first list, {ENDED:,} tasks over and {OPEN:,} not, n={rounds}",
        f"p50 {milliseconds(p50(times))}, p99 {milliseconds(p99(times))}, worst {worst}", "", "p99 under 5 s",
    )
    table.add(f"memory with {OPEN:,} open tasks", f"{rss:.1f} MiB, {own:.1f} MiB of its own", "", "shown")
    return table
