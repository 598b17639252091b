"""Twenty tasks that print, each followed by somebody: how late a line comes, and whether all come."""

import re
import subprocess
import threading
import time

from measure import Table, both
from place import State, Unix, programs

STREAMS = 20
LINES = 200
# Each line says when it was printed; a follower that comes late sees the first ones late.
AGENT = f"""
for number in $(seq {LINES}); do echo "line $number at $EPOCHREALTIME"; sleep 0.05; done
echo made > made.txt
"""
SAID = re.compile(rb"line (\d+) at (\d+\.\d+)")


class Follower(threading.Thread):
    """Reads one task's events to their end."""

    def __init__(self, state, name):
        super().__init__()
        self.state, self.name, self.late = state, name, {}

    def run(self):
        connection = Unix(self.state.folder / "state/server.sock")
        connection.request("GET", f"/v1/tasks/{self.name}/events")
        for line in connection.getresponse():
            now = time.time()
            for number, at in SAID.findall(line):
                self.late.setdefault(int(number), now - float(at))


class Tail(threading.Thread):
    """`tail -f` of a file that the same script writes by itself."""

    def __init__(self, path):
        super().__init__()
        self.path, self.late = path, {}

    def run(self):
        command = ["bash", "-c", AGENT.replace("made.txt", "/dev/null")]
        with open(self.path, "wb") as out:
            writer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out)
        tail = subprocess.Popen(["tail", "-n", "+1", "-f", str(self.path)], stdout=subprocess.PIPE)
        for line in tail.stdout:
            now = time.time()
            for number, at in SAID.findall(line):
                self.late.setdefault(int(number), now - float(at))
            if len(self.late) == LINES:
                break
        tail.kill()
        tail.wait()
        writer.wait()


def followed(threads):
    """Starts all and waits for all; every line's lateness, and how many lines never came."""
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    late = [value for thread in threads for value in thread.late.values()]
    return late, STREAMS * LINES - len(late)


def measure(place, _rounds):
    """The table."""
    table = Table(
        f"{STREAMS} streams followed at once, {STREAMS * LINES:,} lines",
        ["What", "a line is late by", "lines that never came", "the server's most memory"],
    )
    late, lost = followed([Tail(place.path / f"tail-{number}") for number in range(STREAMS)])
    table.add("`tail -f` of files that the same scripts write", both(late), lost, "")
    repository = place.repository("streams", 20)
    with State(programs() / "midwatch", place.path / "streams-state", STREAMS) as state:
        state.profile("bench", AGENT)
        words = ["--profile", "bench", "--pipeline", "quick", "--no-check"]
        state.run(repository, "print", "--name", "first", *words)
        order = {**state.ask("GET", "/v1/tasks/first/order"), "branch": None}
        names = [f"stream-{number:02}" for number in range(STREAMS)]
        for name in names:
            state.ask("POST", "/v1/tasks", {"name": name, "order": order, "secret": None})
        late, lost = followed([Follower(state, name) for name in names])
        table.add("`midwatch logs -f` of tasks, from the socket", both(late), lost, f"{state.memory():.1f} MiB")
    return table
