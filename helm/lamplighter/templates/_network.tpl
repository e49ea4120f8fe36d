{{/* A peer for NetworkPolicy: (list . peer). */}}
{{- define "lamplighter.peer" -}}
{{- $root := first . -}}
{{- $peer := last . -}}
{{- if $peer.cidr -}}
- ipBlock:
    cidr: {{ $peer.cidr | quote }}
{{- else -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ default $root.Release.Namespace $peer.namespace | quote }}
  {{- with $peer.podLabels }}
  podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
  {{- end }}
{{- end -}}
{{- end }}

{{/* One rule for NetworkPolicy: (dict "root" . "way" "from" or "to" "peers" list "ports" list). No peers: anywhere. */}}
{{- define "lamplighter.rule" -}}
{{- $root := .root -}}
- ports:
    {{- range .ports }}
    - port: {{ int . }}
      protocol: TCP
    {{- end }}
  {{- if .peers }}
  {{ .way }}:
    {{- range .peers }}
    {{- include "lamplighter.peer" (list $root .) | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}

{{/* The same for CiliumNetworkPolicy, which wants a rule for each kind of peer. */}}
{{- define "lamplighter.ciliumRule" -}}
{{- $root := .root -}}
{{- $way := .way -}}
{{- $ports := .ports -}}
{{- range $peer := .peers }}
{{- if $peer.cidr }}
- {{ $way }}CIDR:
    - {{ $peer.cidr | quote }}
{{- else if $peer.entity }}
- {{ $way }}Entities:
    - {{ $peer.entity | quote }}
{{- else if $peer.fqdn }}
- {{ $way }}FQDNs:
    - matchName: {{ $peer.fqdn | quote }}
{{- else }}
- {{ $way }}Endpoints:
    - matchLabels:
        k8s:io.kubernetes.pod.namespace: {{ default $root.Release.Namespace $peer.namespace | quote }}
        {{- with $peer.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}
  toPorts:
    - ports:
        {{- range $ports }}
        - port: {{ . | toString | quote }}
          protocol: TCP
        {{- end }}
{{- end }}
{{- end }}

{{/* Peers by their networks, as JSON. */}}
{{- define "lamplighter.cidrPeers" -}}
{{- $peers := list -}}
{{- range . -}}{{- $peers = append $peers (dict "cidr" .) -}}{{- end -}}
{{- toJson $peers -}}
{{- end }}

{{/* lamplighter's own pods as a peer, and the UI's, as JSON. */}}
{{- define "lamplighter.ownPeer" -}}
{{- dict "namespace" (include "lamplighter.podNamespace" .) "podLabels" (include "lamplighter.podSelector" . | fromYaml) | toJson -}}
{{- end }}
{{- define "lamplighter.uiPeer" -}}
{{- dict "namespace" (include "lamplighter.uiNamespace" .) "podLabels" (include "lamplighter.uiLabels" . | fromYaml) | toJson -}}
{{- end }}

{{/* The cluster's DNS as a peer, as JSON. */}}
{{- define "lamplighter.dnsPeer" -}}
{{- $dns := .Values.networkPolicy.egress.dns -}}
{{- dict "namespace" (default "kube-system" $dns.namespace) "podLabels" (default (dict "k8s-app" "kube-dns") $dns.podLabels) | toJson -}}
{{- end }}

{{/* The ports that the ingress controller may reach, as JSON. */}}
{{- define "lamplighter.ingressPorts" -}}
{{- if eq .Values.mode "gateway" -}}[8080, 8081]{{- else -}}[8080]{{- end -}}
{{- end }}

{{/* Who may reach the UI's port, as JSON. */}}
{{- define "lamplighter.uiCallers" -}}
{{- $callers := list -}}
{{- if eq .Values.mode "gateway" -}}{{- $callers = .Values.networkPolicy.ingressFrom -}}{{- end -}}
{{- if or (eq .Values.mode "proxy") .Values.fallback.enabled -}}
{{- $callers = append $callers (include "lamplighter.ownPeer" . | fromJson) -}}
{{- end -}}
{{- toJson $callers -}}
{{- end }}

{{- define "lamplighter.issuerHost" -}}
{{- regexReplaceAll "^https?://([^/:]+).*$" .Values.oidc.issuer "${1}" -}}
{{- end }}
{{- define "lamplighter.issuerPort" -}}
{{- if regexMatch "^https?://[^/]+:[0-9]+" .Values.oidc.issuer -}}
{{- regexReplaceAll "^https?://[^/]+:([0-9]+).*$" .Values.oidc.issuer "${1}" -}}
{{- else -}}
443
{{- end -}}
{{- end }}

{{/* Everything that lamplighter may reach but DNS, as JSON: a list of {peers, ports}; no peers: anywhere. */}}
{{- define "lamplighter.destinations" -}}
{{- $egress := .Values.networkPolicy.egress -}}
{{- $isCilium := eq .Values.networkPolicy.flavor "cilium" -}}
{{- $api := include "lamplighter.cidrPeers" $egress.apiServerCidrs | fromJsonArray -}}
{{- $provider := include "lamplighter.cidrPeers" $egress.providerCidrs | fromJsonArray -}}
{{- if and $isCilium (not $api) -}}{{- $api = list (dict "entity" "kube-apiserver") -}}{{- end -}}
{{- if and $isCilium (not $provider) -}}{{- $provider = list (dict "fqdn" (include "lamplighter.issuerHost" .)) -}}{{- end -}}
{{- $all := list
  (dict "peers" $api "ports" $egress.apiServerPorts)
  (dict "peers" $provider "ports" (list (include "lamplighter.issuerPort" . | int)))
-}}
{{- if or (eq .Values.mode "proxy") (and .Values.fallback.enabled (ne .Values.mode "sidecar")) -}}
{{- $all = append $all (dict "peers" (list (include "lamplighter.uiPeer" . | fromJson)) "ports" (list .Values.uiPods.port)) -}}
{{- end -}}
{{- range $egress.to -}}
{{- $all = append $all (dict "peers" (list (omit . "ports")) "ports" .ports) -}}
{{- end -}}
{{- toJson $all -}}
{{- end }}
