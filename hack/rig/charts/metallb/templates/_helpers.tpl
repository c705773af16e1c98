{{- define "metallb.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "metallb.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "metallb.labels" -}}
{{ include "metallb.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "metallb.controller.account" -}}
{{- default (ternary (printf "%s-controller" (include "metallb.fullname" .)) "default" .Values.controller.serviceAccount.create) .Values.controller.serviceAccount.name -}}
{{- end -}}

{{- define "metallb.speaker.account" -}}
{{- default (ternary (printf "%s-speaker" (include "metallb.fullname" .)) "default" .Values.speaker.serviceAccount.create) .Values.speaker.serviceAccount.name -}}
{{- end -}}

{{- /* Where a pod may run and what it costs: the same keys for both programs. */ -}}
{{- define "metallb.placement" -}}
nodeSelector:
  kubernetes.io/os: linux
  {{- with .nodeSelector }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "metallb.probes" -}}
livenessProbe:
  httpGet: {path: /metrics, port: monitoring}
  initialDelaySeconds: 10
  periodSeconds: 10
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /metrics, port: monitoring}
  periodSeconds: 2
  failureThreshold: 3
{{- end -}}
