{{/*
Pods that come and go: of `helm test`, and of the session key. By another name than lamplighter's own pods, or Services
and policies would take them for those.
*/}}

{{/* Their labels: (list . "test"). */}}
{{- define "lamplighter.passingLabels" -}}
{{- $name := include "lamplighter.short" (printf "%s-%s" (include "lamplighter.name" (first .)) (last .)) -}}
{{- $own := dict "app.kubernetes.io/name" $name "app.kubernetes.io/component" (last .) -}}
{{- toYaml (merge $own (include "lamplighter.labels" (first .) | fromYaml)) -}}
{{- end }}

{{/* What is the same in each one's spec. */}}
{{- define "lamplighter.passingPod" -}}
restartPolicy: Never
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "lamplighter.user" . | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* And in its container. */}}
{{- define "lamplighter.passingContainer" -}}
image: {{ include "lamplighter.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
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
{{- end }}

{{/* When what makes the session key comes and goes: its weight. */}}
{{- define "lamplighter.sessionKeyHook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
