//! A person and a rule, for tests.

use serde_json::{Value, json};

use super::Match;
use crate::auth::{Email, Identity};

pub(super) fn groups(names: &[&str]) -> Match {
    Match { groups: names.iter().map(|&n| n.to_owned()).collect(), ..Match::default() }
}

pub(super) fn identity() -> Identity {
    let Value::Object(claims) =
        json!({"hd": "corp.example", "staff": true, "realm": {"roles": ["ops", "dev"]}})
    else {
        unreachable!()
    };
    Identity {
        subject: "s-1".into(),
        name: "ada".into(),
        email: Email::parse("ada@corp.example"),
        email_verified: true,
        groups: ["k8s-admins", "staff"].into_iter().map(str::to_owned).collect(),
        provider_session: None,
        auth_time: None,
        claims,
    }
}
