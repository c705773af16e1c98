{{- define "strimzi.labels" -}}
{{ include "alertlab.labels" . }}
strimzi.io/cluster: {{ .Values.cluster }}
{{- end }}

{{- /* ids as Strimzi takes them at the creation of a pool: [6-11]. */ -}}
{{- define "strimzi.ids" -}}
{{- $first := int (first .) }}{{ $last := int (last .) }}
{{- if eq $first $last }}[{{ $first }}]{{ else }}[{{ $first }}-{{ $last }}]{{ end }}
{{- end }}

{{- /* Where a pool's pods may run: root, apart (whether no two share a node), pool. */ -}}
{{- define "strimzi.placement" -}}
{{- with .root.Values.nodePool.taint }}
tolerations:
- {key: {{ .key | quote }}, operator: Equal, value: {{ .value | quote }}, effect: {{ .effect }}}
{{- end }}
{{- if or .apart .root.Values.nodePool.label }}
affinity:
  {{- with .root.Values.nodePool.label }}
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 1
      preference:
        matchExpressions:
        - {key: {{ .key | quote }}, operator: In, values: [{{ .value | quote }}]}
  {{- end }}
  {{- if .apart }}
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
    - labelSelector:
        matchLabels: {strimzi.io/cluster: {{ .root.Values.cluster }}, strimzi.io/pool-name: {{ .pool }}}
      topologyKey: kubernetes.io/hostname
  {{- end }}
{{- end }}
{{- end }}

{{- /* A pool: root, name, ids, roles, storage, resources, heap, apart. */ -}}
{{- define "strimzi.pool" -}}
apiVersion: kafka.strimzi.io/v1
kind: KafkaNodePool
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "strimzi.labels" .root | nindent 4 }}
  annotations:
    strimzi.io/next-node-ids: {{ include "strimzi.ids" .ids | quote }}
spec:
  replicas: {{ len .ids }}
  roles: {{ toJson .roles }}
  storage:
    type: jbod
    volumes:
    - id: 0
      type: persistent-claim
      size: {{ .storage.size }}
      {{- with .storage.class }}
      class: {{ . }}
      {{- end }}
      deleteClaim: false
      kraftMetadata: shared
  resources:
    {{- toYaml .resources | nindent 4 }}
  jvmOptions:
    -Xms: {{ .heap.min }}
    -Xmx: {{ .heap.max }}
    -XX: {UseSerialGC: "true", TieredStopAtLevel: "1"}
  template:
    pod:
      metadata:
        labels:
          alertlab.dev/lab: {{ .root.Values.lab | quote }}
        annotations:
          prometheus.io/scrape: "true"
      terminationGracePeriodSeconds: 60
      {{- with include "strimzi.placement" (dict "root" .root "apart" .apart "pool" .name) | trim }}
      {{- . | nindent 6 }}
      {{- end }}
    persistentVolumeClaim:
      metadata:
        labels:
          alertlab.dev/lab: {{ .root.Values.lab | quote }}
          app.kubernetes.io/part-of: alertlab
{{- end }}
