{{- define "kafka.name" -}}{{ .Values.cluster }}-kafka{{- end }}
{{- define "kafka.selector" -}}
strimzi.io/cluster: {{ .Values.cluster }}
strimzi.io/name: {{ include "kafka.name" . }}
{{- end }}
{{- define "kafka.labels" -}}
{{ include "alertlab.labels" . }}
app.kubernetes.io/name: kafka
strimzi.io/kind: Kafka
{{ include "kafka.selector" . }}
{{- end }}
{{- define "kafka.host" -}}
{{ include "kafka.name" .root }}-{{ .id }}.{{ include "kafka.name" .root }}-brokers.{{ .root.Release.Namespace }}.svc
{{- end }}
