#!/usr/bin/env bash
# What live.sh lets systemd start: installs the unit and tries it. Takes whose unit
# it is, and the folder of the trial.
set -euo pipefail
scope=$1
place=$2
trap '[ $? = 0 ] || echo FAILED' EXIT
export HOME=$place/home MIDWATCH_HOME=$place/state PATH=$place:$PATH
repository=$place/repository

control() {
    case $scope in
        system) systemctl "$@" ;;
        user) systemctl --user "$@" ;;
    esac
}
until_true() {
    for _ in $(seq 600); do
        # polls: a unit's state, and what a sandbox wrote, are told to nobody
        if "$@"; then return 0; fi
        sleep 0.1
    done
    echo "never: $*"
    control status --no-pager midwatch || true
    cat "$place/said"
    exit 1
}
# systemd's own server, not one that a client started.
listens() { [ -S "$MIDWATCH_HOME/server.sock" ] && grep -qs midwatch.service "/proc/$(pid)/cgroup"; }
works() { compgen -G "$MIDWATCH_HOME/runs/$1-implement-*/upper/upper/first" >/dev/null; }
pid() { grep -so 'server.started.*"pid":[0-9]*' "$MIDWATCH_HOME/server.log" | tail -1 | grep -o '[0-9]*$'; }
runner() { pgrep -f "^/proc/self/exe runner $MIDWATCH_HOME/runs/$1-implement|midwatch runner .*/$1-implement" || true; }
submit() {
    (cd "$repository" && midwatch run "$1" --name "$1" --profile story --pipeline quick \
        --check 'test -s second' --detach 2>&1 | tail -1)
}
let_go() { pkill -xf 'sleep 31415'; }
failed() { [ "$(control is-failed midwatch)" = failed ]; }
shows() { control show --value -p "$1" midwatch; }
ended() { midwatch get "$1" -o json | grep -q "\"state\":\"$2\""; }

mkdir -p "$HOME/.config/midwatch/profiles" "$repository"
# It waits in a sleep that nobody else sleeps, until all is done to the server.
cat >"$HOME/.config/midwatch/profiles/story.yaml" <<'YAML'
apiVersion: midwatch.dev/v1alpha1
kind: AgentProfile
metadata: {name: story}
spec:
  agent: custom
  egress: none
  custom:
    argv: [bash, -c, 'cd /workspace; date > first; sleep 31415; date > second']
YAML
git init --quiet "$repository"
git -C "$repository" -c user.name=a -c user.email=a@b commit --quiet --allow-empty -m base

midwatch install-service "--$scope" >/dev/null
case $scope in
    system) drop_in=/etc/systemd/system/midwatch.service.d ;;
    user) drop_in=$HOME/.config/systemd/user/midwatch.service.d ;;
esac
mkdir -p "$drop_in"
# There is no journal in here.
printf '[Service]\nStandardError=append:%s\n' "$place/said" >"$drop_in/said.conf"
control daemon-reload
control start midwatch
until_true listens
echo "started: $(control is-active midwatch), new privileges: $(grep NoNewPrivs "/proc/$(pid)/status" | xargs)"

submit kept
until_true works kept
run=$(runner kept)
[ -n "$run" ] || { echo "no runner is seen" && exit 1; }
kill -9 "$(pid)"
until_true listens
[ "$(runner kept)" = "$run" ]
echo "killed: systemd started it again, the run goes on"
control stop midwatch
[ "$(runner kept)" = "$run" ]
echo "stopped: $(control is-active midwatch || true), the run goes on"
control start midwatch
until_true listens
let_go
until_true ended kept Done
echo "landed: $(git -C "$repository" log --oneline midwatch/kept | wc -l) commits on midwatch/kept, limits: $(grep -ho '"limits": "[A-Za-z]*"' "$MIDWATCH_HOME"/runs/kept-implement-*/report.json | sort -u)"

# What another start cannot mend is not started again. The control is, and not for ever.
control stop midwatch
echo 'concurency = 3' >"$MIDWATCH_HOME/server.toml"
control start midwatch || true
until_true failed
echo "broken: exit $(shows ExecMainStatus), started again $(shows NRestarts) times"
[ "$(shows NRestarts)" = 0 ]
printf '[Service]\nRestartPreventExitStatus=\nRestartSec=1ms\n' >"$drop_in/broken.conf"
control daemon-reload
control reset-failed midwatch
control start midwatch || true
until_true failed
echo "control: without RestartPreventExitStatus $(shows NRestarts) times, and no more"
[ "$(shows NRestarts)" = 30 ]
rm "$MIDWATCH_HOME/server.toml" "$drop_in/broken.conf"
control reset-failed midwatch

# The control: with systemd's own way of stopping, the run ends with the server.
printf '[Service]\nKillMode=control-group\n' >"$drop_in/control.conf"
control daemon-reload
control restart midwatch
until_true listens
submit control
until_true works control
control stop midwatch
if [ -n "$(runner control)" ]; then
    echo "the control's run goes on: the trial shows nothing" && exit 1
fi
echo "control: with KillMode=control-group the run ended with the server"
echo passed
