//! The parser's events to a tree with lines: anchors, merge keys, duplicate keys.
//!
//! Nodes are shared, so an alias costs nothing here; its expansion is counted by the reader.

use std::{collections::HashMap, rc::Rc};

use serde_json::Value;
use serde_saphyr::granit_parser::{
    Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag,
};

use super::{Fault, narrow, scalar};

/// How the message of a duplicate key starts.
pub(super) const DUPLICATE: &str = "duplicate key";
/// The deepest nesting that is read.
const MAX_DEPTH: usize = 128;

/// A value and the line it starts on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) line: u32,
    column: u32,
    pub(super) tree: Tree,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Scalar(Value),
    Sequence(Vec<Rc<Node>>),
    Map(Vec<Member>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) key: String,
    /// Line of the key.
    pub(super) line: u32,
    pub(super) node: Rc<Node>,
}

impl Node {
    fn new(at: Marker, tree: Tree) -> Self {
        Self { line: narrow(at.line()), column: narrow(at.col() + 1), tree }
    }

    /// A tree whose positions are not known: everything stands on line 1.
    pub(super) fn without_lines(value: Value) -> Self {
        let tree = match value {
            Value::Array(items) => Tree::Sequence(
                items.into_iter().map(|item| Rc::new(Self::without_lines(item))).collect(),
            ),
            Value::Object(members) => Tree::Map(
                members
                    .into_iter()
                    .map(|(key, value)| Member {
                        key,
                        line: 1,
                        node: Rc::new(Self::without_lines(value)),
                    })
                    .collect(),
            ),
            Value::Number(number) => Tree::Scalar(scalar::number(number)),
            Value::Null | Value::Bool(_) | Value::String(_) => Tree::Scalar(value),
        };
        Self { line: 1, column: 1, tree }
    }

    /// Whether it is a mapping with this key.
    pub(super) fn has(&self, key: &str) -> bool {
        matches!(&self.tree, Tree::Map(members) if members.iter().any(|member| member.key == key))
    }

    pub(super) fn fault(&self, message: String) -> Fault {
        Fault { line: self.line, column: self.column, message }
    }
}

