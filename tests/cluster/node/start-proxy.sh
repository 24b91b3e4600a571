#!/bin/bash
# node/start-proxy.sh DIR - kube-proxy (nftables mode): ClusterIPs work. start.sh must have run with
# BIND=0.0.0.0 ADVERTISE=10.244.76.1 RECONCILER=lease, as up.sh does.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=../env.sh
. "$HERE/env.sh"
DIR=${1:?dir}
cat >"$DIR/node/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
bindAddress: 127.0.0.1
healthzBindAddress: ""
metricsBindAddress: 127.0.0.1:20249
hostnameOverride: real-0
clusterCIDR: 10.244.77.0/24
clientConnection: {kubeconfig: $DIR/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
detach "$DIR" kube-proxy "$(binary kube-proxy)" --config "$DIR/node/proxy.yaml" --v=2
