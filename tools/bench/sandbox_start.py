"""From the start of a sandbox to its command's first word, beside bubblewrap alone."""

import json
import subprocess
import time

from measure import Table, both, p50, milliseconds, ratio
from orders import Orders, printed
from place import git, programs

# What a shell needs to say when it began, and nothing else.
SAY = "echo $EPOCHREALTIME"


def bare():
    """Bubblewrap with the same namespaces and a system to see, without anything of ours."""
    began = time.time()
    command = [
        "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv",
        "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib",
        "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev",
        "--tmpfs", "/tmp", "--chdir", "/tmp", "bash", "-c", SAY,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(said.stdout) - began


def ours(trial):
    """All layers, started by `sandbox-try`: the sandbox without a runner's work around it."""
    program = programs() / "sandbox-try"
    began = time.time()
    said = subprocess.run([program], input=trial, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    if not lines or lines[-1].get("code") != 0:
        raise SystemExit(f"sandbox-try: {said.stdout}{said.stderr}")
    return float(lines[-1]["stdout"]) - began


def runner(orders, work):
    """A check's run: order read, workspace merged, sandbox, command."""
    folder = orders.give(work)
    began = time.time()
    orders.start(folder).wait()
    return float(printed(folder)) - began


def measure(place, rounds):
    """The table."""
    repository = place.repository("small", 20)
    orders = Orders(programs() / "midwatch-runner", place.path / "orders", repository)
    workspace = orders.workspace(git(repository, "rev-parse", "HEAD"))
    work = orders.check(workspace, f"exec bash -c '{SAY}'")
    stage = place.path / "stage"
    stage.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    policy = {
        "mounts": [], "env": environment, "cwd": "/tmp", "home": "/tmp", "hostname": "bench",
        "tmpBytes": 1 << 30,
    }
    trial = json.dumps({
        "policy": policy, "command": ["bash", "-c", SAY], "stage": str(stage),
        "timeoutMs": 10000, "limits": {"memoryBytes": 1 << 30, "pids": 256},
    })
    times = {"bare": [], "ours": [], "runner": []}
    for _ in range(rounds):
        times["bare"].append(bare())
        times["ours"].append(ours(trial))
        times["runner"].append(runner(orders, work))
    head = ["What", "Midwatch", "bwrap alone", "Ratio, median of pairs"]
    table = Table("Sandbox start to exec", head)
    for what, name in [
        ("all layers, empty place", "ours"),
        ("a whole runner: order, workspace, all layers", "runner"),
    ]:
        added = milliseconds(p50(times[name]) - p50(times["bare"]))
        table.add(
            what, f"{both(times[name])} (+{added})", both(times["bare"]),
            f"{ratio(times[name], times['bare']):.1f}",
        )
    return table
