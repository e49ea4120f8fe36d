//! `lamplighter idp`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;

use super::{EX_CONFIG, fail};
use crate::auth::Site;
use crate::config::{Config, Match, SecretSource, environment};
use crate::idp::{ALL, Client, Known};

/// Wrong usage, as clap has it.
const EX_USAGE: u8 = 2;

/// What clap cannot know: which formats a provider has.
const FORMATS: &str = "config (the default): lamplighter's own settings, for every provider\n\
    authentik: steps, blueprint, terraform\n\
    dex: static-client\n\
    keycloak: steps, realm-json";

#[derive(clap::Args, Debug)]
#[command(after_help = FORMATS)]
pub(super) struct Args {
    /// The identity provider.
    #[arg(value_parser = PossibleValuesParser::new(ALL.map(|known| known.name)))]
    name: String,
    /// What to print.
    #[arg(long, default_value = "config")]
    format: String,
    /// The configuration to fill it from; `LAMPLIGHTER_…` variables go over it. Not given: an example.
    ///
    /// The files that it names need not be on this machine.
    #[arg(long, short, env = "LAMPLIGHTER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let known = Known::find(&args.name).unwrap_or(ALL[0]);
    let Some(format) = known.format(&args.format) else {
        let formats: Vec<_> =
            known.formats.iter().map(|format| format!("{} ({})", format.name, format.what)).collect();
        eprintln!("lamplighter: for {} there is {}", known.title, formats.join(", "));
        return ExitCode::from(EX_USAGE);
    };
    let client = match args.config.as_deref().map(client).transpose() {
        Ok(client) => client.unwrap_or_else(|| {
            eprintln!("an example: `--config FILE` fills it from your configuration");
            known.example()
        }),
        Err(code) => return code,
    };
    match format.render(known, &client) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn client(path: &Path) -> Result<Client, ExitCode> {
    let config = Config::load_elsewhere(path, environment()).map_err(|errors| {
        eprintln!("{errors}");
        ExitCode::from(EX_CONFIG)
    })?;
    Ok(Client {
        groups: groups(&config),
        site: Site::new(&config.site).map_or_else(String::new, |site| site.origin().to_owned()),
        issuer: config.oidc.issuer,
        client_id: config.oidc.client_id,
        secret_file: config.oidc.client_secret.map(|source| match source {
            SecretSource::File(path) => path.display().to_string(),
            // Where it had better be; it is not printed.
            SecretSource::Inline(_) => "/etc/lamplighter/client-secret".to_owned(),
        }),
        session_seconds: config.session.ttl.as_secs(),
    })
}

/// The groups that roles name, each once, in the order of the roles.
fn groups(config: &Config) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for role in &config.roles {
        let Match::Conditions(conditions) = &role.matching else { continue };
        for group in &conditions.groups {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
    }
    groups
}