/// The documents of a stream.
pub(super) fn parse(text: &str) -> Result<Vec<Rc<Node>>, Fault> {
    let mut builder = Builder { parser: Parser::new_from_str(text), anchors: HashMap::new() };
    let mut roots = Vec::new();
    while let Some((event, span)) = builder.next()? {
        match event {
            Event::DocumentStart(..) => builder.anchors.clear(),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            event => roots.push(builder.node(event, span, 0)?),
        }
    }
    Ok(roots)
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Rc<Node>>,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Fault> {
        loop {
            let event = self.parser.next_event().transpose().map_err(|error| syntax(&error))?;
            // Comments come as events too; they are the only other ones.
            match event {
                Some((event, _)) if !is_structure(&event) => {}
                event => return Ok(event),
            }
        }
    }

    fn expect(&mut self, at: Marker) -> Result<(Event<'a>, Span), Fault> {
        self.next()?.ok_or_else(|| fault(at, "the document ends too early".into()))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Rc<Node>, Fault> {
        let at = span.start;
        if depth > MAX_DEPTH {
            return Err(fault(at, format!("nests deeper than {MAX_DEPTH} levels")));
        }
        let (anchor, tree) = match event {
            Event::Alias(id) => {
                return self.anchors.get(&id).cloned().ok_or_else(|| {
                    fault(at, "this alias stands inside the value that it names".into())
                });
            }
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, Tree::Scalar(typed(&text, style, tag.as_deref(), at)?))
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.sequence(at, depth)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.mapping(at, depth)?),
            _ => return Err(fault(at, "unexpected end of a value".into())),
        };
        let node = Rc::new(Node::new(at, tree));
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn sequence(&mut self, at: Marker, depth: usize) -> Result<Tree, Fault> {
        let mut items = Vec::new();
        loop {
            match self.expect(at)? {
                (Event::SequenceEnd, _) => return Ok(Tree::Sequence(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, at: Marker, depth: usize) -> Result<Tree, Fault> {
        let mut members: Vec<Member> = Vec::new();
        let mut lines: HashMap<String, u32> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.expect(at)?;
            if event == Event::MappingEnd {
                merge(&mut members, &lines, merged);
                return Ok(Tree::Map(members));
            }
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key_node = self.node(event, span, depth + 1)?;
            let (event, value_span) = self.expect(at)?;
            let node = self.node(event, value_span, depth + 1)?;
            if is_merge {
                merged.extend(merge_sources(&node)?);
                continue;
            }
            let key = key_text(&key_node)?;
            let line = narrow(span.start.line());
            if let Some(first) = lines.insert(key.clone(), line) {
                return Err(fault(
                    span.start,
                    format!("{DUPLICATE} \"{key}\": it already stands on line {first}; keep one"),
                ));
            }
            members.push(Member { key, line, node });
        }
    }
}

fn is_structure(event: &Event<'_>) -> bool {
    event.is_node()
        || matches!(
            event,
            Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(..)
                | Event::DocumentEnd
                | Event::SequenceEnd
                | Event::MappingEnd
        )
}

/// A mapping's own members win over merged ones, and earlier merged ones over later.
fn merge(members: &mut Vec<Member>, own: &HashMap<String, u32>, merged: Vec<Member>) {
    let start = members.len();
    for member in merged {
        let taken = own.contains_key(&member.key)
            || members[start..].iter().any(|present| present.key == member.key);
        if !taken {
            members.push(member);
        }
    }
}

fn merge_sources(node: &Rc<Node>) -> Result<Vec<Member>, Fault> {
    let wrong = || node.fault("<< takes a mapping, or a list of mappings".into());
    match &node.tree {
        Tree::Map(members) => Ok(members.clone()),
        Tree::Sequence(items) => {
            let mut members = Vec::new();
            for item in items {
                let Tree::Map(more) = &item.tree else { return Err(wrong()) };
                members.extend(more.iter().cloned());
            }
            Ok(members)
        }
        Tree::Scalar(_) => Err(wrong()),
    }
}

fn key_text(node: &Node) -> Result<String, Fault> {
    match &node.tree {
        Tree::Scalar(Value::String(text)) => Ok(text.clone()),
        Tree::Scalar(Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Ok(number.to_string())
        }
        Tree::Scalar(value) => {
            Err(node.fault(format!("this key means {value} in YAML, not text: put it in quotes")))
        }
        Tree::Sequence(_) | Tree::Map(_) => {
            Err(node.fault("a key is text, not a list or an object: is a quote missing?".into()))
        }
    }
}

fn typed(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Marker) -> Result<Value, Fault> {
    let plain = style == ScalarStyle::Plain;
    match tag.map(|tag| (tag, tag.core_suffix())) {
        None if plain => scalar::resolve(text).map_err(|message| fault(at, message)),
        None => Ok(Value::String(text.into())),
        Some((_, Some("str"))) => Ok(Value::String(text.into())),
        Some((_, Some("null" | "bool" | "int" | "float"))) => {
            scalar::resolve(text).map_err(|message| fault(at, message))
        }
        Some((tag, _)) => {
            Err(fault(at, format!("the tag {} has no meaning here: remove it", tag.original())))
        }
    }
}

fn fault(at: Marker, message: String) -> Fault {
    Fault { line: narrow(at.line()), column: narrow(at.col() + 1), message }
}

fn syntax(error: &ScanError) -> Fault {
    let info = error.info();
    let hint = if info.contains("tab") {
        "; indent with spaces"
    } else if info.contains("mapping values")
        || info.contains("simple key")
        || info.contains("value is not allowed")
    {
        "; check the indentation, and put text that contains \": \" in quotes"
    } else {
        "; check the indentation, brackets and quotes on this line and the one before"
    };
    fault(*error.marker(), format!("is not YAML: {info}{hint}"))
}
