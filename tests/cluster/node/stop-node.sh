#!/bin/bash
# node/stop-node.sh DIR - stops kube-proxy, kubelet, all containers and containerd of start-node.sh; unmounts; removes the bridges
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=../env.sh
. "$HERE/env.sh"
DIR=${1:?dir}
NODE=$DIR/node
CTR=(ctr -a "$NODE/c.sock" -n k8s.io)
tasks() { "${CTR[@]}" tasks ls -q 2>/dev/null; }

halt "$DIR" kube-proxy 50
halt "$DIR" kubelet 50
namespaces=$(for container in $("${CTR[@]}" containers ls -q 2>/dev/null); do
  "${CTR[@]}" containers info "$container" | grep -o '/run/netns/cni-[^"]*'
done | sort -u)
for task in $(tasks); do "${CTR[@]}" tasks kill -s KILL "$task"; done
for _ in $(seq 50); do
  "${CTR[@]}" tasks ls 2>/dev/null | grep -q RUNNING || break
  sleep 0.1
done
for task in $(tasks); do "${CTR[@]}" tasks rm -f "$task" >/dev/null; done
# the socket's path is in the command line of every shim of this node, and of no other
for pid in $(pgrep -f "containerd-shim.*$NODE/c.sock"); do kill "$pid"; done
halt "$DIR" containerd 50
sleep 0.5
awk -v under="$NODE/" 'index($2, under) == 1 {print $2}' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
for namespace in $namespaces; do ip netns del "${namespace##*/}" 2>/dev/null; done
ip link del testbed0 2>/dev/null
ip link del cnitestbed 2>/dev/null
true
