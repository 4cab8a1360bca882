{{- define "istio.labels" -}}
release: {{ .Release.Name }}
istio.io/rev: {{ .Values.revision | default "default" | quote }}
install.operator.istio.io/owning-resource: {{ .Values.ownerName | default "unknown" }}
operator.istio.io/component: Pilot
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: istio
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/name: istiod
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- /* A suffix with the revision, for names. */ -}}
{{- define "istio.revision" -}}
{{- if and .Values.revision (ne .Values.revision "default") }}-{{ .Values.revision }}{{ end }}
{{- end }}

{{- /* True where this cluster runs a control plane, empty where it only uses one elsewhere. */ -}}
{{- define "istio.hasControlPlane" -}}
{{- if not .Values.istiodRemote.enabled }}true{{ end }}
{{- end }}

{{- define "istio.image" -}}
{{- if contains "/" (.Values.image | toString) -}}
{{ .Values.image }}
{{- else -}}
{{ .Values.hub | default .Values.global.hub }}/{{ .Values.image | default "pilot" }}:{{ .Values.tag | default .Values.global.tag }}{{ with .Values.variant | default .Values.global.variant }}-{{ . }}{{ end }}
{{- end }}
{{- end }}

{{- /* The mesh configuration: what the chart knows, under what the user says. */ -}}
{{- define "istio.mesh" -}}
{{- $global := .Values.global }}
{{- $discovery := $global.remotePilotAddress | default (printf "istiod%s.%s.svc" (include "istio.revision" .) $global.istioNamespace) }}
{{- $defaultConfig := dict "discoveryAddress" (printf "%s:15012" $discovery) }}
{{- with $global.meshID }}{{ $_ := set $defaultConfig "meshId" . }}{{ end }}
{{- if $global.proxy.holdApplicationUntilProxyStarts }}{{ $_ := set $defaultConfig "holdApplicationUntilProxyStarts" true }}{{ end }}
{{- if ne (int $global.proxy.statusPort) 15020 }}{{ $_ := set $defaultConfig "statusPort" (int $global.proxy.statusPort) }}{{ end }}
{{- with $global.proxy.variant | default $global.variant }}{{ $_ := set $defaultConfig "image" (dict "imageType" .) }}{{ end }}
{{- $mesh := dict "defaultConfig" $defaultConfig "enablePrometheusMerge" true "rootNamespace" (.Values.meshConfig.rootNamespace | default $global.istioNamespace) "trustDomain" "cluster.local" }}
{{- if and .Values.telemetry.enabled .Values.telemetry.v2.enabled .Values.telemetry.v2.prometheus.enabled }}
{{- $_ := set $mesh "defaultProviders" (dict "metrics" (list "prometheus")) }}
{{- end }}
{{- mustMergeOverwrite $mesh (deepCopy .Values.meshConfig) | toYaml }}
{{- end }}
