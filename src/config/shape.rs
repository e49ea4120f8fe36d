//! Compares what was written with the schema, and notes every difference.

use serde_json::{Map, Value as Json};

use super::{
    error::Problems,
    nearest::nearest,
    path::KeyPath,
    quoted,
    schema::{Kind, Shape},
    settings::Setting,
    tree::{Entry, Node, Origin, Value},
};

/// Returns what fits the schema as JSON, ready for serde; what does not fit is noted and left out.
///
/// An item that does not fit takes its list with it, or leaves an empty mapping in a list of mappings: positions
/// stay what they are in the file.
pub(super) fn fit(tree: &Node, schema: &Json, settings: &[Setting<'_>], problems: &mut Problems<'_>) -> Json {
    Fitting { settings, problems }
        .value(tree, Shape::of(schema), &KeyPath::default())
        .unwrap_or_else(|| Json::Object(Map::new()))
}

struct Fitting<'a, 'p> {
    settings: &'a [Setting<'a>],
    problems: &'a mut Problems<'p>,
}

impl Fitting<'_, '_> {
    fn value(&mut self, node: &Node, shape: Shape<'_>, path: &KeyPath) -> Option<Json> {
        match (shape.kind(), &node.value) {
            (Kind::Bool, Value::Bool(value)) => Some(Json::Bool(*value)),
            (Kind::List, Value::List(items)) => self.list(items, shape, path),
            (Kind::Map, Value::Map(entries)) => Some(self.map(entries, shape, path)),
            (Kind::Text, Value::Text(text)) => self.text(text, shape, path),
            _ => {
                self.wrong_kind(node, shape, path);
                None
            }
        }
    }

    fn map(&mut self, entries: &[Entry], shape: Shape<'_>, path: &KeyPath) -> Json {
        let mut map = Map::new();
        for (position, entry) in entries.iter().enumerate() {
            let path = path.key(&entry.key);
            let Some(property) = shape.property(&entry.key) else {
                self.unknown(entry, shape, &path);
                continue;
            };
            if let Some(first) = entries[..position].iter().find(|earlier| earlier.key == entry.key) {
                self.duplicate(entry, first, &path);
                continue;
            }
            let value = match entry.node.value {
                Value::Null => self.nothing(&entry.key, shape, &path),
                _ => self.value(&entry.node, property, &path),
            };
            map.extend(value.map(|value| (entry.key.clone(), value)));
        }
        self.missing(entries, shape, path);
        Json::Object(map)
    }

    /// A key without a value: a section may be left empty, but a condition that counted as absent would let more
    /// people in.
    fn nothing(&mut self, key: &str, shape: Shape<'_>, path: &KeyPath) -> Option<Json> {
        let may_be_empty = shape.property(key).is_some_and(Shape::is_section);
        if !may_be_empty && !shape.required().any(|required| required == key) {
            self.problems.add(path, "has no value; set one, or remove the key");
        }
        None
    }

    fn list(&mut self, items: &[Node], shape: Shape<'_>, path: &KeyPath) -> Option<Json> {
        let item = shape.items()?;
        let stand_in = || (item.kind() == Kind::Map).then(|| Json::Object(Map::new()));
        let fitted: Vec<_> = items
            .iter()
            .enumerate()
            .map(|(index, node)| self.value(node, item, &path.index(index)).or_else(stand_in))
            .collect();
        fitted.into_iter().collect::<Option<_>>().map(Json::Array)
    }

    fn text(&mut self, text: &str, shape: Shape<'_>, path: &KeyPath) -> Option<Json> {
        if let Some(choices) = shape.choices().filter(|choices| !choices.contains(&text)) {
            let remedy = match nearest(text, choices.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("set {}", one_of(&choices)),
            };
            self.problems.add(path, format!("{} is no choice here; {remedy}", quoted(text)));
            return None;
        }
        Some(Json::String(text.to_owned()))
    }

    fn missing(&mut self, entries: &[Entry], shape: Shape<'_>, path: &KeyPath) {
        let is_set = |key: &str| {
            entries.iter().any(|entry| entry.key == key && !matches!(entry.node.value, Value::Null))
        };
        for key in shape.required().filter(|key| !is_set(key)) {
            let description = shape.property(key).map_or("", Shape::description);
            self.problems.add(&path.key(key), format!("is required; set {}", clause(description)));
        }
    }

    fn duplicate(&mut self, entry: &Entry, first: &Entry, path: &KeyPath) {
        let first = match &first.origin {
            Origin::Line(line) => format!("on line {line}"),
            Origin::Environment(variable) => format!("by {variable}"),
        };
        self.problems.add_at(&entry.origin, path, format!("is set twice, first {first}; remove one"));
    }

    fn unknown(&mut self, entry: &Entry, shape: Shape<'_>, path: &KeyPath) {
        // What follows the name is a value, perhaps a secret: it must not be in the message.
        let name = plain_start(&entry.key);
        if name.len() < entry.key.len() {
            let message = format!(
                "unknown key; write {}, with a colon and a space after the key",
                quoted(&format!("{name}: …"))
            );
            return self.problems.add_at(&entry.origin, &path.parent(), message);
        }
        let known = || shape.properties().map(|(key, _)| key);
        let remedy = if let Some(name) = nearest(name, known()) {
            format!("did you mean `{name}`?")
        } else if let Some(elsewhere) = self.settings.iter().find(|setting| setting.ends_with(name)) {
            format!("did you mean `{}`?", elsewhere.path())
        } else {
            format!("known here: {}", known().collect::<Vec<_>>().join(", "))
        };
        self.problems.add_at(&entry.origin, path, format!("unknown key; {remedy}"));
    }

    fn wrong_kind(&mut self, node: &Node, shape: Shape<'_>, path: &KeyPath) {
        let wanted = shape.form().unwrap_or(match shape.kind() {
            Kind::Bool => "true or false",
            Kind::List => "a list",
            Kind::Map => "a mapping of keys to values",
            Kind::Text => "text",
        });
        let remedy = match (shape.kind(), &node.value) {
            (Kind::Text, Value::Bool(_) | Value::Number(_)) if shape.form().is_none() => "; put it in quotes",
            (Kind::List, Value::Text(_)) => "; put it in `[` and `]`",
            _ => "",
        };
        self.problems.add(path, format!("must be {wanted}, not {}{remedy}", name_of(&node.value)));
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

/// A description's first sentence, to be the end of another one.
fn clause(description: &str) -> String {
    let sentence = description.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}

/// What of `key` looks like a key.
fn plain_start(key: &str) -> &str {
    let is_odd = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '-';
    &key[..key.find(is_odd).unwrap_or(key.len())]
}

fn one_of(choices: &[&str]) -> String {
    let choices: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    match choices.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => choices.concat(),
    }
}
