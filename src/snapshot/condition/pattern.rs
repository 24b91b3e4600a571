//! Patterns of regular expressions, compiled with the condition they stand in: none is compiled while
//! a request waits.

use std::{any::Any, fmt};

use cel::{
    DeclarationError, Env, ExecutionError,
    common::{
        types::{CelBool, CelString, DYN_TYPE, STRING_TYPE, Type},
        value::{CowVal, StaticVal, Val},
    },
};
use regex::{Regex, RegexBuilder};

/// The function that `matches` becomes.
pub(super) const FUNCTION: &str = "@matches";
/// What the variables that hold patterns begin with.
const VARIABLE: &str = "@pattern";
/// Bytes that a compiled pattern may take.
const MAX_SIZE: usize = 256 * 1024;

static PATTERN: Type = Type::new_unspecified_type("sluice.Pattern");

/// A compiled pattern. Linear in the text that it is matched with (the `regex` crate).
#[derive(Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(text).size_limit(MAX_SIZE).build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "this pattern is too large: shorten it".to_owned(),
            error => {
                // The last line says what is wrong; those before draw the pattern.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("this pattern is no regular expression: {last}")
            }
        })
    }
}

/// The variable that holds the pattern of this number.
pub(super) fn variable(index: usize) -> String {
    format!("{VARIABLE}{index}")
}

/// The number of the pattern that a variable holds.
pub(super) fn index(variable: &str) -> Option<usize> {
    variable.strip_prefix(VARIABLE)?.parse().ok()
}

/// Declares the function.
pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(FUNCTION, "matches_compiled", vec![STRING_TYPE, DYN_TYPE], matches)
}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let found = match args.as_slice() {
        [text, pattern] => {
            let text = text.downcast_ref::<CelString<'_>>();
            text.zip(pattern.downcast_ref::<Pattern>())
        }
        _ => None,
    };
    let (text, Pattern(regex)) =
        found.ok_or_else(|| ExecutionError::function_error("matches", "no pattern"))?;
    Ok(CowVal::owned(CelBool::from(regex.is_match(text.inner()))))
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.0.as_str()).finish()
    }
}

impl StaticVal for Pattern {}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN
    }

    fn cel_type() -> &'static Type {
        &PATTERN
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
