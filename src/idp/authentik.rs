//! authentik: an application, and the provider behind it.

use askama::Template;

use super::escape::{code, hcl, yaml};
use super::{Client, ForeignIssuer, Format, Known, text};

pub(super) const STEPS: Format =
    Format { name: "steps", what: "what to fill in, in its admin interface", render: steps };
pub(super) const BLUEPRINT: Format =
    Format { name: "blueprint", what: "a blueprint for its worker", render: blueprint };
pub(super) const TERRAFORM: Format =
    Format { name: "terraform", what: "resources of Terraform's goauthentik/authentik", render: terraform };

/// authentik compares issuers literally, slash and all, and finds the document below it in the mode `per_provider` alone.
const ISSUER: &str = "https://HOST/application/o/SLUG/, with the last slash";

/// The values, each as its language has it.
struct Values {
    client_id: String,
    redirect_uri: String,
    site: String,
    slug: String,
    is_public: bool,
}

#[derive(Template)]
#[template(path = "authentik.md.txt", escape = "none", whitespace = "preserve")]
struct Steps<'a> {
    values: Values,
    issuer: String,
    secret_file: String,
    groups: &'a [String],
}

#[derive(Template)]
#[template(path = "authentik.yaml.txt", escape = "none", whitespace = "preserve")]
struct Blueprint {
    values: Values,
}

#[derive(Template)]
#[template(path = "authentik.tf.txt", escape = "none", whitespace = "preserve")]
struct Terraform {
    values: Values,
}

fn steps(known: &Known, client: &Client) -> Result<String, ForeignIssuer> {
    let groups: Vec<String> = client.groups.iter().map(|group| code(group)).collect();
    let steps = Steps {
        values: Values::new(known, client, code)?,
        issuer: code(&client.issuer),
        secret_file: client.secret_file.as_deref().map(code).unwrap_or_default(),
        groups: &groups,
    };
    Ok(text(&steps))
}

fn blueprint(known: &Known, client: &Client) -> Result<String, ForeignIssuer> {
    Ok(text(&Blueprint { values: Values::new(known, client, yaml)? }))
}

fn terraform(known: &Known, client: &Client) -> Result<String, ForeignIssuer> {
    Ok(text(&Terraform { values: Values::new(known, client, hcl)? }))
}

impl Values {
    fn new(known: &Known, client: &Client, write: fn(&str) -> String) -> Result<Self, ForeignIssuer> {
        let slug = slug(&client.issuer).ok_or_else(|| known.foreign(client, ISSUER))?;
        Ok(Self {
            client_id: write(&client.client_id),
            redirect_uri: write(&client.redirect_uri()),
            site: write(&client.site),
            slug: write(slug),
            is_public: client.is_public(),
        })
    }
}

/// The application's slug, which the issuer ends in.
fn slug(issuer: &str) -> Option<&str> {
    let (_, rest) = issuer.split_once("/application/o/")?;
    let slug = rest.strip_suffix('/')?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (!slug.is_empty() && slug.bytes().all(is_allowed)).then_some(slug)
}
