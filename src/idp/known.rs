//! What each provider is known to do.

use super::own::CONFIG;
use super::{Known, Tried, authentik, dex, keycloak};

const STANDARD: &[&str] = &["openid", "profile", "email"];
const WITH_GROUPS: &[&str] = &["openid", "profile", "email", "groups"];
const USERNAME: &str = "preferred_username";

/// Every provider that has a name of its own, in the order in which they are shown.
pub static ALL: [&Known; 12] = [
    &AUTHENTIK,
    &KEYCLOAK,
    &DEX,
    &ENTRA,
    &OKTA,
    &GOOGLE,
    &COGNITO,
    &OPENUNISON,
    &ZITADEL,
    &KANIDM,
    &POCKET_ID,
    &AUTHELIA,
];

/// Any OpenID Provider.
pub static GENERIC: Known = Known {
    name: "generic",
    title: "any OpenID Provider",
    issuer: "https://auth.example.com",
    scopes: WITH_GROUPS,
    groups_claim: "groups",
    groups: "group names, where the provider has the scope `groups`",
    name_claim: USERNAME,
    lacks: &[],
    tried: Tried::Run("node-oidc-provider 9"),
    formats: &[CONFIG],
};

/// authentik.
pub static AUTHENTIK: Known = Known {
    name: "authentik",
    title: "authentik",
    issuer: "https://auth.example.com/application/o/headlamp/",
    scopes: STANDARD,
    groups_claim: "groups",
    groups: "group names, with the scope `profile`; there is no scope `groups`",
    name_claim: USERNAME,
    lacks: &[
        "Without a signing key it signs ID tokens with the client secret (HS256), which lamplighter refuses: set one.",
        "With an encryption key it encrypts ID tokens, which nobody here can read: set none.",
        "Since 2025.10 it says `email_verified: false` of everybody, so that no role matches by `emails`: use groups.",
        "The issuer mode `global` is not supported: its issuer is not where its discovery document is.",
        "It makes its issuer from the address at which it is asked: reach it by the name that people use.",
        "Since 2026.5 a provider that was not made in its admin interface has no grant types, and signs nobody in, unless they \
         are named as they are here.",
        "A scope without a mapping at its provider is left out in silence: without that of `profile`, nobody has groups.",
    ],
    tried: Tried::Run("authentik 2025.8.1"),
    formats: &[CONFIG, authentik::STEPS, authentik::BLUEPRINT, authentik::TERRAFORM],
};

/// Keycloak.
pub static KEYCLOAK: Known = Known {
    name: "keycloak",
    title: "Keycloak",
    issuer: "https://auth.example.com/realms/example",
    scopes: STANDARD,
    groups_claim: "groups",
    groups: "group names, once the client has a Group Membership mapper; paths such as `/k8s-admins` if it has *Full group path* on",
    name_claim: USERNAME,
    lacks: &[
        "Nothing sends groups until the client has a Group Membership mapper.",
        "A scope that it does not know ends in `invalid_scope`: ask for `groups` only where you made that client scope.",
        "With the full path off, groups of one name below different parents look the same.",
        "Roles are in the access token alone unless their mapper adds them to the ID token: then \
         `groupsClaim: /realm_access/roles`.",
        "Its issuer follows the address at which it is asked unless `hostname` is set.",
    ],
    tried: Tried::Run("Keycloak 26.4.2"),
    formats: &[CONFIG, keycloak::STEPS, keycloak::REALM],
};

/// Dex.
pub static DEX: Known = Known {
    name: "dex",
    title: "Dex",
    issuer: "https://dex.example.com",
    scopes: WITH_GROUPS,
    groups_claim: "groups",
    groups: "what the connector calls groups, such as `org:team` of GitHub; some connectors have none",
    name_claim: USERNAME,
    lacks: &[
        "`sub` is made of the user's and the connector's ids: it says nothing to people, and another connector makes another.",
        "`preferred_username` is there only where the connector has it: else people are called by `name`.",
        "It has no sign-out in 2.45: who signs in again may not be asked for a password.",
    ],
    tried: Tried::Run("Dex 2.45.1"),
    formats: &[CONFIG, dex::STATIC_CLIENT],
};

