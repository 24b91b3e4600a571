//! Conditions of rules: CEL over what is known of a request, compiled once.
//!
//! Everything that can be found wrong without a request is found here, with its place: syntax, names,
//! types. What an evaluation costs is bounded by the expression: no loop stands inside another, no value
//! grows in one, and patterns of regular expressions are literals that are compiled beforehand. Where
//! the facts come from is not known here.

mod check;
mod fact;
mod function;
mod known;
mod mistake;
mod pattern;
mod types;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use cel::{Context, Env, ExecutionError, IdedExpr, Program, Value, common::types::CelBool};

pub use fact::{Fact, FactValue, Facts};
pub use known::Known;
pub use mistake::Mistake;

use check::Checker;
use known::Scope;
use pattern::Pattern;
use types::Type;

/// Characters that an expression may have.
pub const MAX_LENGTH: usize = 4096;
/// Texts that are longer than this, in bytes, are no facts: a condition that asks for one cannot be
/// evaluated.
pub const MAX_TEXT: usize = 4096;
/// Entries of a list or a map beyond which it is no fact.
pub const MAX_ENTRIES: usize = 256;
/// Bytes of all entries of a list or a map beyond which it is no fact.
pub const MAX_BYTES: usize = 64 * 1024;

/// Bytes of stack for the parser: touched as far as it is used.
const PARSER_STACK: usize = 64 * 1024 * 1024;

/// A compiled condition.
#[derive(Clone)]
pub struct Condition(Arc<Compiled>);

struct Compiled {
    text: String,
    expression: IdedExpr,
    patterns: Vec<Pattern>,
    facts: Vec<Fact>,
}

/// Why a condition could not be evaluated for a request: it does not hold then. Says nothing of the
/// request's values.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unevaluable(pub(super) String);

/// Functions of all conditions: the standard ones, text functions, and what patterns become.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // Each registers its names once on a fresh environment, so there is nothing to fail.
    let registered = env.add_extension(cel::extensions::strings).and(pattern::register(&mut env));
    debug_assert!(registered.is_ok(), "{registered:?}");
    Arc::new(env)
});

impl Condition {
    /// Compiles an expression.
    ///
    /// # Errors
    /// The first [`Mistake`] in it.
    pub fn compile(text: &str) -> Result<Self, Mistake> {
        let length = text.chars().count();
        if length > MAX_LENGTH {
            let message = format!("has {length} characters: {MAX_LENGTH} is the most");
            return Err(Mistake::at(text, 0, message));
        }
        check::bound_depth(text)?;
        let program = parse(text)?;
        let mut expression = program.expression().clone();
        let mut checker = Checker::new(text, program.source_info());
        let found = checker.check(&mut expression)?;
        if !matches!(found, Type::Bool | Type::Dyn) {
            let message = format!("is a {found}, not a bool: compare it with something");
            return Err(Mistake::at(text, 0, message));
        }
        let (patterns, facts) = checker.finish();
        let text = text.to_owned();
        Ok(Self(Arc::new(Compiled { text, expression, patterns, facts })))
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// What it asks for, each once.
    pub fn facts(&self) -> &[Fact] {
        &self.0.facts
    }

    /// Whether it holds for a request.
    ///
    /// # Errors
    /// If it cannot be said, for example because a key is looked up that is not there.
    pub fn holds(&self, known: &Known<'_>) -> Result<bool, Unevaluable> {
        let scope = Scope { known, patterns: &self.0.patterns };
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.set_variable_resolver(&scope);
        match Value::resolve_val(&self.0.expression, &context) {
            Ok(value) => match value.downcast_ref::<CelBool>() {
                Some(value) => Ok(*value.inner()),
                None => Err(Unevaluable("the value is no bool".to_owned())),
            },
            Err(error) => Err(Unevaluable(known.refusal().unwrap_or_else(|| describe(&error)))),
        }
    }
}

/// Whether an expression without variables has a value.
fn can_be_evaluated(constant: &IdedExpr) -> bool {
    Value::resolve_val(constant, &Context::with_env(Arc::clone(&ENVIRONMENT))).is_ok()
}

/// Parses on a stack of its own: the parser takes more than 100 kB of it for each level of brackets in a
/// debug build, and stops at 96 levels itself. Whoever may write an AIRoute must not be able to end the
/// process.
fn parse(text: &str) -> Result<Program, Mistake> {
    let compile = || ENVIRONMENT.compile(text).map_err(|errors| mistake::syntax(text, &errors));
    let failed = || Mistake::at(text, 0, "cannot be parsed: simplify the expression");
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(PARSER_STACK);
        let parser = parser.spawn_scoped(scope, compile).map_err(|_| failed())?;
        parser.join().unwrap_or_else(|_| Err(failed()))
    })
}

/// What went wrong, without the values it went wrong with: they are the caller's.
fn describe(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(_) => "a key is not there",
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds",
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "a division by zero"
        }
        ExecutionError::Overflow(..) => "a number is too large",
        ExecutionError::FunctionError { function, .. } => {
            return format!("{function} cannot be applied to the value");
        }
        _ => "a value is of the wrong type",
    }
    .to_owned()
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text()).finish()
    }
}
