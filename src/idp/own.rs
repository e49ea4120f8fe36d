//! lamplighter's own `oidc:` settings for a provider.

use std::fmt::Write as _;

use super::escape::{yaml, yaml_list};
use super::{Client, ForeignIssuer, Format, Known};

pub(super) const CONFIG: Format =
    Format { name: "config", what: "lamplighter's own settings for it", render };

#[expect(clippy::unnecessary_wraps, reason = "it has the type of every format")]
fn render(known: &Known, client: &Client) -> Result<String, ForeignIssuer> {
    let mut text = format!(
        "oidc:\n  issuer: {}\n  preset: {}\n  clientId: {}\n",
        yaml(&client.issuer),
        known.name,
        yaml(&client.client_id)
    );
    if let Some(file) = &client.secret_file {
        writeln!(text, "  clientSecretFile: {}", yaml(file)).expect("a String takes all");
    }
    let said = format!(
        "  # The preset says as much as this:\n  # scopes: {}\n  # groupsClaim: {}\n  # nameClaim: {}\n",
        yaml_list(known.scopes),
        yaml(known.groups_claim),
        yaml(known.name_claim)
    );
    Ok(text + &said)
}
