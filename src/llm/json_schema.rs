//! JSON schemas of tools and answers, as strict providers want them. What is changed keeps the order of
//! its members: models write properties in the order of their schema.

use super::chat::Json;
use super::tree::{Node, get};

/// The schema, which must say that it is of an object.
pub fn object_schema(parameters: Option<&Json>) -> Json {
    let empty = || Json::parse(r#"{"type":"object","properties":{}}"#);
    let completed = match parameters {
        None => empty(),
        Some(schema) => match Node::parse(schema.text()) {
            Some(Node::Object(members)) if get(&members, "type").is_some() => {
                return schema.clone();
            }
            Some(Node::Object(mut members)) if !members.is_empty() => {
                members.push(("type".to_owned(), Node::text("object")));
                Node::Object(members).json()
            }
            _ => empty(),
        },
    };
    completed.unwrap_or_else(Json::empty_object)
}

/// The schema with `additionalProperties: false` on every object; as written if it is there already.
pub fn closed(schema: &Json) -> Json {
    let Some(mut tree) = Node::parse(schema.text()) else { return schema.clone() };
    if !close_objects(&mut tree) {
        return schema.clone();
    }
    tree.json().unwrap_or_else(|| schema.clone())
}

/// Whether anything was changed.
fn close_objects(node: &mut Node) -> bool {
    match node {
        Node::Object(members) => {
            let is_object = get(members, "type") == Some(&Node::text("object"));
            let mut changed = is_object && close(members);
            for (_, value) in members {
                changed |= close_objects(value);
            }
            changed
        }
        Node::List(items) => {
            items.iter_mut().filter_map(|item| close_objects(item).then_some(())).count() > 0
        }
        Node::Leaf(_) => false,
    }
}

fn close(members: &mut Vec<(String, Node)>) -> bool {
    const NAME: &str = "additionalProperties";
    let closed = Node::Leaf("false".to_owned());
    match members.iter_mut().find(|(name, _)| name == NAME) {
        Some((_, value)) if *value == closed => return false,
        Some((_, value)) => *value = closed,
        None => members.push((NAME.to_owned(), closed)),
    }
    true
}

/// A schema that says itself what it is for: formats of answers name it beside the schema, and not
/// every dialect has a place there.
pub fn described(schema: Json, description: Option<String>) -> Json {
    const NAME: &str = "description";
    let Some(text) = description.filter(|text| !text.is_empty()) else { return schema };
    let Some(Node::Object(mut members)) = Node::parse(schema.text()) else { return schema };
    match members.iter_mut().find(|(name, _)| name == NAME) {
        None => members.push((NAME.to_owned(), Node::text(&text))),
        Some((_, value)) => match value.as_text() {
            Some(own) if own != text => *value = Node::text(&format!("{text}\n\n{own}")),
            _ => *value = Node::text(&text),
        },
    }
    Node::Object(members).json().unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn a_changed_schema_keeps_the_order_of_its_properties() {
        let schema = json(
            r#"{"type":"object","properties":{"why":{"type":"string"},"answer":{"type":"object","properties":{"z":{},"a":{}}}}}"#,
        );
        let expected = r#"{"type":"object","properties":{"why":{"type":"string"},"answer":{"type":"object","properties":{"z":{},"a":{}},"additionalProperties":false}},"additionalProperties":false}"#;
        assert_eq!(closed(&schema).text(), expected);
        assert_eq!(closed(&json(expected)).text(), expected);
        let open = json(r#"{"type":"object","additionalProperties":true,"title":"t"}"#);
        let shut = r#"{"type":"object","additionalProperties":false,"title":"t"}"#;
        assert_eq!(closed(&open).text(), shut);
        let untyped = json(r#"{"properties":{"b":{},"a":{}}}"#);
        let typed = r#"{"properties":{"b":{},"a":{}},"type":"object"}"#;
        assert_eq!(object_schema(Some(&untyped)).text(), typed);
    }

    #[test]
    fn a_schema_takes_its_description_in() {
        let said = |schema: &str| described(json(schema), Some("d".to_owned())).text().to_owned();
        assert_eq!(said(r#"{"b":1,"a":2}"#), r#"{"b":1,"a":2,"description":"d"}"#);
        assert_eq!(said(r#"{"description":"d"}"#), r#"{"description":"d"}"#);
        assert_eq!(said(r#"{"description":"own"}"#), r#"{"description":"d\n\nown"}"#);
        assert_eq!(said("true"), "true");
    }
}
