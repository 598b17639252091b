#!/usr/bin/env bash
# Runs every test of the workspace and ends with a count, because the last lines are all that
# many people see. Arguments go to cargo test. What a passing test printed is left out, except
# lines that say `NOT RUN: why`: a test that could not run here must not look like one that did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
log=$target/test.log

cargo test --workspace --locked --no-fail-fast "$@" -- --show-output 2>&1 | tee "$log" | awk '
    /^successes:$/ { quiet = 1 }
    /^failures:$/ || /^test result:/ { quiet = 0 }
    !quiet || /NOT RUN:/ { print; fflush() }
'
status=${PIPESTATUS[0]}

echo
awk '
    /^     Running / || /^   Doc-tests / { binaries++; binary = $0 }
    /^test result:/ { passed += $4; failed += $6; ignored += $8 }
    /^---- .* stdout ----$/ { test = binary $2 }
    /NOT RUN:/ {
        if (!told[$0]++) why[++whys] = $0
        if (!partly[test]++) tests_partly++
    }
    /^test .* \.\.\. FAILED$/ { print "failed: " $2 }
    END {
        for (i = 1; i <= whys; i++) print why[i]
        printf "%d passed, %d failed, %d ignored", passed, failed, ignored
        printf "; of the passed, %d had something that could not run here\n", tests_partly
        exit binaries == 0
    }
' "$log" || status=1
echo "the whole output: $log"
exit "$status"
