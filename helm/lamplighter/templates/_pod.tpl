{{- define "lamplighter.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{- define "lamplighter.user" -}}
runAsNonRoot: true
{{- if .Values.runAsUser }}
runAsUser: {{ int64 .Values.runAsUser }}
{{- end }}
{{- if .Values.runAsGroup }}
runAsGroup: {{ int64 .Values.runAsGroup }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* lamplighter's container: of the Deployment, and of Headlamp's pod in mode sidecar. */}}
{{- define "lamplighter.container" -}}
name: lamplighter
image: {{ include "lamplighter.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - serve
  - --config=/etc/lamplighter/config.yaml
env:
  - name: LAMPLIGHTER_LOG
    value: {{ .Values.log.filter | quote }}
  - name: LAMPLIGHTER_LOG_FORMAT
    value: {{ .Values.log.format | quote }}
  # By these two it knows whether the loopback is its own.
  - name: LAMPLIGHTER_POD_IP
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
  - name: LAMPLIGHTER_HOST_IP
    valueFrom:
      fieldRef:
        fieldPath: status.hostIP
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: public
    containerPort: 8080
    protocol: TCP
  {{- if eq .Values.mode "gateway" }}
  - name: authz
    containerPort: 8081
    protocol: TCP
  {{- end }}
  - name: admin
    containerPort: 9090
    protocol: TCP
startupProbe:
  httpGet:
    path: /livez
    port: admin
  periodSeconds: 1
  failureThreshold: 30
livenessProbe:
  httpGet:
    path: /livez
    port: admin
  periodSeconds: 10
readinessProbe:
  httpGet:
    path: /readyz
    port: admin
  periodSeconds: 5
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "lamplighter.user" . | nindent 2 }}
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities:
    drop:
      - ALL
volumeMounts:
  - name: lamplighter
    mountPath: /etc/lamplighter
    readOnly: true
  # The same, where a client of Kubernetes looks for the token. Not by subPath: what is renewed would not arrive.
  - name: lamplighter
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
{{- end }}

{{/* What lamplighter reads, and who it is in the cluster. */}}
{{- define "lamplighter.volume" -}}
- name: lamplighter
  projected:
    sources:
      {{- include "lamplighter.identity" (list . (dict "path" "token" "expirationSeconds" (int64 .Values.apiServer.tokenSeconds))) | nindent 6 }}
      {{- include "lamplighter.files" . | nindent 6 }}
{{- end }}

{{/* What a pod finds of its cluster, with this token: (list . token). */}}
{{- define "lamplighter.identity" -}}
{{- $root := first . -}}
- serviceAccountToken:
    {{- toYaml (last .) | nindent 4 }}
- configMap:
    name: {{ $root.Values.apiServer.caConfigMap | quote }}
    items:
      - key: {{ $root.Values.apiServer.caKey | quote }}
        path: ca.crt
- downwardAPI:
    items:
      - path: namespace
        fieldRef:
          fieldPath: metadata.namespace
{{- end }}

{{/* lamplighter's configuration, and the files that it names. */}}
{{- define "lamplighter.files" -}}
{{- $values := .Values -}}
- configMap:
    name: {{ include "lamplighter.fullname" . | quote }}
    items:
      - key: config.yaml
        path: config.yaml
{{- with $values.oidc.clientSecret.existingSecret }}
- secret:
    name: {{ . | quote }}
    items:
      - key: {{ $values.oidc.clientSecret.key | quote }}
        path: client-secret
{{- end }}
{{- with include "lamplighter.sessionSecret" . }}
- secret:
    name: {{ . | quote }}
    items:
      {{- range include "lamplighter.sessionKeys" $ | fromJsonArray }}
      - key: {{ . | quote }}
        path: session/{{ . }}
      {{- end }}
{{- end }}
{{- with $values.store.redis.existingSecret }}
- secret:
    name: {{ . | quote }}
    items:
      - key: {{ $values.store.redis.key | quote }}
        path: redis-url
{{- end }}
{{- with $values.caBundle.configMap }}
- configMap:
    name: {{ . | quote }}
    items:
      - key: {{ $values.caBundle.key | quote }}
        path: trusted-ca.crt
{{- end }}
{{- with $values.caBundle.secret }}
- secret:
    name: {{ . | quote }}
    items:
      - key: {{ $values.caBundle.key | quote }}
        path: trusted-ca.crt
{{- end }}
{{- end }}
