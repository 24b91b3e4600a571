//! One plain value of a request body, found by its path. Everything beside the path is skipped.

use serde_json::value::RawValue;

use super::members::Members;

/// The text, number or boolean at `path` in the JSON object that `body` is, as text; `None` where there
/// is none, where it is empty, or where the body is something else.
pub fn scalar<T: AsRef<str>>(body: &[u8], path: &[T]) -> Option<String> {
    let (last, parents) = path.split_last()?;
    let mut object = serde_json::from_slice::<&RawValue>(body).ok()?;
    for name in parents {
        object = member(object, name.as_ref())?;
    }
    plain(member(object, last.as_ref())?)
}

fn member<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let Members(members) = serde_json::from_str(object.get()).ok()?;
    members.into_iter().find(|member| member.name == name).map(|member| member.value)
}

fn plain(value: &RawValue) -> Option<String> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str(text).ok().filter(|text: &String| !text.is_empty()),
        b'{' | b'[' | b'n' => None,
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str =
        r#"{"a":"x\n","n":7,"b":false,"o":{"p":{"q":"deep"}},"e":"","l":[1],"z":null}"#;

    #[test]
    fn plain_values_are_found_by_their_path() {
        let found = |path: &[&str]| scalar(BODY.as_bytes(), path);
        assert_eq!(found(&["a"]).as_deref(), Some("x\n"));
        assert_eq!(found(&["n"]).as_deref(), Some("7"));
        assert_eq!(found(&["b"]).as_deref(), Some("false"));
        assert_eq!(found(&["o", "p", "q"]).as_deref(), Some("deep"));
    }

    #[test]
    fn what_is_empty_absent_or_not_plain_is_none() {
        for path in [&["e"][..], &["z"], &["l"], &["o"], &["x"], &["a", "b"], &["o", "x"], &[]] {
            assert_eq!(scalar(BODY.as_bytes(), path), None, "{path:?}");
        }
        assert_eq!(scalar(b"no json", &["a"]), None);
    }
}
