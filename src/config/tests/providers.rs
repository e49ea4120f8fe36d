//! `docs/providers`: what stands there of a provider is what is known here, and every setting on the pages is taken.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::LEAST;
use crate::config::Config;
use crate::config::error::Files;
use crate::idp::{ALL, Known, Tried};

const BEGIN: &str = "<!-- what is known: written by `make docs` -->\n";
const END: &str = "<!-- end of what is known -->\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers")
}

fn page(known: &Known) -> PathBuf {
    folder().join(format!("{}.md", known.name))
}

#[test]
fn the_providers_pages_are_up_to_date() {
    hold(&folder().join("README.md"), &index());
    for known in ALL {
        hold(&page(known), &of(known));
    }
    let pages = std::fs::read_dir(folder()).unwrap().count();
    assert_eq!(pages, ALL.len() + 1, "a page of a provider that nobody knows");
}

/// Holds that `known` is what stands in the page at `path`; writes it there when asked to.
#[expect(clippy::disallowed_methods, reason = "asks whoever runs the tests, not the product's settings")]
fn hold(path: &Path, known: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.unwrap_or_else(|| panic!("{} lacks its marks", path.display()));
    let wanted = format!("{before}{BEGIN}{known}{END}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    } else {
        assert!(text == wanted, "run `make docs` and commit {}", path.display());
    }
}

fn index() -> String {
    let mut table =
        String::from("\n| provider | groups | what they are | name | was it run? |\n|---|---|---|---|---|\n");
    for known in ALL {
        let tried = match known.tried {
            Tried::Run(_) => "**yes**",
            Tried::ByHand(what) => &format!("by hand: {what}"),
            Tried::No => "no",
        };
        let (title, name, groups) = (known.title, known.name, known.groups);
        let (groups_claim, name_claim) = (known.groups_claim, known.name_claim);
        let row =
            format!("| [{title}]({name}.md) | `{groups_claim}` | {groups} | `{name_claim}` | {tried} |");
        writeln!(table, "{row}").unwrap();
    }
    table + "\n"
}

fn of(known: &Known) -> String {
    let format = known.format("config").unwrap();
    let settings = format.render(known, &known.example()).unwrap();
    let tried = match known.tried {
        Tried::Run(what) => {
            format!("**Run**: a test signs people in at {what}, set up with what is printed for it.")
        }
        Tried::ByHand(what) => {
            format!(
                "**Run by hand**: people signed in at {what}, set up as this page says. No test does it again."
            )
        }
        Tried::No => "**Not run**: what stands here comes from its documentation.".to_owned(),
    };
    let formats: Vec<_> = known.formats.iter().map(|format| format!("`{}`", format.name)).collect();
    let mut text = format!(
        "\n{tried}\n\n```yaml\n{settings}```\n\n`lamplighter idp {} --config config.yaml --format …` prints: {}.\n\n\
         - Groups are in `{}`: {}.\n- People are called by `{}`.\n",
        known.name,
        formats.join(", "),
        known.groups_claim,
        known.groups,
        known.name_claim
    );
    text.push_str("\n## What it lacks, or does in its own way\n\n");
    for sentence in known.lacks {
        writeln!(text, "- {sentence}").unwrap();
    }
    text + "\n"
}

#[test]
fn every_setting_on_the_providers_pages_is_taken() {
    let mut count = 0;
    for known in ALL {
        let text = std::fs::read_to_string(page(known)).unwrap();
        for block in text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            let whole = complete(block);
            if let Err(errors) = Config::parse_with("page", &whole, [], Files::Elsewhere) {
                panic!("{}: {errors}\n{whole}", known.name);
            }
            count += 1;
        }
    }
    assert!(count >= 2 * ALL.len(), "each page has its settings and its roles: {count}");
}

/// The sections that `block` has, with what it leaves out.
fn complete(block: &str) -> String {
    let has = |section: &str| block.lines().any(|line| line.starts_with(&format!("{section}:")));
    let (head, roles) = LEAST.split_once("roles:").unwrap();
    let (site, oidc) = head.split_once("oidc:").unwrap();
    let parts =
        [("site", site.to_owned()), ("oidc", format!("oidc:{oidc}")), ("roles", format!("roles:{roles}"))];
    let missing = parts.into_iter().filter(|(section, _)| !has(section)).map(|(_, text)| text);
    missing.collect::<String>() + block
}
