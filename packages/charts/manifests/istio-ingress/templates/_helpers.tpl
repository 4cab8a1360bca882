{{- define "gateway.namespace" -}}
{{- (index .Values.gateways "istio-ingressgateway").namespace | default .Release.Namespace }}
{{- end }}

{{- define "gateway.revision" -}}
{{- if and .Values.revision (ne .Values.revision "default") }}-{{ .Values.revision }}{{ end }}
{{- end }}

{{- define "gateway.selector" -}}
{{- (index .Values.gateways "istio-ingressgateway").labels | toYaml }}
{{- end }}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
release: {{ .Release.Name }}
istio.io/rev: {{ .Values.revision | default "default" | quote }}
install.operator.istio.io/owning-resource: {{ .Values.ownerName | default "unknown" }}
operator.istio.io/component: IngressGateways
app.kubernetes.io/name: {{ (index .Values.gateways "istio-ingressgateway").name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: istio
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- /* Proxy configuration of the mesh for this proxy, as the agent reads it. */ -}}
{{- define "gateway.proxyConfig" -}}
{{- $discovery := printf "istiod%s.%s.svc:15012" (include "gateway.revision" .) .Values.global.istioNamespace }}
{{- $config := dict "discoveryAddress" $discovery }}
{{- with .Values.global.meshID }}{{ $_ := set $config "meshId" . }}{{ end }}
{{- mustMergeOverwrite $config (deepCopy ((.Values.meshConfig | default dict).defaultConfig | default dict)) | toJson }}
{{- end }}
