//! A person, from verified claims.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

/// A person as the provider vouches for them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The provider's stable name for the person (`sub`).
    pub subject: String,
    /// What to call the person on pages and in headers.
    pub name: String,
    /// The address, whether or not the provider verified it.
    pub email: Option<Email>,
    /// `email_verified` was the JSON value `true`.
    pub email_verified: bool,
    /// Names of the groups that the person is in.
    pub groups: BTreeSet<String>,
    /// The provider's id of the person's session there (`sid`).
    pub provider_session: Option<String>,
    /// When the person last proved who they are, in seconds since the epoch (`auth_time`).
    pub auth_time: Option<i64>,
    /// Every verified claim, for rules that name one.
    pub claims: Map<String, Value>,
}

impl Identity {
    /// The address, if the provider says that it is the person's.
    pub fn verified_email(&self) -> Option<&Email> {
        self.email.as_ref().filter(|_| self.email_verified)
    }
}

/// An e-mail address that can be compared without surprises: ASCII, one `@`, lower case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Email(String);

impl Email {
    /// Reads an address; `None` when it has a form that two systems could read differently.
    ///
    /// `a@evil.example@corp.example`, look-alike letters and a trailing dot have each let people into
    /// domains that are not theirs.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.split_once('@')?;
        let plain = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"@,;<>()[]\\\"".contains(&b))
        };
        let domain_ok = plain(domain) && !domain.starts_with('.') && !domain.ends_with('.');
        (plain(local) && domain_ok && text.len() <= 254).then(|| Self(text.to_ascii_lowercase()))
    }

    /// The part behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// The whole address, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_plain_or_nothing() {
        assert_eq!(Email::parse("Ada@Corp.Example").map(|e| e.to_string()), Some("ada@corp.example".into()));
        assert_eq!(Email::parse("ada@corp.example").as_ref().map(Email::domain), Some("corp.example"));
        for hostile in [
            "",
            "ada",
            "@corp.example",
            "ada@",
            "a@evil.example@corp.example",
            "ada@corp.example.",
            "ada@.corp.example",
            "ada@cörp.example",
            "ada @corp.example",
            "ada@corp.example\n",
            "<ada@corp.example>",
            "ada@corp.example,b@x",
        ] {
            assert_eq!(Email::parse(hostile), None, "{hostile:?}");
        }
    }
}