/// Microsoft Entra ID.
pub static ENTRA: Known = Known {
    name: "entra",
    title: "Microsoft Entra ID",
    issuer: "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0",
    scopes: STANDARD,
    groups_claim: "roles",
    groups: "the app roles that people or their groups were assigned, by value",
    name_claim: USERNAME,
    lacks: &[
        "Groups themselves would be `groupsClaim: groups`, once the app registration emits them: object ids, not names.",
        "Whoever is in more than 200 groups has none in the token, but a link that lamplighter does not follow: use app roles.",
        "It sends no `email_verified`, so that no role matches by `emails`.",
        "A scope of no resource, such as `groups`, is an error.",
        "`common` and `organizations` are no issuers: name the tenant.",
        "`sub` differs from application to application; `oid` is a person's id in the tenant (`match: { claims: { oid: [...] } }`).",
    ],
    tried: Tried::No,
    formats: &[CONFIG],
};

/// Okta.
pub static OKTA: Known = Known {
    name: "okta",
    title: "Okta",
    issuer: "https://example.okta.com",
    scopes: WITH_GROUPS,
    groups_claim: "groups",
    groups: "the names of those groups that the application's groups claim filter lets through",
    name_claim: USERNAME,
    lacks: &[
        "There are no groups without a groups claim filter in the application's sign-on settings.",
        "A custom authorization server (`https://example.okta.com/oauth2/default`) has no scope `groups` until one is made \
         there: set `scopes` without it, and add a claim `groups` to its ID tokens.",
        "The ID token may be thin: lamplighter then asks userinfo.",
    ],
    tried: Tried::No,
    formats: &[CONFIG],
};

/// Google.
pub static GOOGLE: Known = Known {
    name: "google",
    title: "Google",
    issuer: "https://accounts.google.com",
    scopes: STANDARD,
    groups_claim: "groups",
    groups: "nothing: Google sends no groups",
    name_claim: "email",
    lacks: &[
        "Roles match by `emails`, or by the Workspace domain: `claims: { hd: [example.com] }`. For groups, put Dex or \
         Keycloak in between.",
        "There is no sign-out at Google from here.",
    ],
    tried: Tried::No,
    formats: &[CONFIG],
};

/// Amazon Cognito.
pub static COGNITO: Known = Known {
    name: "cognito",
    title: "Amazon Cognito",
    issuer: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE",
    scopes: STANDARD,
    groups_claim: "cognito:groups",
    groups: "the names of the user pool's groups",
    name_claim: "cognito:username",
    lacks: &[
        "The app client must allow the scopes that are asked for, and the code grant.",
        "The user pool needs a domain: the pages are there, and not at the issuer.",
        "Userinfo says `email_verified` as text; in the ID token it is a boolean, which counts.",
        "Of somebody from a federated provider the address is unverified unless it is mapped otherwise.",
    ],
    tried: Tried::No,
    formats: &[CONFIG],
};

/// OpenUnison.
pub static OPENUNISON: Known = Known {
    name: "openunison",
    title: "OpenUnison",
    issuer: "https://k8sou.example.com/auth/idp/k8sIdp",
    scopes: WITH_GROUPS,
    groups_claim: "groups",
    groups: "the groups that its own provider or directory gave it",
    name_claim: USERNAME,
    lacks: &[
        "What is said here was read and not tried; which claims the ID token has is in the trust's own mapping.",
        "A trust with `signedUserInfo` answers userinfo with a signed token: leave it off.",
    ],
    tried: Tried::No,
    formats: &[CONFIG],
};

