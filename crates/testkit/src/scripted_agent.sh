#!/bin/sh
# A custom agent for tests: does what its prompt says, line by line.
#
#   do: ACTION            always
#   do@STEP: ACTION       only when the prompt has `midwatch-step: STEP round: N`
#   do@STEP/N: ACTION     and only in that round
#
# The prompt is the file named by the first argument, else stdin. Actions:
#
#   say TEXT              a line on stdout            warn TEXT    a line on stderr
#   write PATH TEXT       a file with one line        append PATH TEXT
#   run COMMAND           a shell command; its failure does not end the agent
#   commit MESSAGE        everything in the repository
#   wait PATH             until the path exists       hang         for ever
#   ignore-term           from here on                detach COMMAND   in a session of its own
#   flood BYTES           to stdout                   flood-line BYTES the same without a line feed
#   hold MIB              that much memory, for ever  fork COUNT   sleeping processes
#   fill PATH MIB         a file of that size         exit CODE    ends
#
# Exit code 0 after the last line; 64 for an action that is none, or a prompt without any.
set -u
if [ $# -gt 0 ]; then prompt=$(cat "$1"); else prompt=$(cat); fi

marker=$(printf '%s\n' "$prompt" | sed -n 's/^.*midwatch-step: *\([a-z-]*\) *round: *\([0-9]*\).*$/\1 \2/p' | tail -n 1)
step=${marker% *}
round=${marker#* }
did=0

act() {
    action=${1%% *}
    case $1 in *' '*) rest=${1#* } ;; *) rest="" ;; esac
    first=${rest%% *}
    case $rest in *' '*) text=${rest#* } ;; *) text="" ;; esac
    case $action in
    say) printf '%s\n' "$rest" ;;
    warn) printf '%s\n' "$rest" >&2 ;;
    write) mkdir -p "$(dirname "$first")" && printf '%s\n' "$text" >"$first" ;;
    append) printf '%s\n' "$text" >>"$first" ;;
    run) sh -c "$rest" ;;
    commit) git add -A && git -c user.name=scripted -c user.email=scripted@localhost commit -q -m "$rest" ;;
    wait) while [ ! -e "$rest" ]; do sleep 0.05; done ;;
    hang) while :; do sleep 3600; done ;;
    ignore-term) trap '' TERM ;;
    detach) setsid sh -c "$rest" </dev/null >/dev/null 2>&1 & ;;
    flood) yes 'a line of sixty-four bytes, which is repeated until it is enough' | head -c "$rest" ;;
    flood-line) head -c "$rest" /dev/zero | tr '\0' x ;;
    # tail keeps all of a line without an end.
    hold) {
        head -c "${rest}M" /dev/zero
        sleep 3600
    } | tail -n 1 ;;
    fork)
        count=0
        while [ "$count" -lt "$rest" ]; do
            sleep 3600 &
            count=$((count + 1))
        done
        ;;
    fill) head -c "${text}M" /dev/urandom >"$first" ;;
    exit) exit "$rest" ;;
    *)
        printf 'no such action: %s\n' "$action" >&2
        exit 64
        ;;
    esac
}

# From a file, not a pipe: actions that change the shell must change this one.
lines=$(printf '%s\n' "$prompt" | sed -n 's/^[> ]*\(do[@a-z0-9/-]*: .*\)$/\1/p')
while IFS= read -r line; do
    [ -n "$line" ] || continue
    did=1
    condition=${line%%:*}
    case $condition in
    do | "do@$step" | "do@$step/$round") act "${line#*: }" </dev/null ;;
    esac
done <<END
$lines
END
[ "$did" = 1 ] || exit 64
