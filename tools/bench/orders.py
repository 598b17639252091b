"""Orders for a runner alone, as the server would write them."""

import json
import os
import subprocess

from measure import run
from place import git, until

GIB = 1 << 30


class Orders:
    """Runs below one folder, on one repository."""

    def __init__(self, program, folder, repository):
        self.program = program
        self.folder = folder
        self.repository = repository
        self.number = 0
        for name in ("runs", "bases", "packs", "homes"):
            (folder / name).mkdir(parents=True)
        self.upstream = folder / "upstream.git"
        run(["git", "clone", "-q", "--bare", str(repository), str(self.upstream)])
        # A mirror of ours holds packs and nothing loose.
        git(self.upstream, "repack", "-a", "-d", "-q")

    def give(self, work, **limits):
        """Writes an order; the folder of its run."""
        self.number += 1
        name = f"{work['kind'].lower()}-{self.number}"
        folder = self.folder / "runs" / name
        folder.mkdir()
        order = {
            "version": 1, "run": name, "epoch": self.number, "folder": str(folder), "work": work,
            "limits": {
                "wallSeconds": 120, "idleSeconds": 0, "memoryBytes": 4 * GIB, "pids": 512,
                "diskBytes": 4 * GIB, "outputBytes": 1 << 20, "graceSeconds": 4, **limits,
            },
            "toolchains": [], "caBundle": None, "broker": None, "clientEnv": {},
            "clientFiles": {}, "acceptMissing": [],
        }
        (folder / "order.json").write_text(json.dumps(order))
        return folder

    def start(self, folder):
        """Starts its runner."""
        environment = {"PATH": os.environ["PATH"]}
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        command = [str(self.program), "runner", str(folder)]
        return subprocess.Popen(command, env=environment, **quiet)

    def carry_out(self, work):
        """To its report, which has to say 0. The run's folder."""
        folder = self.give(work)
        self.start(folder).wait()
        ending = json.loads((folder / "report.json").read_text())["ending"]
        if ending != {"type": "Exited", "code": 0}:
            raise SystemExit(f"{folder.name}: {ending}")
        return folder

    def checkout(self, commit, base, workers=0):
        """The work of making a base."""
        return {
            "kind": "Checkout", "commit": commit, "upstream": str(self.upstream),
            "base": str(base), "workers": workers,
        }

    def workspace(self, commit):
        """A workspace on a commit, whose base is made where it is missing."""
        base = self.folder / "bases" / commit
        if not base.exists():
            self.carry_out(self.checkout(commit, base))
        return {"baseCommit": commit, "base": str(base), "deps": [], "commit": None, "upper": None}

    def on_top(self, workspace, commit):
        """The workspace with a commit on its base, as an import leaves it."""
        pack = self.folder / "packs" / commit
        if not pack.exists():
            (pack / "objects/pack").mkdir(parents=True)
            wanted = f"{commit}\n^{workspace['baseCommit']}\n"
            name = str(pack / "objects/pack/pack")
            git(self.repository, "pack-objects", "--revs", "-q", name, stdin=wanted)
        return {**workspace, "commit": {"id": commit, "pack": str(pack)}}

    def check(self, workspace, command):
        """The work of one check."""
        return {"kind": "Check", "workspace": workspace, "command": command}

    def agent(self, workspace, script):
        """The work of a custom agent that is a script of bash."""
        custom = {"argv": ["/bin/bash", "-c", script]}
        agent = {
            "adapter": "custom", "program": "/bin/bash", "model": None, "prompt": "-",
            "preamble": "", "session": "0190f3a0-0000-7000-8000-000000000001", "resume": False,
            "readOnly": False, "credentialKind": "None", "runToken": "", "maxTurns": None,
            "maxCostCents": None, "checkpointSeconds": 0, "custom": custom,
        }
        home = str(self.folder / "homes" / str(self.number))
        return {"kind": "Agent", "workspace": workspace, "home": home, "agent": agent}


def printed(folder):
    """What the command printed."""
    path = folder / "stdout.log"
    return path.read_text() if path.exists() else ""


def until_printed(folder, text):
    """Waits for it."""
    until(lambda: text in printed(folder), f"'{text}' from {folder.name}")
