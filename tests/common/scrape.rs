//! What Prometheus is told.

use super::App;
use super::house::{ask, get};
use super::wire::{Answer, Wire};

/// `/metrics`, in the format that `accept` asks for.
pub(crate) async fn metrics(app: &App, accept: &str) -> Answer {
    let request = get("/metrics", "lamplighter", &format!("Accept: {accept}\r\n"));
    ask(&mut Wire::to(app.admin).await, &request).await
}

/// Fails the test unless each of `lines` is told, less its prefix.
pub(crate) async fn assert_says(app: &App, lines: &[&str]) {
    let said = metrics(app, "*/*").await.text();
    for line in lines {
        assert!(said.lines().any(|said| said == format!("lamplighter_{line}")), "{line} is not in:\n{said}");
    }
}

/// The value of the series `name`, less its prefix, in what was told.
pub(crate) fn number(said: &str, name: &str) -> i64 {
    let value =
        |line: &str| line.strip_prefix("lamplighter_")?.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    said.lines().find_map(value).unwrap_or_else(|| panic!("{name} is not in:\n{said}"))
}
