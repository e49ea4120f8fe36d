//! From accepted claims to a person.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{AcceptedIdToken, ClaimsError};
use crate::auth::{Email, Identity};

/// Names that Kubernetes keeps for its own components.
const RESERVED: &str = "system:";

/// Which claims say what.
#[derive(Clone, Debug)]
pub struct ClaimNames {
    /// The person's groups: a claim's name, or a JSON pointer (RFC 6901) when it begins with a slash.
    pub groups: String,
    /// What to call the person, likewise.
    pub name: String,
}

impl AcceptedIdToken {
    /// The person that these claims describe.
    pub fn identity(&self, names: &ClaimNames) -> Result<Identity, ClaimsError> {
        let claims = self.claims();
        let text = |name: &str| find(claims, name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = text(&names.name).or_else(|| text("name")).or_else(|| text("email"));
        let identity = Identity {
            subject: self.subject().to_owned(),
            name: name.unwrap_or(self.subject()).to_owned(),
            email: text("email").and_then(Email::parse),
            email_verified: claims.get("email_verified") == Some(&Value::Bool(true)),
            groups: groups(find(claims, &names.groups)),
            provider_session: text("sid").map(str::to_owned),
            auth_time: claims.get("auth_time").and_then(Value::as_i64),
            claims: claims.clone(),
        };
        if is_reserved(&identity) { Err(ClaimsError::ReservedName) } else { Ok(identity) }
    }

    /// Whether the ID token alone says all that a person is described by.
    pub fn is_complete(&self, names: &ClaimNames) -> bool {
        [names.groups.as_str(), names.name.as_str(), "email"]
            .iter()
            .all(|name| find(self.claims(), name).is_some())
    }

    /// The provider left the groups out because there are too many (Microsoft Entra's overage).
    pub fn has_group_overage(&self, names: &ClaimNames) -> bool {
        let overage = self.claims().get("_claim_names").and_then(Value::as_object);
        overage.is_some_and(|claims| claims.contains_key(&names.groups))
    }
}

/// The claim `name`: its own name first, else a JSON pointer when it begins with a slash.
pub fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let mut steps = name.strip_prefix('/')?.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| match value {
        Value::Object(map) => map.get(&step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A list of names, or one name. What is no name is no group.
fn groups(claim: Option<&Value>) -> BTreeSet<String> {
    let name = |value: &Value| value.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    match claim {
        Some(Value::Array(items)) => items.iter().filter_map(name).collect(),
        Some(one) => name(one).into_iter().collect(),
        None => BTreeSet::new(),
    }
}

fn is_reserved(identity: &Identity) -> bool {
    let names = [identity.subject.as_str(), identity.name.as_str()];
    names.into_iter().chain(identity.groups.iter().map(String::as_str)).any(|name| {
        name.trim_start().get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names() -> ClaimNames {
        ClaimNames { groups: "groups".into(), name: "preferred_username".into() }
    }

    fn identity(claims: Value) -> Result<Identity, ClaimsError> {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        AcceptedIdToken { subject: "s-1".into(), claims }.identity(&names())
    }

    #[test]
    fn groups_come_as_a_list_or_as_one_name() {
        let of = |groups: Value| {
            identity(json!({"groups": groups})).unwrap().groups.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(json!(["b", "a"])), "a b");
        assert_eq!(of(json!("a")), "a");
        assert_eq!(of(json!([{"name": "a"}, 7, null, ""])), "");
        assert_eq!(of(json!({"a": true})), "");
        assert_eq!(of(json!(null)), "");
        assert_eq!(identity(json!({"_claim_names": {"groups": "x"}})).unwrap().groups.len(), 0);
    }

    #[test]
    fn the_name_falls_back_to_what_there_is() {
        let of = |claims| identity(claims).unwrap().name;
        assert_eq!(of(json!({"preferred_username": "ada", "name": "Ada L"})), "ada");
        assert_eq!(of(json!({"name": "Ada L", "email": "a@b"})), "Ada L");
        assert_eq!(of(json!({"email": "a@b"})), "a@b");
        assert_eq!(of(json!({"preferred_username": ""})), "s-1");
    }

    #[test]
    fn only_true_is_verified() {
        for (value, verified) in [(json!(true), true), (json!("true"), false), (json!(1), false)] {
            let person = identity(json!({"email": "a@b.c", "email_verified": value})).unwrap();
            assert_eq!(person.verified_email().is_some(), verified, "{value}");
        }
    }

    #[test]
    fn names_that_kubernetes_keeps_are_refused() {
        for claims in [
            json!({"groups": ["system:masters"]}),
            json!({"groups": ["staff", "System:Masters"]}),
            json!({"groups": [" system:masters"]}),
            json!({"preferred_username": "system:admin"}),
        ] {
            assert_eq!(identity(claims.clone()), Err(ClaimsError::ReservedName), "{claims}");
        }
    }

    #[test]
    fn a_claim_is_found_by_name_or_by_pointer() {
        let Value::Object(claims) =
            json!({"cognito:groups": 1, "a": {"b": [10, {"c": 2}]}, "/x": 3, "s/t": {"~": 4}})
        else {
            panic!()
        };
        let of = |name| find(&claims, name).cloned();
        assert_eq!(of("cognito:groups"), Some(json!(1)));
        assert_eq!(of("/a/b/1/c"), Some(json!(2)));
        assert_eq!(of("/x"), Some(json!(3)));
        assert_eq!(of("/s~1t/~0"), Some(json!(4)));
        assert_eq!(of("/a/b/9"), None);
        assert_eq!(of("a.b"), None);
        assert_eq!(of("/"), None);
    }
}
