//! `$(ENV_VAR)` in the `stringData` of Secrets, so that a folder of manifests holds no keys.
//!
//! Nothing else is expanded. `$$(NAME)` stands for a literal `$(NAME)`, as in a container's `env`.

use serde_json::Value;

/// A Secret names an environment variable that is not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {variable} is not set: set it, or write the value of {key} itself")]
pub struct UnsetVariable {
    /// The variable.
    pub variable: String,
    /// The key of `stringData` that names it.
    pub key: String,
}

/// Expands every value of the Secret's `stringData`; other objects stay as they are.
///
/// # Errors
/// `lookup` does not know a variable; the Secret is unchanged then.
pub fn expand_secret(
    object: &mut Value,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(), UnsetVariable> {
    let of_core = object.get("apiVersion").is_some_and(|version| version == "v1");
    if !of_core || object.get("kind").is_none_or(|kind| kind != "Secret") {
        return Ok(());
    }
    let Some(data) = object.get_mut("stringData").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let mut expanded = data.clone();
    for (key, value) in &mut expanded {
        if let Value::String(text) = value {
            *text = expand(text, lookup)
                .map_err(|variable| UnsetVariable { variable, key: key.clone() })?;
        }
    }
    *data = expanded;
    Ok(())
}

/// The text with its references replaced, or the variable that is not set.
fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(tail) = rest.strip_prefix("$$") {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = reference(rest) {
            out.push_str(&lookup(name).ok_or_else(|| name.to_owned())?);
            rest = tail;
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Name and rest of a text that starts with `$(NAME)`.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (name, tail) = text.strip_prefix("$(")?.split_once(')')?;
    let good = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    good.then_some((name, tail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment(name: &str) -> Option<String> {
        (name == "OPENAI_API_KEY").then(|| "sk-1".to_owned())
    }

    fn secret(value: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"key": value}})
    }

    #[test]
    fn variables_are_replaced_and_escapes_kept() {
        let mut object = secret("a $(OPENAI_API_KEY) $$(OPENAI_API_KEY) $ $(1x) $(");
        assert_eq!(expand_secret(&mut object, &environment), Ok(()));
        assert_eq!(object, secret("a sk-1 $(OPENAI_API_KEY) $ $(1x) $("));
    }

    #[test]
    fn unset_variable_is_an_error_that_names_it() {
        let mut object = secret("$(NOPE)");
        let error = expand_secret(&mut object, &environment).unwrap_err();
        assert_eq!((error.variable.as_str(), error.key.as_str()), ("NOPE", "key"));
        assert_eq!(object, secret("$(NOPE)"));
    }

    #[test]
    fn only_secrets_are_expanded() {
        let mut object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "stringData": {"a": "$(NOPE)"}});
        assert_eq!(expand_secret(&mut object, &environment), Ok(()));
    }
}
