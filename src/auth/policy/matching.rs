//! Whom a rule matches.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::auth::{Identity, claims};

/// Whom a rule matches. The keys are and-ed; within a key any entry will do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Match {
    /// Everyone who signed in. The other keys are then empty.
    pub everyone: bool,
    /// Members of any of these groups.
    pub groups: BTreeSet<String>,
    /// Owners of any of these verified addresses; `@domain` stands for all of a domain.
    pub emails: BTreeSet<String>,
    /// Any of these people, by the provider's `sub`.
    pub subjects: BTreeSet<String>,
    /// For each claim, any of these values; of a list, one element has to be equal. Numbers and booleans are
    /// compared as JSON writes them.
    pub claims: BTreeMap<String, Vec<String>>,
}

impl Match {
    /// Whether `identity` fits every key that the rule has. A rule without keys fits nobody.
    pub fn accepts(&self, identity: &Identity) -> bool {
        if self.everyone {
            return true;
        }
        let has_keys = !(self.groups.is_empty()
            && self.emails.is_empty()
            && self.subjects.is_empty()
            && self.claims.is_empty());
        has_keys
            && (self.groups.is_empty() || !self.groups.is_disjoint(&identity.groups))
            && (self.emails.is_empty() || self.accepts_email(identity))
            && (self.subjects.is_empty() || self.subjects.contains(&identity.subject))
            && self.claims.iter().all(|(name, values)| has_claim(identity, name, values))
    }

    fn accepts_email(&self, identity: &Identity) -> bool {
        let Some(email) = identity.verified_email() else { return false };
        self.emails.iter().any(|entry| match entry.strip_prefix('@') {
            Some(domain) => domain.eq_ignore_ascii_case(email.domain()),
            None => entry.eq_ignore_ascii_case(email.as_str()),
        })
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.everyone {
            return f.write_str("anyone who signs in");
        }
        let mut needs = Vec::new();
        let mut need = |what: &str, values: Vec<String>| {
            if !values.is_empty() {
                needs.push(format!("{what} {}", values.join(" or ")));
            }
        };
        need("group", self.groups.iter().cloned().collect());
        need("verified e-mail", self.emails.iter().cloned().collect());
        need("subject", self.subjects.iter().cloned().collect());
        for (name, values) in &self.claims {
            need(&format!("claim {name}"), values.clone());
        }
        f.write_str(&needs.join(", and "))
    }
}

fn has_claim(identity: &Identity, name: &str, wanted: &[String]) -> bool {
    let is_wanted = |value: &Value| match value {
        Value::String(text) => wanted.contains(text),
        Value::Bool(_) | Value::Number(_) => wanted.contains(&value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    match claims::find(&identity.claims, name) {
        Some(Value::Array(items)) => items.iter().any(is_wanted),
        Some(value) => is_wanted(value),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::policy::samples::{groups, identity};

    #[test]
    fn keys_are_anded() {
        let both = |subject: &str| Match { subjects: [subject.to_owned()].into(), ..groups(&["staff"]) };
        assert!(both("s-1").accepts(&identity()));
        assert!(!both("s-2").accepts(&identity()));
    }

    #[test]
    fn an_address_counts_only_when_verified_and_exact() {
        let emails = |entry: &str| Match { emails: [entry.to_owned()].into(), ..Match::default() };
        for (entry, accepted) in [
            ("ada@corp.example", true),
            ("Ada@Corp.Example", true),
            ("@corp.example", true),
            ("@example", false),
            ("@evil-corp.example", false),
            ("bob@corp.example", false),
        ] {
            assert_eq!(emails(entry).accepts(&identity()), accepted, "{entry}");
        }
        let unverified = Identity { email_verified: false, ..identity() };
        assert!(!emails("ada@corp.example").accepts(&unverified));
    }

    #[test]
    fn any_claim_can_be_asked_for() {
        let claim = |name: &str, value: &str| Match {
            claims: [(name.to_owned(), vec![value.to_owned()])].into(),
            ..Match::default()
        };
        assert!(claim("staff", "true").accepts(&identity()));
        assert!(claim("hd", "corp.example").accepts(&identity()));
        assert!(claim("/realm/roles", "ops").accepts(&identity()));
        assert!(!claim("/realm/roles", "root").accepts(&identity()));
        assert!(!claim("absent", "").accepts(&identity()));
    }

    #[test]
    fn a_rule_reads_as_a_sentence() {
        let rule = Match { emails: ["@corp.example".to_owned()].into(), ..groups(&["a", "b"]) };
        assert_eq!(rule.to_string(), "group a or b, and verified e-mail @corp.example");
    }
}
