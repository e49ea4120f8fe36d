#!/usr/bin/env bash
# shellcheck disable=SC2153
# The first process of the node's mount and PID namespaces: runs containerd and kubelet, and ends when one of them ends.
# The kernel then ends every pod with it and undoes their mounts, whatever state they were in.
set -euo pipefail

# Folders whose place kubelet and containerd do not let one choose: private ones over the machine's.
for folder in /var/lib/kubelet /var/lib/cni /var/log/containers /run/containerd; do
  mkdir -p "$folder" "$RUN/node/private$folder"
  mount --bind "$RUN/node/private$folder" "$folder"
done

containerd --config "$RUN/node/containerd.toml" >>"$LOGS/containerd.log" 2>&1 &
containerd=$!
# A kubelet that finds no runtime ends at once, and with it the node.
for _ in $(seq 300); do
  ctr --address "$RUN/node/containerd.sock" version >/dev/null 2>&1 && break
  kill -0 "$containerd" 2>/dev/null || break
  sleep 0.1
done
"$KUBELET" --config="$RUN/node/kubelet.yaml" --kubeconfig="$RUN/kubernetes/kubelet.kubeconfig" \
  --root-dir="$RUN/node/kubelet" --hostname-override=rig --node-ip="$NODE_ADDRESS" >>"$LOGS/kubelet.log" 2>&1 &
kubelet=$!

wait -n "$containerd" "$kubelet" || true
echo "containerd or kubelet ended: see containerd.log, kubelet.log"
