{{- define "logout-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "logout-gateway.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "logout-gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "logout-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "logout-gateway.labels" -}}
{{ include "logout-gateway.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "logout-gateway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "logout-gateway.secretName" -}}
{{- .Values.secret.existingSecret | default (include "logout-gateway.fullname" .) }}
{{- end }}

{{- define "logout-gateway.serviceAccountName" -}}
{{- .Values.serviceAccount.existingName | default (include "logout-gateway.fullname" .) }}
{{- end }}

{{/* Variables whose values are in the Secret, each with its key, as YAML. */}}
{{- define "logout-gateway.secretItems" -}}
{{- $items := dict }}
{{- if .Values.secret.existingSecret }}
{{- $items = deepCopy .Values.secret.items }}
{{- if and (eq .Values.store.type "redis") (not (hasKey $items "GATEWAY_STORE")) }}
{{- $_ := set $items "GATEWAY_STORE" "GATEWAY_STORE" }}
{{- end }}
{{- else }}
{{- range $variable, $_ := .Values.secret.values }}{{ $_ := set $items $variable $variable }}{{ end }}
{{- end }}
{{- toYaml $items }}
{{- end }}

{{/* The gateway's variables that are no secrets, as YAML. The schema refuses the chart's own variables in `config`. */}}
{{- define "logout-gateway.config" -}}
{{- $config := dict
  "GATEWAY_BIND" "0.0.0.0:8080"
  "GATEWAY_ADMIN_BIND" "0.0.0.0:9090"
  "GATEWAY_DRAIN_TIMEOUT" (printf "%ds" (int .Values.drainTimeoutSeconds)) }}
{{- if eq .Values.store.type "file" }}
{{- $_ := set $config "GATEWAY_STORE" "file:/var/lib/logout-gateway/store.redb" }}
{{- end }}
{{- range $variable, $value := .Values.config }}
{{- if $value }}{{ $_ := set $config $variable $value }}{{ end }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* Refuses values that cannot work together, so that `helm install` fails and not the pod. */}}
{{- define "logout-gateway.checkValues" -}}
{{- $items := include "logout-gateway.secretItems" . | fromYaml }}
{{- if not .Values.config.SUPABASE_URL }}
{{- fail "config.SUPABASE_URL is empty: set it to the project's URL, as browsers use it" }}
{{- end }}
{{- if not $items.GATEWAY_SECRET }}
{{- fail "GATEWAY_SECRET is missing: set secret.existingSecret, or secret.values.GATEWAY_SECRET (openssl rand -base64 32)" }}
{{- end }}
{{- if contains "/OWNER/" .Values.image.repository }}
{{- fail "image.repository has the placeholder OWNER: set it to the repository to which you pushed the image" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.hosts is empty: set it to the hosts whose requests reach the gateway" }}
{{- end }}
{{- $shared := eq .Values.store.type "redis" }}
{{- if and $shared (not $items.GATEWAY_STORE) }}
{{- fail "store.type is redis, and secret.values.GATEWAY_STORE is missing: set it to redis://… or rediss://…" }}
{{- end }}
{{- if and (not $shared) $items.GATEWAY_STORE }}
{{- fail "the Secret has GATEWAY_STORE, and store.type is not redis: set store.type=redis" }}
{{- end }}
{{- if and (not $shared) (or (gt (int .Values.replicaCount) 1) .Values.autoscaling.enabled) }}
{{- fail (printf "store.type is %s, which replicas do not share: set store.type=redis, or run one replica" .Values.store.type) }}
{{- end }}
{{- end }}
