//! The reference of all settings, as Markdown.

use std::fmt::Write as _;

use super::{
    schema::{Kind, Shape, schema},
    settings::{Setting, settings},
};

/// A configuration that says it all; a test starts from it.
pub(super) const EXAMPLE: &str = include_str!("example.yaml");

const INTRODUCTION: &str = "\
# Configuration

lamplighter reads one YAML file, `lamplighter serve --config FILE`. Everything that is wrong with it is reported at
once, with file, line, key and remedy; unknown keys are refused. `lamplighter` never prints a secret.

A setting that one must think about has no default and is marked **required**. Durations are written `90s`, `15m`,
`1h30m`, `2d`.

An environment variable wins over the file: `LAMPLIGHTER_` and the key, with `__` between sections and `_` between the
words of a name, so `LAMPLIGHTER_OIDC__CLIENT_ID` is `oidc.clientId`. A list is separated by commas. An unknown
`LAMPLIGHTER_` variable is an error, save those that Kubernetes sets for a Service of that name. What has no variable
here is set in the file alone.
";

/// Renders all settings as `docs/configuration.md`, from the schema.
pub fn reference() -> String {
    let schema = schema();
    let mut settings = settings(&schema);
    settings.sort_by_key(|setting| !setting.required);
    let mut page = format!("{INTRODUCTION}\n```yaml\n{EXAMPLE}```\n");
    let is_top = |setting: &&Setting<'_>| setting.steps().len() == 1;
    table(&mut page, settings.iter().filter(is_top).filter(|setting| setting.is_leaf()));
    for section in settings.iter().filter(is_top).filter(|setting| !setting.is_leaf()) {
        let heading = format!("\n## {}\n\n{}\n", section.path(), one_line(section.shape.description()));
        page.push_str(&heading);
        table(&mut page, settings.iter().filter(|setting| setting.is_leaf() && is_within(setting, section)));
    }
    page
}

fn is_within(setting: &Setting<'_>, section: &Setting<'_>) -> bool {
    setting.steps().len() > 1 && setting.steps()[0].trim_end_matches("[]") == section.path()
}

fn table<'a>(page: &mut String, settings: impl Iterator<Item = &'a Setting<'a>>) {
    page.push_str("\n| key | type | default | environment variable | meaning |\n|---|---|---|---|---|\n");
    for setting in settings {
        let cells = [
            code(&setting.path()),
            kind(setting.shape),
            default(setting),
            setting.variable().map_or_else(|| "–".to_owned(), |name| code(&name)),
            meaning(setting.shape),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        writeln!(page, "| {} |", cells.join(" | ")).expect("a String takes all");
    }
}

fn kind(shape: Shape<'_>) -> String {
    if let Some(choices) = shape.choices() {
        return choices.into_iter().map(code).collect::<Vec<_>>().join(" or ");
    }
    match (shape.form(), shape.kind()) {
        (Some(form), _) => form.split(", such as").next().unwrap_or(form).to_owned(),
        (None, Kind::Bool) => "`true`".to_owned(),
        (None, Kind::List) => match shape.items().and_then(Shape::choices) {
            Some(choices) => {
                format!("a list of {}", choices.into_iter().map(code).collect::<Vec<_>>().join(", "))
            }
            None => "a list of text".to_owned(),
        },
        (None, Kind::Map) => "lists of text, by name".to_owned(),
        (None, Kind::Text) => "text".to_owned(),
    }
}

fn default(setting: &Setting<'_>) -> String {
    match setting.shape.default() {
        _ if setting.required => "**required**".to_owned(),
        Some(default) => code(&default),
        None => "–".to_owned(),
    }
}

fn meaning(shape: Shape<'_>) -> String {
    let explained: Vec<_> =
        shape.explained_choices().map(|(name, text)| format!("{}: {text}", code(name))).collect();
    [one_line(shape.description()), explained.join(" ")].join(" ").trim_end().to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
