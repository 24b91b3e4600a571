#!/bin/bash
# node/down.sh DIR - stops what up.sh started in DIR and undoes what it changed on the machine
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DIR=${1:?dir}
if [ "$(cat /run/sluice-testbed 2>/dev/null)" != "$DIR" ]; then
  echo "down.sh: no node is up in $DIR" >&2 # what is up, if anything, is another's
  exit 1
fi
if [ -e /run/netns/testbed ]; then
  # shellcheck disable=SC2016 # expanded by the inner shell
  nsenter --net=/run/netns/testbed bash -c '"$0/node/stop-node.sh" "$1"; "$0/stop.sh" "$1"' "$HERE" "$DIR"
fi
for controller in cpu cpuset cpuacct memory devices freezer blkio pids systemd; do
  find "/sys/fs/cgroup/$controller/kubepods" -depth -type d -exec rmdir {} \; 2>/dev/null
done
ip netns del testbed
rm -f /run/netns/cni-* 2>/dev/null
[ -e "$DIR/netns-mine" ] && umount /run/netns 2>/dev/null
sysctl -q -p "$DIR/sysctl-before" 2>/dev/null
while read -r path; do rm -rf "$path"; done <"$DIR/absent-before"
rm -rf "$DIR" /run/sluice-testbed
