//! The functions that conditions may call, and what they give. CEL has more: what is not here builds
//! values that grow, or says nothing of a request.

use super::types::Type;

/// A function of a value: `target.name(parameters)`.
struct Member {
    name: &'static str,
    target: Type,
    parameters: &'static [Type],
    result: Type,
}

/// A function on its own: `name(parameter)`.
struct Global {
    name: &'static str,
    parameter: Type,
    result: Type,
}

const fn text(name: &'static str, parameters: &'static [Type], result: Type) -> Member {
    Member { name, target: Type::Text, parameters, result }
}

static ONE_TEXT: [Type; 1] = [Type::Text];
static ONE_INT: [Type; 1] = [Type::Int];
static TWO_INTS: [Type; 2] = [Type::Int, Type::Int];

/// CEL's standard functions and `strings` of its extensions (cel-spec, "List of Standard
/// Definitions"; cel-go, ext/README.md).
static MEMBERS: [Member; 15] = [
    text("contains", &ONE_TEXT, Type::Bool),
    text("startsWith", &ONE_TEXT, Type::Bool),
    text("endsWith", &ONE_TEXT, Type::Bool),
    text("matches", &ONE_TEXT, Type::Bool),
    text("lowerAscii", &[], Type::Text),
    text("upperAscii", &[], Type::Text),
    text("trim", &[], Type::Text),
    text("indexOf", &ONE_TEXT, Type::Int),
    text("substring", &ONE_INT, Type::Text),
    text("substring", &TWO_INTS, Type::Text),
    text("size", &[], Type::Int),
    duration("getHours"),
    duration("getMinutes"),
    duration("getSeconds"),
    duration("getMilliseconds"),
];

const fn duration(name: &'static str) -> Member {
    Member { name, target: Type::Duration, parameters: &[], result: Type::Int }
}

/// Parts of a time; each takes a time zone if it is given one.
const PARTS: [&str; 10] = [
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDayOfMonth",
    "getDate",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

static GLOBALS: [Global; 18] = [
    global("size", Type::Text, Type::Int),
    global("size", Type::Bytes, Type::Int),
    global("int", Type::Int, Type::Int),
    global("int", Type::Uint, Type::Int),
    global("int", Type::Double, Type::Int),
    global("int", Type::Text, Type::Int),
    global("int", Type::Timestamp, Type::Int),
    global("uint", Type::Int, Type::Uint),
    global("uint", Type::Text, Type::Uint),
    global("double", Type::Int, Type::Double),
    global("double", Type::Text, Type::Double),
    global("string", Type::Int, Type::Text),
    global("string", Type::Double, Type::Text),
    global("string", Type::Bool, Type::Text),
    global("bool", Type::Text, Type::Bool),
    global("duration", Type::Text, Type::Duration),
    global("timestamp", Type::Text, Type::Timestamp),
    global("timestamp", Type::Int, Type::Timestamp),
];

const fn global(name: &'static str, parameter: Type, result: Type) -> Global {
    Global { name, parameter, result }
}

/// What `target.name(arguments)` gives.
///
/// # Errors
/// What is wrong with the call.
pub(super) fn member(name: &str, target: &Type, arguments: &[Type]) -> Result<Type, String> {
    match (name, target, arguments) {
        ("size", Type::List(_) | Type::Map(_), []) => return Ok(Type::Int),
        ("hasValue", Type::Optional(_), []) => return Ok(Type::Bool),
        ("value", Type::Optional(of), []) => return Ok((**of).clone()),
        ("orValue", Type::Optional(of), [other]) if of.fits(other) => {
            return Ok((**of).clone().join(other.clone()));
        }
        (part, Type::Timestamp, [] | [Type::Text | Type::Dyn]) if PARTS.contains(&part) => {
            return Ok(Type::Int);
        }
        _ => {}
    }
    let fits = |member: &&Member| {
        let parameters = member.parameters;
        member.name == name
            && target.fits(&member.target)
            && parameters.len() == arguments.len()
            && arguments.iter().zip(parameters).all(|(argument, wanted)| argument.fits(wanted))
    };
    if let Some(member) = MEMBERS.iter().find(fits) {
        return Ok(member.result.clone());
    }
    let others = ["hasValue", "value", "orValue"];
    let is_known = MEMBERS.iter().any(|member| member.name == name)
        || PARTS.contains(&name)
        || others.contains(&name);
    match is_known {
        // Of a value whose type only the request shows.
        true if *target == Type::Dyn => Ok(Type::Dyn),
        true => Err(format!("{name} cannot be called on a {target} like this")),
        false => Err(format!("there is no function {name}")),
    }
}

/// What `name(arguments)` gives.
///
/// # Errors
/// What is wrong with the call.
pub(super) fn global_call(name: &str, arguments: &[Type]) -> Result<Type, String> {
    match (name, arguments) {
        ("size", [Type::List(_) | Type::Map(_)]) => return Ok(Type::Int),
        ("dyn", [_]) => return Ok(Type::Dyn),
        _ => {}
    }
    let mut named = GLOBALS.iter().filter(|global| global.name == name).peekable();
    if named.peek().is_none() {
        return Err(format!("there is no function {name}"));
    }
    let [argument] = arguments else { return Err(format!("{name} takes one argument")) };
    let fitting = named.find(|global| argument.fits(&global.parameter));
    fitting
        .map(|global| global.result.clone())
        .ok_or_else(|| format!("{name} cannot be called with a {argument}"))
}
