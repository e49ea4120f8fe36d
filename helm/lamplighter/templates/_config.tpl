{{/* A role's ServiceAccount as namespace/name: (list . role). */}}
{{- define "lamplighter.account" -}}
{{- $account := (last .).serviceAccount -}}
{{- if contains "/" $account -}}{{ $account }}{{- else -}}{{ printf "%s/%s" (first .).Release.Namespace $account }}{{- end -}}
{{- end }}

{{/* The ServiceAccounts that roles name, as JSON: names by namespace. */}}
{{- define "lamplighter.accounts" -}}
{{- $root := . -}}
{{- $byNamespace := dict -}}
{{- range .Values.roles -}}
{{- if .serviceAccount -}}
{{- $account := splitList "/" (include "lamplighter.account" (list $root .)) -}}
{{- $names := index $byNamespace (first $account) | default list -}}
{{- $_ := set $byNamespace (first $account) (append $names (last $account) | uniq | sortAlpha) -}}
{{- end -}}
{{- end -}}
{{- toJson $byNamespace -}}
{{- end }}

{{/* lamplighter's configuration. The files that it names are those of "lamplighter.files". */}}
{{- define "lamplighter.config" -}}
{{- $root := . -}}
{{- $values := .Values -}}
{{- $files := "/etc/lamplighter" -}}

{{- $oidc := dict "issuer" $values.oidc.issuer "preset" $values.oidc.preset "clientId" $values.oidc.clientId -}}
{{- range $key := list "scopes" "groupsClaim" "nameClaim" "userinfo" "maxAge" "clockSkew" "signingAlgorithms" "trustedAudiences" -}}
{{- with index $values.oidc $key -}}{{- $_ := set $oidc $key . -}}{{- end -}}
{{- end -}}
{{- if $values.oidc.clientSecret.existingSecret -}}{{- $_ := set $oidc "clientSecretFile" (printf "%s/client-secret" $files) -}}{{- end -}}
{{- $hasCa := or $values.caBundle.configMap $values.caBundle.secret -}}
{{- if $hasCa -}}{{- $_ := set $oidc "caFile" (printf "%s/trusted-ca.crt" $files) -}}{{- end -}}

{{- $session := dict "ttl" $values.session.ttl -}}
{{- $keys := list -}}
{{- range include "lamplighter.sessionKeys" . | fromJsonArray -}}{{- $keys = append $keys (printf "%s/session/%s" $files .) -}}{{- end -}}
{{- if $keys -}}{{- $_ := set $session "keyFiles" $keys -}}{{- end -}}

{{- $roles := list -}}
{{- range $values.roles -}}
{{- $role := pick . "name" "match" "credential" "tokenTtl" "audiences" -}}
{{- if .serviceAccount -}}{{- $_ := set $role "serviceAccount" (include "lamplighter.account" (list $root .)) -}}{{- end -}}
{{- $roles = append $roles $role -}}
{{- end -}}

{{- $anywhere := $values.listen.address -}}
{{- $loopback := ternary "[::1]" "127.0.0.1" (eq $anywhere "[::]") -}}
{{- /* Where no ingress asks, nobody is to reach the listener that answers with tokens. */ -}}
{{- $authz := ternary $anywhere $loopback (eq $values.mode "gateway") -}}
{{- $listen := dict "public" (printf "%s:8080" $anywhere) "authz" (printf "%s:8081" $authz) "admin" (printf "%s:9090" $anywhere) -}}
{{- with $values.listen.trustedProxies -}}{{- $_ := set $listen "trustedProxies" . -}}{{- end -}}

{{- $config := dict "site" $values.site "oidc" $oidc "session" $session "roles" $roles "ui" $values.ui "listen" $listen -}}
{{- if or $values.upstream $values.fallback.enabled -}}{{- $_ := set $config "clusters" $values.clusters -}}{{- end -}}
{{- with $values.upstream -}}{{- $_ := set $config "upstream" . -}}{{- end -}}
{{- with $values.basePath -}}{{- $_ := set $config "basePath" . -}}{{- end -}}
{{- if and $hasCa (or (hasPrefix "https://" $values.upstream) (hasPrefix "https://" $values.fallback.upstream)) -}}
{{- $_ := set $config "upstreamCaFile" (printf "%s/trusted-ca.crt" $files) -}}
{{- end -}}
{{- if $values.fallback.enabled -}}
{{- $fallback := dict "role" $values.fallback.role "ttl" $values.fallback.ttl "workload" (include "lamplighter.workload" .) -}}
{{- with $values.fallback.upstream -}}{{- $_ := set $fallback "upstream" . -}}{{- end -}}
{{- $_ := set $config "fallback" $fallback -}}
{{- end -}}
{{- if $values.store.redis.existingSecret -}}
{{- $_ := set $config "store" (dict "redis" (dict "urlFile" (printf "%s/redis-url" $files))) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/* What kubectl names lamplighter's pod by. */}}
{{- define "lamplighter.workload" -}}
{{- if .Values.fallback.workload -}}
{{- .Values.fallback.workload -}}
{{- else if eq .Values.mode "sidecar" -}}
deploy/headlamp
{{- else -}}
deploy/{{ include "lamplighter.fullname" . }}
{{- end -}}
{{- end }}
