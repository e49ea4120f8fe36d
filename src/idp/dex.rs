//! Dex: a client in its configuration file.

use askama::Template;

use super::escape::yaml;
use super::{Client, ForeignIssuer, Format, Known, text};

pub(super) const STATIC_CLIENT: Format =
    Format { name: "static-client", what: "the client in Dex's own configuration", render };

#[derive(Template)]
#[template(path = "dex.yaml.txt", escape = "none", whitespace = "preserve")]
struct StaticClient {
    issuer: String,
    client_id: String,
    redirect_uri: String,
    is_public: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "it has the type of every format")]
fn render(_: &Known, client: &Client) -> Result<String, ForeignIssuer> {
    Ok(text(&StaticClient {
        issuer: yaml(&client.issuer),
        client_id: yaml(&client.client_id),
        redirect_uri: yaml(&client.redirect_uri()),
        is_public: client.is_public(),
    }))
}
