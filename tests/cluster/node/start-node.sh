#!/bin/bash
# node/start-node.sh DIR - containerd + kubelet as node "real-0" of the server started in DIR. Root; inside the
# namespace that up.sh makes. Stop with stop-node.sh DIR.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=../env.sh
. "$HERE/env.sh"
DIR=${1:?dir}
NODE=$DIR/node
NODE_IP=10.244.76.1
mkdir -p "$NODE"/{root,state,kubelet,cni.d,plugins}
KUBECTL=("$(binary kubectl)" --kubeconfig "$DIR/kubeconfig")
cd "$NODE"

cat >containerd.toml <<TOML
version = 2
root = "$NODE/root"
state = "$NODE/state"
[grpc]
  address = "$NODE/c.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "testbed.local/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "/usr/sbin/runc"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$NODE/cni.d"
TOML
cat >cni.d/10-bridge.conflist <<JSON
{"cniVersion":"0.4.0","name":"testbed","plugins":[{"type":"bridge","bridge":"cnitestbed","isGateway":true,"ipMasq":false,
"ipam":{"type":"host-local","dataDir":"$NODE/ipam","ranges":[[{"subnet":"10.244.77.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
JSON
detach "$DIR" containerd "$(command -v containerd)" -c "$NODE/containerd.toml"
for _ in $(seq 100); do
  ctr -a "$NODE/c.sock" version >/dev/null 2>&1 && break
  sleep 0.2
done
for image in "$DIR"/images/*.tar; do ctr -a "$NODE/c.sock" -n k8s.io images import "$image"; done

KUBELET_PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("0.0.0.0", 0)); print(s.getsockname()[1])')
# cgroup v1 is allowed because small machines still have it; nothing here depends on it.
cat >kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
port: $KUBELET_PORT
healthzPort: 0
readOnlyPort: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $DIR/pki/ca.crt}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
failCgroupV1: false
cgroupsPerQOS: ${CGROUPS_PER_QOS:-true}
enforceNodeAllocatable: []
failSwapOn: false
containerRuntimeEndpoint: unix://$NODE/c.sock
resolvConf: ""
clusterDNS: []
registerNode: true
volumePluginDir: $NODE/plugins
podLogsDir: $NODE/podlogs
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
YAML
detach "$DIR" kubelet "$(binary kubelet)" --config "$NODE/kubelet.yaml" --kubeconfig "$DIR/node.kubeconfig" \
  --root-dir "$NODE/kubelet" --cert-dir "$NODE/kubelet/pki" --hostname-override real-0 --node-ip=$NODE_IP --v=2
for _ in $(seq 120); do
  "${KUBECTL[@]}" get node real-0 >/dev/null 2>&1 && break
  alive "$(<"$DIR/pid/kubelet")" || { tail -15 "$DIR/log/kubelet.log" >&2; exit 1; }
  sleep 0.5
done
"${KUBECTL[@]}" wait --for=condition=Ready node/real-0 --timeout=90s
