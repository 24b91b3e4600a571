//! Single values laid over the file: `--set key=value` and environment variables.

use serde_json::{Map, Value};

use super::ConfigError;

/// Environment variables that start with this and name a section and a key are overrides.
const PREFIX: &str = "SLUICE_";

/// One value and the place it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The flag or variable, for messages.
    pub place: String,
    path: Vec<String>,
    value: String,
}

impl Override {
    /// Reads `limits.drain=10s`.
    ///
    /// # Errors
    /// The text has no `=` or an empty key.
    pub fn from_flag(text: &str) -> Result<Self, ConfigError> {
        let place = format!("--set {text}");
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() && !key.split('.').any(str::is_empty) => {
                Ok(Self {
                    place,
                    path: key.split('.').map(str::to_owned).collect(),
                    value: value.to_owned(),
                })
            }
            _ => Err(ConfigError::Override {
                place,
                message: "is not key=value: write for example limits.drain=10s".into(),
            }),
        }
    }

    /// Those of the environment, in a stable order: `SLUICE_LIMITS__MAX_BODY_SIZE` is
    /// `limits.maxBodySize`. Variables without `__` are none of ours.
    pub fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Vec<Self> {
        let mut overrides: Vec<_> = variables
            .filter_map(|(name, value)| {
                let key = name.strip_prefix(PREFIX).filter(|key| key.contains("__"))?;
                let path = key.split("__").map(camel_case).collect();
                Some(Self { place: name, path, value })
            })
            .collect();
        overrides.sort_by(|a, b| a.place.cmp(&b.place));
        overrides
    }

    /// Lays the value over `root`. It is read as YAML, so that numbers, booleans and lists work.
    pub(super) fn apply(&self, root: &mut Value) -> Result<(), ConfigError> {
        let error = |message: String| ConfigError::Override { place: self.place.clone(), message };
        let value = match serde_saphyr::from_str::<Value>(&self.value) {
            Ok(value) => value,
            Err(_) => Value::String(self.value.clone()),
        };
        let mut slot = root;
        for key in &self.path {
            let object = match slot {
                Value::Object(object) => object,
                Value::Null => {
                    *slot = Value::Object(Map::new());
                    slot.as_object_mut().ok_or_else(|| error("is not a key".into()))?
                }
                _ => return Err(error(format!("{key:?} is below a value, not a section"))),
            };
            slot = object.entry(key.clone()).or_insert(Value::Null);
        }
        *slot = value;
        Ok(())
    }
}

fn camel_case(upper_snake: &str) -> String {
    let mut text = String::new();
    for (index, word) in upper_snake.to_ascii_lowercase().split('_').enumerate() {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        match index {
            0 => text.push_str(word),
            _ => text.extend([first.to_ascii_uppercase().as_str(), rest]),
        }
    }
    text
}
