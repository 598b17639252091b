"""Where a measurement happens: programs, a repository of many files, a state folder."""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from measure import run, tell

ROOT = pathlib.Path(__file__).resolve().parents[2]

# No setting of whoever measures changes what is measured.
QUIET_GIT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


def build():
    """Makes the release binaries."""
    packages = ["midwatch-app", "midwatch-runner", "midwatch-sandbox"]
    chosen = [word for package in packages for word in ("--package", package)]
    cargo = ["cargo", "build", "--release", "--locked"]
    subprocess.run([*cargo, *chosen, "--bins"], cwd=ROOT, check=True)
    gateway = ["--package", "midwatch-broker", "--example", "gateway_cost"]
    subprocess.run([*cargo, *gateway], cwd=ROOT, check=True)
    store = ["--package", "midwatch-local", "--example", "fill_store"]
    subprocess.run([*cargo, *store], cwd=ROOT, check=True)


def programs():
    """The folder of the release binaries."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release"


def git(folder, *words, stdin=None):
    """Git with nobody's settings."""
    who = ["-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
    environment = {**os.environ, **QUIET_GIT}
    how = {"stdin": None, "input": stdin} if stdin is not None else {}
    return run(["git", "-C", str(folder), *who, *words], env=environment, **how).strip()


class Place:
    """A temporary folder with everything in it."""

    def __init__(self, where=None):
        # Below /tmp by default: overlays want an ordinary file system.
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="midwatch-bench-", dir=where))
        self.path.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            tell(f"left to be looked at: {self.path}")

    def repository(self, name, files):
        """A repository with `files` files of 1 to 8 KiB, a check and one commit."""
        folder = self.path / name
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        # In the background it would be measured too.
        git(folder, "config", "gc.auto", "0")
        contents = {"check.sh": "echo checked\n"}
        for number in range(files):
            path = f"src/part{number // 100:03}/file{number % 100:02}.txt"
            contents[path] = text_of(number)
        git(folder, "fast-import", "--quiet", stdin=one_commit(contents))
        # One pack with an index for reachability, as a clone has it.
        git(folder, "repack", "-a", "-d", "-q", "-b")
        git(folder, "reset", "-q", "--hard")
        return folder


def one_commit(contents):
    """What `git fast-import` reads. All text is ASCII."""
    head = "commit refs/heads/main\ncommitter bench <bench@example.invalid> 1700000000 +0000\n"
    parts = [head, "data 5\nbase\n"]
    for path, text in contents.items():
        parts.append(f"M 100644 inline {path}\ndata {len(text)}\n{text}\n")
    return "".join(parts)


def text_of(number):
    """Text that does not compress away, the same in every run; 4 KiB on average."""
    seed = hashlib.sha256(str(number).encode()).digest()
    lines = 16 + seed[0] % 112
    digests = (hashlib.sha256(seed + bytes([line])).digest() for line in range(lines))
    return "".join(base64.b64encode(digest + seed[:16]).decode() + "\n" for digest in digests)


class Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.unix = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix)


class State:
    """A state folder, its server, and orders given to it."""

    def __init__(self, program, folder, at_once=None):
        self.program = program
        self.folder = folder
        self.words = [] if at_once is None else ["--concurrency", str(at_once), "--per-repository", str(at_once)]
        self.server = None
        folder.mkdir()
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            **QUIET_GIT,
            "HOME": str(folder / "home"),
            "MIDWATCH_HOME": str(folder / "state"),
        }
        (folder / "home").mkdir()

    def __enter__(self):
        log = open(self.folder / "serve.log", "wb")
        command = [str(self.program), "serve", *self.words]
        self.server = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        until(lambda: (self.folder / "state/server.sock").exists(), "the server's socket")
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()

    def memory(self):
        """The most that the server had, resident MiB."""
        text = pathlib.Path(f"/proc/{self.server.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024

    def ask(self, method, path, body=None):
        """One request; the answer as JSON."""
        connection = Unix(self.folder / "state/server.sock")
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"content-type": "application/json"})
        answer = connection.getresponse()
        found = json.loads(answer.read() or "null")
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {found}")
        return found

    def profile(self, name, script):
        """A custom agent that is a script of bash."""
        folder = self.folder / "home/.config/midwatch/profiles"
        folder.mkdir(parents=True, exist_ok=True)
        custom = {"argv": ["bash", "-c", script]}
        spec = {"agent": "custom", "custom": custom, "egress": "none"}
        kind = {"apiVersion": "midwatch.dev/v1alpha1", "kind": "AgentProfile"}
        # JSON is YAML.
        text = json.dumps({**kind, "metadata": {"name": name}, "spec": spec})
        (folder / f"{name}.yaml").write_text(text)

    def run(self, repository, *words, **more):
        """`midwatch run`, to its end; its result line."""
        command = [str(self.program), "run", *words, "--output", "json"]
        environment = {**self.environment, **more}
        done = subprocess.run(
            command, cwd=repository, env=environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        result = json.loads(lines[-1]) if lines else {}
        if done.returncode != 0:
            raise SystemExit(f"midwatch run: exit {done.returncode}\n{result}\n{done.stderr}")
        return result

    def ended(self, name):
        """Follows a task to its end, as a client does; its result line."""
        connection = Unix(self.folder / "state/server.sock")
        connection.request("GET", f"/v1/tasks/{name}/events")
        answer = connection.getresponse()
        for line in answer:
            said = json.loads(line)
            if said["type"] == "result":
                break
        else:
            raise SystemExit(f"{name}: the stream ended without a result")
        if said["state"] != "Done":
            raise SystemExit(f"{name}: {json.dumps(said, indent=1)}")
        return said


def until(holds, what, pause=0.002, patience=120):
    """Polls, because another process tells nobody."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(pause)
    raise SystemExit(f"no {what} after {patience} s")
