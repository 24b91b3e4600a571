# shellcheck shell=bash
# env.sh - sourced by every script here: where the binaries are and how one is found.
# SLUICE_K8S_CACHE    folder of the built binaries (default ~/.cache/sluice-k8s/<version>), outside the source tree
# KUBEBUILDER_ASSETS  folder with etcd, kube-apiserver and kubectl (the envtest convention); looked into first

K8S_VERSION=v1.36.3
CACHE=${SLUICE_K8S_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-k8s/$K8S_VERSION}

# binary NAME: the path of a binary, from KUBEBUILDER_ASSETS or from the cache
binary() {
  if [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$1" ]; then
    echo "$KUBEBUILDER_ASSETS/$1"
  else
    echo "$CACHE/bin/$1"
  fi
}

# detach DIR NAME COMMAND...: starts a daemon that outlives its caller; its pid goes to DIR/pid/NAME,
# its output to DIR/log/NAME.log, and the command line to DIR/run/NAME, so that part.sh can start it again.
detach() {
  local dir=$1 name=$2
  shift 2
  mkdir -p "$dir"/{run,pid,log}
  { echo '#!/bin/bash'; printf 'cd %q\nexec' "$PWD"; printf ' %q' "$@"; echo; } >"$dir/run/$name"
  relaunch "$dir" "$name"
}

# relaunch DIR NAME: starts DIR/run/NAME, appending to its log
relaunch() {
  setsid nohup bash "$1/run/$2" >>"$1/log/$2.log" 2>&1 </dev/null &
  echo $! >"$1/pid/$2"
}

# alive PID: whether the process runs; one that has ended but that nobody has waited for does not
alive() {
  kill -0 "$1" 2>/dev/null && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"
}

# halt DIR NAME [TENTHS]: SIGTERM to what DIR/pid/NAME names, SIGKILL when it has not gone in time
halt() {
  local file=$1/pid/$2 pid
  [ -f "$file" ] || return 0
  pid=$(<"$file")
  kill "$pid" 2>/dev/null
  for _ in $(seq "${3:-100}"); do
    alive "$pid" || break
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null
  rm -f "$file"
}
