//! Schemas of functions and answers: JSON Schema as Gemini reads it (`parametersJsonSchema`,
//! `responseJsonSchema`), and the dialect of OpenAPI that its older members hold, as JSON Schema.
//!
//! Source: Gemini API reference, "Schema"; google-genai, docstring of `response_json_schema`.

use crate::llm::chat::Json;
use crate::llm::tree::{Node, get, take};

type Members = Vec<(String, Node)>;

/// A schema with what Gemini does not know said in words that it does; as written if there is nothing
/// of the kind. Keywords that remain unknown are ignored by Gemini.
pub fn to_gemini(schema: &Json) -> Json {
    let Some(tree) = Node::parse(schema.text()) else { return schema.clone() };
    let mut known = tree.clone();
    walk(&mut known, &simplify);
    if known == tree { schema.clone() } else { known.json().unwrap_or_else(|| schema.clone()) }
}

/// The JSON Schema of a schema in the dialect of OpenAPI.
pub fn from_openapi(schema: &Json) -> Json {
    let Some(mut tree) = Node::parse(schema.text()) else { return schema.clone() };
    walk(&mut tree, &modernize);
    tree.json().unwrap_or_else(|| schema.clone())
}

/// Whether the schema is of an object without members: such a function takes nothing.
pub fn takes_nothing(schema: &Json) -> bool {
    let Some(Node::Object(members)) = Node::parse(schema.text()) else { return false };
    let empty = |node: &Node| matches!(node, Node::Object(members) if members.is_empty());
    let only = |(name, value): &(String, Node)| match name.as_str() {
        "properties" => empty(value),
        "type" | "title" | "description" | "required" | "additionalProperties" | "$schema" => true,
        _ => false,
    };
    members.iter().all(only)
}

/// Applies a rule to a schema and then to every schema in it. Values (`enum`, `default`, ...) are
/// none.
fn walk(node: &mut Node, rule: &impl Fn(&mut Members)) {
    let Node::Object(members) = node else { return };
    rule(members);
    for (name, value) in members {
        match (name.as_str(), value) {
            ("properties" | "$defs" | "patternProperties", Node::Object(named)) => {
                named.iter_mut().for_each(|(_, schema)| walk(schema, rule));
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Node::List(schemas)) => {
                schemas.iter_mut().for_each(|schema| walk(schema, rule));
            }
            ("items" | "additionalProperties" | "not", schema) => walk(schema, rule),
            _ => {}
        }
    }
}

/// JSON Schema in the words that Gemini knows.
fn simplify(members: &mut Members) {
    merge_all_of(members);
    for (name, value) in members.iter_mut() {
        if name == "definitions" {
            "$defs".clone_into(name);
        }
        if name == "$ref"
            && let Some(path) = value.as_text()
            && let Some(rest) = path.strip_prefix("#/definitions/")
        {
            *value = Node::text(&format!("#/$defs/{rest}"));
        }
    }
    if get(members, "$ref").is_some() {
        members.retain(|(name, _)| name.starts_with('$'));
        return;
    }
    if let Some(value) = take(members, "const")
        && get(members, "enum").is_none()
    {
        members.push(("enum".to_owned(), Node::List(vec![value])));
    }
    include_bound(members, "exclusiveMinimum", "minimum", 1);
    include_bound(members, "exclusiveMaximum", "maximum", -1);
}

/// One schema instead of several that all hold, as far as they are written out here.
fn merge_all_of(members: &mut Members) {
    let Some(Node::List(parts)) = get(members, "allOf") else { return };
    let referring = |part: &Node| match part {
        Node::Object(part) => get(part, "$ref").is_some(),
        _ => true,
    };
    if parts.len() > 1 && parts.iter().any(referring) {
        return;
    }
    let Some(Node::List(parts)) = take(members, "allOf") else { return };
    for part in parts {
        let Node::Object(part) = part else { continue };
        for (name, value) in part {
            let mine = members.iter_mut().find(|(member, _)| *member == name);
            match (mine.map(|(_, mine)| mine), value) {
                (None, value) => members.push((name, value)),
                (Some(Node::Object(mine)), Node::Object(theirs)) if name == "properties" => {
                    mine.extend(theirs);
                }
                (Some(Node::List(mine)), Node::List(theirs)) if name == "required" => {
                    mine.extend(theirs);
                }
                (Some(_), _) => {}
            }
        }
    }
}

/// A bound that is itself allowed, in place of one that is not: exact for whole numbers.
fn include_bound(members: &mut Members, exclusive: &str, inclusive: &str, step: i64) {
    let Some(Node::Leaf(bound)) = take(members, exclusive) else { return };
    let whole = get(members, "type").and_then(Node::as_text).as_deref() == Some("integer");
    let stepped = bound.parse::<i64>().ok().filter(|_| whole).and_then(|n| n.checked_add(step));
    let bound = stepped.map_or(bound, |number| number.to_string());
    if get(members, inclusive).is_none() && bound.parse::<f64>().is_ok() {
        members.push((inclusive.to_owned(), Node::Leaf(bound)));
    }
}

