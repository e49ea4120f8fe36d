# shellcheck shell=bash
# What is built, from Go modules and npm. Each build lies in the cache under a hash of its inputs: whoever has built it once,
# in whatever checkout, does not build it again.

KUBERNETES_VERSION=1.35.4
ETCD_VERSION=v3.6.5
COREDNS_VERSION=v1.15.0
HELM_VERSION=v4.3.1
HELM3_VERSION=v3.22.0 # which most people have still
DEX_VERSION=v0.0.0-20260303133905-11d2eeb52b42 # 2.45.1, whose tags the module proxy does not know
INGRESS_NGINX_VERSION=v0.0.0-20240708192948-52c50467d67d # 1.11; the module proxy serves nothing newer
KEYCLOAK_VERSION=26.4.2
# What the cluster is told of other people's kinds, of which the chart has objects: MODULE@VERSION, and a file in it.
CRDS="
sigs.k8s.io/gateway-api@v1.4.0  config/crd/standard/gateway.networking.k8s.io_httproutes.yaml
sigs.k8s.io/gateway-api@v1.4.0  config/crd/standard/gateway.networking.k8s.io_referencegrants.yaml
github.com/traefik/traefik/v3@v3.6.0  integration/fixtures/k8s/01-traefik-crd.yml
github.com/envoyproxy/gateway@v1.9.1  charts/gateway-crds-helm/templates/generated/gateway.envoyproxy.io_securitypolicies.yaml
github.com/envoyproxy/gateway@v1.9.1  charts/gateway-crds-helm/templates/generated/gateway.envoyproxy.io_clienttrafficpolicies.yaml
github.com/prometheus-operator/prometheus-operator@v0.85.0  example/prometheus-operator-crd-full/monitoring.coreos.com_servicemonitors.yaml
github.com/prometheus-operator/prometheus-operator@v0.85.0  example/prometheus-operator-crd-full/monitoring.coreos.com_podmonitors.yaml
github.com/prometheus-operator/prometheus-operator@v0.85.0  example/prometheus-operator-crd-full/monitoring.coreos.com_probes.yaml
github.com/prometheus-operator/prometheus-operator@v0.85.0  example/prometheus-operator-crd-full/monitoring.coreos.com_prometheuses.yaml
github.com/prometheus-operator/prometheus-operator@v0.85.0  example/prometheus-operator-crd-full/monitoring.coreos.com_prometheusrules.yaml
github.com/cilium/cilium@v1.20.2  pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml
github.com/fluxcd/helm-controller@v1.6.2  config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml
github.com/fluxcd/source-controller@v1.9.2  config/crd/bases/source.toolkit.fluxcd.io_buckets.yaml
github.com/fluxcd/source-controller@v1.9.2  config/crd/bases/source.toolkit.fluxcd.io_externalartifacts.yaml
github.com/fluxcd/source-controller@v1.9.2  config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml
github.com/fluxcd/source-controller@v1.9.2  config/crd/bases/source.toolkit.fluxcd.io_helmcharts.yaml
github.com/fluxcd/source-controller@v1.9.2  config/crd/bases/source.toolkit.fluxcd.io_helmrepositories.yaml
github.com/fluxcd/source-controller@v1.9.2  config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml
github.com/argoproj/argo-cd/v3@v3.5.4  manifests/crds/application-crd.yaml
"
KUBE_COMMANDS="kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl"

# artifact NAME INPUT...: the folder of this build. The machine is an input; the toolchain is not, or each new Go would build all anew.
artifact() {
  local name=$1
  shift
  echo "$CACHE/$name-$(printf '%s\0' "$(uname -m)" "$@" | sha256sum | cut -c1-16)"
}

# make_once FOLDER FUNCTION: FUNCTION fills a folder beside it, which takes its name when all is done: no half builds.
make_once() {
  local folder=$1 function=$2 partial=$1.partial
  if [ -d "$folder" ]; then
    say "${folder##*/}: there"
    return
  fi
  say "${folder##*/}: making it, in $CACHE"
  rm -rf "$partial"
  mkdir -p "$partial"
  "$function" "$partial"
  mv "$partial" "$folder"
}

