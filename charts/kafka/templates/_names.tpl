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
{{- /* The address that MetalLB gives a Service: the same one for ever. */ -}}
{{- define "kafka.pinned" -}}
{{- if eq .root.Values.listener.type "LoadBalancer" -}}
annotations:
  metallb.io/address-pool: {{ .root.Values.listener.pool }}
  metallb.io/loadBalancerIPs: {{ (split ":" .address)._0 | quote }}
  {{- with .share }}
  metallb.io/allow-shared-ip: {{ . }}
  {{- end }}
{{- end }}
{{- end }}
{{- /* Whoever has an address needs no port of a node. */ -}}
{{- define "kafka.exposure" -}}
{{- if eq .Values.listener.type "LoadBalancer" -}}
allocateLoadBalancerNodePorts: false
{{- end }}
{{- end }}
