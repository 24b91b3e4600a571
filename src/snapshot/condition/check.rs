//! The check of an expression before any request: names, types, and bounds of its cost. On the way,
//! patterns are compiled and taken out of the expression.

use cel::{
    IdedExpr,
    common::ast::{
        CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, SourceInfo,
        operators as op,
    },
};

use crate::snapshot::CREDENTIAL_HEADERS;

use super::{
    can_be_evaluated,
    fact::{Fact, NOW, OBJECTS},
    function,
    known::SECONDS,
    mistake::Mistake,
    pattern::{self, Pattern},
    types::Type,
};

/// Nodes that an expression may have, those of its macros included.
const MAX_NODES: usize = 500;
/// How deep an expression may nest: evaluation takes stack for each level.
const MAX_DEPTH: usize = 32;
/// Characters of operators that one expression may have. The parser takes stack for each operator.
const MAX_OPERATORS: usize = 512;

/// Refuses what the parser itself would need too much stack for.
pub(super) fn bound_depth(text: &str) -> Result<(), Mistake> {
    let is_operator = |character: char| "+-*/%!?:<>=&|.[({".contains(character);
    let mut operators = code(text).filter(|(_, character)| is_operator(*character));
    match operators.nth(MAX_OPERATORS) {
        Some((offset, _)) => {
            Err(Mistake::at(text, offset, too_large(MAX_OPERATORS, "signs of operators")))
        }
        None => Ok(()),
    }
}

/// The characters of an expression that stand in no text and no comment. A text that does not end ends with its line:
/// the parser finds what is wrong, and reads the rest as code.
fn code(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut at, mut is_raw) = (0, false);
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            if rest.starts_with("//") {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            let (from, character) = (at, rest.chars().next()?);
            at += character.len_utf8();
            let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|it| rest.starts_with(it));
            let Some(quote) = quote else {
                is_raw =
                    matches!(character, 'r' | 'R') || (is_raw && matches!(character, 'b' | 'B'));
                return Some((from, character));
            };
            at = from + quote.len() + literal(rest.get(quote.len()..)?, quote, is_raw);
            is_raw = false;
        }
    })
}

/// The length of a text after its opening quote, with its closing one.
fn literal(rest: &str, quote: &str, is_raw: bool) -> usize {
    let mut is_escaped = false;
    for (at, character) in rest.char_indices() {
        let is_over = character == '\n' && quote.len() == 1;
        if is_over || (!is_escaped && rest.get(at..).is_some_and(|it| it.starts_with(quote))) {
            return at + if is_over { 0 } else { quote.len() };
        }
        is_escaped = !is_raw && !is_escaped && character == '\\';
    }
    rest.len()
}

fn too_large(most: usize, of: &str) -> String {
    format!("the expression has more than {most} {of}: split the rule, or decide by fewer things")
}

/// Walks an expression.
pub(super) struct Checker<'a> {
    text: &'a str,
    places: &'a SourceInfo,
    /// Variables of loops, the innermost last.
    scope: Vec<(String, Type)>,
    in_loop: bool,
    nodes: usize,
    depth: usize,
    patterns: Vec<Pattern>,
    facts: Vec<Fact>,
}

type Checked = Result<Type, Mistake>;

