#!/bin/sh
# The counts that the tests themselves print, as a table: counts.sh [LOG], by default the log
# that `make test` leaves. A count that is not in the log is said to be missing.
set -eu
cd "$(dirname "$0")/../.."
log=${1:-${CARGO_TARGET_DIR:-target}/test.log}
test -r "$log" || {
    echo "there is no $log: run make test first" >&2
    exit 1
}

echo '| What the tests counted |'
echo '|---|'
for words in 'escapes tried' 'hostile-git vectors tried' 'egress bypasses tried' \
    'bad inputs tried' 'crash points' 'model steps'; do
    # Colours and the names of tests that print beside each other come before the words.
    found=$(grep -a -o "[a-z ]*$words.*" "$log" | sed 's/^ *//' | sort -u)
    test -n "$found" || found="$words: not in the log"
    echo "$found" | sed 's/.*/| & |/'
done
