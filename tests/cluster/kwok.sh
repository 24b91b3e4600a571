#!/bin/bash
# kwok.sh DIR - a fake node "kwok-node-0" for the cluster of start.sh: pods that land on it become Ready without
# a container runtime. Needs kube-scheduler and kwok (build.sh kwok kube-scheduler).
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$HERE/env.sh"
DIR=${1:?dir}
install -m 644 "$HERE/go.mod" "$HERE/go.sum" "$CACHE/"
STAGES=$(cd "$CACHE" && go list -mod=mod -m -f "{{.Dir}}" sigs.k8s.io/kwok)/kustomize/stage # those that KWOK itself ships
for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease pod/fast/pod-{ready,complete,delete}; do
  cat "$STAGES/$stage.yaml"
  printf '\n---\n'
done >"$DIR/kwok.yaml"
detach "$DIR" kwok "$(binary kwok)" --kubeconfig "$DIR/kubeconfig" --config "$DIR/kwok.yaml" --manage-all-nodes=false \
  --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake --node-lease-duration-seconds=40 \
  --cidr=10.244.0.0/24 --node-ip=127.0.0.1 --server-address=127.0.0.1:0
KUBECTL=("$(binary kubectl)" --kubeconfig "$DIR/kubeconfig")
"${KUBECTL[@]}" apply -f - <<'YAML'
apiVersion: v1
kind: Node
metadata:
  name: kwok-node-0
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {kubernetes.io/hostname: kwok-node-0, kubernetes.io/os: linux, kubernetes.io/arch: amd64, type: kwok}
YAML
"${KUBECTL[@]}" wait --for=condition=Ready node/kwok-node-0 --timeout=60s
