{{- define "cert-manager.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- /*
The three programs have the same shape. What follows takes a list: the chart's
context, the values of the program, its component, and its name.
*/ -}}
{{- define "cert-manager.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 3 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 2 }}
{{- end -}}

{{- define "cert-manager.labels" -}}
{{- $root := index . 0 -}}
{{ include "cert-manager.selector" . }}
app: {{ index . 3 }}
{{ include "cert-manager.common" $root }}
{{- end -}}

{{- define "cert-manager.common" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.global.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cert-manager.component" -}}
{{- $root := index . 0 -}}
{{- if eq (index . 2) "controller" -}}{{ include "cert-manager.fullname" $root }}
{{- else -}}{{ include "cert-manager.fullname" $root }}-{{ index . 2 }}
{{- end -}}
{{- end -}}

{{- define "cert-manager.account" -}}
{{- $account := (index . 1).serviceAccount -}}
{{- default (ternary (include "cert-manager.component" .) "default" $account.create) $account.name -}}
{{- end -}}

{{- define "cert-manager.serviceaccount" -}}
{{- $root := index . 0 -}}
{{- $account := (index . 1).serviceAccount -}}
{{- if $account.create }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "cert-manager.account" . }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "cert-manager.labels" . | nindent 4 }}
  {{- with $account.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* From metadata to where a pod runs; the caller adds the containers. */ -}}
{{- define "cert-manager.deployment" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "cert-manager.component" . }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "cert-manager.labels" . | nindent 4 }}
spec:
  replicas: {{ $values.replicaCount }}
  selector:
    matchLabels: {{- include "cert-manager.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "cert-manager.labels" . | nindent 8 }}
        {{- with $values.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- $scrape := and (eq (index . 2) "controller") $root.Values.prometheus.enabled }}
      {{- if or $scrape $values.podAnnotations }}
      annotations:
        {{- if $scrape }}
        prometheus.io/scrape: "true"
        prometheus.io/path: /metrics
        prometheus.io/port: "9402"
        {{- end }}
        {{- with $values.podAnnotations }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "cert-manager.account" . }}
      enableServiceLinks: false
      {{- with $root.Values.global.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.global.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      nodeSelector:
        kubernetes.io/os: linux
        {{- with $values.nodeSelector }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- with $values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "cert-manager.container" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
image: {{ $values.image.repository }}:{{ default $root.Chart.AppVersion $values.image.tag }}
imagePullPolicy: {{ $values.image.pullPolicy }}
env:
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
resources: {{- toYaml $values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "cert-manager.election" -}}
{{- with .Values.global.leaderElection -}}
- --leader-election-namespace={{ .namespace }}
- --leader-election-lease-duration={{ .leaseDuration }}
- --leader-election-renew-deadline={{ .renewDeadline }}
- --leader-election-retry-period={{ .retryPeriod }}
{{- end -}}
{{- end -}}
