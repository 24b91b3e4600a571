//! The custom resources as users write them: group `sluice.dev`, version `v1alpha1`.
//!
//! Owns the shape of spec and status, their schema, CEL rules and documentation (it is what
//! `kubectl explain` prints). Knows nothing of how the fields are enforced and uses no other
//! module of the crate.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt as _;

pub mod budget;
pub mod condition;
pub mod consumer;
pub mod duration;
pub mod failover;
pub mod pricing;
pub mod provider;
pub mod quantity;
pub mod reference;
pub mod route;
pub mod selector;

pub use budget::{AIBudget, AIBudgetSpec, AIBudgetStatus};
pub use provider::{AIProvider, AIProviderSpec, AIProviderStatus};
pub use route::{AIRoute, AIRouteSpec, AIRouteStatus};

/// API group of every kind.
pub const GROUP: &str = "sluice.dev";
/// The one served version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` as it stands in manifests.
pub const API_VERSION: &str = "sluice.dev/v1alpha1";

/// The CustomResourceDefinitions of every kind, in the order in which they are printed.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    [AIProvider::crd(), AIRoute::crd(), AIBudget::crd()].map(finish).into()
}

/// Labels the definition, lets its descriptions flow (a line end of the source is none of
/// `kubectl explain`) and takes two things out of its schema. Defaults: what the API server
/// writes into stored specs shows as drift to GitOps tools. `nullable`: without it the API server
/// prunes an explicit null, with it an enum refuses null.
fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let labels = crd.metadata.labels.get_or_insert_default();
    labels.insert("app.kubernetes.io/part-of".into(), "sluice".into());
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(schema) = schema {
            simplify(schema);
        }
    }
    crd
}

/// Joins the lines of each paragraph.
fn flow(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn simplify(schema: &mut JSONSchemaProps) {
    if let Some(text) = &mut schema.description {
        *text = flow(text);
    }
    schema.default = None;
    schema.nullable = None;
    for property in schema.properties.iter_mut().flat_map(|map| map.values_mut()) {
        simplify(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        simplify(items);
    }
}
