{{- define "valkey-repl.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "valkey-repl.selector" -}}
app.kubernetes.io/name: valkey-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "valkey-repl.labels" -}}
{{ include "valkey-repl.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Labels of what a Prometheus is to find. */}}
{{- define "valkey-repl.monitored" -}}
{{ include "valkey-repl.labels" . }}
{{- with .Values.metrics.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "valkey-repl.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "valkey-repl.name" .) -}}
{{- end -}}

{{- define "valkey-repl.image" -}}
{{ .image.repository }}:{{ .image.tag | default .version }}
{{- end -}}

{{/* What the operator may do with the objects of the resources, in each namespace that it looks at. */}}
{{- define "valkey-repl.rules" -}}
- apiGroups: [valkey-repl.dev]
  resources: [valkeyreplications]
  verbs: [get, list, watch, patch]
- apiGroups: [valkey-repl.dev]
  resources: [valkeyreplications/status]
  verbs: [get, update]
# Owner references that block a deletion need this where the admission plugin for it is on.
- apiGroups: [valkey-repl.dev]
  resources: [valkeyreplications/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, list, watch, create, patch]
# By name only: secrets are neither listed nor watched.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, patch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch, create, patch, delete]
# What leads a Service elsewhere that somebody had given a selector, or made by hand.
- apiGroups: [""]
  resources: [endpoints]
  verbs: [delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Listed only while a pod is not made or not set up: the reason stands in them alone.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, list]
{{- end -}}

{{/* Refuses a release beside one that looks after the same resources: the two would undo each other's work. Who may not look further than
     into some namespaces cannot tell. */}}
{{- define "valkey-repl.alone" -}}
{{- if not .Values.rbac.namespaced }}
{{- range (lookup "apps/v1" "Deployment" "" "").items }}
{{- $labels := .metadata.labels | default dict }}
{{- $other := index $labels "app.kubernetes.io/instance" | default "" }}
{{- $same := and (eq $other $.Release.Name) (eq .metadata.namespace $.Release.Namespace) }}
{{- if and (eq (index $labels "app.kubernetes.io/name" | default "") "valkey-operator") (not $same) }}
{{- $watched := list }}
{{- range (first .spec.template.spec.containers).env }}
{{- if and (eq .name "WATCH_NAMESPACES") .value }}{{ $watched = splitList "," .value }}{{ end }}
{{- end }}
{{- $shared := list }}
{{- range $.Values.watchNamespaces }}{{ if has . $watched }}{{ $shared = append $shared . }}{{ end }}{{ end }}
{{- if or (empty $watched) (empty $.Values.watchNamespaces) $shared }}
{{- fail (printf "release %s in namespace %s looks after %s already, and two operators would undo each other's work: give each its own watchNamespaces, or upgrade that release" $other .metadata.namespace (ternary "all namespaces" (join ", " ($shared | default $watched)) (empty $watched))) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
