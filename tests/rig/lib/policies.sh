# shellcheck shell=bash
# NetworkPolicies, by the part of kube-router that is in k3s too. Its rules stand before kube-proxy's, in chains of its own.

KUBE_ROUTER_VERSION=v2.1.0 # the module proxy serves no other

kube_router_dir() { artifact kube-router "$KUBE_ROUTER_VERSION" "$(declare -f build_kube_router build_tool)"; }

build_kube_router() {
  build_tool "$1" kube-router github.com/cloudnativelabs/kube-router/v2/cmd/kube-router "$KUBE_ROUTER_VERSION"
}

# What goes from one pod to another stays on the bridge: iptables sees it if the kernel can show it, and is told to.
BRIDGE_FILTER=/proc/sys/net/bridge/bridge-nf-call-iptables

load_bridge_filter() {
  [ -e $BRIDGE_FILTER ] || modprobe br_netfilter >/dev/null 2>&1 || true
  [ -e $BRIDGE_FILTER ] || die "this kernel has no br_netfilter, without which no NetworkPolicy holds between pods"
}

start_policies() {
  local kubeconfig=$RUN/kubernetes/kube-router.kubeconfig
  kubeconfig kube-router /O=system:masters/CN=kube-router
  PATH=$HERE/kube-router:$PATH spawn kube-router "$(kube_router_dir)/kube-router" \
    --kubeconfig="$kubeconfig" --hostname-override=rig \
    --run-firewall=true --run-router=false --run-service-proxy=false --enable-cni=false \
    --service-cluster-ip-range="$SERVICE_RANGE" --health-port=0 --v=1
}

wait_for_policies() { ready kube-router 60 policies_hold; }

# Each pod has a chain once there was a look at all of them.
policies_hold() { iptables -w -S | grep -q -- '-A KUBE-ROUTER-FORWARD .* -j KUBE-POD-FW-'; }

# kube-router's own cleaning leaves them.
clean_policies() {
  local set
  iptables-save -t filter | awk '
    /^:KUBE-(ROUTER|POD-FW|NWPLCY)-/ { sub(/^:/, "", $1); chains[$1] }
    /^-A (INPUT|FORWARD|OUTPUT) .*-j KUBE-ROUTER-/ { sub(/^-A/, "-D"); jumps[$0] }
    END {
      print "*filter"
      for (chain in chains) print ":" chain " - [0:0]"
      for (jump in jumps) print jump
      for (chain in chains) print "-X " chain
      print "COMMIT"
    }
  ' | iptables-restore --noflush --wait || true
  for set in $(ipset list -n 2>/dev/null | grep -E '^KUBE-(SRC|DST)-'); do ipset destroy "$set" || true; done
}
