#!/bin/bash
# node/install.sh - the Debian packages that a real node needs (root). Does nothing when all are there.
set -euo pipefail
PACKAGES=(containerd runc containernetworking-plugins nftables conntrack iproute2 busybox-static openssl curl)
missing=()
for package in "${PACKAGES[@]}"; do
  dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends "${missing[@]}" >&2 || {
  apt-get update >&2
  apt-get install -y --no-install-recommends "${missing[@]}" >&2
}
