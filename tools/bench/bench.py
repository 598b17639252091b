#!/usr/bin/env python3
"""Takes the figures of docs/BENCHMARKS.md and prints their tables.

A figure and its baseline take turns in one run, so that a busy machine slows both.
"""

import argparse
import datetime
import os
import platform
import sys

# Nothing is left beside the scripts.
sys.dont_write_bytecode = True

import exec_time
import gateway
import night
import runner_memory
import sandbox_start
import store
import streams
import whole_run
from measure import run
from place import Place, build

# Name, how, rounds.
FIGURES = {
    "exec": (exec_time.measure, 20),
    "sandbox": (sandbox_start.measure, 30),
    "run": (whole_run.measure, 5),
    "gateway": (gateway.measure, 1),
    "memory": (runner_memory.measure, 3),
    "store": (store.measure, 30),
    "night": (night.measure, 1),
    "streams": (streams.measure, 1),
}


def machine():
    """What a figure hangs on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    versions = [
        run(["git", "--version"]).strip(),
        run(["bwrap", "--version"]).strip(),
        run(["rustc", "--version"]).strip().split(" (")[0],
    ]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    who = "root" if os.geteuid() == 0 else "an ordinary user"
    return (
        f"Taken {datetime.date.today()} as {who} on {os.cpu_count()} cores and {memory} GiB, "
        f"Linux {platform.release().split('-')[0]}; {', '.join(versions)}; "
        f"load before: {load}.\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)}; all by default")
    parser.add_argument("--rounds", type=int, help="instead of each figure's own number")
    parser.add_argument("--no-build", action="store_true", help="the release binaries are new enough")
    parser.add_argument("--where", help="a folder for temporary files, on an ordinary file system")
    chosen = parser.parse_args()
    for name in chosen.figures:
        if name not in FIGURES:
            parser.error(f"'{name}' is none of {', '.join(FIGURES)}")
    if not chosen.no_build:
        build()
    print(machine(), flush=True)
    for name in chosen.figures or FIGURES:
        measure, rounds = FIGURES[name]
        with Place(chosen.where) as place:
            print(measure(place, chosen.rounds or rounds))
            print(f"`python3 tools/bench/bench.py {name}`\n", flush=True)


if __name__ == "__main__":
    main()
