#!/usr/bin/env bash
# Drives the path from a goal to a verified branch against the real providers, on your logins.
# It costs a few cents: one small task for each agent that you are logged in to.
#   tools/elsewhere/real-providers.sh [claude-code] [codex]
# Ends with one line per agent: passed, FAILED or NOT RUN.
# MIDWATCH=PATH tests that program instead of building one.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -gt 0 ] || set -- claude-code codex

"$top/tools/install/demo-deps.sh"
if [ -z "${MIDWATCH:-}" ]; then
    cargo build --quiet --locked --manifest-path "$top/Cargo.toml" --package midwatch-app
    MIDWATCH=$(cargo metadata --manifest-path "$top/Cargo.toml" --format-version 1 --no-deps |
        python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/debug/midwatch
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export MIDWATCH_HOME=$scratch/state

# A repository with one red test and one obvious way to make it green.
make_repository() {
    git init --quiet "$1"
    cat >"$1/leap.py" <<'PY'
def is_leap(year):
    return year % 4 == 0
PY
    cat >"$1/test_leap.py" <<'PY'
import unittest
from leap import is_leap


class Leap(unittest.TestCase):
    def test_every_fourth(self):
        self.assertTrue(is_leap(2024))

    def test_not_most_centuries(self):
        self.assertFalse(is_leap(1900))

    def test_every_fourth_century(self):
        self.assertTrue(is_leap(2000))
PY
    git -C "$1" add .
    git -C "$1" -c user.name=sample -c user.email=sample@localhost commit --quiet -m "Leap years"
}

# Reads one key of the result line, which is the last one.
result() {
    tail -n 1 "$1" | python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"
}

failed=0
for agent in "$@"; do
    repository=$scratch/$agent
    make_repository "$repository"
    before=$(
        git -C "$repository" status --porcelain
        git -C "$repository" rev-parse HEAD
    )
    code=0
    (cd "$repository" && "$MIDWATCH" run "make the tests pass" --agent "$agent" \
        --check "python3 -m unittest" --pipeline quick --timeout 15m \
        --output json </dev/null >"$scratch/$agent.jsonl") || code=$?
    after=$(
        git -C "$repository" status --porcelain
        git -C "$repository" rev-parse HEAD
    )
    if [ "$code" = 6 ] || [ "$code" = 5 ]; then
        echo "$agent: NOT RUN: $(result "$scratch/$agent.jsonl" reason): $(result "$scratch/$agent.jsonl" hint)"
    elif [ "$code" = 0 ] && [ "$(result "$scratch/$agent.jsonl" verified)" = True ] && [ "$before" = "$after" ]; then
        branch=$(result "$scratch/$agent.jsonl" branch)
        git -C "$repository" worktree add --quiet "$scratch/$agent-result" "$branch"
        if (cd "$scratch/$agent-result" && python3 -m unittest --quiet); then
            echo "$agent: passed: $branch, $(result "$scratch/$agent.jsonl" usage)"
        else
            echo "$agent: FAILED: the branch is called verified and its tests are red"
            failed=1
        fi
    else
        echo "$agent: FAILED with exit code $code: $(tail -n 1 "$scratch/$agent.jsonl")"
        failed=1
    fi
done
exit "$failed"
