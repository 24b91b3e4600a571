#!/bin/bash
# stop.sh DIR [--rm] - stops what start.sh (and kwok.sh) started in DIR, by recorded pid; --rm removes DIR too
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$HERE/env.sh"
DIR=${1:?dir}
for part in gitops kwok sched kcm apiserver etcd; do halt "$DIR" $part; done
if [ "${2:-}" = --rm ]; then rm -rf "$DIR"; fi
