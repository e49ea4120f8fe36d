# shellcheck shell=bash
# What comes from Debian, by name. Looks without the network first, so that a second run costs nothing.

# Package and what shows that it is there: a command, a file, or "=" where it must be Debian's own package (nginx because
# the Lua modules fit that build alone; busybox because the plain one is linked dynamically).
DEBIAN_PACKAGES="
containerd                   containerd
runc                         runc
containernetworking-plugins  /usr/lib/cni/bridge
iptables                     iptables
ipset                        ipset
conntrack                    conntrack
iproute2                     ip
busybox-static               =
ca-certificates              /etc/ssl/certs/ca-certificates.crt
openssl                      openssl
python3                      python3
python3-pip                  pip3
curl                         curl
default-jre-headless         java
maven                        mvn
git                          git
jq                           jq
nginx                        =
redis-server                 redis-server
chromium                     chromium
"

# The modules that ingress-nginx wants in nginx, with their libraries. Unpacked into the cache and mounted over /usr for the
# controller alone: installed, they would enable themselves in the machine's own nginx.
LUA_PACKAGES="libnginx-mod-http-lua libnginx-mod-http-ndk libnginx-mod-http-set-misc libnginx-mod-http-headers-more-filter
lua-resty-core lua-resty-lrucache lua-cjson libluajit2-5.1-2 libpcre3"

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

present() { # PACKAGE SIGN
  case $2 in
    =) installed "$1" ;;
    /*) [ -e "$2" ] ;;
    *) have "$2" ;;
  esac
}

missing_packages() {
  local package sign
  while read -r package sign; do
    [ -z "$package" ] || present "$package" "$sign" || echo "$package"
  done <<<"$DEBIAN_PACKAGES"
}

nginx_modules_dir() {
  artifact nginx-modules "$(dpkg-query -W -f '${Version}' nginx)" "$LUA_PACKAGES" "$(declare -f unpack_nginx_modules)"
}

install_all() {
  local missing
  missing=$(missing_packages | tr '\n' ' ')
  if [ -z "$missing" ]; then
    say "Debian packages: all there"
  else
    have apt-get || die "missing, and there is no apt-get to install them: $missing"
    [ "$EUID" -eq 0 ] || die "missing, and only root can install them: $missing"
    say "installing: $missing"
    apt_update
    install_without_services "$missing"
  fi
  if $PODS; then make_once "$(nginx_modules_dir)" unpack_nginx_modules; fi
  say "installed"
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" >&2 9<&-; }

apt_update() { apt_get update; }

# Debian starts a service as soon as it is installed. A web server on port 80 is not what somebody who runs tests asked for:
# while this runs, the policy says no. An own policy of the machine stays as it is, and so do services that were there before.
install_without_services() { # PACKAGES
  local policy=/usr/sbin/policy-rc.d ours=false status=0 service
  if [ ! -e "$policy" ]; then
    ours=true
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  # shellcheck disable=SC2086
  apt_get install --no-install-recommends $1 || status=$?
  if $ours; then rm -f "$policy"; fi
  # Nor at the next boot.
  for service in nginx containerd redis-server; do
    if [[ " $1 " == *" $service "* ]]; then systemctl disable "$service" >/dev/null 2>&1 || true; fi
  done
  return "$status"
}

unpack_nginx_modules() { # FOLDER
  mkdir -p "$1/debs"
  # shellcheck disable=SC2086
  (cd "$1/debs" && { apt_get download $LUA_PACKAGES || { apt_update && apt_get download $LUA_PACKAGES; }; })
  local deb
  for deb in "$1"/debs/*.deb; do dpkg-deb -x "$deb" "$1"; done
  rm -r "$1/debs"
  # Debian 12 has /lib as a link to /usr/lib; these packages still name the former.
  if [ -d "$1/lib" ]; then
    cp -a "$1/lib/." "$1/usr/lib/"
    rm -r "${1:?}/lib"
  fi
}
