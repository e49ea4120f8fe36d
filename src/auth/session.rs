//! Being signed in, as the browser keeps it for us: sealed, without any token.

use std::hash::Hasher;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::text::Text;
use super::{Identity, Role};

/// How long "signed out" is remembered in the cookie, in seconds.
///
/// Within it, login shows the signed-out page instead of going to the provider, which would sign the
/// person in again at once.
pub const SIGNED_OUT_SECONDS: i64 = 600;

/// Trips from the check to login and back that a signed-in browser may make within [`BOUNCE_WINDOW`].
const MAX_BOUNCES: u8 = 3;

/// The window in which those trips are counted, in seconds.
const BOUNCE_WINDOW: i64 = 60;

/// Longest list of groups in the cookie, in bytes. With the others, the cookie stays below 1.5 KiB.
const MAX_GROUPS: usize = 256;

/// Longest subject in the cookie, in bytes (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;

/// Longest name, and longest session of the provider's, in bytes.
const MAX_NAME: usize = 96;

/// Longest address in the cookie, in bytes; half an address would be another's.
const MAX_EMAIL: usize = 192;

/// Names one session: 128 random bits, drawn anew at each sign-in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct SessionId(pub [u8; 16]);

/// A person who is signed in.
///
/// Text is borrowed from the opened cookie where a check reads it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Session<'a> {
    /// Which session.
    pub id: SessionId,
    /// The provider's stable name for the person.
    #[serde(borrow)]
    pub subject: Text<'a>,
    /// What to call the person.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// The verified address; empty when there is none.
    #[serde(borrow)]
    pub email: Text<'a>,
    /// Those of the person's groups that some role names, comma-separated.
    #[serde(borrow)]
    pub groups: Text<'a>,
    /// The role that the policy gave.
    #[serde(borrow)]
    pub role: Text<'a>,
    /// The rules that led to the role, as [`Role::fingerprint`].
    pub role_fingerprint: u64,
    /// The provider's id of its own session; empty when it names none.
    #[serde(borrow)]
    pub provider_session: Text<'a>,
    /// When the person last proved who they are, in seconds since the epoch; 0 when not known.
    pub auth_time: i64,
    /// When the session began, in seconds since the epoch.
    pub issued_at: i64,
    /// When the session ends, whatever happens, in seconds since the epoch.
    pub expires_at: i64,
    /// Trips from the check to login and back.
    pub bounces: Bounces,
}

/// How often a signed-in browser was sent from the check to login of late.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bounces {
    since: i64,
    count: u8,
}

/// What the session cookie says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SealedState<'a> {
    /// Somebody is signed in.
    #[serde(borrow)]
    SignedIn(Session<'a>),
    /// Somebody signed out, and wants to stay so until this time, in seconds since the epoch.
    SignedOut {
        /// The end of it.
        until: i64,
    },
}

/// What a request presented in place of a session.
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation in each check")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Presented<'a> {
    /// A cookie that cannot be read: altered, doubled, or sealed with a key that is gone.
    Malformed,
    /// No cookie.
    Nothing,
    /// A session that was signed out, here or elsewhere.
    SignedOut,
    /// A session.
    Session(Session<'a>),
}

impl SessionId {
    /// A form for logs: enough to tell sessions apart, too little to be one.
    pub fn short(&self) -> String {
        let bytes = self.0;
        format!(
            "{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}",
            bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]
        )
    }
}

/// Hashes keys that begin with a [`SessionId`]: its bits are as good as any hash of them.
///
/// Nobody chooses them. An id is drawn here, and comes back in a sealed cookie only.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks_exact(8) {
            let mut word = [0; 8];
            word.copy_from_slice(part);
            self.write_u64(u64::from_ne_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.rotate_left(5) ^ word;
    }

    /// The length of an id, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Session<'static> {
    /// Begins a session for `identity`, who has `role`, to last `ttl_seconds` at the longest.
    pub fn begin(
        id: SessionId,
        identity: &Identity,
        role: &Role,
        matched_groups: &[&str],
        (now, ttl_seconds): (Timestamp, i64),
    ) -> Self {
        let email = identity.verified_email().map_or("", |email| email.as_str());
        let email = if email.len() > MAX_EMAIL { "" } else { email };
        Self {
            id,
            subject: clip(&identity.subject, MAX_SUBJECT),
            name: clip(&identity.name, MAX_NAME),
            email: email.to_owned().into(),
            groups: join_groups(matched_groups).into(),
            role: role.name.clone().into(),
            role_fingerprint: role.fingerprint(),
            provider_session: clip(identity.provider_session.as_deref().unwrap_or(""), MAX_NAME),
            auth_time: identity.auth_time.unwrap_or(0),
            issued_at: now.as_second(),
            expires_at: now.as_second().saturating_add(ttl_seconds),
            bounces: Bounces::default(),
        }
    }
}

