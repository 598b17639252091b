"""What is wrong when everything is over: looked for from outside, in git, /proc and the folders."""

import os
import pathlib
import subprocess

from place import git

CGROUPS = pathlib.Path("/sys/fs/cgroup")


class Findings:
    """Everything that should not be, counted by kind."""

    def __init__(self):
        self.all = []
        self.lost = self.failed = self.doubled = self.stuck = self.left = 0

    def add(self, kind, text):
        setattr(self, kind, getattr(self, kind) + 1)
        self.all.append(f"{kind}: {text}")


def everything(place, state, folders, names, views, groups_before):
    """The whole audit. The server is gone by now."""
    findings = Findings()
    ends(findings, names, views)
    branches(findings, folders, names)
    leftovers(findings, place, state, groups_before)
    return findings


def ends(findings, names, views):
    """Each task has one end, and it is a good one: nothing in a soak is the task's own fault."""
    for name in names:
        view = views.get(name)
        if view is None:
            findings.add("lost", f"{name} is not known")
        elif view["state"] in ("Queued", "Running", "Held"):
            findings.add("stuck", f"{name} is {view['state']} ({view.get('reason')})")
        elif view["state"] != "Done":
            findings.add("failed", f"{name} is {view['state']} ({view.get('reason')})")


def branches(findings, folders, names):
    """One branch for each task, with one commit that adds its one file and nothing else."""
    seen = {}
    for folder in folders:
        if git(folder, "status", "--porcelain"):
            findings.add("left", f"{folder} is not as it was")
        said = git(folder, "for-each-ref", "--format=%(refname)", "refs/")
        for ref in said.splitlines():
            if ref == "refs/heads/main":
                continue
            name = ref.removeprefix("refs/heads/midwatch/")
            if name in seen:
                findings.add("doubled", f"{name} is in {seen[name]} and {folder}")
            seen[name] = folder
            if name.startswith("first-"):
                continue
            changes = git(folder, "diff", "--name-status", "main", ref).splitlines()
            if changes != [f"A\tout/{name}"]:
                findings.add("lost", f"{ref} changes {changes}")
            count = git(folder, "rev-list", "--count", f"main..{ref}")
            if count != "1":
                findings.add("doubled", f"{ref} has {count} commits")
    for name in set(names) - set(seen):
        findings.add("lost", f"{name} has no branch")
    for name in set(seen) - set(names):
        if not name.startswith("first-"):
            findings.add("doubled", f"nobody asked for {name}")


def leftovers(findings, place, state, groups_before):
    """Processes, mounts, control groups, workspaces."""
    wanted = str(place.path)
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and (how := belongs(entry, wanted)):
            findings.add("left", f"{how} {entry.name}")
    for group in groups() - groups_before:
        # One in which somebody else's run works is theirs.
        if not others(group, wanted):
            findings.add("left", f"control group {group}")
    runs = state.folder / "state/runs"
    for upper in runs.glob("*/upper"):
        findings.add("left", f"a workspace: {upper}")
    for name in ("trash", "credentials"):
        folder = state.folder / "state" / name
        for entry in folder.iterdir() if folder.is_dir() else []:
            findings.add("left", str(entry))
    work = list((state.folder / "state/mirrors").glob("*/work.git"))
    for store in work:
        fsck = subprocess.run(
            ["git", "-C", str(store), "fsck", "--connectivity-only", "--no-dangling"],
            capture_output=True, text=True, check=False,
        )
        if fsck.returncode:
            findings.add("lost", f"{store}: {fsck.stderr[:200]}")


def belongs(entry, wanted):
    """How a process is of this place, if it is."""
    try:
        if wanted.encode() in (entry / "cmdline").read_bytes():
            return "process"
        if wanted in (entry / "mountinfo").read_text():
            return "a mount of process"
    except OSError:
        pass
    return None


def others(group, wanted):
    """Whether processes are in a group, and none of them is of this place."""
    try:
        members = (pathlib.Path(group) / "cgroup.procs").read_text().split()
    except OSError:
        return True
    return bool(members) and not any(belongs(pathlib.Path("/proc") / pid, wanted) for pid in members)


def groups():
    """Control groups of runs, in whatever hierarchy."""
    return {str(path) for path in CGROUPS.rglob("midwatch/*") if path.is_dir()}
