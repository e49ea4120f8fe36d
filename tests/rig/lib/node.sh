# shellcheck shell=bash
# The node: containerd, kubelet and kube-proxy, then CoreDNS as the first pod. It needs root.

PAUSE_IMAGE=rig.local/pause:1
KUBECTL_IMAGE=rig.local/kubectl:1
COREDNS_IMAGE=rig.local/coredns:1

# What kubelet, kube-proxy and the rig set on a machine. Noted, so that `down` can put it back.
NODE_SYSCTLS="net/bridge/bridge-nf-call-iptables net/ipv4/ip_forward net/ipv4/conf/all/route_localnet
vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes"

# kube-proxy's chains have fixed names: with a second one on the machine each would undo the other's.
need_no_other_node() {
  if iptables -w -t nat -n -L KUBE-SERVICES >/dev/null 2>&1; then
    die "this machine is a Kubernetes node already (or was: kube-proxy --cleanup), which the rig cannot be beside"
  fi
}

make_bridge() {
  local name
  load_bridge_filter
  for name in $NODE_SYSCTLS; do
    if [ -r "/proc/sys/$name" ]; then echo "$name $(cat "/proc/sys/$name")"; fi
  done >"$RUN/sysctls"
  ip link add "$BRIDGE" type bridge
  ip addr add "$NODE_ADDRESS/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo 1 >"$BRIDGE_FILTER"
}

# Chromium gives up what it loads whenever an address of its machine comes or goes, as those of pods do. So it has a
# machine of its own, so to speak, beside the pods.
make_browser_network() {
  ip netns add "$BROWSER_NETWORK"
  ip link add "$BRIDGE-b" type veth peer name eth0 netns "$BROWSER_NETWORK"
  ip link set "$BRIDGE-b" master "$BRIDGE" up
  ip -n "$BROWSER_NETWORK" link set lo up
  ip -n "$BROWSER_NETWORK" addr add "$BROWSER_ADDRESS/24" dev eth0
  ip -n "$BROWSER_NETWORK" link set eth0 up
  ip -n "$BROWSER_NETWORK" route add default via "$NODE_ADDRESS"
}

start_node() {
  mkdir -p "$RUN/node"
  write_containerd_config
  write_kubelet_config
  write_kube_proxy_config
  export RUN LOGS NODE_ADDRESS
  KUBELET=$(kube_dir)/kubelet spawn_apart node bash "$HERE/lib/node-init.sh"
  ready node 60 containerd_client version
  make_image "$PAUSE_IMAGE" '["/bin/busybox","sleep","2147483647"]' /bin/busybox=/bin/busybox
  make_image "$KUBECTL_IMAGE" '["/bin/kubectl"]' "$(kube_dir)/kube=/bin/kubectl"
  # By a link, so that `down` has this very command for its cleaning, whatever these scripts build then.
  ln -s "$(kube_dir)/kube" "$RUN/node/kube-proxy"
  spawn kube-proxy "$RUN/node/kube-proxy" --config="$RUN/node/kube-proxy.yaml"
  ready node 120 kubectl wait --for=condition=Ready node/rig --timeout=1s
  ready kube-proxy 60 curl -fsS "http://127.0.0.1:$KUBE_PROXY_HEALTH_PORT/healthz"
}

containerd_client() { ctr --address "$RUN/node/containerd.sock" --namespace k8s.io "$@"; }

