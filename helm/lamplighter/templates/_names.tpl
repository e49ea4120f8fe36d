{{/* A name of at most 63 characters; two long names stay two. */}}
{{- define "lamplighter.short" -}}
{{- if gt (len .) 63 -}}
{{- printf "%s-%s" (trunc 54 . | trimSuffix "-") (sha256sum . | trunc 8) -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end }}

{{- define "lamplighter.name" -}}
{{- include "lamplighter.short" (default .Chart.Name .Values.nameOverride) -}}
{{- end }}

{{- define "lamplighter.fullname" -}}
{{- $name := include "lamplighter.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- include "lamplighter.short" .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- include "lamplighter.short" .Release.Name -}}
{{- else -}}
{{- include "lamplighter.short" (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- end }}

{{/* The full name with a suffix: (list . "suffix"). */}}
{{- define "lamplighter.named" -}}
{{- include "lamplighter.short" (printf "%s-%s" (include "lamplighter.fullname" (first .)) (last .)) -}}
{{- end }}

{{- define "lamplighter.serviceAccount" -}}
{{- default (include "lamplighter.fullname" .) .Values.serviceAccount.name -}}
{{- end }}

{{/* What never changes in a release's life: a Deployment's selector cannot. */}}
{{- define "lamplighter.selector" -}}
app.kubernetes.io/name: {{ include "lamplighter.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "lamplighter.labels" -}}
{{- $own := dict
  "app.kubernetes.io/name" (include "lamplighter.name" .)
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" (.Chart.AppVersion | toString)
  "app.kubernetes.io/component" .Values.mode
  "app.kubernetes.io/part-of" "lamplighter"
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
-}}
{{- toYaml (merge $own .Values.labels) -}}
{{- end }}

{{/* The site's host, without a port. */}}
{{- define "lamplighter.host" -}}
{{- $authority := .Values.site | trimPrefix "https://" | trimPrefix "http://" | trimSuffix "/" -}}
{{- regexReplaceAll ":[0-9]+$" $authority "" -}}
{{- end }}

{{- define "lamplighter.uiNamespace" -}}
{{- default .Release.Namespace .Values.uiPods.namespace -}}
{{- end }}

{{/* The labels of the UI's pods; nothing where they are not known. */}}
{{- define "lamplighter.uiLabels" -}}
{{- if .Values.uiPods.labels -}}
{{- toYaml .Values.uiPods.labels -}}
{{- else if eq .Values.ui "headlamp" -}}
app.kubernetes.io/name: headlamp
{{- end -}}
{{- end }}

{{/* The labels of the pods that lamplighter runs in. */}}
{{- define "lamplighter.podSelector" -}}
{{- if eq .Values.mode "sidecar" -}}
{{- include "lamplighter.uiLabels" . -}}
{{- else -}}
{{- include "lamplighter.selector" . -}}
{{- end -}}
{{- end }}

{{/* The namespace of those pods. */}}
{{- define "lamplighter.podNamespace" -}}
{{- if eq .Values.mode "sidecar" -}}
{{- include "lamplighter.uiNamespace" . -}}
{{- else -}}
{{- .Release.Namespace -}}
{{- end -}}
{{- end }}

{{/* Whether more than one replica can run: "true" or nothing. */}}
{{- define "lamplighter.several" -}}
{{- if or (gt (int .Values.replicas) 1) (and .Values.autoscaling.enabled (gt (int .Values.autoscaling.maxReplicas) 1)) -}}true{{- end -}}
{{- end }}

{{- define "lamplighter.sessionSecret" -}}
{{- if .Values.session.existingSecret -}}
{{- .Values.session.existingSecret -}}
{{- else if .Values.session.generateKey -}}
{{- include "lamplighter.named" (list . "session") -}}
{{- end -}}
{{- end }}

{{/* The keys in that Secret, as JSON: the one that is generated has one. */}}
{{- define "lamplighter.sessionKeys" -}}
{{- if .Values.session.existingSecret -}}
{{- toJson .Values.session.keys -}}
{{- else if .Values.session.generateKey -}}
["session-key"]
{{- else -}}
[]
{{- end -}}
{{- end }}