impl<'a> Checker<'a> {
    pub(super) fn new(text: &'a str, places: &'a SourceInfo) -> Self {
        Self {
            text,
            places,
            scope: Vec::new(),
            in_loop: false,
            nodes: 0,
            depth: 0,
            patterns: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// The patterns and the facts of the expression.
    pub(super) fn finish(self) -> (Vec<Pattern>, Vec<Fact>) {
        (self.patterns, self.facts)
    }

    /// The type of an expression.
    pub(super) fn check(&mut self, node: &mut IdedExpr) -> Checked {
        self.nodes += 1;
        self.depth += 1;
        if self.nodes > MAX_NODES {
            return self.wrong(node.id, too_large(MAX_NODES, "parts"));
        }
        if self.depth > MAX_DEPTH {
            return self.wrong(node.id, too_large(MAX_DEPTH, "levels"));
        }
        let id = node.id;
        let found = match &mut node.expr {
            Expr::Ident(name) if name == NOW && !self.is_variable(NOW) => {
                self.ask(Fact::Now);
                node.expr = seconds_to_time(id);
                Type::Timestamp
            }
            Expr::Ident(name) => self.variable(id, name)?,
            Expr::Literal(literal) => of_literal(literal),
            Expr::Select(select) => self.select(id, select)?,
            Expr::Call(call) => self.call(id, call)?,
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension)?,
            Expr::List(list) => {
                let mut of = None;
                for element in &mut list.elements {
                    let found = self.check(element)?;
                    of = Some(of.map_or(found.clone(), |of: Type| of.join(found)));
                }
                Type::list(of.unwrap_or(Type::Dyn))
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.check(&mut entry.key)?;
                        self.check(&mut entry.value)?;
                    }
                }
                Type::map(Type::Dyn)
            }
            Expr::Struct(_) | Expr::Unspecified => {
                return self.wrong(id, "messages cannot be made here");
            }
        };
        self.depth -= 1;
        Ok(found)
    }

    fn wrong<T>(&self, id: u64, message: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake::at(self.text, self.offset(id), message))
    }

    fn offset(&self, id: u64) -> usize {
        let place = self.places.offset_for(id);
        place.map_or(0, |(start, _)| usize::try_from(start).unwrap_or_default())
    }

    fn is_variable(&self, name: &str) -> bool {
        self.scope.iter().any(|(variable, _)| variable == name)
    }

    fn ask(&mut self, fact: Fact) {
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }

    fn variable(&self, id: u64, name: &str) -> Checked {
        if let Some((_, kind)) = self.scope.iter().rev().find(|(variable, _)| variable == name) {
            return Ok(kind.clone());
        }
        if OBJECTS.contains(&name) {
            let members = Fact::members(name);
            return self
                .wrong(id, format!("{name} is no value: write {name}. and one of {members}"));
        }
        self.wrong(id, format!("there is no variable {name}: there are request, consumer and now"))
    }

    /// A member of an object, of a map, or the test for one.
    fn select(&mut self, id: u64, select: &mut SelectExpr) -> Checked {
        if let Expr::Ident(object) = &select.operand.expr
            && OBJECTS.contains(&object.as_str())
            && !self.is_variable(object)
        {
            let name = format!("{object}.{}", select.field);
            let Some(fact) = Fact::named(&name) else {
                let members = Fact::members(object);
                let message = format!("{object} has no member {}: it has {members}", select.field);
                return Err(Mistake::at(self.text, self.offset(id) + 1, message));
            };
            if select.test {
                return self.wrong(id, format!("{name} is always there: compare its value"));
            }
            self.ask(fact);
            return Ok(fact.kind());
        }
        if let Expr::Select(inner) = &select.operand.expr
            && let Expr::Ident(object) = &inner.operand.expr
        {
            self.named_header(id, (object, &inner.field), &select.field)?;
        }
        let operand = self.check(&mut select.operand)?;
        let (of, is_optional) = match &operand {
            Type::Optional(of) => ((**of).clone(), true),
            _ => (operand.clone(), false),
        };
        let found = match of {
            Type::Map(value) => *value,
            Type::Dyn => Type::Dyn,
            _ => return self.wrong(id, format!("a {operand} has no members")),
        };
        match (select.test, is_optional) {
            (true, _) => Ok(Type::Bool),
            (false, true) => Ok(Type::optional(found)),
            (false, false) => Ok(found),
        }
    }

    fn call(&mut self, id: u64, call: &mut CallExpr) -> Checked {
        if call.func_name == "matches" {
            return self.matches(id, call);
        }
        self.check_header(call)?;
        let target = match &mut call.target {
            Some(target) => Some(self.check(target)?),
            None => None,
        };
        let mut arguments = Vec::new();
        for argument in &mut call.args {
            arguments.push(self.check(argument)?);
        }
        if let Some(target) = target {
            self.check_zone(&target, call)?;
            let found = function::member(&call.func_name, &target, &arguments);
            return found.or_else(|message| self.wrong(id, message));
        }
        self.check_conversion(id, call)?;
        match arguments.as_slice() {
            [first] => self.unary(id, &call.func_name, first),
            [first, second] => self.binary(id, &call.func_name, (first, second)),
            [condition, first, second] if call.func_name == op::CONDITIONAL => {
                self.bool(id, condition)?;
                Ok(first.clone().join(second.clone()))
            }
            _ => self.function(id, &call.func_name, &arguments),
        }
    }

    fn function(&self, id: u64, name: &str, arguments: &[Type]) -> Checked {
        function::global_call(name, arguments).or_else(|message| self.wrong(id, message))
    }

    fn bool(&self, id: u64, found: &Type) -> Result<(), Mistake> {
        match found.fits(&Type::Bool) {
            true => Ok(()),
            false => self.wrong(id, format!("a bool is expected here, not a {found}")),
        }
    }

    fn unary(&self, id: u64, name: &str, of: &Type) -> Checked {
        match name {
            op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE => {
                self.bool(id, of)?;
                Ok(Type::Bool)
            }
            op::NEGATE if matches!(of, Type::Int | Type::Double | Type::Dyn) => Ok(of.clone()),
            op::NEGATE => self.wrong(id, format!("a {of} has no negative")),
            _ => self.function(id, name, std::slice::from_ref(of)),
        }
    }

    fn binary(&self, id: u64, name: &str, (a, b): (&Type, &Type)) -> Checked {
        match name {
            op::LOGICAL_AND | op::LOGICAL_OR => {
                self.bool(id, a)?;
                self.bool(id, b)?;
                Ok(Type::Bool)
            }
            op::EQUALS | op::NOT_EQUALS => match a.compares(b) {
                true => Ok(Type::Bool),
                false => self.wrong(id, format!("a {a} is never equal to a {b}")),
            },
            op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS => {
                match a.compares(b) && has_order(a) && has_order(b) {
                    true => Ok(Type::Bool),
                    false => self.wrong(id, format!("a {a} and a {b} have no order")),
                }
            }
            op::IN => self.contained(id, a, b),
            op::INDEX => self.indexed(id, a, b),
            op::OPT_INDEX => Ok(Type::optional(self.indexed(id, a, b)?)),
            op::OPT_SELECT => match a {
                Type::Map(of) => Ok(Type::optional((**of).clone())),
                Type::Dyn => Ok(Type::optional(Type::Dyn)),
                Type::Optional(of) => match &**of {
                    Type::Map(of) => Ok(Type::optional((**of).clone())),
                    _ => Ok(Type::optional(Type::Dyn)),
                },
                _ => self.wrong(id, format!("a {a} has no members")),
            },
            op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO => {
                self.arithmetic(id, name, (a, b))
            }
            _ => self.function(id, name, &[a.clone(), b.clone()]),
        }
    }

    fn contained(&self, id: u64, element: &Type, container: &Type) -> Checked {
        let fits = match container {
            Type::List(of) => element.compares(of),
            Type::Map(_) => element.fits(&Type::Text),
            Type::Dyn => true,
            _ => {
                return self
                    .wrong(id, format!("a {container} contains nothing: use a list or a map"));
            }
        };
        match fits {
            true => Ok(Type::Bool),
            false => self.wrong(id, format!("this {container} never contains a {element}")),
        }
    }

    fn indexed(&self, id: u64, container: &Type, index: &Type) -> Checked {
        let (wanted, found) = match container {
            Type::List(of) => (Type::Int, (**of).clone()),
            Type::Map(of) => (Type::Text, (**of).clone()),
            Type::Dyn => (Type::Dyn, Type::Dyn),
            _ => return self.wrong(id, format!("a {container} has no elements")),
        };
        match index.fits(&wanted) {
            true => Ok(found),
            false => self.wrong(id, format!("a {container} is not looked up by a {index}")),
        }
    }

    fn arithmetic(&self, id: u64, name: &str, (a, b): (&Type, &Type)) -> Checked {
        use Type::{Duration, Dyn, Text, Timestamp};
        let found = match (name, a, b) {
            // Lists and texts that grow with each other, or round by round, have no bound.
            (op::ADD, Text, Text) if self.in_loop => {
                return self.wrong(id, "texts are not joined inside a loop");
            }
            (op::ADD, Text, Text) => Some(Text),
            (op::ADD, Timestamp, Duration) | (op::ADD, Duration, Timestamp) => Some(Timestamp),
            (op::SUBSTRACT, Timestamp, Timestamp) => Some(Duration),
            (op::SUBSTRACT, Timestamp, Duration) => Some(Timestamp),
            (op::ADD | op::SUBSTRACT, Duration, Duration) => Some(Duration),
            (op::ADD, Dyn, _) | (op::ADD, _, Dyn) => {
                return self.wrong(id, "the type of this value is not known: say it, as in int(x)");
            }
            (_, Dyn, _) | (_, _, Dyn) => Some(Dyn),
            _ => (a == b && a.is_number()).then(|| a.clone()),
        };
        let sign = name.trim_matches('_');
        found.map_or_else(|| self.wrong(id, format!("{sign} cannot join a {a} and a {b}")), Ok)
    }

    /// Compiles the pattern, and puts its number in its place.
    fn matches(&mut self, id: u64, call: &mut CallExpr) -> Checked {
        let mut operands: Vec<IdedExpr> =
            call.target.take().map(|target| *target).into_iter().collect();
        operands.append(&mut call.args);
        let [text, pattern] = operands.as_mut_slice() else {
            return self.wrong(id, "matches takes a pattern: request.model.matches('^gpt-')");
        };
        let found = self.check(text)?;
        if !found.fits(&Type::Text) {
            return self.wrong(id, format!("matches cannot be called on a {found} like this"));
        }
        let Expr::Literal(LiteralValue::String(literal)) = &pattern.expr else {
            return self.wrong(pattern.id, "a pattern is a text in quotes");
        };
        let compiled = Pattern::compile(literal.inner());
        let compiled = compiled.or_else(|message| self.wrong(pattern.id, message))?;
        pattern.expr = Expr::Ident(pattern::variable(self.patterns.len()));
        self.patterns.push(compiled);
        *call = CallExpr { func_name: pattern::FUNCTION.to_owned(), target: None, args: operands };
        Ok(Type::Bool)
    }

    /// Headers that are written out must be of those that there can be.
    fn check_header(&self, call: &CallExpr) -> Result<(), Mistake> {
        let (map, name) = match (call.func_name.as_str(), call.args.as_slice()) {
            (op::INDEX | op::OPT_INDEX, [map, name]) | (op::IN, [name, map]) => (map, name),
            _ => return Ok(()),
        };
        let (Expr::Select(select), Expr::Literal(LiteralValue::String(header))) =
            (&map.expr, &name.expr)
        else {
            return Ok(());
        };
        let Expr::Ident(object) = &select.operand.expr else { return Ok(()) };
        self.named_header(name.id, (object, &select.field), header.inner())
    }

    fn named_header(
        &self,
        id: u64,
        (object, member): (&str, &str),
        header: &str,
    ) -> Result<(), Mistake> {
        let is_headers = object == "request" && member == "headers" && !self.is_variable(object);
        let message = match header {
            _ if !is_headers => return Ok(()),
            "host" => "the host is in request.hostname, without a port".to_owned(),
            _ if header.chars().any(char::is_uppercase) => {
                format!("names of headers are in lower case: write {:?}", header.to_lowercase())
            }
            _ if CREDENTIAL_HEADERS.contains(&header) => {
                format!("{header} carries a credential, which conditions never see: use consumer")
            }
            _ => return Ok(()),
        };
        self.wrong(id, message)
    }

    /// Time zones that are written out must exist.
    fn check_zone(&self, target: &Type, call: &CallExpr) -> Result<(), Mistake> {
        let [IdedExpr { id, expr: Expr::Literal(LiteralValue::String(zone)) }] =
            call.args.as_slice()
        else {
            return Ok(());
        };
        let zone = zone.inner();
        if *target != Type::Timestamp {
            return Ok(());
        }
        let zero = IdedExpr { id: *id, expr: Expr::Literal(LiteralValue::Int(0.into())) };
        let start = CallExpr { func_name: "timestamp".to_owned(), target: None, args: vec![zero] };
        let start = IdedExpr { id: *id, expr: Expr::Call(start) };
        let call = CallExpr { target: Some(Box::new(start)), ..call.clone() };
        if can_be_evaluated(&IdedExpr { id: *id, expr: Expr::Call(call) }) {
            return Ok(());
        }
        let message =
            format!("there is no time zone {zone:?}: write it as Europe/Berlin or +01:00");
        self.wrong(*id, message)
    }

    /// Texts that are written out must be of what they are turned into.
    fn check_conversion(&self, id: u64, call: &CallExpr) -> Result<(), Mistake> {
        let [IdedExpr { id: at, expr: Expr::Literal(LiteralValue::String(text)) }] =
            call.args.as_slice()
        else {
            return Ok(());
        };
        let form = match call.func_name.as_str() {
            "timestamp" => "a time: write it as 2026-01-31T08:00:00Z",
            "duration" => "a duration: write it as 36h, 90m or 1.5s",
            "int" | "uint" | "double" => "a number of this sort",
            "bool" => "true or false",
            _ => return Ok(()),
        };
        if can_be_evaluated(&IdedExpr { id, expr: Expr::Call(call.clone()) }) {
            return Ok(());
        }
        self.wrong(*at, format!("{:?} is not {form}", text.inner()))
    }

    /// What `all`, `exists`, `exists_one`, `map` and `filter` become.
    fn comprehension(&mut self, id: u64, loops: &mut ComprehensionExpr) -> Checked {
        if self.in_loop {
            return self.wrong(id, "a loop cannot stand inside another");
        }
        if OBJECTS.contains(&loops.iter_var.as_str()) || loops.iter_var == NOW {
            return self.wrong(id, format!("{} is taken: choose another name", loops.iter_var));
        }
        let element = match self.check(&mut loops.iter_range)? {
            Type::List(of) => *of,
            Type::Map(_) => Type::Text,
            Type::Dyn => Type::Dyn,
            other => return self.wrong(id, format!("a {other} has no elements to go through")),
        };
        let result = self.check(&mut loops.accu_init)?;
        let (depth, known) = (self.depth, self.scope.len());
        self.in_loop = true;
        self.scope.push((loops.iter_var.clone(), element));
        self.scope.push((loops.accu_var.clone(), result.clone()));
        self.check(&mut loops.loop_cond)?;
        let step = self.step(&mut loops.loop_step, &loops.accu_var)?;
        let result = if result == Type::list(Type::Dyn) { step } else { result.join(step) };
        self.scope.truncate(known);
        self.scope.push((loops.accu_var.clone(), result));
        let found = self.check(&mut loops.result)?;
        self.scope.truncate(known);
        self.in_loop = false;
        self.depth = depth;
        Ok(found)
    }

    /// One round: the only place where a list is added to, by the element that the macro adds.
    fn step(&mut self, step: &mut IdedExpr, accumulator: &str) -> Checked {
        let Expr::Call(call) = &mut step.expr else { return self.check(step) };
        match (call.func_name.as_str(), call.args.as_mut_slice()) {
            (op::CONDITIONAL, [condition, added, _]) => {
                let found = self.check(condition)?;
                self.bool(condition.id, &found)?;
                self.step(added, accumulator)
            }
            (op::ADD, [IdedExpr { expr: Expr::Ident(name), .. }, added]) if name == accumulator => {
                self.check(added)
            }
            _ => self.check(step),
        }
    }
}

fn of_literal(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::Text,
        LiteralValue::UInt(_) => Type::Uint,
    }
}

fn has_order(kind: &Type) -> bool {
    matches!(
        kind,
        Type::Dyn
            | Type::Int
            | Type::Uint
            | Type::Double
            | Type::Text
            | Type::Bytes
            | Type::Timestamp
            | Type::Duration
    )
}

/// `timestamp(seconds)`: time comes in as a number.
fn seconds_to_time(id: u64) -> Expr {
    let seconds = IdedExpr { id, expr: Expr::Ident(SECONDS.to_owned()) };
    Expr::Call(CallExpr { func_name: "timestamp".to_owned(), target: None, args: vec![seconds] })
}
