"""A server that is killed and started again, and runs that are killed under it."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import time

from measure import tell
from place import State

# Seconds between two kills, at the least: a server that never comes to work shows nothing.
BREATH = 0.3
OPEN = ("Queued", "Running", "Held")


class Server(State):
    """A state folder whose server may be away for a moment."""

    def start(self):
        """Starts one and waits for its first answer; the seconds that took."""
        began = time.monotonic()
        log = open(self.folder / "serve.log", "ab")
        self.server = subprocess.Popen(
            [str(self.program), "serve"], env=self.environment,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )
        self.patiently("GET", "/v1/tasks?limit=1")
        return time.monotonic() - began

    def kill(self):
        """As a power cut would, for this one process."""
        self.server.kill()
        self.server.wait()

    def patiently(self, method, path, body=None, patience=60):
        """Asks again until somebody answers. A task is named, so asking twice makes one."""
        end = time.monotonic() + patience
        while True:
            try:
                return self.ask(method, path, body)
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                if time.monotonic() > end or self.server.poll() is not None:
                    raise
                time.sleep(0.02)

    def views(self):
        """Every task, page by page."""
        found, cursor = {}, None
        while True:
            path = "/v1/tasks?limit=500" + (f"&cursor={cursor}" if cursor else "")
            page = self.patiently("GET", path)
            for view in page["tasks"]:
                found[view["result"]["task"]] = view["result"]
            cursor = page.get("next")
            if not cursor:
                return found


class Killer:
    """Kills the server and runs in turn, at moments that a seed decides."""

    def __init__(self, state, random, kills):
        self.state = state
        self.random = random
        self.kills = kills
        self.recoveries = []
        self.runs_killed = 0

    def until_over(self, tasks, end):
        """Goes on until every task has ended or the time is up; how many have ended."""
        plan = sorted(self.random.random() for _ in range(self.kills))
        ended = 0
        while time.monotonic() < end:
            done = sum(view["state"] not in OPEN for view in self.state.views().values())
            if done // 200 > ended // 200:
                tell(f"{done} tasks have ended, {self.kills - len(plan)} kills")
            ended = done
            if ended >= tasks + 8 and not plan:
                break
            # The plan says after which part of all tasks each kill comes.
            if plan and (ended >= plan[0] * tasks):
                plan.pop(0)
                self.kill_one()
            time.sleep(BREATH * (0.5 + self.random.random()))
        return ended

    def kill_one(self):
        runners = processes_of(self.state.folder)
        if runners and self.random.random() < 0.5:
            victim = self.random.choice(runners)
            try:
                os.kill(victim, signal.SIGKILL)
                self.runs_killed += 1
            except ProcessLookupError:
                self.kill_server()
        else:
            self.kill_server()

    def kill_server(self):
        self.state.kill()
        self.recoveries.append(self.state.start())


def processes_of(folder):
    """Runners, sandboxes and whatever else was started with a path of this place."""
    found = []
    wanted = str(folder / "state/runs").encode()
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
    return sorted(found)
