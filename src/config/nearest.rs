//! "Did you mean …?"

/// The name among `known` that `written` was most likely meant to be.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(written);
    known
        .into_iter()
        .map(|name| (distance(&wanted, &folded(name)), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Letters only: `client_id` and `clientID` are `clientId`, written by a person with another habit.
fn folded(name: &str) -> Vec<char> {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Levenshtein's distance: how many letters to add, drop or replace.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_if_it_is_near() {
        let known = ["clientId", "clientSecret", "clientSecretFile", "issuer", "ui"];
        let cases = [
            ("clientid", Some("clientId")),
            ("client_id", Some("clientId")),
            ("client-secret", Some("clientSecret")),
            ("isuer", Some("issuer")),
            ("clientSecretFle", Some("clientSecretFile")),
            ("upstream", None),
            ("", None),
            ("\u{1F980}", None),
        ];
        for (written, expected) in cases {
            assert_eq!(nearest(written, known), expected, "{written}");
        }
    }
}
