{{/* The kinds for which the ingress asks lamplighter before it passes a request on. */}}
{{- define "lamplighter.forwardAuthKinds" -}}
["none", "ingress-nginx", "traefik", "envoy-gateway"]
{{- end }}

{{/* Where the ingress asks, in its dialect: (list . "auth-request"). */}}
{{- define "lamplighter.authz" -}}
http://{{ include "lamplighter.fullname" (first .) }}.{{ (first .).Release.Namespace }}.svc.cluster.local:8081/authz/{{ last . }}
{{- end }}

{{/* The UI's own HTTPRoute, on which what asks hangs. */}}
{{- define "lamplighter.uiRoute" -}}
{{- default (ternary "headlamp" "" (eq .Values.ui "headlamp")) .Values.integration.gatewayApi.uiRoute -}}
{{- end }}

{{/*
What stands for a person or an ingress, taken away from all that comes in, before anybody is asked. A header with an underscore
never gets that far: Envoy Gateway refuses it, unless somebody told it otherwise.
*/}}
{{- define "lamplighter.scrubbing" -}}
earlyRequestHeaders:
  removeOnMatch:
    - type: RegularExpression
      value: (impersonate|x[-.](remote|original|headlamp|auth[-.]request))[-.].*
    - type: RegularExpression
      value: x[-.]forwarded[-.](user|email|group|id|access|preferred).*
    - type: RegularExpression
      value: x[-.]forwarded[-.](host|uri|method|port|prefix)|forwarded|kubeconfig
{{- end }}

{{/* "true" where this kind's way is to be made: (list . kind...). */}}
{{- define "lamplighter.routes" -}}
{{- if has (first .).Values.integration.kind (rest .) -}}true{{- end -}}
{{- end }}

{{- define "lamplighter.check.integration" -}}
{{- $kind := .Values.integration.kind -}}
{{- if and (eq .Values.mode "gateway") (not (has $kind (include "lamplighter.forwardAuthKinds" . | fromJsonArray))) }}
{{- if eq $kind "ingress" }}
integration.kind: is ingress, and a plain Ingress asks nobody before it passes a request on; set ingress-nginx, or use mode: proxy with this kind
{{- else }}
integration.kind: is {{ $kind }}, and what is stable of the Gateway API asks nobody before it passes a request on; set envoy-gateway where that is what runs, or use mode: proxy with this kind
{{- end }}
{{- end }}
{{- if and (eq .Values.mode "gateway") (eq $kind "envoy-gateway") (not (include "lamplighter.uiRoute" .)) }}
integration.gatewayApi.uiRoute: is not set, so that the SecurityPolicy would hang on nothing; name the UI's HTTPRoute
{{- end }}
{{- if and (has $kind (list "gateway-api" "envoy-gateway")) (not .Values.integration.gatewayApi.parentRefs) }}
integration.gatewayApi.parentRefs: is empty, so the HTTPRoute would be of no Gateway; name yours
{{- end }}
{{- end }}

{{/* The paths that lead to lamplighter, as JSON. Behind an ingress that asks, everything else leads to the UI. */}}
{{- define "lamplighter.paths" -}}
{{- if eq .Values.mode "gateway" -}}
["/lamplighter/"]
{{- else if .Values.basePath -}}
{{- list "/lamplighter/" .Values.basePath | toJson -}}
{{- else -}}
["/"]
{{- end -}}
{{- end }}

{{- define "lamplighter.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ include "lamplighter.fullname" . | quote }}
  namespace: {{ include "lamplighter.podNamespace" . | quote }}
  labels:
    {{- include "lamplighter.labels" . | nindent 4 }}
{{- end }}

{{- define "lamplighter.ingressSpec" -}}
{{- $root := . -}}
{{- $host := include "lamplighter.host" . -}}
{{- with .Values.integration.ingress.tlsSecret }}
tls:
  - hosts:
      - {{ $host | quote }}
    secretName: {{ . | quote }}
{{- end }}
rules:
  - host: {{ $host | quote }}
    http:
      paths:
        {{- range include "lamplighter.paths" . | fromJsonArray }}
        - path: {{ . | quote }}
          pathType: Prefix
          backend:
            service:
              name: {{ include "lamplighter.fullname" $root | quote }}
              port:
                name: public
        {{- end }}
{{- end }}