kube_dir() { artifact kube "$KUBERNETES_VERSION" "$(cat "$HERE/kube/main.go")" "$(declare -f build_kube kube_module)"; }
etcd_dir() { artifact etcd "$ETCD_VERSION" "$(declare -f build_etcd build_tool)"; }
coredns_dir() { artifact coredns "$COREDNS_VERSION" "$(declare -f build_coredns build_tool)"; }
helm_dir() { artifact helm "$HELM_VERSION" "$(declare -f build_helm build_tool)"; }
helm3_dir() { artifact helm3 "$HELM3_VERSION" "$(declare -f build_helm3 build_tool module_info)"; }
dex_dir() { artifact dex "$DEX_VERSION" "$(declare -f build_dex build_tool)"; }
keycloak_dir() { artifact keycloak "$KEYCLOAK_VERSION" "$(declare -f build_keycloak)"; }
ingress_nginx_dir() { artifact ingress-nginx "$INGRESS_NGINX_VERSION" "$(declare -f build_ingress_nginx build_tool)"; }
crds_dir() { artifact crds "$CRDS" "$(declare -f fetch_crds module_info)"; }
node_modules_dir() { artifact node "$(cat "$HERE/node/package.json" "$HERE/node/package-lock.json")"; }

build_all() {
  have go || die "needs Go: https://go.dev/dl/"
  have npm || die "needs Node.js with npm"
  export CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=mod -buildvcs=false"
  make_once "$(etcd_dir)" build_etcd
  make_once "$(kube_dir)" build_kube
  make_once "$(helm_dir)" build_helm
  make_once "$(helm3_dir)" build_helm3
  make_once "$(dex_dir)" build_dex
  make_once "$(keycloak_dir)" build_keycloak
  make_once "$(crds_dir)" fetch_crds
  make_once "$(node_modules_dir)" install_node_modules
  build_proxies
  make_once "$(flux_dir)" build_flux
  build_watching
  if $PODS; then
    make_once "$(coredns_dir)" build_coredns
    make_once "$(kube_router_dir)" build_kube_router
    make_once "$(metrics_server_dir)" build_metrics_server
    make_once "$(ingress_nginx_dir)" build_ingress_nginx
  else
    say "not root: CoreDNS, kube-router, the metrics server and ingress-nginx are left out, they need a node"
  fi
  say "built"
}

need_built() {
  local folder folders missing
  have node || die "needs Node.js"
  folders="$(kube_dir) $(etcd_dir) $(helm_dir) $(helm3_dir) $(dex_dir) $(keycloak_dir) $(crds_dir) $(node_modules_dir)"
  folders="$folders $(proxies_dirs) $(flux_dir) $(watching_dirs)"
  if $PODS; then
    missing=$(missing_packages | tr '\n' ' ')
    [ -z "$missing" ] || die "not installed, so rig install: $missing"
    folders="$folders $(coredns_dir) $(kube_router_dir) $(metrics_server_dir) $(ingress_nginx_dir) $(nginx_modules_dir)"
  fi
  for folder in $folders; do
    [ -d "$folder" ] || die "${folder##*/} is not there: rig install && rig build"
  done
}

# build_tool FOLDER NAME PACKAGE VERSION: a main package of somebody else's module. `go install` would refuse those that have
# replace lines; a `tool` line in a module of our own does not.
build_tool() {
  local folder=$1 name=$2 package=$3 version=$4 module=$1/module
  mkdir -p "$module"
  [ ! -f "$folder/go.sum" ] || mv "$folder/go.sum" "$module/"
  (
    cd "$module" || exit
    go mod init "rig/$name"
    go get -tool "$package@$version"
    go build -ldflags "-s -w ${5:-}" -o "$folder/$name" "$package"
  ) >&2 9<&-
  rm -r "$module"
}

build_etcd() { build_tool "$1" etcd go.etcd.io/etcd/server/v3 "$ETCD_VERSION"; }
build_helm() { build_tool "$1" helm helm.sh/helm/v4/cmd/helm "$HELM_VERSION" "-X helm.sh/helm/v4/internal/version.version=$HELM_VERSION"; }
build_dex() { build_tool "$1" dex github.com/dexidp/dex/cmd/dex "$DEX_VERSION" "-X main.version=$DEX_VERSION"; }
build_coredns() { build_tool "$1" coredns github.com/coredns/coredns "$COREDNS_VERSION"; }

