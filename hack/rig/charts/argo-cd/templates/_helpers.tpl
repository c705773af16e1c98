{{- define "argo-cd.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- /* What is common to the objects of all components. */ -}}
{{- define "argo-cd.common" -}}
app.kubernetes.io/part-of: argocd
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.global.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /*
What follows takes a list: the chart's context, a component's name, and its values.
*/ -}}
{{- define "argo-cd.name" -}}
{{ include "argo-cd.fullname" (index . 0) }}-{{ index . 1 }}
{{- end -}}

{{- define "argo-cd.selector" -}}
app.kubernetes.io/name: {{ default "argocd" (index . 0).Values.nameOverride }}-{{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end -}}

{{- define "argo-cd.labels" -}}
app.kubernetes.io/name: {{ default "argocd" (index . 0).Values.nameOverride }}-{{ index . 1 }}
app.kubernetes.io/component: {{ index . 1 }}
{{ include "argo-cd.common" (index . 0) }}
{{- end -}}

{{- /* The pod of a component up to its containers. */ -}}
{{- define "argo-cd.pod" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
{{- $annotations := merge (deepCopy $values.podAnnotations) $root.Values.global.podAnnotations -}}
metadata:
  labels:
    {{- include "argo-cd.labels" . | nindent 4 }}
    {{- with $root.Values.global.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- if or (ne (index . 1) "redis") $annotations }}
  annotations:
    {{- if ne (index . 1) "redis" }}
    # These are read once, at the start.
    checksum/params: {{ toJson $root.Values.configs.params | sha256sum }}
    {{- end }}
    {{- with $annotations }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- end }}
spec:
  serviceAccountName: {{ include "argo-cd.name" . }}
  {{- with $root.Values.global.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.global.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  nodeSelector:
    kubernetes.io/os: linux
    {{- with default $root.Values.global.nodeSelector $values.nodeSelector }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with default $root.Values.global.tolerations $values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 999
    fsGroup: 999
    seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "argo-cd.image" -}}
image: {{ .Values.global.image.repository }}:{{ default .Chart.AppVersion .Values.global.image.tag }}
imagePullPolicy: {{ .Values.global.image.imagePullPolicy }}
{{- end -}}

{{- define "argo-cd.security" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Variables that a program takes from a key of a ConfigMap, as lines "NAME key". */ -}}
{{- define "argo-cd.settings" -}}
{{- $map := index . 0 -}}
{{- range splitList "\n" (trim (index . 1)) }}
{{- $pair := regexSplit " +" (trim .) 2 }}
- name: {{ index $pair 0 }}
  valueFrom: {configMapKeyRef: {name: {{ $map }}, key: {{ index $pair 1 }}, optional: true}}
{{- end }}
{{- end -}}

{{- define "argo-cd.redis" -}}
- {name: REDIS_SERVER, value: "{{ include "argo-cd.fullname" . }}-redis:6379"}
- name: REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: argocd-redis, key: auth}}
{{- end -}}
