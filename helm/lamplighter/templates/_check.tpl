{{/*
What cannot be meant, each with its key and what to do. A define says one line a problem; check.yaml gathers them, so
that all of them are told at once, as `lamplighter config check` does.
*/}}

{{- define "lamplighter.check.required" -}}
{{- if not .Values.image.repository }}
image.repository: is not set, and no registry has the image yet; build it with `make image`, push it to yours, and name it here
{{- end }}
{{- if not .Values.site }}
site: is not set; set the origin where people open the UI, such as https://headlamp.example.com
{{- else if hasPrefix "http://" .Values.site }}
{{- if not (regexMatch "^http://(localhost|[a-z0-9.-]+\\.localhost|127\\.[0-9.]+|\\[::1\\])(:[0-9]+)?/?$" .Values.site) }}
site: is plain http outside this machine, where sessions and tokens can be read on the way; set it to https://
{{- end }}
{{- else if not (regexMatch "^https://[^/?#@\\s]+/?$" .Values.site) }}
site: is no origin; write it as in https://headlamp.example.com, and the UI's base path in basePath
{{- end }}
{{- if not .Values.oidc.issuer }}
oidc.issuer: is not set; set the provider's issuer URL, exactly as it writes it itself
{{- end }}
{{- if not .Values.oidc.clientId }}
oidc.clientId: is not set; set the client id under which the provider knows lamplighter
{{- end }}
{{- end }}

{{- define "lamplighter.check.roles" -}}
{{- $root := . -}}
{{- if not .Values.roles }}
roles: is empty, so nobody could sign in; add a role
{{- end }}
{{- $names := list -}}
{{- range $index, $role := .Values.roles }}
{{- $at := printf "roles[%d] (%s)" $index $role.name -}}
{{- if has $role.name $names }}
{{ $at }}: is the name of an earlier role too; choose another
{{- end }}
{{- $names = append $names $role.name -}}
{{- if and $role.serviceAccount $role.credential }}
{{ $at }}: has serviceAccount beside credential; remove one of the two
{{- else if not (or $role.serviceAccount $role.credential) }}
{{ $at }}: names no account; set serviceAccount to namespace/name, or `credential: none` for identity headers alone
{{- else if and $role.serviceAccount (not $role.tokenTtl) }}
{{ $at }}: has no tokenTtl; set how long a stolen token may work, such as 15m
{{- end }}
{{- if and $role.credential (or $role.createServiceAccount $role.bind $role.tokenTtl) }}
{{ $at }}: has createServiceAccount, bind or tokenTtl beside `credential: none`, where there is no account; remove them
{{- end }}
{{- if $role.serviceAccount }}
{{- $own := printf "%s/%s" (include "lamplighter.podNamespace" $root) (include "lamplighter.serviceAccount" $root) -}}
{{- if eq $own (include "lamplighter.account" (list $root $role)) }}
{{ $at }}: names lamplighter's own ServiceAccount, which makes tokens for everybody; name another
{{- end }}
{{- end }}
{{- range $role.bind }}
{{- if eq (hasKey . "clusterRole") (hasKey . "role") }}
{{ $at }}: has a bind without a role or with two; set clusterRole or role
{{- else if and .role (not .namespaces) }}
{{ $at }}: binds the role {{ .role }} nowhere; set namespaces, since a Role is of one namespace
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "lamplighter.check.mode" -}}
{{- if eq .Values.mode "gateway" }}
{{- if .Values.upstream }}
upstream: makes lamplighter a proxy, which mode: gateway is not; remove it, or set mode: proxy
{{- end }}
{{- else if not .Values.upstream }}
upstream: is not set, and mode: {{ .Values.mode }} has to know where the UI is; set it to {{ ternary "http://127.0.0.1:4466, where Headlamp listens in the same pod" "the UI's Service, such as http://headlamp.headlamp.svc" (eq .Values.mode "sidecar") }}
{{- else if eq .Values.mode "sidecar" }}
{{- if not (regexMatch "^(http://(localhost|127\\.[0-9.]+|\\[::1\\])(:[0-9]+)?/?|unix:/.+)$" .Values.upstream) }}
upstream: is outside the pod, where mode: sidecar has the UI beside it; set it to http://127.0.0.1:4466, or set mode: proxy
{{- end }}
{{- end }}
{{- if eq .Values.mode "sidecar" }}
{{- if or (ne (int .Values.replicas) 1) .Values.autoscaling.enabled .Values.podDisruptionBudget.enabled }}
{{ if .Values.autoscaling.enabled }}autoscaling.enabled{{ else if .Values.podDisruptionBudget.enabled }}podDisruptionBudget.enabled{{ else }}replicas{{ end }}: is for a Deployment of lamplighter's own, which mode: sidecar has not; leave it, and set it in Headlamp's chart
{{- end }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
autoscaling.minReplicas: is more than autoscaling.maxReplicas; lower it
{{- end }}
{{- end }}

{{- define "lamplighter.check.secrets" -}}
{{- $lasting := include "lamplighter.sessionSecret" . -}}
{{- if and .Values.session.existingSecret .Values.session.generateKey }}
session.generateKey: is set beside session.existingSecret; remove one of the two
{{- end }}
{{- if and .Values.session.generateKey (not .Values.session.existingSecret) (not .Values.rbac.create) }}
session.generateKey: needs a Role by which the key is made, and rbac.create is false; make the Secret, and name it in session.existingSecret
{{- end }}
{{- if and .Values.session.existingSecret (not .Values.session.keys) }}
session.keys: is empty; name the keys of the Secret {{ .Values.session.existingSecret }}
{{- end }}
{{- if and (include "lamplighter.several" .) (not $lasting) }}
{{ ternary "autoscaling.maxReplicas" "replicas" .Values.autoscaling.enabled }}: is more than one, and each replica would make a session key of its own, which the others cannot open; set session.existingSecret, or session.generateKey
{{- end }}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) }}
serviceAccount.name: is not set, and serviceAccount.create is false; name the one that is there
{{- end }}
{{- if and .Values.caBundle.configMap .Values.caBundle.secret }}
caBundle.secret: is set beside caBundle.configMap; remove one of the two
{{- end }}
{{- if .Values.fallback.enabled }}
{{- if not $lasting }}
fallback.enabled: needs a session key that lasts, which signs the one-time codes; set session.existingSecret, or session.generateKey
{{- end }}
{{- $names := list -}}
{{- range .Values.roles }}{{ $names = append $names .name }}{{ end -}}
{{- if not (has .Values.fallback.role $names) }}
fallback.role: is {{ .Values.fallback.role | default "not set" }}, which is no role; name one of roles
{{- end }}
{{- if not (or .Values.upstream .Values.fallback.upstream) }}
fallback.upstream: is not set, and nothing else says where the UI is; set it, such as http://headlamp.headlamp.svc
{{- end }}
{{- end }}
{{- end }}

