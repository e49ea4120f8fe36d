//! The configuration as it was written: values that still know the line they stand on.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{
    DuplicateKeyPolicy, MessageFormatter as _, NonFiniteFloatPolicy, Options, Spanned, UserMessageFormatter,
};

use super::path::{KeyPath, Step};

/// Aliases that a document may expand to, in parser events.
///
/// A configuration has no use for more, and ten lines of nested aliases would otherwise fill the memory.
const MAX_REPLAYED_EVENTS: usize = 10_000;

/// How deep values may be nested, what aliases bring counted too.
///
/// A level takes over 30 kB of stack in a debug build, and a thread has 2 MiB: 60 levels overflow it.
const MAX_DEPTH: usize = 16;

/// Where a value came from.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Origin {
    /// A line of the file, from 1.
    Line(u64),
    /// A variable of the environment, by name.
    Environment(String),
}

/// A value and where it came from.
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// What YAML can say.
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping: kept in order, and kept when it is there twice.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) origin: Origin,
    pub(super) node: Node,
}

/// Why the text is no YAML.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct SyntaxError {
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

impl Node {
    /// Reads one YAML document. An empty one is an empty mapping.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let document: Option<Spanned<Value>> =
            serde_saphyr::from_str_with_options(text, options()).map_err(|error| SyntaxError::new(&error))?;
        Ok(document.map_or_else(|| Self::map(Origin::Line(1)), Self::from))
    }

    /// An empty mapping.
    pub(super) fn map(origin: Origin) -> Self {
        Self { origin, value: Value::Map(Vec::new()) }
    }

    /// Where `path` was written: its key's line, or that of what should have held it.
    pub(super) fn origin_of(&self, path: &KeyPath) -> &Origin {
        let mut origin = &self.origin;
        let mut node = self;
        for step in path.steps() {
            let Some((at, child)) = node.child(step) else { break };
            (origin, node) = (at, child);
        }
        origin
    }

    fn child(&self, step: &Step) -> Option<(&Origin, &Self)> {
        match (&self.value, step) {
            (Value::Map(entries), Step::Key(key)) => {
                entries.iter().find(|entry| entry.key == *key).map(|entry| (&entry.origin, &entry.node))
            }
            (Value::List(items), Step::Index(index)) => items.get(*index).map(|item| (&item.origin, item)),
            _ => None,
        }
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self { origin: Origin::Line(spanned.referenced.line()), value: spanned.value }
    }
}

impl SyntaxError {
    fn new(error: &serde_saphyr::Error) -> Self {
        let message = match error {
            _ if is_too_much(error) => "it is nested too deeply, or too large".into(),
            _ => UserMessageFormatter.format_message(error),
        };
        Self { line: error.location().map(|location| location.line()), message: message.into_owned() }
    }
}

fn is_too_much(error: &serde_saphyr::Error) -> bool {
    use serde_saphyr::Error::{AliasError, AliasReplayLimitExceeded, Budget};
    match error {
        AliasError { error, .. } => is_too_much(error),
        AliasReplayLimitExceeded { .. } | Budget { .. } => true,
        _ => false,
    }
}

/// The crate's budgets for depth, size and anchors stay on; duplicates are ours to report, all of them.
fn options() -> Options {
    serde_saphyr::options! {
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED_EVENTS },
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // JSON knows no infinity. That it is a number is all that matters: no setting takes one.
        Ok(Value::Number(Number::from_f64(value).unwrap_or_else(|| 0.into())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<Value>>()? {
            let line = key.referenced.line();
            let key = key_text(key.value)
                .ok_or_else(|| A::Error::custom(format!("a key must be a plain word, on line {line}")))?;
            let origin = Origin::Line(line);
            map.push(Entry { key, origin, node: entries.next_value::<Spanned<Value>>()?.into() });
        }
        Ok(Value::Map(map))
    }
}

fn key_text(key: Value) -> Option<String> {
    match key {
        Value::Text(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::Null => Some("null".to_owned()),
        Value::List(_) | Value::Map(_) => None,
    }
}
