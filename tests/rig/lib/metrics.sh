# shellcheck shell=bash
# The metrics server, from its Go module: what `kubectl top` shows, and what a HorizontalPodAutoscaler goes by.

METRICS_SERVER_VERSION=v0.9.0

metrics_server_dir() { artifact metrics-server "$METRICS_SERVER_VERSION" "$(declare -f build_metrics_server build_tool)"; }

build_metrics_server() {
  build_tool "$1" metrics-server sigs.k8s.io/metrics-server/cmd/metrics-server "$METRICS_SERVER_VERSION"
}

# For the API server it is a Service, behind which is this machine. As long as the rig is up: while a group of the API comes or goes,
# whoever asks what there is hears of an error.
start_metrics_server() {
  local kubeconfig=$RUN/kubernetes/metrics-server.kubeconfig
  kubeconfig metrics-server /O=system:masters/CN=metrics-server
  certificate cluster-ca metrics-server-tls /CN=metrics-server serverAuth DNS:metrics-server.kube-system.svc
  spawn metrics-server "$(metrics_server_dir)/metrics-server" \
    --bind-address="$NODE_ADDRESS" --secure-port="$METRICS_SERVER_PORT" \
    --tls-cert-file="$PKI/metrics-server-tls.crt" --tls-private-key-file="$PKI/metrics-server-tls.key" \
    --kubeconfig="$kubeconfig" --authentication-kubeconfig="$kubeconfig" --authorization-kubeconfig="$kubeconfig" \
    --kubelet-use-node-status-port --kubelet-preferred-address-types=InternalIP \
    --kubelet-certificate-authority="$PKI/cluster-ca.crt" --metric-resolution=10s --kubelet-request-timeout=5s
  sed -e "s/PORT/$METRICS_SERVER_PORT/; s/ADDRESS/$NODE_ADDRESS/; s/BUNDLE/$(base64 -w0 <"$PKI/cluster-ca.crt" | sed 's,/,\\/,g')/" \
    "$HERE/metrics-server.yaml" | kubectl apply -f - >>"$LOGS/metrics-server.log"
}

# It has numbers of pods some ten seconds later.
wait_for_metrics_server() { ready metrics-server 60 kubectl get --raw /apis/metrics.k8s.io/v1beta1; }
