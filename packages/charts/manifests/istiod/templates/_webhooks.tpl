{{- /* One injection webhook. Takes root, name, path, namespaceSelector, objectSelector. */ -}}
{{- define "istio.injectionWebhook" }}
{{- $root := .root }}
- name: {{ .name }}
  clientConfig:
    {{- if $root.Values.istiodRemote.injectionURL }}
    url: {{ $root.Values.istiodRemote.injectionURL | quote }}
    {{- else }}
    service:
      name: istiod{{ include "istio.revision" $root }}
      namespace: {{ $root.Values.global.istioNamespace }}
      path: {{ $root.Values.istiodRemote.injectionPath | quote }}
      port: 443
    {{- end }}
    {{- with $root.Values.istiodRemote.injectionCABundle }}
    caBundle: {{ . | quote }}
    {{- end }}
  sideEffects: None
  rules:
  - operations: ["CREATE"]
    apiGroups: [""]
    apiVersions: ["v1"]
    resources: ["pods"]
  failurePolicy: Fail
  reinvocationPolicy: {{ $root.Values.sidecarInjectorWebhook.reinvocationPolicy }}
  admissionReviewVersions: ["v1"]
  namespaceSelector:
    matchExpressions:
    {{- range .namespaceSelector }}
    - {{ toJson . }}
    {{- end }}
  objectSelector:
    matchExpressions:
    {{- range .objectSelector }}
    - {{ toJson . }}
    {{- end }}
{{- end }}

{{- /*
  The webhooks of one revision: chosen by the revision's label on the namespace or pod, or, for the default revision,
  by istio-injection=enabled on the namespace or sidecar.istio.io/inject=true on the pod. Every pod matches at most one.
*/ -}}
{{- define "istio.injectionWebhooks" }}
{{- $root := .root }}
{{- $revs := list .revision }}
{{- $absent := dict "operator" "DoesNotExist" }}
{{- $noInjection := merge (dict "key" "istio-injection") $absent }}
{{- $noRev := merge (dict "key" "istio.io/rev") $absent }}
{{- $noPod := merge (dict "key" "sidecar.istio.io/inject") $absent }}
{{- $isRev := dict "key" "istio.io/rev" "operator" "In" "values" $revs }}
{{- $notOff := dict "key" "sidecar.istio.io/inject" "operator" "NotIn" "values" (list "false") }}
{{- $on := dict "key" "sidecar.istio.io/inject" "operator" "In" "values" (list "true") }}
{{- include "istio.injectionWebhook" (dict "root" $root "name" "rev.namespace.sidecar-injector.istio.io"
  "namespaceSelector" (list $isRev $noInjection) "objectSelector" (list $notOff)) }}
{{- include "istio.injectionWebhook" (dict "root" $root "name" "rev.object.sidecar-injector.istio.io"
  "namespaceSelector" (list $noRev $noInjection) "objectSelector" (list $notOff $isRev)) }}
{{- if .default }}
{{- $enabled := dict "key" "istio-injection" "operator" "In" "values" (list "enabled") }}
{{- include "istio.injectionWebhook" (dict "root" $root "name" "namespace.sidecar-injector.istio.io"
  "namespaceSelector" (list $enabled) "objectSelector" (list $notOff)) }}
{{- include "istio.injectionWebhook" (dict "root" $root "name" "object.sidecar-injector.istio.io"
  "namespaceSelector" (list $noInjection $noRev) "objectSelector" (list $on $noRev)) }}
{{- if $root.Values.sidecarInjectorWebhook.enableNamespacesByDefault }}
{{- $notSystem := dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" (list "kube-system" "kube-public" "kube-node-lease" "local-path-storage") }}
{{- include "istio.injectionWebhook" (dict "root" $root "name" "auto.sidecar-injector.istio.io"
  "namespaceSelector" (list $noInjection $noRev $notSystem) "objectSelector" (list $noPod $noRev)) }}
{{- end }}
{{- end }}
{{- end }}
