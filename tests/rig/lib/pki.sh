# shellcheck shell=bash
# Throw-away certificates, new at each `up`. Several authorities on purpose: who trusts the sites must not by that trust the cluster.

make_run_folder() {
  # Its name in /tmp can be guessed: whoever made it first must not have been somebody else.
  (umask 077 && mkdir "$RUN") || die "cannot make $RUN"
  mkdir "$RUN/pids" "$LOGS" "$PKI" "$RUN/kubernetes"
  sources_hash >"$RUN/sources"
}

make_certificates() {
  authority cluster-ca lamplighter-rig-cluster
  authority site-ca lamplighter-rig-sites
  authority front-proxy-ca lamplighter-rig-front-proxy
  certificate cluster-ca apiserver /CN=kube-apiserver serverAuth \
    "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:${SERVICE_RANGE%.*}.1,IP:$NODE_ADDRESS"
  certificate cluster-ca apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
  certificate front-proxy-ca front-proxy-client /CN=front-proxy-client clientAuth
  certificate site-ca site /CN=rig.test serverAuth \
    "DNS:*.rig.test,DNS:rig.test,DNS:localhost,IP:127.0.0.1,IP:${POD_RANGE%.*}.1"
  # RSA, because a ServiceAccount token of a usual cluster is an RS256 JWT.
  openssl genrsa -out "$PKI/service-accounts.key" 2048 2>/dev/null
  openssl rsa -in "$PKI/service-accounts.key" -pubout -out "$PKI/service-accounts.pub" 2>/dev/null
}

authority() { # NAME COMMON-NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$2" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "$PKI/$1.key" -out "$PKI/$1.crt" 2>/dev/null
}

certificate() { # AUTHORITY NAME SUBJECT USAGE [ALTERNATIVE-NAMES]
  local extensions="basicConstraints=CA:FALSE
extendedKeyUsage=$4"
  [ -z "${5:-}" ] || extensions="$extensions
subjectAltName=$5"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" \
    -keyout "$PKI/$2.key" -out "$PKI/$2.csr" 2>/dev/null
  openssl x509 -req -in "$PKI/$2.csr" -CA "$PKI/$1.crt" -CAkey "$PKI/$1.key" -CAcreateserial -days 30 \
    -extfile <(printf '%s\n' "$extensions") -out "$PKI/$2.crt" 2>/dev/null
  rm "$PKI/$2.csr"
}

# For Chromium's --ignore-certificate-errors-spki-list, which is how a headless browser is told to trust one server's key.
site_key_hash() {
  openssl x509 -in "$PKI/site.crt" -pubkey -noout | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64
}
