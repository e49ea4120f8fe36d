{{/* What to set on the UI's own Ingress, so that what serves it asks. */}}
{{- define "lamplighter.uiAnnotations" -}}
{{- if eq .Values.integration.kind "traefik" -}}
traefik.ingress.kubernetes.io/router.middlewares: {{ include "lamplighter.podNamespace" . }}-{{ include "lamplighter.fullname" . }}@kubernetescrd
traefik.ingress.kubernetes.io/router.entrypoints: {{ join "," .Values.integration.traefik.entryPoints }}
traefik.ingress.kubernetes.io/router.tls: "true"
{{- else -}}
nginx.ingress.kubernetes.io/auth-url: {{ include "lamplighter.authz" (list . "auth-request") }}
nginx.ingress.kubernetes.io/auth-signin: {{ trimSuffix "/" .Values.site }}/lamplighter/login?rd=$escaped_request_uri
nginx.ingress.kubernetes.io/auth-response-headers: >-
  Authorization, Cookie, X-Forwarded-User, X-Forwarded-Email, X-Forwarded-Group, X-Forwarded-Id-Token,
  Impersonate-User, Impersonate-Group, Impersonate-Uid, X-Remote-User, X-Remote-Group, X-Remote-Uid,
  KUBECONFIG, X-HEADLAMP-USER-ID
nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-send-timeout: "3600"
{{- end }}
{{- end }}

{{/* Headlamp without rights of its own: what its chart has to be told in every mode. */}}
{{- define "lamplighter.headlampCommon" -}}
config:
  inCluster: true
  inClusterContextName: {{ first .Values.clusters | quote }}
  {{- with .Values.basePath }}
  baseURL: {{ . | quote }}
  {{- end }}
  # Everybody would be Headlamp's own ServiceAccount.
  unsafeUseServiceAccountToken: false
  # Headlamp would show a sign-in of its own.
  oidc:
    secret:
      create: false
  # From Headlamp 0.43 on: its menu names the person. Older ones do not start with it.
  extraArgs:
    - -proxy-auth=true
# Its chart makes Headlamp's own ServiceAccount cluster-admin otherwise.
clusterRoleBinding:
  create: false
{{- end }}

{{/* An identity with which nothing can be done: Headlamp wants to find one. */}}
{{- define "lamplighter.headlampIdentity" -}}
automountServiceAccountToken: false
volumeMounts:
  - name: headlamp-identity
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
securityContext:
  runAsNonRoot: true
  runAsUser: 100
  runAsGroup: 101
  privileged: false
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop:
      - ALL
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "lamplighter.headlampVolume" -}}
- name: headlamp-identity
  projected:
    sources:
      {{- include "lamplighter.identity" (list . (dict "path" "token" "audience" "headlamp-has-no-rights" "expirationSeconds" 3600)) | nindent 6 }}
{{- end }}

{{/* The values for Headlamp's own chart. */}}
{{- define "lamplighter.headlampValues" -}}
{{- include "lamplighter.headlampCommon" . }}
{{ include "lamplighter.headlampIdentity" . }}
{{- if eq .Values.mode "sidecar" }}
# lamplighter's, which may make tokens. Headlamp itself gets none of its tokens: the two share a pod, and no right.
serviceAccount:
  create: false
  name: {{ include "lamplighter.serviceAccount" . | quote }}
podAnnotations:
  kubectl.kubernetes.io/default-container: lamplighter
  checksum/lamplighter: {{ include "lamplighter.config" . | sha256sum | quote }}
# A container of the whole pod's life: it starts before Headlamp, and ends after it.
initContainers:
  - restartPolicy: Always
    {{- include "lamplighter.container" . | nindent 4 }}
{{- end }}
volumes:
  {{- include "lamplighter.headlampVolume" . | nindent 2 }}
  {{- if eq .Values.mode "sidecar" }}
  {{- include "lamplighter.volume" . | nindent 2 }}
  {{- end }}
{{- if and (eq .Values.mode "gateway") (eq .Values.integration.kind "envoy-gateway") }}
{{ include "lamplighter.headlampRoute" . }}
{{- else if eq .Values.mode "gateway" }}
{{ include "lamplighter.headlampIngress" . }}
{{- end }}
{{- end }}

{{- define "lamplighter.headlampIngress" -}}
{{- $isTraefik := eq .Values.integration.kind "traefik" -}}
{{- $secret := ternary .Values.integration.traefik.tlsSecret .Values.integration.ingress.tlsSecret $isTraefik -}}
ingress:
  enabled: true
  ingressClassName: {{ default (ternary "traefik" "nginx" $isTraefik) .Values.integration.ingress.className | quote }}
  annotations:
    {{- include "lamplighter.uiAnnotations" . | nindent 4 }}
  hosts:
    - host: {{ include "lamplighter.host" . | quote }}
      paths:
        - path: {{ default "/" .Values.basePath | quote }}
          type: Prefix
  {{- with $secret }}
  tls:
    - secretName: {{ . | quote }}
      hosts:
        - {{ include "lamplighter.host" $ | quote }}
  {{- end }}
{{- end }}

{{- define "lamplighter.headlampRoute" -}}
httpRoute:
  enabled: true
  parentRefs:
    {{- toYaml .Values.integration.gatewayApi.parentRefs | nindent 4 }}
  hostnames:
    - {{ include "lamplighter.host" . | quote }}
  # As its chart would, but for the time that a watch takes.
  rules:
    - matches:
        - path:
            type: PathPrefix
            value: {{ default "/" .Values.basePath | quote }}
      {{- with .Values.integration.gatewayApi.requestTimeout }}
      timeouts:
        request: {{ . | quote }}
      {{- end }}
      # Headlamp's own, which no client may send, and which lamplighter never says: a route takes away after the check.
      filters:
        - type: RequestHeaderModifier
          requestHeaderModifier:
            remove:
              - KUBECONFIG
              - X-HEADLAMP-USER-ID
      backendRefs:
        - name: {{ include "lamplighter.uiRoute" . | quote }}
          port: 80
{{- end }}
