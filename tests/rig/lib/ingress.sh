# shellcheck shell=bash
# The ingress-nginx controller with Debian's nginx, outside of the cluster, on the node's address. It needs root.

INGRESS=$RUN/ingress
INGRESS_LOGS=$INGRESS/tmp/nginx

start_ingress() {
  kubeconfig ingress-nginx /O=system:masters/CN=ingress-nginx
  make_ingress_folders
  kubectl apply -f "$HERE/ingress-nginx/manifests.yaml" >"$LOGS/ingress.log"
  kubectl -n ingress-nginx create secret tls site --cert="$PKI/site.crt" --key="$PKI/site.key" >>"$LOGS/ingress.log"
  # It exits when the pod that it takes for itself has no address yet.
  ready node 60 kubectl -n ingress-nginx wait --for=condition=Ready pod/controller --timeout=1s
  start_controller
  # Its own health check is content a second before the first route works.
  ready ingress 60 ingress_answers
}

make_ingress_folders() {
  mkdir -p "$INGRESS/etc/ingress-controller/"{ssl,auth,geoip,telemetry} "$INGRESS/etc.work" \
    "$INGRESS/var-lib" "$INGRESS/var-log" "$INGRESS_LOGS" /tmp/nginx
  cp -r "$(ingress_nginx_dir)/etc/nginx" "$INGRESS/nginx"
  cp /etc/nginx/mime.types "$INGRESS/nginx/"
  # As in a pod: an auth-url names a Service.
  printf 'nameserver %s\nsearch svc.cluster.local cluster.local\n' "$DNS_ADDRESS" >"$INGRESS/etc/resolv.conf"
  cp -r "$HERE/ingress-nginx/stubs/resty" "$INGRESS/nginx/lua/"
  # TCP and UDP services would need a Lua module for nginx's stream{}, which Debian has not: the template without that block.
  awk '/^stream \{/ {skip = 1} !skip {print} skip && /^\}/ {skip = 0}' \
    "$(ingress_nginx_dir)/etc/nginx/template/nginx.tmpl" >"$INGRESS/nginx/template/nginx.tmpl"
}

start_controller() {
  INGRESS=$INGRESS NGINX_MODULES=$(nginx_modules_dir) CONTROLLER=$(ingress_nginx_dir)/nginx-ingress-controller \
    spawn_apart ingress bash "$HERE/ingress-nginx/init.sh" \
    --kubeconfig="$RUN/kubernetes/ingress-nginx.kubeconfig" \
    --ingress-class=nginx --controller-class=k8s.io/ingress-nginx --election-id=rig \
    --configmap=ingress-nginx/ingress-nginx-controller --default-ssl-certificate=ingress-nginx/site \
    --publish-status-address="$NODE_ADDRESS" --disable-svc-external-name \
    --http-port="$INGRESS_HTTP_PORT" --https-port="$INGRESS_HTTPS_PORT" \
    --healthz-host=127.0.0.1 --healthz-port="$INGRESS_HEALTH_PORT" --status-port="$INGRESS_STATUS_PORT" \
    --stream-port="$INGRESS_STREAM_PORT" --default-server-port="$INGRESS_DEFAULT_PORT" \
    --post-shutdown-grace-period=0 --profiling=false --enable-metrics=false
}

ingress_answers() {
  curl -fsS --cacert "$PKI/site-ca.crt" --resolve "probe.rig.test:$INGRESS_HTTPS_PORT:$NODE_ADDRESS" \
    "https://probe.rig.test:$INGRESS_HTTPS_PORT/"
}
