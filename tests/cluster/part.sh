#!/bin/bash
# part.sh DIR kill|start|wait PART - one component (etcd, apiserver, kcm, sched) of what start.sh started in DIR:
# kill is SIGKILL, start runs it again with the same data, ports and flags, wait returns when it serves.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$HERE/env.sh"
DIR=${1:?dir} VERB=${2:?verb} PART=${3:?part}

get() {
  curl -sf --max-time 2 --cacert "$DIR/pki/ca.crt" --cert "$DIR/pki/admin.crt" --key "$DIR/pki/admin.key" \
    "$(<"$DIR/server")$1" >/dev/null 2>&1
}
serves() {
  case $PART in
    # etcd is judged through the API server, which may itself be down: then being alive must do
    etcd) alive "$(<"$DIR/pid/etcd")" && { ! get /livez || get /readyz/etcd; } ;;
    # the first thing of the controller-manager that pods and token requests need
    kcm) get /api/v1/namespaces/default/serviceaccounts/default ;;
    *) get /readyz ;;
  esac
}
await() {
  for _ in $(seq 600); do
    serves && return 0
    alive "$(<"$DIR/pid/$PART")" || break
    sleep 0.1
  done
  echo "part.sh: $PART does not serve; the end of $DIR/log/$PART.log:" >&2
  tail -20 "$DIR/log/$PART.log" >&2
  return 1
}

case $VERB in
  kill) kill -9 "$(<"$DIR/pid/$PART")" ;;
  start) relaunch "$DIR" "$PART" ;;
  wait) await ;;
  *) echo "part.sh: unknown verb $VERB" >&2; exit 2 ;;
esac
