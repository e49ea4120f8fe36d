//! Who gets what: ordered rules, and the one place that can say yes.

mod matching;
mod outcome;
#[cfg(test)]
mod samples;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use jiff::Timestamp;

pub use matching::Match;
pub use outcome::{Challenge, Decision, Denial};

use super::{Effect, Identity, Presented, Request, Session};

/// The ordered rules: the first that matches gives the role, and no match gives nothing.
#[derive(Clone, Debug)]
pub struct Policy {
    roles: Vec<Arc<Role>>,
}

/// A named rule's outcome: which credential, for whom.
#[derive(Clone, Debug)]
pub struct Role {
    /// The role's name, for logs, pages and metrics.
    pub name: String,
    /// Who has the role.
    pub matches: Match,
    /// What the role puts into a request.
    pub credential: Credential,
    fingerprint: u64,
}

/// What a role puts into a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Credential {
    /// Headers that name the person, and no token.
    None,
    /// A short-lived token of a ServiceAccount.
    ServiceAccount {
        /// Whose token.
        account: ServiceAccountRef,
        /// How long a token lives. The API server's least is 600 s.
        ttl: Duration,
        /// Whom the token is for; empty: the API server itself.
        audiences: Vec<String>,
    },
}

/// A ServiceAccount, by namespace and name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServiceAccountRef {
    /// The namespace.
    pub namespace: String,
    /// The name within it.
    pub name: String,
}

/// Proof that the policy allowed a request.
///
/// Only a [`Policy`] makes one, and minting a token takes one: no path through the program reaches a token
/// without a decision.
///
/// ```compile_fail,E0451
/// # use std::sync::Arc;
/// # fn forge(role: Arc<lamplighter::auth::Role>, session: lamplighter::auth::Session<'static>) {
/// let forged = lamplighter::auth::Grant { role, session };
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    role: Arc<Role>,
    session: Session<'a>,
}

impl Policy {
    /// Orders `rules`: names, whom they match, what they give.
    pub fn new(rules: Vec<(String, Match, Credential)>) -> Self {
        let mut so_far = digest::Context::new(&digest::SHA256);
        let ordered = rules.into_iter().map(|(name, matches, credential)| {
            so_far.update(format!("{name:?} {matches:?}").as_bytes());
            let mut fingerprint = [0; 8];
            fingerprint.copy_from_slice(&so_far.clone().finish().as_ref()[..8]);
            Arc::new(Role { name, matches, credential, fingerprint: u64::from_be_bytes(fingerprint) })
        });
        Self { roles: ordered.collect() }
    }

    /// Decides what becomes of `request`, made with what was `presented`.
    pub fn decide<'a>(
        &self,
        presented: Presented<'a>,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Decision<'a> {
        if let Some(denial) = refuse(request) {
            return Decision::Deny(denial);
        }
        if request.effect == Effect::SignsOut {
            return Decision::SignOut(match presented {
                Presented::Session(session) => Some(session),
                Presented::Malformed | Presented::Nothing | Presented::SignedOut => None,
            });
        }
        let session = match presented {
            Presented::Malformed => return Decision::Challenge(Challenge::BadCookie),
            Presented::Nothing => return Decision::Challenge(Challenge::NoSession),
            Presented::SignedOut => return Decision::Challenge(Challenge::SignedOut),
            Presented::Session(session) => session,
        };
        if session.is_over(now) {
            return Decision::Challenge(Challenge::SessionExpired);
        }
        match self.role_of(&session) {
            Some(role) => Decision::Allow(Grant { role: Arc::clone(role), session }),
            None => Decision::Challenge(Challenge::RoleChanged),
        }
    }

    /// The role of a person who just signed in: the first whose rule matches.
    pub fn assign(&self, identity: &Identity) -> Option<&Arc<Role>> {
        self.roles.iter().find(|role| role.matches.accepts(identity))
    }

    /// Those of the person's groups that some rule names, which is all that a session remembers.
    pub fn known_groups<'i>(&self, identity: &'i Identity) -> Vec<&'i str> {
        let is_named = |group: &&String| self.roles.iter().any(|role| role.matches.groups.contains(*group));
        identity.groups.iter().filter(is_named).map(String::as_str).collect()
    }

    /// The roles, in order.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.iter().map(AsRef::as_ref)
    }

    /// A session keeps its role while the rules up to that role are the ones that gave it.
    fn role_of(&self, session: &Session<'_>) -> Option<&Arc<Role>> {
        self.roles
            .iter()
            .find(|role| role.fingerprint == session.role_fingerprint && *role.name == *session.role)
    }
}

fn refuse(request: &Request<'_>) -> Option<Denial> {
    if request.has_foreign_credentials {
        Some(Denial::Impersonation)
    } else if !request.is_for_site {
        Some(Denial::UnknownHost)
    } else if request.is_cross_site() {
        Some(Denial::CrossSite)
    } else {
        None
    }
}

