#!/bin/sh
# The systemd unit: systemd itself finds nothing wrong with it, and rates its sandbox.  unit_file.sh UNIT AGENT
set -eu
unit=$1 agent=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# note NUMBER NAME STATUS: one TAP line, and the text of the check when it failed.
note() {
	if [ "$3" -eq 0 ]; then
		echo "ok $1 - $2"
	else
		echo "not ok $1 - $2"
		sed 's/^/# /' "$work/log"
		failed=1
	fi
}

echo 1..4
sed "s,/usr/bin/guest-agent,$agent," "$unit" >"$work/guest-agent.service"
status=0
systemd-analyze verify --man=no "$work/guest-agent.service" >"$work/log" 2>&1 || status=$?
[ ! -s "$work/log" ] || status=1
note 1 "systemd verifies it without a word" $status

status=0
systemd-analyze security --offline=true --threshold=20 "$work/guest-agent.service" >"$work/log" 2>&1 || status=$?
note 2 "exposure is 2.0 of 10 at most" $status

# These checks can fail.
sed '/^NoNewPrivileges\|^CapabilityBoundingSet\|^Restrict\|^System/d' "$work/guest-agent.service" >"$work/open.service"
status=0
systemd-analyze security --offline=true --threshold=20 "$work/open.service" >"$work/log" 2>&1 && status=1
note 3 "without half of its sandbox it would not pass" $status

sed 's/^PrivateTmp=.*/PrivateTmp=perhaps/' "$work/guest-agent.service" >"$work/wrong.service"
systemd-analyze verify --man=no "$work/wrong.service" >"$work/log" 2>&1 || true
status=0
[ -s "$work/log" ] || status=1
note 4 "a wrong value would be seen" $status
exit $failed
