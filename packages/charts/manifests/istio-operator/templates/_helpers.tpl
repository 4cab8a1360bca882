{{- define "operator.name" -}}
istio-operator{{ with .Values.revision }}{{ if ne . "default" }}-{{ . }}{{ end }}{{ end }}
{{- end }}

{{- define "operator.clusterName" -}}
{{ include "operator.name" . }}{{ if ne .Release.Namespace "istio-operator" }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "operator.labels" -}}
app.kubernetes.io/name: istio-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: istio
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
istio.io/rev: {{ .Values.revision | default "default" | quote }}
{{- end }}
