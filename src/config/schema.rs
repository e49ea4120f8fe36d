//! The JSON Schema of the file, made from the structs that read it, and a view of it that the rest shares.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json};

use super::raw::RawConfig;

/// The JSON Schema (2020-12) of the configuration file, for editors and checks.
pub fn schema() -> Json {
    let mut schema = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<RawConfig>()
        .to_value();
    drop_null(&mut schema);
    schema
}

/// Takes "or null", as optional keys have it, out of a schema: a key without a value is refused.
fn drop_null(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(drop_null),
        Json::Object(map) => {
            if let Some((Some(name), Some("null"))) = map.get("type").map(|t| (t[0].as_str(), t[1].as_str()))
            {
                map.insert("type".to_owned(), name.into());
            }
            if map.get("anyOf").is_some_and(|choice| choice[1]["type"] == "null") {
                let inner =
                    map.remove("anyOf").and_then(|mut choice| choice[0].as_object_mut().map(std::mem::take));
                let outer = std::mem::replace(map, inner.unwrap_or_default());
                map.extend(outer);
            }
            map.values_mut().for_each(drop_null);
        }
        _ => {}
    }
}

/// What the schema allows at one place.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a>(&'a Json);

/// The kind of value that a [`Shape`] wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Bool,
    List,
    Map,
    Text,
}

impl<'a> Shape<'a> {
    pub(super) fn of(schema: &'a Json) -> Self {
        Self(schema)
    }

    pub(super) fn kind(self) -> Kind {
        match self.0["type"].as_str() {
            Some("array") => Kind::List,
            Some("boolean") => Kind::Bool,
            Some("object") => Kind::Map,
            _ => Kind::Text,
        }
    }

    /// The keys that a mapping may have, with what belongs there.
    pub(super) fn properties(self) -> impl Iterator<Item = (&'a str, Self)> {
        let properties: Option<&Map<_, _>> = self.0["properties"].as_object();
        properties.into_iter().flatten().map(|(key, schema)| (key.as_str(), Self::of(schema)))
    }

    /// What belongs at `key`: its own shape, or that of any key where the names are free.
    pub(super) fn property(self, key: &str) -> Option<Self> {
        let named = self.0["properties"].get(key);
        named.map(Self::of).or_else(|| self.additional())
    }

    /// The shape of the values of a mapping whose keys are free.
    pub(super) fn additional(self) -> Option<Self> {
        let additional = &self.0["additionalProperties"];
        additional.is_object().then(|| Self::of(additional))
    }

    /// Whether it is a mapping with keys of its own, which may be left empty.
    pub(super) fn is_section(self) -> bool {
        self.kind() == Kind::Map && self.additional().is_none()
    }

    /// The keys that must be there.
    pub(super) fn required(self) -> impl Iterator<Item = &'a str> {
        strings(&self.0["required"])
    }

    /// The shape of a list's items.
    pub(super) fn items(self) -> Option<Self> {
        self.0.get("items").map(Self::of)
    }

    /// The words to choose from, if it is a choice.
    pub(super) fn choices(self) -> Option<Vec<&'a str>> {
        if self.0.get("enum").is_some() {
            return Some(strings(&self.0["enum"]).collect());
        }
        let variants = self.0["oneOf"].as_array()?;
        Some(variants.iter().filter_map(|variant| variant["const"].as_str()).collect())
    }

    /// The words to choose from that have a doc comment, with it.
    pub(super) fn explained_choices(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let variants = self.0["oneOf"].as_array().into_iter().flatten();
        variants.filter_map(|variant| Some((variant["const"].as_str()?, variant["description"].as_str()?)))
    }

    /// The doc comment.
    pub(super) fn description(self) -> &'a str {
        self.0["description"].as_str().unwrap_or_default()
    }

    /// What text must look like, in words: "a duration, such as `15m`".
    pub(super) fn form(self) -> Option<&'a str> {
        self.0["x-form"].as_str()
    }

    /// What holds when the key is absent, as one would write it.
    pub(super) fn default(self) -> Option<String> {
        let default = self.0.get("x-default").or_else(|| self.0.get("default"))?;
        match default {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            Json::Array(items) => Some(strings_of(items)),
            other => Some(other.to_string()),
        }
    }
}

fn strings(list: &Json) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str)
}

fn strings_of(items: &[Json]) -> String {
    let items: Vec<_> = items.iter().filter_map(Json::as_str).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_closed_and_every_setting_is_explained() {
        fn visit(path: &str, shape: Shape<'_>) {
            if path != "$" {
                assert!(!shape.description().is_empty(), "{path} has no description");
            }
            if shape.kind() == Kind::Map {
                assert!(!shape.0["additionalProperties"].is_null(), "{path} is open");
            }
            for (key, property) in shape.properties() {
                assert!(key.chars().all(|c| c.is_ascii_alphanumeric()), "{key} is not camelCase");
                visit(&format!("{path}.{key}"), property);
            }
            for (key, property) in shape.items().into_iter().flat_map(Shape::properties) {
                visit(&format!("{path}[].{key}"), property);
            }
        }
        visit("$", Shape::of(&schema()));
    }

    #[test]
    fn what_must_be_set_is_required() {
        let schema = schema();
        let required = |pointer: &str| strings(schema.pointer(pointer).unwrap()).collect::<Vec<_>>();
        assert_eq!(required("/required"), ["site", "oidc", "roles"]);
        assert_eq!(required("/properties/oidc/required"), ["issuer", "clientId"]);
        assert_eq!(required("/properties/roles/items/required"), ["name", "match"]);
    }

    #[test]
    fn the_schema_names_its_dialect_and_no_null() {
        let schema = schema();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(!schema.to_string().contains("null"));
        let credential = Shape::of(schema.pointer("/properties/roles/items/properties/credential").unwrap());
        assert_eq!(credential.choices(), Some(vec!["idToken", "none"]));
        assert!(credential.description().starts_with("What the role gives"));
    }
}
