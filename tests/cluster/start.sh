#!/bin/bash
# start.sh [DIR] - etcd + kube-apiserver (+ kube-controller-manager, kube-scheduler) on loopback and free ports,
# everything they write in DIR (default: a new temporary folder). Prints DIR= KUBECONFIG= SERVER=. Stop with stop.sh DIR.
#   NO_KCM=1, NO_SCHED=1          without that component (the scheduler is also left out when it is not built)
#   OWNER_PID=N                   stops and removes everything when process N has gone, however it went
#   BIND, ADVERTISE, RECONCILER   for a real node, see node/up.sh
#   APISERVER_ARGS, KCM_ARGS      further flags, split at blanks
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$HERE/env.sh"
DIR=${1:-$(mktemp -d "${TMPDIR:-/tmp}/sluice-k8s.XXXXXX")}
mkdir -p "$DIR"/{log,pid,run,etcd}
DIR=$(cd "$DIR" && pwd)
"$HERE/pki.sh" "$DIR"
cd "$DIR"

# All five are held open together, so that they differ.
read -r ETCD_PORT PEER_PORT API_PORT KCM_PORT SCHED_PORT < <(python3 - <<'PY'
import socket
held = [socket.socket() for _ in range(5)]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])
PY
)
SERVER=https://127.0.0.1:$API_PORT
echo "$SERVER" >server

kubeconfig() { # certificate file
  cat >"$2" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: k, cluster: {server: "$SERVER", certificate-authority-data: $(base64 -w0 pki/ca.crt)}}]
users: [{name: u, user: {client-certificate-data: $(base64 -w0 "pki/$1.crt"), client-key-data: $(base64 -w0 "pki/$1.key")}}]
contexts: [{name: k, context: {cluster: k, user: u}}]
current-context: k
YAML
}
kubeconfig admin kubeconfig
for component in kcm sched proxy node; do kubeconfig $component $component.kubeconfig; done

if [ -n "${OWNER_PID:-}" ]; then
  # shellcheck disable=SC2016 # expanded by the inner shell
  setsid nohup bash -c '. "$1/env.sh"; while alive "$0"; do sleep 1; done; "$1/stop.sh" "$2" --rm' \
    "$OWNER_PID" "$HERE" "$DIR" >/dev/null 2>&1 </dev/null &
fi

# No fsync: the data is thrown away, and a crash of the process (not of the machine) loses nothing.
detach "$DIR" etcd "$(binary etcd)" --data-dir "$DIR/etcd" --unsafe-no-fsync --log-level warn \
  --listen-client-urls "http://127.0.0.1:$ETCD_PORT" --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" \
  --listen-peer-urls "http://127.0.0.1:$PEER_PORT" --initial-advertise-peer-urls "http://127.0.0.1:$PEER_PORT" \
  --initial-cluster "default=http://127.0.0.1:$PEER_PORT"

# shellcheck disable=SC2086 # APISERVER_ARGS is a list of words
detach "$DIR" apiserver "$(binary kube-apiserver)" --etcd-servers="http://127.0.0.1:$ETCD_PORT" \
  --bind-address="${BIND:-127.0.0.1}" --advertise-address="${ADVERTISE:-127.0.0.1}" --secure-port="$API_PORT" \
  --endpoint-reconciler-type="${RECONCILER:-none}" --service-cluster-ip-range=10.0.0.0/24 \
  --tls-cert-file=pki/apiserver.crt --tls-private-key-file=pki/apiserver.key --client-ca-file=pki/ca.crt \
  --service-account-key-file=pki/sa.pub --service-account-signing-key-file=pki/sa.key \
  --service-account-issuer=https://kubernetes.default.svc --authorization-mode=Node,RBAC --allow-privileged=true \
  --requestheader-client-ca-file=pki/ca.crt --requestheader-allowed-names=front-proxy-client \
  --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
  --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file=pki/front-proxy.crt --proxy-client-key-file=pki/front-proxy.key \
  --kubelet-client-certificate=pki/admin.crt --kubelet-client-key=pki/admin.key \
  --kubelet-preferred-address-types=InternalIP --profiling=false ${APISERVER_ARGS:-}
"$HERE/part.sh" "$DIR" wait apiserver

# The other components only after /readyz: started earlier they crash or back off for long.
if [ -z "${NO_KCM:-}" ]; then
  # shellcheck disable=SC2086 # KCM_ARGS is a list of words
  detach "$DIR" kcm "$(binary kube-controller-manager)" --kubeconfig="$DIR/kcm.kubeconfig" \
    --authentication-kubeconfig="$DIR/kcm.kubeconfig" --authorization-kubeconfig="$DIR/kcm.kubeconfig" \
    --bind-address=127.0.0.1 --secure-port="$KCM_PORT" --use-service-account-credentials=true \
    --service-account-private-key-file=pki/sa.key --root-ca-file=pki/ca.crt \
    --cluster-signing-cert-file=pki/ca.crt --cluster-signing-key-file=pki/ca.key --leader-elect=false \
    --controllers='*,-nodeipam,-cloud-node-lifecycle' ${KCM_ARGS:-}
fi
if [ -z "${NO_SCHED:-}" ] && [ -x "$(binary kube-scheduler)" ]; then
  detach "$DIR" sched "$(binary kube-scheduler)" --kubeconfig="$DIR/sched.kubeconfig" \
    --authentication-kubeconfig="$DIR/sched.kubeconfig" --authorization-kubeconfig="$DIR/sched.kubeconfig" \
    --bind-address=127.0.0.1 --secure-port="$SCHED_PORT" --leader-elect=false
fi
[ -n "${NO_KCM:-}" ] || "$HERE/part.sh" "$DIR" wait kcm

echo "DIR=$DIR"
echo "KUBECONFIG=$DIR/kubeconfig"
echo "SERVER=$SERVER"