/// Zitadel.
pub static ZITADEL: Known = Known {
    name: "zitadel",
    title: "Zitadel",
    issuer: "https://zitadel.example.com",
    scopes: STANDARD,
    groups_claim: "groups",
    groups: "what an action of yours puts there: Zitadel itself has roles, and sends them as an object",
    name_claim: USERNAME,
    lacks: &[
        "Its roles (`urn:zitadel:iam:org:project:roles`) are the keys of an object, which lamplighter does not read as \
         groups: an action that sets a claim `groups` to a list of them is needed.",
        "Claims are in the ID token only with *User Info inside ID Token*; lamplighter else asks userinfo.",
    ],
    tried: Tried::No,
    formats: &[CONFIG],
};

/// Kanidm.
pub static KANIDM: Known = Known {
    name: "kanidm",
    title: "Kanidm",
    issuer: "https://idm.example.com/oauth2/openid/headlamp",
    scopes: WITH_GROUPS,
    groups_claim: "groups",
    groups: "each group twice, by its id and by its SPN: `k8s_admins@idm.example.com`",
    name_claim: USERNAME,
    lacks: &[
        "The issuer ends in the client's own name.",
        "The client's scope map must give all of `openid profile email groups` to the groups that may sign in: with one \
         scope less, and for everybody else, Kanidm says *Access Denied* and nobody comes back here.",
        "With the scope `groups_name` (since 1.8) in place of `groups`, in the scope map and in `scopes`, groups are names: \
         `k8s_admins`.",
        "`preferred_username` is the SPN unless the client prefers the short name.",
        "Of a redirect URI that it does not know it says `InvalidState`, and no more.",
        "`email_verified` is true of everybody who has an address there.",
        "ID tokens are ES256, which lamplighter takes; a client with *legacy crypto* has RS256, which it takes, too.",
        "*Sign in as someone else* asks for the password of whoever is signed in at Kanidm: sign out there first.",
        "There is no sign-out at Kanidm from here.",
    ],
    tried: Tried::ByHand("Kanidm 1.11.1"),
    formats: &[CONFIG],
};

/// Pocket ID.
pub static POCKET_ID: Known = Known {
    name: "pocket-id",
    title: "Pocket ID",
    issuer: "https://id.example.com",
    scopes: WITH_GROUPS,
    groups_claim: "groups",
    groups: "group names, not their friendly names, with the scope `groups`",
    name_claim: USERNAME,
    lacks: &[
        "People sign in by passkey, or by a code that an administrator gives them once.",
        "Anybody who has an account there may use a new client; *Restrict* at the client names groups, beside lamplighter's roles. \
         Whoever is in none of them reads so at Pocket ID and does not come back here.",
        "A client whose callback URL is left empty gets the one that the first person comes with: set it.",
        "With PKCE on it still takes the method `plain`; lamplighter always uses S256.",
        "`email_verified` is set for each person at Pocket ID: who lacks it has no address here, and no role by `emails`.",
        "*Sign in as someone else* asks for a passkey, but whoever is signed in at Pocket ID stays so: sign out there first.",
    ],
    tried: Tried::ByHand("Pocket ID 2.9.0"),
    formats: &[CONFIG],
};

/// Authelia.
pub static AUTHELIA: Known = Known {
    name: "authelia",
    title: "Authelia",
    issuer: "https://auth.example.com",
    scopes: WITH_GROUPS,
    groups_claim: "groups",
    groups: "group names, from userinfo, with the scope `groups`",
    name_claim: USERNAME,
    lacks: &[
        "Since 4.39 the ID token has neither groups nor names unless the client has a `claims_policy`: leave `userinfo` \
         at `when-needed`.",
        "A scope that the client does not list ends in `invalid_scope`.",
        "It does not start without a key of its own to sign ID tokens (`identity_providers.oidc.jwks`).",
        "It keeps the client secret as a digest.",
        "`email_verified` is true of everybody in its file of users, whatever the address there.",
        "It asks people for their consent at each sign-in unless the client has `consent_mode: implicit`.",
        "There is no sign-out at Authelia from here.",
    ],
    tried: Tried::ByHand("Authelia 4.39.20"),
    formats: &[CONFIG],
};
