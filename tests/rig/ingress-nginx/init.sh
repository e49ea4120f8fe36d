#!/usr/bin/env bash
# The first process of the controller's mount and PID namespaces: gives it the /etc/nginx, /usr and /tmp/nginx that its own
# image has, then becomes the controller. Nothing of this can be seen from outside.
set -euo pipefail

mount -t overlay overlay -o "lowerdir=$NGINX_MODULES/usr:/usr" /usr
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$INGRESS/etc,workdir=$INGRESS/etc.work" /etc
mount --bind "$INGRESS/nginx" /etc/nginx
mount --bind "$INGRESS/var-lib" /var/lib/nginx
mount --bind "$INGRESS/var-log" /var/log/nginx
mount --bind "$INGRESS/tmp/nginx" /tmp/nginx

export NGINX_BINARY=/usr/sbin/nginx POD_NAME=controller POD_NAMESPACE=ingress-nginx TMPDIR=$INGRESS/tmp
exec "$CONTROLLER" "$@"
