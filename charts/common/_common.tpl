{{- /*
What every chart of alertlab has in common. charts.Load puts this file beside a
chart's own templates, so that each chart stays complete by itself.
*/ -}}

{{- /* Labels of every object: whose it is, and what. Helm sets managed-by. */ -}}
{{- define "alertlab.labels" -}}
alertlab.dev/lab: {{ required "lab: the name of the lab" .Values.lab | quote }}
app.kubernetes.io/part-of: alertlab
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The image of our own programs. */ -}}
{{- define "alertlab.image" -}}
image: {{ required "image.reference: the image that holds alertlab" .Values.image.reference | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- /* What a container of ours may not do. */ -}}
{{- define "alertlab.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* The user of our own programs; the image has no other. */ -}}
{{- define "alertlab.user" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* Probes of the health port that every program of ours has. */ -}}
{{- define "alertlab.probes" -}}
readinessProbe:
  httpGet: {path: /ready, port: health}
  periodSeconds: 2
  failureThreshold: 1
livenessProbe:
  httpGet: {path: /health, port: health}
  initialDelaySeconds: 10
  periodSeconds: 20
  timeoutSeconds: 5
{{- end }}

{{- /* How a program of ours logs in to Kafka: by the certificate of its user. */ -}}
{{- define "alertlab.kafkaArgs" -}}
{{- toJson (list (printf "--bootstrap=%s" .Values.kafka.bootstrap) "--ca-file=/etc/kafka-server-ca-cert/ca.crt" "--cert-file=/etc/kafka-client-secret/user.crt" "--key-file=/etc/kafka-client-secret/user.key") }}
{{- end }}

{{- /* The object store's keys, from the lab's Secret: those of a user where it has users
for its programs, else its owner's. */ -}}
{{- define "alertlab.storeKeys" -}}
{{- $store := default dict .Values.objectStore -}}
{{- if $store.user -}}
- {name: AWS_ACCESS_KEY_ID, value: {{ $store.user | quote }}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .Values.secret }}, key: {{ $store.secretKey }}}}
{{- else -}}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ .Values.secret }}, key: object-store-access-key}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .Values.secret }}, key: object-store-secret-key}}
{{- end }}
{{- end }}

{{- /*
A Deployment of one of our programs. It takes a dict: root (the chart's context),
name, component, replicas, args (a list), env (text of a list, may be empty), port
(of its own service, 0 for none), kafka (whether it logs in there), and renewed, which
is another text when what it reads from Secrets is another.
*/ -}}
{{- define "alertlab.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "alertlab.labels" .root | nindent 4 }}
    app.kubernetes.io/name: {{ .component }}
spec:
  replicas: {{ .replicas }}
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ .root.Release.Name }}
      app.kubernetes.io/name: {{ .component }}
  template:
    metadata:
      labels:
        {{- include "alertlab.labels" .root | nindent 8 }}
        app.kubernetes.io/name: {{ .component }}
      {{- with .renewed }}
      annotations:
        # What pods read from Secrets when they start was changed so often, or so.
        alertlab.dev/credentials: {{ . | quote }}
      {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 60
      securityContext:
        {{- include "alertlab.user" .root | nindent 8 }}
      containers:
      - name: {{ .component }}
        {{- include "alertlab.image" .root | nindent 8 }}
        args:
        - pod
        - {{ .component }}
        {{- range .args }}
        - {{ . | quote }}
        {{- end }}
        {{- with .env }}
        env:
        {{- . | nindent 8 }}
        {{- end }}
        ports:
        {{- if .port }}
        - {name: http, containerPort: {{ .port }}}
        {{- end }}
        - {name: health, containerPort: 8090}
        {{- include "alertlab.probes" .root | nindent 8 }}
        resources:
          {{- toYaml .root.Values.resources | nindent 10 }}
        securityContext:
          {{- include "alertlab.confined" .root | nindent 10 }}
        {{- if .kafka }}
        volumeMounts:
        - {name: client, mountPath: /etc/kafka-client-secret, readOnly: true}
        - {name: authority, mountPath: /etc/kafka-server-ca-cert, readOnly: true}
      volumes:
      - name: client
        secret: {secretName: {{ .root.Values.kafka.user }}, defaultMode: 0440}
      - name: authority
        secret: {secretName: {{ .root.Values.kafka.cluster }}-cluster-ca-cert}
        {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "alertlab.labels" .root | nindent 4 }}
    app.kubernetes.io/name: {{ .component }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ .root.Release.Name }}
      app.kubernetes.io/name: {{ .component }}
{{- end }}

{{- /*
A Service of one of our programs: root, name, component, port. values.service says
its type and, for NodePort, the node's port.
*/ -}}
{{- define "alertlab.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "alertlab.labels" .root | nindent 4 }}
    app.kubernetes.io/name: {{ .component }}
spec:
  type: {{ .root.Values.service.type }}
  selector:
    app.kubernetes.io/instance: {{ .root.Release.Name }}
    app.kubernetes.io/name: {{ .component }}
  ports:
  - name: http
    port: {{ .port }}
    targetPort: http
    {{- with .root.Values.service.nodePort }}
    nodePort: {{ . }}
    {{- end }}
{{- end }}
