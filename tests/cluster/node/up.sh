#!/bin/bash
# node/up.sh [DIR] - a whole cluster with a real node (containerd, runc, kubelet, kube-proxy) inside a network
# namespace of its own, "testbed". Root only; one at a time on a machine.
# Needs build.sh node and node/install.sh. Every DIR/images/*.tar (made by mkimage.py) is imported.
# Run commands in it with in.sh DIR COMMAND; stop with down.sh DIR. OWNER_PID=N takes it down when process N has gone.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=../env.sh
. "$HERE/env.sh"
DIR=${1:-${TMPDIR:-/tmp}/sluice-testbed}
NETNS=testbed
mkdir -p "$DIR/images"
DIR=$(cd "$DIR" && pwd)

# Kubelets of one machine share its cgroups and would clean up each other's pods: refuse a second one.
exec 8>/run/lock/sluice-testbed.lock
flock -n 8 || { echo "up.sh: another up.sh is at work" >&2; exit 1; }
if [ -e "/run/netns/$NETNS" ]; then
  other=$(cat /run/sluice-testbed 2>/dev/null || true)
  if [ -s "$other/owner" ] && ! alive "$(<"$other/owner")"; then
    echo "up.sh: taking down $other, whose owner has gone" >&2
    "$HERE/node/down.sh" "$other"
  else
    echo "up.sh: a node is up in ${other:-?}; take it down with node/down.sh ${other:-DIR}" >&2
    exit 1
  fi
fi
echo "$DIR" >/run/sluice-testbed
echo "${OWNER_PID:-}" >"$DIR/owner"

[ -f "$DIR/images/pause.tar" ] || python3 "$HERE/node/mkimage.py" "$DIR/images/pause.tar" \
  testbed.local/pause:1 '["/bin/busybox","sleep","2147483647"]' /bin/busybox=/bin/busybox

# The kubelet changes these settings of the whole machine; down.sh puts them back and removes what was not there.
sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops \
  kernel.keys.root_maxkeys kernel.keys.root_maxbytes >"$DIR/sysctl-before" 2>/dev/null || true
for path in /var/lib/cni /var/lib/kubelet /var/log/containers /opt/containerd /run/containerd; do
  [ -e $path ] || echo $path
done >"$DIR/absent-before"
mountpoint -q /run/netns || touch "$DIR/netns-mine"

if [ -n "${OWNER_PID:-}" ]; then
  # shellcheck disable=SC2016 # expanded by the inner shell
  setsid nohup bash -c '. "$1/env.sh"; while alive "$0"; do sleep 1; done; [ -d "$2" ] && "$1/node/down.sh" "$2"' \
    "$OWNER_PID" "$HERE" "$DIR" >/dev/null 2>&1 </dev/null 8>&- &
fi

ip netns add $NETNS
inside() { nsenter --net=/run/netns/$NETNS "$@" 8>&-; }
inside ip link set lo up
inside ip link add testbed0 type bridge
inside ip addr add 10.244.76.1/32 dev testbed0
inside ip link set testbed0 up
inside ip route add default dev testbed0
inside env -u OWNER_PID BIND=0.0.0.0 ADVERTISE=10.244.76.1 RECONCILER=lease "$HERE/start.sh" "$DIR"
inside "$HERE/node/start-node.sh" "$DIR"
inside "$HERE/node/start-proxy.sh" "$DIR"
