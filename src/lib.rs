//! Sluice: a Kubernetes-native AI gateway.