write_containerd_config() {
  mkdir -p "$RUN/node/cni"
  cat >"$RUN/node/cni/10-rig.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "rig", "plugins": [
  {"type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$RUN/node/addresses",
            "ranges": [[{"subnet": "$POD_RANGE", "rangeEnd": "$LAST_POD_ADDRESS"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc cannot lower the score, and dies of it.
  cat >"$RUN/node/containerd.toml" <<TOML
version = 2
root = "$RUN/node/containerd"
state = "$RUN/node/containerd-state"
[grpc]
  address = "$RUN/node/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$RUN/node/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "$PAUSE_IMAGE"
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$RUN/node/cni"
TOML
}

write_kubelet_config() {
  kubeconfig kubelet /O=system:nodes/CN=system:node:rig
  certificate cluster-ca kubelet-server /CN=rig serverAuth "DNS:rig,IP:$NODE_ADDRESS"
  # The four exceptions: cgroup v1 is still met; a machine with swap is too; nothing here counts or reserves resources.
  cat >"$RUN/node/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/cluster-ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet-server.crt
tlsPrivateKeyFile: $PKI/kubelet-server.key
containerRuntimeEndpoint: unix://$RUN/node/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
clusterDNS: [$DNS_ADDRESS]
clusterDomain: cluster.local
address: $NODE_ADDRESS
port: $KUBELET_PORT
healthzPort: 0
podLogsDir: $LOGS/pods
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 1Mi}
YAML
}

write_kube_proxy_config() {
  kubeconfig kube-proxy /CN=system:kube-proxy
  cat >"$RUN/node/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $RUN/kubernetes/kube-proxy.kubeconfig}
mode: iptables
iptables: {localhostNodePorts: false, syncPeriod: 10s, minSyncPeriod: 100ms}
clusterCIDR: $POD_RANGE
hostnameOverride: rig
healthzBindAddress: 127.0.0.1:$KUBE_PROXY_HEALTH_PORT
metricsBindAddress: 127.0.0.1:$KUBE_PROXY_METRICS_PORT
conntrack: {maxPerCore: 0}
YAML
}

start_dns() {
  make_image "$COREDNS_IMAGE" '["/coredns"]' "$(coredns_dir)/coredns=/coredns"
  kubectl apply -f "$HERE/coredns.yaml" >>"$LOGS/node.log"
  ready node 120 kubectl -n kube-system wait --for=condition=Available deployment/coredns --timeout=1s
}

# make_image [--with-libs] NAME ENTRYPOINT_JSON SRC=DEST...
make_image() {
  [ $# -ge 3 ] || die "usage: rig image [--with-libs] NAME ENTRYPOINT_JSON SRC=DEST..."
  [ -S "$RUN/node/containerd.sock" ] || die "no containerd of the rig here: rig up, as root"
  python3 "$HERE/image.py" "$@" | containerd_client images import - >"$LOGS/images.log" 2>&1 ||
    part_failed images "could not be made or imported: $*"
}

import_image() { # FILE
  [ $# -eq 1 ] || die "usage: rig import FILE"
  [ -S "$RUN/node/containerd.sock" ] || die "no containerd of the rig here: rig up, as root"
  containerd_client images import "$1" >"$LOGS/images.log" 2>&1 || part_failed images "could not be imported: $1"
}

sweep_node() {
  [ -f "$RUN/sysctls" ] || return 0
  clean_policies
  clean_services
  ip netns del "$BROWSER_NETWORK" 2>/dev/null || true
  ip link del "$BRIDGE-b" 2>/dev/null || true
  ip link del "$BRIDGE" 2>/dev/null || true
  # A pod's cgroups are empty once its namespace is gone, a moment later.
  wait_for 10 remove_cgroups || say "some cgroups of pods are left in /sys/fs/cgroup"
  rmdir --ignore-fail-on-non-empty /var/lib/kubelet /var/lib/cni /var/log/containers /run/containerd 2>/dev/null || true
  local name value
  while read -r name value; do
    echo "$value" >"/proc/sys/$name" || true
  done <"$RUN/sysctls"
}

# The iptables chains of Services. kube-proxy's own cleaning leaves one chain, because on a usual node kubelet has it too.
clean_services() {
  [ -e "$RUN/node/kube-proxy" ] || return 0
  "$RUN/node/kube-proxy" --cleanup --config="$RUN/node/kube-proxy.yaml" >>"$LOGS/kube-proxy.log" 2>&1 || true
  local tables
  for tables in iptables ip6tables; do
    {
      $tables -w -D INPUT -j KUBE-FIREWALL
      $tables -w -D OUTPUT -j KUBE-FIREWALL
      $tables -w -F KUBE-FIREWALL
      $tables -w -X KUBE-FIREWALL
    } >/dev/null 2>&1 || true
  done
}

remove_cgroups() {
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + || true
  [ -z "$(find /sys/fs/cgroup -maxdepth 2 -type d -name kubepods)" ]
}
