//! The list of all settings, from the schema: what the environment may set, and what the reference explains.

use serde_json::Value as Json;

use super::schema::{Kind, Shape};

/// One key of the file, wherever it is nested.
pub(super) struct Setting<'a> {
    /// The keys on the way, such as `oidc`, `clientId`; `roles[]` where there are several.
    steps: Vec<String>,
    pub(super) shape: Shape<'a>,
    pub(super) required: bool,
}

impl Setting<'_> {
    /// The dotted path, such as `roles[].tokenTtl`.
    pub(super) fn path(&self) -> String {
        self.steps.join(".")
    }

    pub(super) fn steps(&self) -> &[String] {
        &self.steps
    }

    pub(super) fn ends_with(&self, key: &str) -> bool {
        self.steps.last().is_some_and(|last| last == key)
    }

    /// Whether it holds a value rather than further settings.
    pub(super) fn is_leaf(&self) -> bool {
        match self.shape.kind() {
            Kind::Map => self.shape.additional().is_some(),
            Kind::List => self.shape.items().is_some_and(|item| item.kind() != Kind::Map),
            Kind::Bool | Kind::Text => true,
        }
    }

    /// The variable that sets it; `None` if only the file can.
    pub(super) fn variable(&self) -> Option<String> {
        let one_line = self.is_leaf() && self.shape.kind() != Kind::Map;
        (one_line && !self.path().contains("[]")).then(|| {
            let names: Vec<_> = self.steps.iter().map(|step| screaming(step)).collect();
            format!("{}{}", super::env::PREFIX, names.join("__"))
        })
    }
}

/// Every setting that `schema` knows, sections before what is in them.
pub(super) fn settings(schema: &Json) -> Vec<Setting<'_>> {
    let mut settings = Vec::new();
    collect(&[], Shape::of(schema), &mut settings);
    settings
}

fn collect<'a>(parent: &[String], shape: Shape<'a>, settings: &mut Vec<Setting<'a>>) {
    let required: Vec<_> = shape.required().collect();
    for (key, shape) in shape.properties() {
        let steps = [parent, &[key.to_owned()]].concat();
        settings.push(Setting { steps: steps.clone(), shape, required: required.contains(&key) });
        match shape.items() {
            Some(item) => collect(&[parent, &[format!("{key}[]")]].concat(), item, settings),
            None => collect(&steps, shape, settings),
        }
    }
}

/// `clientId` as `CLIENT_ID`.
fn screaming(camel: &str) -> String {
    camel.chars().fold(String::new(), |mut name, letter| {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
        name
    })
}