/// The dialect of OpenAPI in the words of JSON Schema.
fn modernize(members: &mut Members) {
    for (name, value) in members.iter_mut() {
        camel(name);
        match (name.as_str(), value.as_text()) {
            ("type", Some(kind)) => *value = Node::text(&kind.to_lowercase()),
            // Whole numbers of 64 bit are texts in Google's JSON.
            (
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
                | "maxProperties",
                Some(number),
            ) if number.parse::<u64>().is_ok() => *value = Node::Leaf(number),
            _ => {}
        }
    }
    members.retain(|(name, value)| match name.as_str() {
        "propertyOrdering" | "example" => false,
        "format" => value.as_text().as_deref() != Some("enum"),
        "type" => value.as_text().as_deref() != Some("type_unspecified"),
        _ => true,
    });
    if take(members, "nullable") == Some(Node::Leaf("true".to_owned())) {
        allow_null(members);
    }
}

fn allow_null(members: &mut Members) {
    let null = || Node::Leaf("null".to_owned());
    for (name, value) in members {
        match (name.as_str(), &mut *value) {
            ("type", Node::Leaf(_)) => {
                *value = Node::List(vec![value.clone(), Node::text("null")]);
            }
            ("enum", Node::List(values)) => values.push(null()),
            ("anyOf", Node::List(schemas)) => {
                schemas.push(Node::Object(vec![("type".to_owned(), Node::text("null"))]));
            }
            _ => {}
        }
    }
}

/// Google reads both `anyOf` and `any_of`.
fn camel(name: &mut String) {
    let known = match name.as_str() {
        "any_of" => "anyOf",
        "min_items" => "minItems",
        "max_items" => "maxItems",
        "min_length" => "minLength",
        "max_length" => "maxLength",
        "min_properties" => "minProperties",
        "max_properties" => "maxProperties",
        "property_ordering" => "propertyOrdering",
        "additional_properties" => "additionalProperties",
        "defs" => "$defs",
        "ref" => "$ref",
        _ => return,
    };
    known.clone_into(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        to_gemini(&Json::parse(text).unwrap()).text().to_owned()
    }

    fn read(text: &str) -> String {
        from_openapi(&Json::parse(text).unwrap()).text().to_owned()
    }

    #[test]
    fn what_gemini_knows_stays_as_it_was_written() {
        let schema = r##"{ "type":"object", "properties": {"z":{"type":["string","null"]},
            "a":{"$ref":"#/$defs/A"}, "const": {"enum":[1]}}, "$defs":{"A":{"type":"integer"}},
            "additionalProperties": false}"##;
        assert_eq!(written(schema), schema);
    }

    #[test]
    fn keywords_are_said_in_the_words_that_gemini_knows_and_order_is_kept() {
        for (schema, expected) in [
            (r#"{"const":"a"}"#, r#"{"enum":["a"]}"#),
            (
                r##"{"properties":{"z":{"const":1},"a":{"$ref":"#/definitions/A","description":"d"}},"definitions":{"A":{}}}"##,
                r##"{"properties":{"z":{"enum":[1]},"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{}}}"##,
            ),
            (r#"{"type":"integer","exclusiveMinimum":0}"#, r#"{"type":"integer","minimum":1}"#),
            (r#"{"type":"number","exclusiveMaximum":2.5}"#, r#"{"type":"number","maximum":2.5}"#),
            (r#"{"minimum":1,"exclusiveMinimum":true}"#, r#"{"minimum":1}"#),
            (
                r##"{"title":"t","allOf":[{"$ref":"#/$defs/A"}],"$defs":{"A":{}}}"##,
                r##"{"$defs":{"A":{}},"$ref":"#/$defs/A"}"##,
            ),
            (
                r#"{"allOf":[{"properties":{"b":{}},"required":["b"]},{"properties":{"a":{}},"required":["a"]}]}"#,
                r#"{"properties":{"b":{},"a":{}},"required":["b","a"]}"#,
            ),
            (
                r#"{"items":{"anyOf":[{"const":"x"},{"type":"null"}]}}"#,
                r#"{"items":{"anyOf":[{"enum":["x"]},{"type":"null"}]}}"#,
            ),
        ] {
            assert_eq!(written(schema), expected);
        }
    }

    #[test]
    fn the_dialect_of_openapi_is_read() {
        for (schema, expected) in [
            (
                r#"{"type":"OBJECT","properties":{"b":{"type":"STRING","nullable":true},"a":{"type":"ARRAY","minItems":"1","items":{"type":"INTEGER"}}},"propertyOrdering":["b","a"]}"#,
                r#"{"type":"object","properties":{"b":{"type":["string","null"]},"a":{"type":"array","minItems":1,"items":{"type":"integer"}}}}"#,
            ),
            (
                r#"{"type":"STRING","format":"enum","enum":["x"],"nullable":true}"#,
                r#"{"type":["string","null"],"enum":["x",null]}"#,
            ),
            (
                r#"{"any_of":[{"type":"STRING"}],"nullable":false}"#,
                r#"{"anyOf":[{"type":"string"}]}"#,
            ),
        ] {
            assert_eq!(read(schema), expected);
        }
    }

    #[test]
    fn only_an_object_without_members_takes_nothing() {
        let nothing = |text: &str| takes_nothing(&Json::parse(text).unwrap());
        assert!(nothing(r#"{"type":"object","properties":{},"additionalProperties":false}"#));
        assert!(nothing("{}") && nothing(r#"{"type":"object"}"#));
        assert!(!nothing(r#"{"type":"object","properties":{"a":{}}}"#));
        assert!(!nothing(r##"{"$ref":"#/$defs/A"}"##) && !nothing("true"));
    }
}