# Unlike Helm 4, it has to be told which Kubernetes to think of where it sees none, and thinks of 1.20 otherwise.
build_helm3() {
  local helm=helm.sh/helm/v3 flags minor part
  minor=$(go mod edit -json "$(module_info "$helm@$HELM3_VERSION" GoMod)" |
    jq -r '.Require[] | select(.Path == "k8s.io/client-go").Version | split(".")[1]')
  flags="-X $helm/internal/version.version=$HELM3_VERSION"
  for part in lint/rules chartutil; do
    flags="$flags -X $helm/pkg/$part.k8sVersionMajor=1 -X $helm/pkg/$part.k8sVersionMinor=$minor"
  done
  build_tool "$1" helm3 $helm/cmd/helm "$HELM3_VERSION" "$flags"
}

# The distribution, with what `kc.sh start` would find out anew each time found out once; its database is in memory.
build_keycloak() {
  local name=keycloak-quarkus-dist
  (
    mvn -q -B dependency:copy -Dartifact=org.keycloak:$name:$KEYCLOAK_VERSION:zip -DoutputDirectory="$1"
    python3 -m zipfile -e "$1/$name-$KEYCLOAK_VERSION.zip" "$1"
    rm "$1/$name-$KEYCLOAK_VERSION.zip"
    mv "$1/keycloak-$KEYCLOAK_VERSION/"* "$1/"
    rmdir "$1/keycloak-$KEYCLOAK_VERSION"
    sh "$1/bin/kc.sh" build --db=dev-mem
  ) >&2 9<&-
}

build_ingress_nginx() {
  local module=k8s.io/ingress-nginx source
  source=$(module_info "$module@$INGRESS_NGINX_VERSION" Dir)
  # With the module's own checksums: the checksum server does not know one of its dependencies any more.
  install -m 644 "$source/go.sum" "$1/go.sum"
  build_tool "$1" nginx-ingress-controller "$module/cmd/nginx" "$INGRESS_NGINX_VERSION" \
    "-X $module/version.RELEASE=${INGRESS_NGINX_VERSION##*-}"
  # What its image has in /etc/nginx.
  mkdir -p "$1/etc/nginx"
  cp -r "$source/rootfs/etc/nginx/"{lua,template,nginx.conf} "$1/etc/nginx/"
  chmod -R u+w "$1/etc"
}

# All of Kubernetes' commands in one binary, which is a third of the size of six, and one link run instead of six.
build_kube() {
  local module=$1/module version=k8s.io/component-base/version command
  mkdir "$module"
  cp "$HERE/kube/main.go" "$module/"
  kube_module >"$module/go.mod"
  (
    cd "$module" || exit
    go mod tidy
    # kubectl and Helm refuse to work with an API server whose version they cannot parse.
    go build -o "$1/kube" -ldflags "-s -w -X $version.gitVersion=v$KUBERNETES_VERSION \
      -X $version.gitMajor=${KUBERNETES_VERSION%%.*} -X $version.gitMinor=$(cut -d. -f2 <<<"$KUBERNETES_VERSION")"
  ) >&2 9<&-
  rm -r "$module"
  for command in $KUBE_COMMANDS; do ln -s kube "$1/$command"; done
}

# Kubernetes replaces its staging modules with folders of its own repository: for us, with their published versions.
kube_module() {
  local staging=v0.${KUBERNETES_VERSION#*.} gomod
  gomod=$(module_info "k8s.io/kubernetes@v$KUBERNETES_VERSION" GoMod)
  printf 'module rig/kube\n\ngo 1.25.0\n\n'
  printf 'require k8s.io/kubernetes v%s\nrequire k8s.io/component-base %s\nrequire k8s.io/kubectl %s\n' \
    "$KUBERNETES_VERSION" "$staging" "$staging"
  go mod edit -json "$gomod" | jq -r --arg v "$staging" '.Replace[].Old.Path | "replace \(.) => \(.) \($v)"'
}

# Nothing is built: a module is the one way in which all of them are to be had.
fetch_crds() {
  local module file source
  while read -r module file; do
    [ -n "$module" ] || continue
    source=$(module_info "$module" Dir) || die "cannot get the module $module"
    # Envoy Gateway has its own in a chart, between an `if` and an `end`.
    sed '/^{{.*}}$/d' "$source/$file" >"$1/${file##*/}"
    grep -q '^kind: CustomResourceDefinition$' "$1/${file##*/}" || die "$module has no CRD in $file"
  done <<<"$CRDS"
}

module_info() { go mod download -json "$1" | jq -r ".$2"; } # MODULE@VERSION FIELD

install_node_modules() {
  cp "$HERE/node/package.json" "$HERE/node/package-lock.json" "$1/"
  (cd "$1" && npm ci --no-audit --no-fund) >&2 9<&-
}
