"""What the gateway adds, as the broker's own measurement says it."""

import re

from measure import Table, run
from place import programs

WANTED = {"latency": "p50 under 1 ms", "memory": "under 40 MiB"}


def measure(_place, _rounds):
    """The table."""
    text = run([programs() / "examples/gateway_cost"])
    table = Table("The gateway", ["What", "Direct", "Through the gateway", "Added", "Wanted"])
    lines = re.findall(r"(first|last) byte (p50|p99): direct (\S+)\s+gateway (\S+)\s+added (\S+)", text)
    for which, part, direct, gateway, added in lines:
        wanted = WANTED["latency"] if part == "p50" else ""
        table.add(
            f"a streamed request, {which} byte, {part}",
            *(f"{value} ms" for value in (direct, gateway, added)), wanted,
        )
    before, growth, streams = re.search(
        r"memory: (\S+) MiB before, \+(\S+) MiB with (\d+) streams", text
    ).groups()
    after = float(before) + float(growth)
    table.add(
        f"memory with {streams} streams at once", f"{before} MiB before", f"{after:.1f} MiB",
        f"{growth} MiB", WANTED["memory"],
    )
    return table
