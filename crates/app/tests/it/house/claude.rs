//! Claude Code, as far as tests play it with a shell script of their own.

/// How such a script begins: its version, its prompt read to the end, `$session` and `$how` it was
/// told of it, its first line, and in `$end` what every last line says of its cost.
pub(crate) const BEGINS: &str = r#"#!/bin/sh
case "$*" in *--version*) echo '2.1.197 (Claude Code)'; exit 0 ;; esac
cat > /dev/null
while [ $# -gt 0 ]; do
    case $1 in --session-id | --resume) how=$1 session=$2 ;; esac
    shift
done
echo "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"$session\",\"model\":\"m\",\"tools\":[]}"
end='"duration_ms":1,"num_turns":1,"total_cost_usd":0,"usage":{"input_tokens":1,"output_tokens":1}'
"#;
