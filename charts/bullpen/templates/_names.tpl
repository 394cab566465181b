{{- define "bullpen.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bullpen.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "bullpen.labels" -}}
{{ include "bullpen.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "bullpen.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "bullpen.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /* "bullpen.image" (list image root): an image of any of the values, from image.registry if that is set */ -}}
{{- define "bullpen.image" -}}
{{- $image := index . 0 -}}
{{- $root := index . 1 -}}
{{- $name := $image.repository -}}
{{- with $root.Values.image.registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .) $name -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* the Secret that queues without a redis of their own get: the trial's, or the first of redisSecrets */ -}}
{{- define "bullpen.redisSecret" -}}
{{- if .Values.redis.trial.enabled -}}
{{- printf "%s-redis" (include "bullpen.fullname" .) -}}
{{- else -}}
{{- first .Values.redisSecrets | default "" -}}
{{- end -}}
{{- end -}}

{{- /* labels of what is neither the operator nor an attempt: "bullpen.labelsOf" (list component root) */ -}}
{{- define "bullpen.labelsOf" -}}
app.kubernetes.io/name: {{ (index . 1).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 1).Release.Name }}
app.kubernetes.io/component: {{ index . 0 }}
app.kubernetes.io/version: {{ (index . 1).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 1).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 1).Chart.Name (index . 1).Chart.Version | quote }}
{{- end -}}

{{- /* what every pod of the release has in its spec beside containers */ -}}
{{- define "bullpen.pod" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
# no user is named: the image's is a plain one, and a cluster may give it any other
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
  {{- with .Values.podSecurityContext }}{{ toYaml . | nindent 2 }}{{ end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "bullpen.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* a container of the operator's image, but for its name and what it does */ -}}
{{- define "bullpen.container" -}}
image: {{ include "bullpen.image" (list .Values.image .) }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext: {{- include "bullpen.restricted" . | nindent 2 }}
{{- end -}}

{{- /* the settings that serving and draining share */ -}}
{{- define "bullpen.environment" -}}
- {name: BULLPEN_NAMESPACES, value: {{ include "bullpen.namespaces" . | quote }}}
- {name: BULLPEN_LEASE, value: {{ include "bullpen.fullname" . | quote }}}
- {name: BULLPEN_OWN_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
- {name: BULLPEN_API_RATE, value: {{ .Values.limits.apiRate | quote }}}
- {name: BULLPEN_API_BURST, value: {{ .Values.limits.apiBurst | quote }}}
- {name: BULLPEN_PODLESS_LIMIT, value: {{ .Values.limits.podless | quote }}}
- {name: LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
{{- end -}}

{{- define "bullpen.namespaces" -}}
{{- join "," (.Values.namespaces | default (list .Release.Namespace)) -}}
{{- end -}}