impl Session<'_> {
    /// Whether the session's time is over.
    ///
    /// A session from the future is over too: the clock was set back, and how long ago it began is unknown.
    pub fn is_over(&self, now: Timestamp) -> bool {
        const SKEW: i64 = 300;
        let now = now.as_second();
        now >= self.expires_at || now < self.issued_at.saturating_sub(SKEW)
    }

    /// Counts one more trip from the check to login; `None` when there were too many of late.
    ///
    /// Each trip is the sign of an ingress that does not pass the session on. Without a count the browser
    /// would be sent round until it gives up, and show its own error page.
    pub fn bounce(mut self, now: Timestamp) -> Option<Self> {
        let now = now.as_second();
        let is_recent = (0..BOUNCE_WINDOW).contains(&now.saturating_sub(self.bounces.since));
        self.bounces = match self.bounces {
            Bounces { count, .. } if is_recent && count >= MAX_BOUNCES => return None,
            Bounces { since, count } if is_recent => Bounces { since, count: count + 1 },
            Bounces { .. } => Bounces { since: now, count: 1 },
        };
        Some(self)
    }

    /// The same session, borrowed from nothing.
    pub fn into_owned(self) -> Session<'static> {
        Session {
            id: self.id,
            subject: self.subject.into_owned(),
            name: self.name.into_owned(),
            email: self.email.into_owned(),
            groups: self.groups.into_owned(),
            role: self.role.into_owned(),
            role_fingerprint: self.role_fingerprint,
            provider_session: self.provider_session.into_owned(),
            auth_time: self.auth_time,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            bounces: self.bounces,
        }
    }
}

impl SealedState<'_> {
    /// "Signed out", from `now` on.
    pub fn signed_out(now: Timestamp) -> Self {
        Self::SignedOut { until: now.as_second().saturating_add(SIGNED_OUT_SECONDS) }
    }

    /// The bytes to seal.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a session is plain data")
    }
}

impl<'a> Presented<'a> {
    /// Reads what was sealed.
    pub fn read(plain: &'a [u8], now: Timestamp) -> Self {
        match postcard::from_bytes(plain) {
            Ok(SealedState::SignedIn(session)) => Self::Session(session),
            Ok(SealedState::SignedOut { until }) if now.as_second() < until => Self::SignedOut,
            Ok(SealedState::SignedOut { .. }) => Self::Nothing,
            Err(_) => Self::Malformed,
        }
    }

    /// The session, if there is one.
    pub fn session(&self) -> Option<&Session<'a>> {
        match self {
            Self::Session(session) => Some(session),
            Self::Malformed | Self::Nothing | Self::SignedOut => None,
        }
    }
}

fn clip(text: &str, most: usize) -> Text<'static> {
    let end = (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text[..end].to_owned().into()
}

/// Joins names by comma. A name that holds a comma would read as two groups, and is left out.
fn join_groups(groups: &[&str]) -> String {
    let mut joined = String::new();
    for group in groups.iter().filter(|group| !group.is_empty() && !group.contains(',')) {
        if joined.len() + group.len() + 1 > MAX_GROUPS {
            break;
        }
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(group);
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher as _, BuildHasherDefault};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn session() -> Session<'static> {
        Session {
            id: SessionId([1; 16]),
            subject: "s-1".into(),
            name: "ada".into(),
            email: "".into(),
            groups: "k8s-admins".into(),
            role: "admin".into(),
            role_fingerprint: 7,
            provider_session: "".into(),
            auth_time: 0,
            issued_at: 1_000,
            expires_at: 2_000,
            bounces: Bounces::default(),
        }
    }

    #[test]
    fn sessions_that_differ_anywhere_hash_apart() {
        let hash = |id: [u8; 16], role: u64| {
            BuildHasherDefault::<IdHasher>::default().hash_one((SessionId(id), role))
        };
        let changed = (0..16).map(|at| {
            let mut id = [7; 16];
            id[at] = 8;
            hash(id, 1)
        });
        let all: HashSet<u64> = changed.chain([hash([7; 16], 1), hash([7; 16], 2)]).collect();
        assert_eq!(all.len(), 18);
    }

    #[test]
    fn a_session_ends_on_the_second() {
        assert!(!session().is_over(at(1_999)));
        assert!(session().is_over(at(2_000)));
    }

    #[test]
    fn a_session_from_the_future_is_over() {
        assert!(!session().is_over(at(701)));
        assert!(session().is_over(at(699)));
    }

    #[test]
    fn what_is_sealed_is_read_again() {
        let plain = SealedState::SignedIn(session()).to_bytes();
        let Presented::Session(read) = Presented::read(&plain, at(1_500)) else { panic!("a session") };
        assert_eq!(read, session());
    }

    #[test]
    fn signed_out_is_remembered_for_ten_minutes() {
        let plain = SealedState::signed_out(at(0)).to_bytes();
        assert_eq!(Presented::read(&plain, at(599)), Presented::SignedOut);
        assert_eq!(Presented::read(&plain, at(600)), Presented::Nothing);
    }

    #[test]
    fn garbage_is_no_session() {
        assert_eq!(Presented::read(&[9, 9, 9], at(0)), Presented::Malformed);
    }

    #[test]
    fn the_fourth_trip_to_login_within_a_minute_is_one_too_many() {
        let third =
            session().bounce(at(1010)).and_then(|s| s.bounce(at(1020))).and_then(|s| s.bounce(at(1030)));
        let third = third.expect("three trips are fine");
        assert_eq!(third.clone().bounce(at(1069)), None);
        assert!(third.bounce(at(1070)).is_some());
    }

    #[test]
    fn a_group_that_would_read_as_two_is_left_out() {
        assert_eq!(join_groups(&["a", "b,admins", "c"]), "a,c");
        assert!(join_groups(&["x".repeat(200).as_str(), "y".repeat(200).as_str()]).len() <= MAX_GROUPS);
    }

    #[test]
    fn text_is_clipped_between_characters() {
        assert_eq!(&*clip("aé", 2), "a");
        assert_eq!(&*clip("aé", 3), "aé");
    }
}
