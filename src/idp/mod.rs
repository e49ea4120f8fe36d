//! What an identity provider has to be told of lamplighter, and what each is known to do. Settings in, text out.
//!
//! Everything that differs between providers is data: a [`Known`] each. The configuration's presets, the command
//! `lamplighter idp` and the pages in `docs/providers` read the same.

mod authentik;
mod dex;
mod escape;
mod keycloak;
mod known;
mod own;

#[cfg(test)]
mod tests;

pub use self::known::{
    ALL, AUTHELIA, AUTHENTIK, COGNITO, DEX, ENTRA, GENERIC, GOOGLE, KANIDM, KEYCLOAK, OKTA, OPENUNISON,
    POCKET_ID, ZITADEL,
};

/// lamplighter as a client of the provider: what the configuration says of it.
#[derive(Clone, Debug)]
pub struct Client {
    /// The origin where people open the UI.
    pub site: String,
    /// The issuer, as the provider writes it itself.
    pub issuer: String,
    /// The client id.
    pub client_id: String,
    /// The file with the client secret; `None` for a public client. Never the secret.
    pub secret_file: Option<String>,
    /// The groups that roles name, each once.
    pub groups: Vec<String>,
    /// How long people stay signed in here, in seconds.
    pub session_seconds: u64,
}

/// A provider, or several that do the same.
#[derive(Debug)]
pub struct Known {
    /// As in `oidc.preset` and on the command line.
    pub name: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// What an issuer of it looks like.
    pub issuer: &'static str,
    /// The scopes to ask for: what it does not know, it may refuse.
    pub scopes: &'static [&'static str],
    /// The claim that lists groups.
    pub groups_claim: &'static str,
    /// What that claim holds, and when.
    pub groups: &'static str,
    /// The claim that names a person.
    pub name_claim: &'static str,
    /// What it lacks or does in a way of its own, a sentence each.
    pub lacks: &'static [&'static str],
    /// Whether lamplighter was tried with it.
    pub tried: Tried,
    /// What `lamplighter idp` prints for it, the first when nothing else is asked for.
    pub formats: &'static [Format],
}

/// Whether lamplighter was tried with a provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tried {
    /// A test signs people in at this program, set up with what is printed here.
    Run(&'static str),
    /// People signed in at this program, set up as its page says. No test does it again.
    ByHand(&'static str),
    /// What is said of it comes from its documentation.
    No,
}

/// Something that can be printed for a provider.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// As on the command line.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    render: fn(&Known, &Client) -> Result<String, ForeignIssuer>,
}

/// The issuer in the configuration is none of this provider's.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("oidc.issuer is {issuer}, and {title} has {form}; correct it, or ask for another provider")]
pub struct ForeignIssuer {
    issuer: String,
    title: &'static str,
    form: &'static str,
}

impl Client {
    /// Where the provider sends people back to, to the letter.
    pub fn redirect_uri(&self) -> String {
        format!("{}/lamplighter/callback", self.site)
    }

    fn is_public(&self) -> bool {
        self.secret_file.is_none()
    }
}

impl Known {
    /// The provider of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|known| known.name == name)
    }

    /// The format of that name.
    pub fn format(&self, name: &str) -> Option<&Format> {
        self.formats.iter().find(|format| format.name == name)
    }

    /// A client of it that nobody has: what is shown where there is no configuration yet.
    pub fn example(&self) -> Client {
        Client {
            site: "https://headlamp.example.com".to_owned(),
            issuer: self.issuer.to_owned(),
            client_id: "headlamp".to_owned(),
            secret_file: Some("/etc/lamplighter/client-secret".to_owned()),
            groups: ["k8s-admins", "k8s-viewers"].map(str::to_owned).to_vec(),
            session_seconds: 8 * 3600,
        }
    }

    fn foreign(&self, client: &Client, form: &'static str) -> ForeignIssuer {
        ForeignIssuer { issuer: client.issuer.clone(), title: self.title, form }
    }
}

impl Format {
    /// The text for `client` at `known`.
    ///
    /// # Errors
    ///
    /// When the issuer is none of this provider's.
    pub fn render(&self, known: &Known, client: &Client) -> Result<String, ForeignIssuer> {
        (self.render)(known, client)
    }
}

/// The text of `template`, whose last line end askama leaves out.
fn text(template: &impl askama::Template) -> String {
    template.render().expect("a String takes all") + "\n"
}
