{{- define "tidegate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tidegate.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tidegate.labels" -}}
{{ include "tidegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tidegate.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tidegate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tidegate.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* tidegate.yaml: the values' config, with what only the chart can know, unless the values say otherwise. */}}
{{- define "tidegate.process" -}}
{{- $defaults := dict "server" (dict "listen" (printf "%s:%d" .Values.server.address (int .Values.server.port))) "watch" (eq .Values.reload "watch") -}}
{{- if dig "server" "connectors_topic" "" .Values.config -}}
{{- $_ := set $defaults.server "advertise" (printf "${POD_NAME}.%s:%d" (include "tidegate.fullname" .) (int .Values.server.port)) -}}
{{- end -}}
{{- if .Values.staticMembership -}}
{{- $_ := set $defaults "kafka" (dict "group.instance.id" "${POD_NAME}") -}}
{{- end -}}
{{- toYaml (mustMergeOverwrite $defaults (deepCopy .Values.config)) -}}
{{- end -}}

{{/* File name → text, of the values and of the chart's folder. */}}
{{- define "tidegate.connectorFiles" -}}
{{- $files := dict -}}
{{- range $path, $bytes := .Files.Glob "connectors/*.{yaml,yml}" -}}
{{- $_ := set $files (base $path) (toString $bytes) -}}
{{- end -}}
{{- range $name, $content := .Values.connectors -}}
{{- $text := kindIs "string" $content | ternary $content (toYaml $content) -}}
{{- $_ := set $files (printf "%s.yaml" $name) $text -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{- define "tidegate.connectorConfigMap" -}}
{{- default (printf "%s-connectors" (include "tidegate.fullname" .)) .Values.existingConfigMap -}}
{{- end -}}

{{/* A duration such as 20s, 1m30s or 500ms in whole seconds, rounded up. */}}
{{- define "tidegate.seconds" -}}
{{- $milliseconds := 0 -}}
{{- $units := dict "ms" 1 "s" 1000 "sec" 1000 "second" 1000 "seconds" 1000 "m" 60000 "min" 60000 "minute" 60000 "minutes" 60000 "h" 3600000 "hour" 3600000 -}}
{{- range regexFindAll "[0-9]+ *[a-z]+" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- if not (hasKey $units $unit) -}}
{{- fail (printf "`delivery.drain`: the unit %q is not one that the chart knows; write it in seconds, or set terminationGracePeriodSeconds" $unit) -}}
{{- end -}}
{{- $milliseconds = add $milliseconds (mul (int64 (regexFind "[0-9]+" .)) (get $units $unit)) -}}
{{- end -}}
{{- div (add $milliseconds 999) 1000 -}}
{{- end -}}

{{/* The longest drain of all connectors that the chart can see, and 20 s at least, which is the default. */}}
{{- define "tidegate.drain" -}}
{{- $longest := ternary 20 0 (not (empty .Values.existingConfigMap)) -}}
{{- range $file, $text := include "tidegate.connectorFiles" . | fromYaml -}}
{{- $connector := $text | fromYaml -}}
{{- if hasKey $connector "Error" -}}
{{- fail (printf "%s is not YAML: %s" $file (get $connector "Error")) -}}
{{- end -}}
{{- $delivery := default dict (get $connector "delivery") -}}
{{- $longest = max $longest (int (include "tidegate.seconds" (default "20s" (get $delivery "drain")))) -}}
{{- end -}}
{{- $longest -}}
{{- end -}}

{{- define "tidegate.gracePeriod" -}}
{{- $drain := int (include "tidegate.drain" .) -}}
{{- $given := .Values.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $given -}}
{{- add $drain 10 -}}
{{- else if lt (int $given) (int (add $drain 5)) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, but a connector may take %d s to stop (its `delivery.drain`) and some seconds to commit: leave it out, or set %d at least" (int $given) $drain (int (add $drain 5))) -}}
{{- else -}}
{{- int $given -}}
{{- end -}}
{{- end -}}

{{/* What the pods and the test's pod mount alike. */}}
{{- define "tidegate.mounts" -}}
- { name: config, mountPath: /etc/tidegate, readOnly: true }
- { name: connectors, mountPath: /etc/tidegate-connectors, readOnly: true }
{{- range .Values.secrets }}
- { name: {{ printf "secret-%s" . | trunc 63 | trimSuffix "-" }}, mountPath: {{ printf "/run/secrets/%s" . }}, readOnly: true }
{{- end }}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tidegate.volumes" -}}
- name: config
  configMap: { name: {{ include "tidegate.fullname" . }} }
- name: connectors
  configMap: { name: {{ include "tidegate.connectorConfigMap" . }} }
{{- range .Values.secrets }}
- name: {{ printf "secret-%s" . | trunc 63 | trimSuffix "-" }}
  secret: { secretName: {{ . }}, defaultMode: 0440 }
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tidegate.environment" -}}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}
