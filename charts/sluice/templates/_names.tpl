{{- /* Names, labels and the few facts that several templates read from values.config. */ -}}

{{- define "sluice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* At most 52 characters, so that the longest suffix in use still fits into 63. */ -}}
{{- define "sluice.fullname" -}}
{{- $name := include "sluice.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "sluice.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sluice.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sluice.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sluice.labels" -}}
{{ include "sluice.selectorLabels" . }}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sluice.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- /* The watched namespaces as a JSON list; empty means all. */ -}}
{{- define "sluice.namespaces" -}}
{{- dig "watch" "namespaces" (list) .Values.config | toJson -}}
{{- end -}}

{{- /* Port of the admin listener; the process' own default is loopback, where no probe reaches it. */ -}}
{{- define "sluice.adminPort" -}}
{{- $address := dig "admin" "address" "127.0.0.1:9090" .Values.config -}}
{{- if or (hasPrefix "127." $address) (hasPrefix "localhost:" $address) (hasPrefix "[::1]" $address) -}}
{{- fail (printf "config.admin.address is %s: the probes cannot reach loopback; write 0.0.0.0:9090" $address) -}}
{{- end -}}
{{- regexFind "[0-9]+$" $address -}}
{{- end -}}

{{- /* Port of the first listener without (argument tls=false) or with TLS (tls=true); empty when there is none. */ -}}
{{- define "sluice.listenerPort" -}}
{{- $port := "" -}}
{{- range dig "listeners" (list (dict "address" "0.0.0.0:8080")) .root.Values.config -}}
{{- if and (eq $port "") (eq $.tls (hasKey . "tls")) -}}
{{- $port = regexFind "[0-9]+$" .address -}}
{{- end -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{- /* Mistakes that span several values, refused with what to write instead. */ -}}
{{- define "sluice.validate" -}}
{{- $drain := dig "limits" "drain" "30s" .Values.config -}}
{{- $number := regexFind "^[0-9]+" $drain | int -}}
{{- $seconds := ternary (mul $number 60) $number (regexMatch "^[0-9]+m$" $drain) -}}
{{- $seconds = ternary 0 $seconds (hasSuffix "ms" $drain) -}}
{{- $sleep := int .Values.preStopSleepSeconds -}}
{{- $needed := add $seconds $sleep -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, preStopSleepSeconds %d and config.limits.drain %s: the grace period must be longer than both together; write %d or more" (int .Values.terminationGracePeriodSeconds) $sleep $drain (int (add $needed 10))) -}}
{{- end -}}
{{- $tls := include "sluice.listenerPort" (dict "root" . "tls" true) -}}
{{- if and .Values.tls.secretName (eq $tls "") -}}
{{- fail "tls.secretName is set but no listener has tls; add to config.listeners: {address: 0.0.0.0:8443, tls: {certFile: /etc/sluice-tls/tls.crt, keyFile: /etc/sluice-tls/tls.key}}" -}}
{{- end -}}
{{- if eq (printf "%s%s" $tls (include "sluice.listenerPort" (dict "root" . "tls" false))) "" -}}
{{- fail "config.listeners is empty; write config.listeners: [{address: 0.0.0.0:8080}]" -}}
{{- end -}}
{{- end -}}
