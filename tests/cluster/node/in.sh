#!/bin/bash
# node/in.sh DIR COMMAND... - runs a command inside the namespace of up.sh, with KUBECONFIG set and the built binaries on PATH
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=../env.sh
. "$HERE/env.sh"
DIR=${1:?dir}
shift
exec nsenter --net=/run/netns/testbed env KUBECONFIG="$DIR/kubeconfig" PATH="$CACHE/bin:$PATH" "$@"
