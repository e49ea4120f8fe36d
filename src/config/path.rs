//! The dotted path of a setting, such as `roles[0].tokenTtl`.

use std::fmt;

/// The way from the top of the file to a setting.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct KeyPath(Vec<Step>);

/// One step on the way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Index(usize),
    Key(String),
}

impl KeyPath {
    /// The path of `name` within this one.
    pub(super) fn key(&self, name: &str) -> Self {
        self.with(Step::Key(name.to_owned()))
    }

    /// The path of the item at `index`, from 0.
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The path of what holds this.
    pub(super) fn parent(&self) -> Self {
        Self(self.0.split_last().map_or_else(Vec::new, |(_, parent)| parent.to_vec()))
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !is_plain(key) => write!(f, "[{}]", super::quoted(key))?,
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    (1..=63).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_one_writes_it() {
        let role = KeyPath::default().key("roles").index(2);
        assert_eq!(role.key("tokenTtl").to_string(), "roles[2].tokenTtl");
        assert_eq!(role.key("claims").key("a.b\n").to_string(), r"roles[2].claims[`a.b\n`]");
    }
}