{{- define "lamplighter.check.network" -}}
{{- $policy := .Values.networkPolicy -}}
{{- if $policy.enabled }}
{{- if not $policy.ingressFrom }}
networkPolicy.ingressFrom: is empty, so nobody would reach lamplighter; name the ingress controller's pods, such as {namespace: ingress-nginx}
{{- end }}
{{- if and $policy.closeUi (not (include "lamplighter.uiLabels" $)) }}
uiPods.labels: is empty, so networkPolicy.closeUi would close every pod of its namespace; name the UI's labels
{{- end }}
{{- range $list := list "ingressFrom" "metricsFrom" "to" }}
{{- $peers := ternary $policy.egress.to (index $policy $list) (eq $list "to") -}}
{{- $at := ternary "networkPolicy.egress.to" (printf "networkPolicy.%s" $list) (eq $list "to") -}}
{{- range $index, $peer := $peers }}
{{- $kinds := 0 -}}
{{- if or $peer.namespace $peer.podLabels }}{{ $kinds = add1 $kinds }}{{ end -}}
{{- range $kind := list "cidr" "entity" "fqdn" }}{{ if index $peer $kind }}{{ $kinds = add1 $kinds }}{{ end }}{{ end -}}
{{- if ne (int $kinds) 1 }}
{{ $at }}[{{ $index }}]: is no one peer; set namespace and podLabels, or cidr, or entity, or fqdn
{{- else if and (or $peer.entity $peer.fqdn) (ne $policy.flavor "cilium") }}
{{ $at }}[{{ $index }}]: names an entity or a host, which only Cilium knows; set networkPolicy.flavor: cilium, or a cidr
{{- else if and $peer.fqdn (ne $list "to") }}
{{ $at }}[{{ $index }}]: names a host that is to reach lamplighter, which not even Cilium knows; set a cidr
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.monitoring.serviceMonitor .Values.monitoring.podMonitor }}
monitoring.podMonitor: is set beside monitoring.serviceMonitor, so that all would be counted twice; remove one of the two
{{- end }}
{{- if and (eq .Values.mode "sidecar") (not (include "lamplighter.uiLabels" $)) }}
uiPods.labels: is empty, so the Service of mode: sidecar leads nowhere; name the labels of Headlamp's pods
{{- end }}
{{- end }}

{{- define "lamplighter.check.pod" -}}
{{- $names := list -}}
{{- range $index, $variable := .Values.env }}
{{- if has $variable.name (list "LAMPLIGHTER_LOG" "LAMPLIGHTER_LOG_FORMAT") }}
env[{{ $index }}]: sets {{ $variable.name }}, which the chart sets itself; set log.{{ ternary "filter" "format" (eq $variable.name "LAMPLIGHTER_LOG") }}
{{- else if has $variable.name (list "LAMPLIGHTER_POD_IP" "LAMPLIGHTER_HOST_IP") }}
env[{{ $index }}]: sets {{ $variable.name }}, which the chart sets itself; remove it
{{- else if has $variable.name $names }}
env[{{ $index }}]: sets {{ $variable.name }} a second time; remove one of the two
{{- end }}
{{- $names = append $names $variable.name -}}
{{- end }}
{{- end }}
