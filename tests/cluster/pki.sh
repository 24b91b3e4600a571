#!/bin/bash
# pki.sh DIR - the certificates of one throw-away control plane, in DIR/pki: a CA, the API server's,
# one client certificate per component, and the key that signs ServiceAccount tokens.
set -euo pipefail
mkdir -p "${1:?dir}/pki"
cd "$1/pki"
[ -f ca.crt ] && exit 0

quiet() { openssl "$@" 2>/dev/null; }
key() { quiet ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
certificate() { # name subject usage [alternative names]
  key "$1"
  quiet req -new -key "$1.key" -subj "$2" -out "$1.csr"
  printf '%s\nextendedKeyUsage=%s\nkeyUsage=digitalSignature\n' "${4:+subjectAltName=$4}" "$3" >"$1.ext"
  quiet x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt"
}

NAMES=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
key ca
quiet req -x509 -new -key ca.key -subj /CN=testbed-ca -days 30 -out ca.crt
quiet genrsa -out sa.key 2048
quiet rsa -in sa.key -pubout -out sa.pub
# 10.0.0.1 is the `kubernetes` Service, 10.244.76.1 the address of the node's network namespace
certificate apiserver /CN=kube-apiserver serverAuth "$NAMES,IP:127.0.0.1,IP:10.0.0.1,IP:10.244.76.1"
certificate admin /O=system:masters/CN=admin clientAuth
certificate kcm /CN=system:kube-controller-manager clientAuth
certificate sched /CN=system:kube-scheduler clientAuth
certificate proxy /CN=system:kube-proxy clientAuth
certificate node /O=system:nodes/CN=system:node:real-0 clientAuth
certificate front-proxy /CN=front-proxy-client clientAuth
