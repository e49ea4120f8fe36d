# shellcheck shell=bash
# What the rig says about itself (rig.json, status, env), and how it is taken away.

parts() {
  echo etcd kube-apiserver kube-controller-manager kube-scheduler provider-plain provider-authentik
  if $PODS; then echo node kube-proxy kube-router metrics-server ingress; fi
}

# These scripts, as a whole: whether the rig that runs is the one that they would bring up.
sources_hash() {
  (cd "$HERE" && find . -type f ! -name '*.md' -print0 | sort -z | xargs -0 sha256sum | sha256sum)
}

same_sources() { [ "$(sources_hash)" = "$(cat "$RUN/sources")" ]; }

is_up() {
  local part
  [ -f "$RUN/rig.json" ] || return 1
  for part in $(parts); do alive "$part" || return 1; done
  provider_answers "$PLAIN_ISSUER/" >/dev/null 2>&1 || return 1
  kubectl get --raw /readyz >/dev/null 2>&1 || return 1
  ! $PODS || ingress_answers >/dev/null 2>&1
}

print_status() {
  local part state
  for part in $(parts); do
    if alive "$part"; then state="runs, pid $(cut -d' ' -f1 "$RUN/pids/$part")"; else state="does not run"; fi
    printf '%-24s %s\n' "$part" "$state"
  done
  $PODS || echo "(no node and no ingress: not root)"
  if is_up; then
    echo "up: $RUN/rig.json"
  else
    echo "not up"
    return 1
  fi
}

print_env() {
  [ -f "$RUN/rig.json" ] || die "not up"
  printf 'export LAMPLIGHTER_RIG=%q\n' "$RUN/rig.json"
  printf 'export KUBECONFIG=%q\n' "$KUBECONFIG"
  # shellcheck disable=SC2016 # for the shell that reads this
  printf 'export PATH=%q:"$PATH"\n' "$(kube_dir):$(helm_dir):$(helm3_dir):$(dex_dir):$(keycloak_dir)/bin:$(proxies_dirs | tr ' ' :):$(flux_dir):$(watching_dirs | tr ' ' :)"
}

# Written last, and under its name only when whole: while it is there, the rig was up once.
write_description() {
  describe >"$RUN/rig.json.partial"
  mv "$RUN/rig.json.partial" "$RUN/rig.json"
}

describe() {
  jq -n \
    --argjson pods "$PODS" \
    --arg run "$RUN" --arg logs "$LOGS" --arg pki "$PKI" --arg kubeconfig "$KUBECONFIG" --arg kube "$(kube_dir)" \
    --arg node "$NODE_ADDRESS" --argjson api_port "$API_PORT" \
    --argjson http "$INGRESS_HTTP_PORT" --argjson https "$INGRESS_HTTPS_PORT" --arg ingress_logs "$INGRESS_LOGS" \
    --arg plain "$PLAIN_ISSUER" --arg plain_port "$PROVIDER_PLAIN_PORT" \
    --arg authentik "$AUTHENTIK_ISSUER" --arg authentik_port "$PROVIDER_AUTHENTIK_PORT" \
    --arg key_hash "$(site_key_hash)" --arg modules "$(node_modules_dir)/node_modules" \
    --arg chromium "$(command -v chromium || true)" --arg nginx "$(command -v nginx || true)" \
    --arg browser_network "/run/netns/$BROWSER_NETWORK" \
    --arg crds "$(crds_dir)" \
    --arg pause "$PAUSE_IMAGE" --arg kubectl_image "$KUBECTL_IMAGE" --arg ui "$HERE/ui.yaml" '{
      pods: $pods,
      kubeconfig: $kubeconfig,
      kubectl: "\($kube)/kubectl",
      apiServer: "https://localhost:\($api_port)",
      apiServerCa: "\($pki)/cluster-ca.crt",
      auditLog: "\($logs)/audit.log",
      nodeAddress: $node,
      ca: "\($pki)/site-ca.crt",
      tlsCert: "\($pki)/site.crt",
      tlsKey: "\($pki)/site.key",
      tlsKeyHash: $key_hash,
      ingress: (if $pods then {address: $node, http: $http, https: $https, class: "nginx", log: $ingress_logs} else null end),
      providers: {
        plain: {issuer: $plain, registration: "\($plain)/reg", address: "\($node):\($plain_port)"},
        authentik: {issuer: $authentik, registration: "\($authentik)reg", address: "\($node):\($authentik_port)"}
      },
      images: (if $pods then {kubectl: $kubectl_image, pause: $pause} else {} end),
      ui: $ui,
      crds: $crds,
      chromium: $chromium,
      browserNetwork: (if $pods then $browser_network else null end),
      nginx: $nginx,
      nodeModules: $modules,
      logs: $logs,
      run: $run
    }'
}

sweep() {
  [ -O "$RUN" ] || die "$RUN belongs to somebody else"
  # shellcheck disable=SC2046
  stop_parts $(all_parts)
  sweep_node
  # The kernel may be taking the last namespace apart still, with files open in here.
  wait_for 10 rm -rf "$RUN" || die "$RUN cannot be removed"
  rmdir --ignore-fail-on-non-empty /tmp/nginx 2>/dev/null || true
}

all_parts() { if [ -d "$RUN/pids" ]; then ls "$RUN/pids"; fi; }
