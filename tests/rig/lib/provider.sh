# shellcheck shell=bash
# The OpenID Providers: node/provider.mjs, once in each shape. They need no root.

PLAIN_ISSUER=https://auth.rig.test:$PROVIDER_PLAIN_PORT
AUTHENTIK_ISSUER=https://auth.rig.test:$PROVIDER_AUTHENTIK_PORT/application/o/headlamp/

start_providers() {
  # An import looks for node_modules beside the importing file: so the file comes to a link to the cache's.
  mkdir "$RUN/provider"
  cp "$HERE/node/"*.mjs "$RUN/provider/"
  ln -s "$(node_modules_dir)/node_modules" "$RUN/provider/node_modules"
  start_provider plain "$PLAIN_ISSUER"
  start_provider authentik "$AUTHENTIK_ISSUER"
}

wait_for_providers() {
  ready provider-plain 60 provider_answers "$PLAIN_ISSUER/"
  ready provider-authentik 60 provider_answers "$AUTHENTIK_ISSUER"
}

start_provider() { # SHAPE ISSUER
  local listen=127.0.0.1
  if $PODS; then listen=127.0.0.1,$NODE_ADDRESS; fi
  # Back-channel logout: it calls sites with the rig's certificate.
  NODE_EXTRA_CA_CERTS=$PKI/site-ca.crt NODE_ENV=production spawn "provider-$1" \
    node "$RUN/provider/provider.mjs" --shape "$1" --issuer "$2" --listen "$listen" \
    --cert "$PKI/site.crt" --key "$PKI/site.key"
}

provider_answers() { # ISSUER-WITH-SLASH
  local port=${1#*:*:}
  curl -fsS --cacert "$PKI/site-ca.crt" --resolve "auth.rig.test:${port%%/*}:$NODE_ADDRESS" \
    "$1.well-known/openid-configuration"
}
