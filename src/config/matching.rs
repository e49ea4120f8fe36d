//! `roles[].match`: whom a role is for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{error::Problems, path::KeyPath, quoted, text};

/// Whom a role is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Match {
    /// Whoever meets every condition.
    Conditions(Conditions),
    /// Whoever can sign in.
    Everyone,
}

/// Conditions that must all hold; an empty one asks nothing. At least one is not empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Conditions {
    /// In one of these groups.
    pub groups: Vec<String>,
    /// With a verified e-mail address that is one of these.
    pub emails: Vec<EmailPattern>,
    /// One of these subjects.
    pub subjects: Vec<String>,
    /// For each claim named, one of its values.
    pub claims: BTreeMap<String, Vec<String>>,
}

/// Which e-mail addresses match. ASCII letters are lower case, as they must be made in what is compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EmailPattern {
    /// This address.
    Address(String),
    /// Any address at this domain, which has no `@` here.
    Domain(String),
}

/// Whom a role is for: all keys must match; of a list, one item must.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawMatch {
    /// `true` for whoever can sign in. Stands alone.
    everyone: Option<bool>,
    /// Groups, as the provider names them.
    groups: Option<Vec<String>>,
    /// E-mail addresses that the provider has verified: `someone@example.com`, or `@example.com` for all at a domain.
    emails: Option<Vec<String>>,
    /// Subjects: the `sub` claim.
    subjects: Option<Vec<String>>,
    /// Any other claims, each with a list of values.
    claims: Option<BTreeMap<String, Vec<String>>>,
}

impl RawMatch {
    pub(super) fn is_everyone(&self) -> bool {
        self.everyone == Some(true)
    }

    pub(super) fn check(self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<Match> {
        let has_conditions = self.has_conditions();
        match self.everyone {
            None if has_conditions => self.conditions(at, problems).map(Match::Conditions),
            Some(true) if !has_conditions => Some(Match::Everyone),
            Some(true) => {
                problems.add(&at.key("everyone"), "makes the other conditions void; remove it or them");
                None
            }
            Some(false) => {
                problems.add(&at.key("everyone"), "is false, which says nothing; remove it");
                None
            }
            None => {
                if !problems.mentions_within(at) {
                    problems.add(
                        at,
                        "has no condition; set groups, emails, subjects or claims, or `everyone: true`",
                    );
                }
                None
            }
        }
    }

    fn has_conditions(&self) -> bool {
        self.groups.is_some() || self.emails.is_some() || self.subjects.is_some() || self.claims.is_some()
    }

    fn conditions(self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<Conditions> {
        let groups = list(self.groups, &at.key("groups"), problems, foreign);
        let emails = list(self.emails, &at.key("emails"), problems, email);
        let subjects = list(self.subjects, &at.key("subjects"), problems, foreign);
        let claims = claims(self.claims, &at.key("claims"), problems);
        Some(Conditions { groups: groups?, emails: emails?, subjects: subjects?, claims: claims? })
    }
}

fn list<T>(
    items: Option<Vec<String>>,
    at: &KeyPath,
    problems: &mut Problems<'_>,
    check: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let Some(items) = items else { return Some(Vec::new()) };
    if items.is_empty() {
        problems.add(at, "is empty, so nobody would match; fill it, or remove it");
        return None;
    }
    problems.keep_all(at, &items, check)
}

fn claims(
    claims: Option<BTreeMap<String, Vec<String>>>,
    at: &KeyPath,
    problems: &mut Problems<'_>,
) -> Option<BTreeMap<String, Vec<String>>> {
    let Some(claims) = claims else { return Some(BTreeMap::new()) };
    if claims.is_empty() && !problems.mentions_within(at) {
        problems.add(at, "is empty; name a claim, or remove it");
    }
    let checked: Vec<_> = claims
        .into_iter()
        .map(|(name, values)| {
            let at = at.key(&name);
            Some((name, list(Some(values), &at, problems, text::filled)?))
        })
        .collect();
    checked.into_iter().collect()
}

/// A name that a provider may give: Kubernetes keeps those with `system:` for itself.
fn foreign(name: &str) -> Result<String, String> {
    if name.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case("system:")) {
        return Err(format!(
            "{} begins with `system:`, which a provider must never grant; use another name",
            quoted(name)
        ));
    }
    text::filled(name)
}

fn email(text: &str) -> Result<EmailPattern, String> {
    let refuse = || {
        format!(
            "{} is no e-mail address; write `someone@example.com`, or `@example.com` for all",
            quoted(text)
        )
    };
    let address = text.to_ascii_lowercase();
    let (person, domain) = address.split_once('@').ok_or_else(refuse)?;
    let is_person = person.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_person || !text::is_dns_subdomain(domain) {
        return Err(refuse());
    }
    Ok(match person {
        "" => EmailPattern::Domain(domain.to_owned()),
        _ => EmailPattern::Address(address),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_an_address_or_a_domain() {
        assert_eq!(email("Bob+x@Example.com"), Ok(EmailPattern::Address("bob+x@example.com".to_owned())));
        assert_eq!(email("@Example.com"), Ok(EmailPattern::Domain("example.com".to_owned())));
        for text in [
            "",
            "@",
            "bob",
            "bob@",
            "a@evil.example@example.com",
            "@@example.com",
            "b b@example.com",
            "bob@example.com.",
            "b\u{f6}b@example.com",
            "bob@ex\u{e4}mple.com",
            "@.example.com",
            "*@example.com.",
            "@*.example.com",
        ] {
            assert!(email(text).is_err(), "{text}");
        }
    }
}
