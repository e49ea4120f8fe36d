# shellcheck shell=bash
# The control plane: etcd, API server, controller-manager, scheduler. It needs no root.

kubectl() { "$(kube_dir)/kubectl" "$@"; }

# kubeconfig NAME SUBJECT: a client certificate of its own for each part, as kubeadm has it, so that the audit log names it.
kubeconfig() {
  certificate cluster-ca "$1" "$2" clientAuth
  cat >"$RUN/kubernetes/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: rig, cluster: {server: "https://localhost:$API_PORT", certificate-authority: $PKI/cluster-ca.crt}}]
users: [{name: $1, user: {client-certificate: $PKI/$1.crt, client-key: $PKI/$1.key}}]
contexts: [{name: rig, context: {cluster: rig, user: $1}}]
current-context: rig
YAML
}

start_control_plane() {
  kubeconfig admin /O=system:masters/CN=admin
  start_etcd
  start_api_server
  start_controllers
}

start_etcd() {
  local client=http://127.0.0.1:$ETCD_PORT peer=http://127.0.0.1:$ETCD_PEER_PORT
  # Nothing here must survive a crash of the machine: no fsync spares seconds on a slow disk.
  spawn etcd "$(etcd_dir)/etcd" --data-dir "$RUN/kubernetes/etcd" --log-level error --unsafe-no-fsync \
    --listen-client-urls "$client" --advertise-client-urls "$client" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer"
  ready etcd 60 curl -fsS "$client/health"
}

start_api_server() {
  cat >"$RUN/kubernetes/audit.yaml" <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
YAML
  # shellcheck disable=SC2054 # the comma is the option's
  local options=(
    --etcd-servers="http://127.0.0.1:$ETCD_PORT"
    --secure-port="$API_PORT" --bind-address=0.0.0.0 --advertise-address="$NODE_ADDRESS"
    --service-cluster-ip-range="$SERVICE_RANGE"
    --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key"
    --client-ca-file="$PKI/cluster-ca.crt"
    --service-account-issuer=https://kubernetes.default.svc
    --service-account-key-file="$PKI/service-accounts.pub" --service-account-signing-key-file="$PKI/service-accounts.key"
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction
    # Blocking: each entry is written as its request ends, not later with others. In one file: a test reads on where it was.
    --audit-policy-file="$RUN/kubernetes/audit.yaml" --audit-log-path="$LOGS/audit.log"
    --audit-log-mode=blocking --audit-log-maxsize=4096
    --kubelet-client-certificate="$PKI/apiserver-kubelet-client.crt" --kubelet-client-key="$PKI/apiserver-kubelet-client.key"
    --kubelet-preferred-address-types=InternalIP
    # As kubeadm has it: by this pair a server that is a part of the API knows that it is the API server who says who asks.
    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group
    --requestheader-extra-headers-prefix=X-Remote-Extra-
    --proxy-client-cert-file="$PKI/front-proxy-client.crt" --proxy-client-key-file="$PKI/front-proxy-client.key"
    # It asks such a server by itself: who tries a Service before kube-proxy knows it is led astray, and stays so.
    --enable-aggregator-routing=true
  )
  if ! $PODS; then
    # Without a node there is only loopback, which cannot be an endpoint of the `kubernetes` Service.
    options+=(--endpoint-reconciler-type=none --bind-address=127.0.0.1)
  fi
  spawn kube-apiserver "$(kube_dir)/kube-apiserver" "${options[@]}"
  ready kube-apiserver 120 kubectl get --raw /readyz
}

start_controllers() {
  kubeconfig kube-controller-manager /CN=system:kube-controller-manager
  kubeconfig kube-scheduler /CN=system:kube-scheduler
  # One of each, so no leases: they would be half of the audit log.
  spawn kube-controller-manager "$(kube_dir)/kube-controller-manager" --leader-elect=false \
    --kubeconfig="$RUN/kubernetes/kube-controller-manager.kubeconfig" --use-service-account-credentials \
    --service-account-private-key-file="$PKI/service-accounts.key" --root-ca-file="$PKI/cluster-ca.crt" \
    --service-cluster-ip-range="$SERVICE_RANGE" --bind-address=127.0.0.1 --secure-port="$CONTROLLER_MANAGER_PORT" \
    --horizontal-pod-autoscaler-sync-period=2s \
    --cert-dir="$RUN/kubernetes/controller-manager"
  spawn kube-scheduler "$(kube_dir)/kube-scheduler" --leader-elect=false \
    --kubeconfig="$RUN/kubernetes/kube-scheduler.kubeconfig" --bind-address=127.0.0.1 --secure-port="$SCHEDULER_PORT" \
    --cert-dir="$RUN/kubernetes/scheduler"
}

wait_for_controllers() {
  ready kube-controller-manager 120 controllers_work
  ready kube-scheduler 120 curl -fsSk "https://127.0.0.1:$SCHEDULER_PORT/healthz"
}

# What tests build on, seen to be there: the default account, the CA in each namespace, and `view` with its rules aggregated.
controllers_work() {
  kubectl -n default get serviceaccount/default configmap/kube-root-ca.crt
  [ -n "$(kubectl get clusterrole view -o 'jsonpath={.rules[0].verbs}')" ]
}
