# shellcheck shell=bash
# Flux, for the test that installs the chart by it: those two of its controllers that a HelmRelease needs, from their Go modules.

# As in Flux 2.9.1.
SOURCE_CONTROLLER_VERSION=v1.9.2
HELM_CONTROLLER_VERSION=v1.6.2

flux_dir() { artifact flux "$SOURCE_CONTROLLER_VERSION" "$HELM_CONTROLLER_VERSION" "$(declare -f build_flux)"; }

# Both in one module, so that what they share, which is most of them, is compiled once.
build_flux() {
  local source=github.com/fluxcd/source-controller helm=github.com/fluxcd/helm-controller digest=github.com/opencontainers/go-digest
  mkdir "$1/module"
  (
    cd "$1/module" || exit
    go mod init rig/flux
    # As both have it: no version of it knows BLAKE3.
    go mod edit -replace="$digest=$digest@v1.0.1-0.20231025023718-d50d2fec9c98"
    go get -tool "$source@$SOURCE_CONTROLLER_VERSION" "$helm@$HELM_CONTROLLER_VERSION"
    go build -ldflags "-s -w" -o "$1/" "$source" "$helm"
  ) >&2 9<&-
  rm -r "$1/module"
}
