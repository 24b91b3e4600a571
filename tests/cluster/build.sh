#!/bin/bash
# build.sh [GROUP|BINARY...] - builds Kubernetes, etcd, Helm and KWOK from the Go modules pinned in go.mod
# into $CACHE/bin (see env.sh) and prints that folder. What is there already is skipped.
# Groups: api (the default: what the suites with a bare API server need), node (what a real node needs), all.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$HERE/env.sh"

HELM_VERSION=v4.2.4 # the one in go.mod
API=(etcd kube-apiserver kubectl kube-controller-manager helm)
NODE=("${API[@]}" kube-scheduler kubelet kube-proxy)
WANTED=()
for argument in "${@:-api}"; do
  case $argument in
    api) WANTED+=("${API[@]}") ;;
    node) WANTED+=("${NODE[@]}") ;;
    all) WANTED+=("${NODE[@]}" kwok gitops-agent) ;;
    *) WANTED+=("$argument") ;;
  esac
done

package_of() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    helm) echo helm.sh/helm/v4/cmd/helm ;;
    kwok) echo sigs.k8s.io/kwok/cmd/kwok ;;
    gitops-agent) echo github.com/argoproj/argo-cd/gitops-engine/agent ;;
    kube-*|kubelet|kubectl) echo "k8s.io/kubernetes/cmd/$1" ;;
    *) echo "build.sh: unknown binary $1" >&2; return 1 ;;
  esac
}

# Without the version stamped in, the API server says v0.0.0 and Helm refuses charts by kubeVersion.
linker_flags() {
  case $1 in
    etcd|kwok|gitops-agent) echo "-s -w" ;;
    helm) echo "-s -w -X helm.sh/helm/v4/internal/version.version=$HELM_VERSION" ;;
    *)
      local flags="-s -w" package
      for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $package.gitVersion=$K8S_VERSION -X $package.gitMajor=1 -X $package.gitMinor=36"
        flags+=" -X $package.gitTreeState=clean -X $package.buildDate=2026-01-01T00:00:00Z"
        flags+=" -X $package.gitCommit=0000000000000000000000000000000000000000"
      done
      echo "$flags" ;;
  esac
}

mkdir -p "$CACHE/bin"
# One build at a time: suites that start together would otherwise compile the same binary twice.
exec 9>"$CACHE/build.lock"
flock 9
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false -mod=mod"
for one in "${WANTED[@]}"; do
  package=$(package_of "$one")
  [ -x "$(binary "$one")" ] && continue
  command -v go >/dev/null || {
    echo "build.sh: $one is missing and there is no Go to build it; install Go $(sed -n 's/^go //p' "$HERE/go.mod") or set KUBEBUILDER_ASSETS" >&2
    exit 1
  }
  # -mod=mod may touch go.mod: build in the cache, never in the source tree
  install -m 644 "$HERE/go.mod" "$HERE/go.sum" "$CACHE/"
  echo "building $one ..." >&2
  (cd "$CACHE" && go build -trimpath -ldflags "$(linker_flags "$one")" -o "bin/$one.tmp" "$package") >&2
  mv "$CACHE/bin/$one.tmp" "$CACHE/bin/$one"
done
echo "$CACHE/bin"
