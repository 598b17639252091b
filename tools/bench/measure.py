"""Times, their middle and their end, and the rows of a table."""

import math
import subprocess
import sys
import time


def percentile(values, part):
    """The value that `part` of all are not above (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * part) - 1)]


def p50(values):
    return percentile(values, 0.5)


def p99(values):
    return percentile(values, 0.99)


def milliseconds(seconds):
    """A time as people read it: two digits that count, no more."""
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 10 else f"{value:,.0f} ms"


def both(values):
    """Middle and end. The end of few samples is their worst."""
    return f"p50 {milliseconds(p50(values))}, p99 {milliseconds(p99(values))}"


def ratio(ours, theirs):
    """Pair by pair, because a busy machine's speed drifts: the median of the ratios."""
    return p50([one / other for one, other in zip(ours, theirs)])


def timed(command, **how):
    """Seconds that a command took. It has to succeed."""
    began = time.time()
    run(command, **how)
    return time.time() - began


def run(command, **how):
    """Runs a command that has to succeed, and gives what it printed."""
    how.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise SystemExit(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def tell(text):
    """Progress, beside the tables."""
    print(text, file=sys.stderr, flush=True)


class Table:
    """Rows of one figure's table, printed as Markdown."""

    def __init__(self, title, head):
        self.title = title
        self.head = head
        self.rows = []

    def add(self, *cells):
        assert len(cells) == len(self.head), cells
        self.rows.append([str(cell) for cell in cells])

    def __str__(self):
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"### {self.title}\n\n{table}\n"
