#!/usr/bin/env bash
# Formatting, lints, shell syntax and, where it is installed, licences and advisories.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings

while IFS= read -r script; do
    case $(head -n 1 "$script") in
    *bash*) bash -n "$script" ;;
    *) sh -n "$script" ;;
    esac
done < <(find tools .ci -type f \( -name '*.sh' -o -name run \) -not -path '*/node_modules/*')

if command -v cargo-deny >/dev/null 2>&1; then
    cargo deny --locked check
else
    echo "NOT RUN: cargo-deny is not installed (cargo install cargo-deny --locked)"
fi
