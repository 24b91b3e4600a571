{{- /* What the gateway does in every namespace that it serves: rules of one ClusterRole, or of a Role in each
       watched namespace. Nothing here creates, deletes or writes but status and Events. */ -}}
{{- define "sluice.rules" -}}
# The kinds themselves: listed once, then watched. Never written: a spec is its author's.
- apiGroups: [sluice.dev]
  resources: [aiproviders, airoutes, aibudgets]
  verbs: [get, list, watch]
# Their status: conditions and counted spend, by server-side apply of the leader.
- apiGroups: [sluice.dev]
  resources: [aiproviders/status, airoutes/status, aibudgets/status]
  verbs: [patch]
# Secrets, read only. Consumer keys are listed by the field selector type=sluice.dev/api-key; a provider's key is
# watched by its name once an AIProvider refers to it. RBAC cannot say "only these": where reading all Secrets of
# the cluster is too much, list the namespaces in config.watch.namespaces, and this rule holds only there.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
# Services that AIProviders name (service:), read only: each is watched by its name, and its EndpointSlices by the
# label kubernetes.io/service-name, once an AIProvider names it. So a cluster with 10,000 slices is never listed for
# one provider. Without this rule such providers are reached by the Service's DNS name.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
# Events on transitions; patch counts repetitions up.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
