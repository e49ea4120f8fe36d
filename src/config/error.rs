//! What is wrong with a configuration, all of it at once.

use std::fmt;

use super::{
    path::KeyPath,
    tree::{Node, Origin},
};

/// Every problem of a configuration, in the order of the file, those of the environment last.
///
/// Displayed, it is one problem a line.
#[derive(Debug, Eq, PartialEq)]
pub struct ConfigErrors(Vec<ConfigError>);

/// One problem: where it is, what is wrong, and what would mend it.
///
/// Never holds the value of a secret.
#[derive(Debug, Eq, PartialEq)]
pub struct ConfigError {
    place: Place,
    key: String,
    message: String,
}

/// Where a problem is.
#[derive(Debug, Eq, PartialEq)]
enum Place {
    Environment(String),
    File { name: String, line: Option<u64> },
}

impl ConfigErrors {
    /// The problems, at least one.
    pub fn as_slice(&self) -> &[ConfigError] {
        &self.0
    }

    /// A problem with the file as a whole, or with one `line` of it.
    pub(super) fn of_file(name: &str, line: Option<u64>, message: impl Into<String>) -> Self {
        let place = Place::File { name: name.to_owned(), line };
        Self(vec![ConfigError { place, key: String::new(), message: message.into() }])
    }
}

impl ConfigError {
    /// The dotted path of the setting, such as `roles[0].tokenTtl`; empty for the file as a whole.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong, and the remedy.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::File { name, line: Some(line) } => write!(f, "{name}:{line}"),
            Self::File { name, line: None } => f.write_str(name),
        }
    }
}

impl std::error::Error for ConfigError {}

impl std::error::Error for ConfigErrors {}

/// The problems found so far, and the tree that knows where they are.
pub(super) struct Problems<'a> {
    file: &'a str,
    tree: &'a Node,
    files: Files,
    found: Vec<Problem>,
}

/// Where the files are that the configuration names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Files {
    /// On another machine: nothing is said about them.
    Elsewhere,
    /// On this one: each must be there and hold what it should.
    Here,
}

struct Problem {
    origin: Origin,
    path: KeyPath,
    message: String,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str, tree: &'a Node, files: Files) -> Self {
        Self { file, tree, files, found: Vec::new() }
    }

    /// Notes a problem with the setting at `path`.
    pub(super) fn add(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.add_at(self.tree.origin_of(path), path, message);
    }

    /// Notes a problem with the setting at `path`, which is about `origin`.
    pub(super) fn add_at(&mut self, origin: &Origin, path: &KeyPath, message: impl Into<String>) {
        self.found.push(Problem { origin: origin.clone(), path: path.clone(), message: message.into() });
    }

    /// The value, if it is one; else notes why not.
    pub(super) fn keep<T>(&mut self, path: &KeyPath, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|message| self.add(path, message)).ok()
    }

    /// As [`keep`](Self::keep), for what depends on a file. `check` reads it, unless the files are elsewhere.
    pub(super) fn look(&mut self, path: &KeyPath, check: impl FnOnce() -> Result<(), String>) -> Option<()> {
        match self.files {
            Files::Elsewhere => Some(()),
            Files::Here => self.keep(path, check()),
        }
    }

    /// All values, if they are that; else notes why not, by item.
    pub(super) fn keep_all<T>(
        &mut self,
        path: &KeyPath,
        items: &[String],
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let numbered = items.iter().enumerate();
        let kept: Vec<_> = numbered.map(|(index, item)| self.keep(&path.index(index), check(item))).collect();
        kept.into_iter().collect()
    }

    /// Whether something is wrong with exactly this setting already.
    pub(super) fn mentions(&self, path: &KeyPath) -> bool {
        self.found.iter().any(|problem| problem.path == *path)
    }

    /// Whether something is wrong with this setting, or with what it holds.
    pub(super) fn mentions_within(&self, path: &KeyPath) -> bool {
        self.found.iter().any(|problem| problem.path.steps().starts_with(path.steps()))
    }

    /// The problems in the order of their places; `Ok` when there are none.
    pub(super) fn into_result(mut self) -> Result<(), ConfigErrors> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by(|a, b| a.origin.cmp(&b.origin));
        Err(ConfigErrors(self.found.into_iter().map(|problem| problem.into_error(self.file)).collect()))
    }
}

impl Problem {
    fn into_error(self, file: &str) -> ConfigError {
        let place = match self.origin {
            Origin::Line(line) => Place::File { name: file.to_owned(), line: Some(line) },
            Origin::Environment(variable) => Place::Environment(variable),
        };
        ConfigError { place, key: self.path.to_string(), message: self.message }
    }
}