impl Role {
    /// Changes when this rule, or one before it, does.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl<'a> Grant<'a> {
    /// What was granted.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// To whom.
    pub fn session(&self) -> &Session<'a> {
        &self.session
    }

    /// The same grant, borrowed from nothing.
    pub fn into_owned(self) -> Grant<'static> {
        Grant { role: self.role, session: self.session.into_owned() }
    }
}

impl PartialEq for Grant<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.role.name == other.role.name && self.session == other.session
    }
}

impl Eq for Grant<'_> {}

impl fmt::Display for ServiceAccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Map;

    use super::samples::{groups, identity};
    use super::*;
    use crate::auth::{Kind, Provenance, SessionId};

    fn policy(rules: &[(&str, Match)]) -> Policy {
        Policy::new(rules.iter().map(|(n, m)| ((*n).to_owned(), m.clone(), Credential::None)).collect())
    }

    fn request() -> Request<'static> {
        Request {
            kind: Kind::Navigation,
            provenance: Provenance::Own,
            effect: Effect::Reads,
            is_for_site: true,
            has_foreign_credentials: false,
            target: "/",
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn session(policy: &Policy) -> Session<'static> {
        let identity = identity();
        let role = policy.assign(&identity).unwrap();
        let groups = policy.known_groups(&identity);
        Session::begin(SessionId([1; 16]), &identity, role, &groups, (at(0), 100))
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let policy =
            policy(&[("none", groups(&["x"])), ("a", groups(&["staff"])), ("b", groups(&["k8s-admins"]))]);
        assert_eq!(policy.assign(&identity()).unwrap().name, "a");
    }

    #[test]
    fn no_match_is_no_role() {
        assert!(policy(&[("a", groups(&["x"]))]).assign(&identity()).is_none());
        assert!(policy(&[("a", Match::default())]).assign(&identity()).is_none());
    }

    #[test]
    fn a_session_is_allowed_until_its_last_second() {
        let policy = policy(&[("a", groups(&["staff"]))]);
        let decide = |now| policy.decide(Presented::Session(session(&policy)), &request(), now);
        assert!(matches!(decide(at(99)), Decision::Allow(_)));
        assert_eq!(decide(at(100)), Decision::Challenge(Challenge::SessionExpired));
    }

    #[test]
    fn what_is_no_session_is_challenged() {
        let policy = policy(&[("a", groups(&["staff"]))]);
        for (presented, challenge) in [
            (Presented::Nothing, Challenge::NoSession),
            (Presented::Malformed, Challenge::BadCookie),
            (Presented::SignedOut, Challenge::SignedOut),
        ] {
            assert_eq!(policy.decide(presented, &request(), at(0)), Decision::Challenge(challenge));
        }
    }

    #[test]
    fn a_changed_rule_sends_only_those_below_it_to_sign_in_again() {
        let before = policy(&[("a", groups(&["staff"])), ("b", groups(&["guests"]))]);
        let session = session(&before);
        let below_changed = policy(&[("a", groups(&["staff"])), ("b", groups(&["others"]))]);
        let above_changed = policy(&[("root", groups(&["x"])), ("a", groups(&["staff"]))]);
        let decide = |policy: &Policy| policy.decide(Presented::Session(session.clone()), &request(), at(1));
        assert!(matches!(decide(&below_changed), Decision::Allow(_)));
        assert_eq!(decide(&above_changed), Decision::Challenge(Challenge::RoleChanged));
    }

    #[test]
    fn refusals_come_before_everything_else() {
        let policy = policy(&[("a", groups(&["staff"]))]);
        let table = [
            (Request { has_foreign_credentials: true, ..request() }, Denial::Impersonation),
            (Request { is_for_site: false, ..request() }, Denial::UnknownHost),
            (
                Request { effect: Effect::SignsOut, provenance: Provenance::Foreign, ..request() },
                Denial::CrossSite,
            ),
        ];
        for (request, denial) in table {
            let decision = policy.decide(Presented::Session(session(&policy)), &request, at(1));
            assert_eq!(decision, Decision::Deny(denial));
        }
    }

    #[test]
    fn the_upstreams_log_out_signs_out() {
        let policy = policy(&[("a", groups(&["staff"]))]);
        let request = Request { effect: Effect::SignsOut, ..request() };
        let decision = policy.decide(Presented::Session(session(&policy)), &request, at(1));
        assert!(matches!(decision, Decision::SignOut(Some(_))));
        assert_eq!(policy.decide(Presented::Nothing, &request, at(1)), Decision::SignOut(None));
    }

    #[test]
    fn a_session_remembers_only_groups_that_a_rule_names() {
        let policy = policy(&[("a", groups(&["staff"]))]);
        assert_eq!(&*session(&policy).groups, "staff");
    }

    #[test]
    fn claims_never_decide_by_their_absence() {
        let nobody = Identity { groups: BTreeSet::new(), claims: Map::new(), ..identity() };
        assert!(policy(&[("a", groups(&["staff"]))]).assign(&nobody).is_none());
    }
}
