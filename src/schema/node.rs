//! A CRD's schema in the form in which it is checked: patterns and rules compiled.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex::Regex;
use serde_json::Value;

use super::{
    SchemaError,
    rule::{Rule, Rules},
};

/// One level of a structural schema.
#[derive(Default)]
pub(super) struct Node {
    /// `object`, `array`, `string`, `integer`, `number` or `boolean`; empty: any.
    pub(super) kind: String,
    pub(super) format: Option<String>,
    pub(super) nullable: bool,
    /// Members that are not declared are kept.
    pub(super) preserve: bool,
    pub(super) required: Vec<String>,
    pub(super) properties: BTreeMap<String, Node>,
    /// Schema of members of any name.
    pub(super) additional: Option<Box<Node>>,
    pub(super) items: Option<Box<Node>>,
    pub(super) values: Vec<Value>,
    pub(super) pattern: Option<Regex>,
    /// Smallest and largest number.
    pub(super) range: (Option<f64>, Option<f64>),
    /// Fewest and most letters, items or members, by what the value is.
    pub(super) size: (Option<usize>, Option<usize>),
    pub(super) list: ListType,
    pub(super) rules: Vec<Rule>,
}

/// What makes the items of a list duplicates.
#[derive(Default)]
pub(super) enum ListType {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

impl Node {
    pub(super) fn compile(
        schema: &JSONSchemaProps,
        rules: &mut Rules,
    ) -> Result<Self, SchemaError> {
        let mut properties = BTreeMap::new();
        for (name, property) in schema.properties.iter().flatten() {
            properties.insert(name.clone(), Self::compile(property, rules)?);
        }
        let items = match &schema.items {
            Some(JSONSchemaPropsOrArray::Schema(items)) => {
                Some(Box::new(Self::compile(items, rules)?))
            }
            _ => None,
        };
        let additional = match &schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(values)) => {
                Some(Box::new(Self::compile(values, rules)?))
            }
            _ => None,
        };
        let own = schema.x_kubernetes_validations.iter().flatten();
        Ok(Self {
            kind: schema.type_.clone().unwrap_or_default(),
            format: schema.format.clone(),
            nullable: schema.nullable.unwrap_or_default(),
            preserve: schema.x_kubernetes_preserve_unknown_fields.unwrap_or_default(),
            required: schema.required.clone().unwrap_or_default(),
            properties,
            additional,
            items,
            values: schema.enum_.iter().flatten().map(|value| value.0.clone()).collect(),
            pattern: schema.pattern.as_deref().map(pattern).transpose()?,
            range: (schema.minimum, schema.maximum),
            size: (
                bound([schema.min_length, schema.min_items, schema.min_properties]),
                bound([schema.max_length, schema.max_items, schema.max_properties]),
            ),
            list: list_type(schema),
            rules: own.map(|rule| rules.compile(rule)).collect::<Result<_, _>>()?,
        })
    }

    /// Schema of a member, if the member is known.
    pub(super) fn member(&self, name: &str) -> Option<&Node> {
        self.properties.get(name).or(self.additional.as_deref())
    }
}

fn pattern(text: &str) -> Result<Regex, SchemaError> {
    Regex::new(text).map_err(|error| SchemaError::Pattern(text.into(), error))
}

/// At most one of the three is set, by the type of the value.
fn bound(bounds: [Option<i64>; 3]) -> Option<usize> {
    bounds.into_iter().flatten().next().and_then(|bound| usize::try_from(bound).ok())
}

fn list_type(schema: &JSONSchemaProps) -> ListType {
    match schema.x_kubernetes_list_type.as_deref() {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(schema.x_kubernetes_list_map_keys.clone().unwrap_or_default()),
        _ => ListType::Atomic,
    }
}
