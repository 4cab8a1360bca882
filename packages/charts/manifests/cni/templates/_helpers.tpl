{{- define "cni.labels" -}}
app: istio-cni
release: {{ .Release.Name }}
istio.io/rev: {{ .Values.revision | default "default" | quote }}
install.operator.istio.io/owning-resource: {{ .Values.ownerName | default "unknown" }}
operator.istio.io/component: Cni
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: istio
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/name: istio-cni
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "cni.image" -}}
{{- if contains "/" (.Values.image | toString) -}}
{{ .Values.image }}
{{- else -}}
{{ .Values.hub | default .Values.global.hub }}/{{ .Values.image | default "install-cni" }}:{{ .Values.tag | default .Values.global.tag }}{{ with .Values.variant | default .Values.global.variant }}-{{ . }}{{ end }}
{{- end }}
{{- end }}

{{- /* Folder of the agent's socket, by the same name on the node and in the agent. */}}
{{- define "cni.agentRunDir" -}}
{{ get (.Values.env | default dict) "CNI_AGENT_RUN_DIR" | default "/var/run/istio-cni" }}
{{- end }}
