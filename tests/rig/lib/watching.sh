# shellcheck shell=bash
# Prometheus and its operator, for the tests that start them, from their Go modules.

PROMETHEUS_OPERATOR_VERSION=v0.85.0 # the module proxy serves no other
PROMETHEUS_VERSION=v0.316.0         # 3.16.0, as a module counts it

prometheus_operator_dir() { artifact prometheus-operator "$PROMETHEUS_OPERATOR_VERSION" "$(declare -f build_prometheus_operator build_tool)"; }
prometheus_dir() { artifact prometheus "$PROMETHEUS_VERSION" "$(declare -f build_prometheus build_tool)"; }
watching_dirs() { echo "$(prometheus_operator_dir) $(prometheus_dir)"; }

build_watching() {
  make_once "$(prometheus_operator_dir)" build_prometheus_operator
  make_once "$(prometheus_dir)" build_prometheus
}

# With the program that it puts beside each Prometheus, which hands on what changed.
build_prometheus_operator() {
  local module=github.com/prometheus-operator/prometheus-operator version=github.com/prometheus/common/version
  build_tool "$1" prometheus-operator "$module/cmd/operator" "$PROMETHEUS_OPERATOR_VERSION" "-X $version.Version=${PROMETHEUS_OPERATOR_VERSION#v}"
  build_tool "$1" prometheus-config-reloader "$module/cmd/prometheus-config-reloader" "$PROMETHEUS_OPERATOR_VERSION"
}

# Of its ways to find what to scrape that one alone which the operator uses: the others are most of the build.
build_prometheus() {
  local module=github.com/prometheus/prometheus version=github.com/prometheus/common/version
  GOFLAGS="$GOFLAGS -tags=remove_all_sd,enable_kubernetes_sd" build_tool "$1" prometheus "$module/cmd/prometheus" \
    "$PROMETHEUS_VERSION" "-X $version.Version=3.${PROMETHEUS_VERSION#v0.3}"
}
