use std::{fs, path::Path};

use super::{assets::ASSET_PATH, *};

const HOSTILE: &str = r#""><script>alert(1)</script><img src=x onerror=alert(1)>'&amp; style="x""#;

#[test]
fn nothing_that_a_stranger_chose_becomes_markup() {
    for (name, html) in pages(HOSTILE) {
        assert!(!html.contains(HOSTILE), "{name}: not escaped");
        assert!(!html.contains("<script"), "{name}: a script");
        assert!(!html.contains("<img"), "{name}: an image");
        assert_eq!(html.matches("<h1").count(), 1, "{name}: headings");
        for (tag, attribute) in attributes(&html) {
            assert!(!attribute.starts_with("on"), "{name}: {attribute} in <{tag}");
        }
    }
}

#[test]
fn pages_keep_to_their_content_security_policy() {
    for (name, html) in samples() {
        for (tag, attribute) in attributes(&html) {
            let at = format!("{name}: {attribute} in <{tag}>");
            assert_ne!(attribute, "style", "{at}");
            assert_ne!(attribute, "src", "{at}");
            assert!(!attribute.starts_with("on"), "{at}");
            assert!(!["script", "style", "img", "iframe", "object", "base"].contains(&tag), "{at}");
        }
        for link in html.split("<link ").skip(1) {
            assert!(link.contains(&format!(r#"href="{ASSET_PATH}"#)), "{name}: <link {link}");
        }
        for form in html.split("<form ").skip(1) {
            assert!(form.contains(r#"action="/lamplighter/"#), "{name}: <form {form}");
        }
    }
}

#[test]
fn pages_are_whole_and_can_be_read_aloud() {
    for (name, html) in samples() {
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
        for once in ["<main>", "</main>", "<h1>", "<title>", r#"name="viewport""#, "</html>"] {
            assert_eq!(html.matches(once).count(), 1, "{name}: {once}");
        }
    }
}

#[test]
fn sentences_read_well() {
    for (html, sentence) in [
        (render(&denied("Ada")), "You are signed in as Ada (ada@example.com), but no role matches."),
        (render(&bare_denied()), "You are signed in as ada, but no role matches."),
        (render(&whoami("Ada")), "As Ada (ada@example.com), with the role viewer."),
        (render(&failure()), "This page tries again by itself every 10 seconds."),
    ] {
        assert!(words(&html).contains(sentence), "{sentence}");
    }
}

#[test]
fn many_groups_are_folded_away() {
    let folded = Denied { groups: many_groups(), ..denied("ada") };
    assert!(render(&folded).contains("<details>"));
    assert!(render(&denied("ada")).contains("<details open>"));
}

#[test]
fn a_failure_tries_again_where_it_is_told() {
    let retry = |url: Option<&str>, seconds| {
        let html =
            render(&Failure { retry_url: url.map(str::to_owned), retry_seconds: seconds, ..failure() });
        html.lines().find(|line| line.contains("refresh")).map(|line| line.trim().to_owned())
    };

    assert_eq!(retry(None, None), None);
    assert_eq!(retry(Some("/a"), None), None);
    assert_eq!(retry(None, Some(5)).unwrap(), r#"<meta http-equiv="refresh" content="5">"#);
    let escaped = r#"<meta http-equiv="refresh" content="5; url=/a?b&#38;c">"#;
    assert_eq!(retry(Some("/a?b&c"), Some(5)).unwrap(), escaped);
}

#[test]
fn time_spans_read_well() {
    for (seconds, words) in [
        (-5, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 min"),
        (3_600, "1 h"),
        (27_640, "7 h 40 min"),
        (86_400, "1 d"),
        (100_000, "1 d 3 h"),
    ] {
        assert_eq!(humane(SignedDuration::from_secs(seconds)), words, "{seconds}");
    }
}

#[test]
fn times_read_well() {
    for (rfc3339, words) in [
        ("2026-11-24T10:18:29Z", "2026-11-24 10:18 UTC"),
        ("2026-11-24T10:18:29.5Z", "2026-11-24 10:18 UTC"),
        ("2026-11-24T10:18:29+01:00", "2026-11-24T10:18:29+01:00"),
        ("T10:1éZ", "T10:1éZ"),
        ("TZ", "TZ"),
        ("", ""),
    ] {
        assert_eq!(readable(rfc3339), words);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "lets a person look at the pages; no setting of the product")]
fn pages_can_be_written_out_to_be_looked_at() {
    let Some(folder) = std::env::var_os("LAMPLIGHTER_PAGES_DIR") else { return };
    let folder = Path::new(&folder);
    fs::create_dir_all(folder).unwrap();
    for name in ["lamplighter.css", "lamplighter.svg"] {
        fs::write(folder.join(name), asset(name).unwrap().bytes).unwrap();
    }
    for (name, html) in samples() {
        let html = html.replace(&asset_url("lamplighter.css"), "lamplighter.css");
        let html = html.replace(&asset_url("lamplighter.svg"), "lamplighter.svg");
        fs::write(folder.join(format!("{name}.html")), html).unwrap();
    }
}

/// The text between the tags, as it is shown.
fn words(html: &str) -> String {
    let text = html.split('<').filter_map(|tag| Some(tag.split_once('>')?.1)).collect::<String>();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every tag's attributes, as a browser's tokenizer would see them in text that we wrote.
fn attributes(html: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for tag in html.split('<').skip(1).filter(|tag| tag.starts_with(|c: char| c.is_ascii_alphabetic())) {
        let (tag, _text) = tag.split_once('>').unwrap();
        let (tag, rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        found.push((tag, ""));
        let outside_quotes = rest.split('"').step_by(2);
        found.extend(
            outside_quotes.flat_map(str::split_whitespace).map(|name| (tag, name.trim_end_matches('='))),
        );
    }
    found
}

/// What people will see, and what they might.
fn samples() -> Vec<(String, String)> {
    let mut samples = pages("Ada Lovelace");
    let prefixed = |prefix: &str, text: &str| {
        pages(text).into_iter().map(|(name, html)| (format!("{prefix}-{name}"), html)).collect::<Vec<_>>()
    };
    samples.extend(prefixed("hostile", HOSTILE));
    samples.extend(prefixed("long", &"Wolfeschlegelsteinhausen".repeat(13)));
    samples.extend(prefixed("rtl", "عائشة \u{202e}نور"));
    samples.push(("many-denied".into(), render(&Denied { groups: many_groups(), ..denied("Ada Lovelace") })));
    samples.push(("bare-denied".into(), render(&bare_denied())));
    samples.push(("bare-failure".into(), render(&bare_failure())));
    samples.push(("ingress-failure".into(), render(&failure_at_the_ingress())));
    samples
}

/// One of each page, with `text` wherever text comes from elsewhere.
fn pages(text: &str) -> Vec<(String, String)> {
    let plain = text == "Ada Lovelace";
    let or = |sample: &str| if plain { sample.to_owned() } else { text.to_owned() };
    let signed_out =
        SignedOut { sign_in_url: or("/lamplighter/login?rd=%2F"), site_host: or("headlamp.example.com") };
    let restart = LoginRestart {
        reason: or("attempt-expired"),
        request_id: or("01JDF7Q3K8W2"),
        restart_url: or("/lamplighter/login?rd=%2F"),
        what: or(
            "It took longer than ten minutes, and a login that is left open for long is not safe to finish.",
        ),
    };
    let failure = if plain { failure() } else { failure_of(text) };
    [
        ("signed-out", render(&signed_out)),
        ("sign-out-confirm", render(&SignOutConfirm {})),
        ("denied", render(&denied(text))),
        ("failure", render(&failure)),
        ("login-restart", render(&restart)),
        ("whoami", render(&whoami(text))),
        ("fallback", render(&fallback(text, plain))),
    ]
    .map(|(name, html)| (name.to_owned(), html))
    .into()
}

fn fallback(text: &str, plain: bool) -> FallbackCode {
    let or = |sample: &str| if plain { sample.to_owned() } else { text.to_owned() };
    FallbackCode {
        command: or("kubectl exec -n headlamp deploy/lamplighter -- lamplighter fallback code"),
        minutes: or("15 min"),
        problem: Some(or("This code is wrong, was used before, or is older than five minutes.")),
        reason: or("wrong-code"),
        request_id: or("01JDF7Q3K8W2"),
        return_to: or("/c/main"),
        role: or("viewer"),
    }
}

fn whoami(name: &str) -> Whoami {
    Whoami {
        credential: "ServiceAccount headlamp/viewer, tokens live 15 min".into(),
        email: Some("ada@example.com".into()),
        expires_at: "2026-11-24T18:02:11Z".into(),
        groups: vec!["k8s-viewers".into(), "platform".into(), name.into()],
        name: name.into(),
        remaining: "in 7 h 40 min".into(),
        role: "viewer".into(),
        signed_in_at: "2026-11-24T10:02:11Z".into(),
        site_url: "https://headlamp.example.com/".into(),
        subject: "5f1c2d9e-8a47-4c39-9a55-0d1f6f0b7c21".into(),
    }
}

fn denied(name: &str) -> Denied {
    let role = |role: &str, needs: &str| AcceptedRole { needs: needs.into(), role: role.into() };
    Denied {
        accepted: vec![
            role("admin", "group k8s-admins"),
            role("viewer", "group k8s-viewers or k8s-guests"),
            role("auditor", &format!("subject {name}")),
        ],
        email: Some(format!("{name}@example.com").replace(' ', ".").to_lowercase()),
        groups: vec!["marketing".into(), "all-staff".into(), name.replace("Ada Lovelace", "berlin")],
        name: name.into(),
        reason: "no-role".into(),
        request_id: "01JDF7Q3K8W2".into(),
        switch_url: "/lamplighter/login?switch=1&rd=%2F".into(),
    }
}

fn bare_denied() -> Denied {
    Denied { accepted: Vec::new(), email: None, groups: Vec::new(), ..denied("ada") }
}

fn many_groups() -> Vec<String> {
    (1..=40).map(|n| format!("cn=team-{n},ou=groups,dc=example")).collect()
}

fn failure() -> Failure {
    Failure {
        command: Some("kubectl -n headlamp port-forward deploy/headlamp 4467:4467".into()),
        reason: "provider-unreachable".into(),
        request_id: "01JDF7Q3K8W2".into(),
        retry_seconds: Some(10),
        retry_url: Some("/lamplighter/login?rd=%2F".into()),
        title: "The identity provider does not answer".into(),
        todo: vec![
            "Wait a moment: sessions that are open go on, and new logins work again once it answers.".into(),
            "If you have kubectl, come in past the ingress with this command.".into(),
        ],
        what: "auth.example.com could not be reached, so nobody can sign in just now.".into(),
    }
}

fn failure_of(text: &str) -> Failure {
    Failure {
        command: Some(text.into()),
        reason: text.into(),
        request_id: text.into(),
        retry_url: Some(text.into()),
        title: text.into(),
        todo: vec![text.into()],
        what: text.into(),
        ..failure()
    }
}

fn bare_failure() -> Failure {
    Failure { command: None, retry_seconds: None, retry_url: None, todo: Vec::new(), ..failure() }
}

fn failure_at_the_ingress() -> Failure {
    Failure {
        command: None,
        reason: "ingress-drops-cookie".into(),
        retry_seconds: None,
        title: "The ingress does not pass your session on".into(),
        todo: vec![
            "Ask your administrator to look at the ingress in front of headlamp.example.com: it must pass the Cookie header to lamplighter's check.".into(),
            "Send them the request id below: the log says what arrived.".into(),
        ],
        what: "You are signed in, but the check that the ingress makes for each request arrives without your session, so it would send you to sign in again and again.".into(),
        ..failure()
    }
}
