//! What is printed, whole, and what no value can do to it.

use serde_json::{Value, json};

use super::*;

fn print(known: &Known, format: &str, client: &Client) -> String {
    known.format(format).expect("it has the format").render(known, client).unwrap()
}

fn public(known: &Known) -> Client {
    Client { secret_file: None, ..known.example() }
}

/// Somebody who wants to end every string that there is.
fn hostile(known: &Known) -> Client {
    let evil = "x\"\n' ${file(\"/etc/passwd\")} %{ if true } {{ a }} ` ` !Env PATH # : - \\ \u{85}\u{2028}";
    Client {
        site: format!("https://{evil}"),
        client_id: evil.to_owned(),
        secret_file: Some(evil.to_owned()),
        groups: vec![evil.to_owned()],
        ..known.example()
    }
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn every_provider_has_a_name_of_its_own_and_prints_its_settings() {
    for known in ALL {
        assert_eq!(Known::find(known.name).unwrap().name, known.name);
        let own = &yaml(&print(known, "config", &known.example()))["oidc"];
        assert_eq!((&own["issuer"], &own["preset"]), (&known.issuer.into(), &known.name.into()));
        assert!(known.scopes.contains(&"openid"), "{}", known.name);
    }
    let names: std::collections::BTreeSet<_> = ALL.iter().map(|known| known.name).collect();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn whatever_is_printed_ends_with_its_last_line() {
    for known in ALL {
        for format in known.formats {
            let text = format.render(known, &known.example()).unwrap();
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{} {}", known.name, format.name);
        }
    }
}

#[test]
fn lamplighters_own_settings() {
    let text = print(&ENTRA, "config", &public(&ENTRA)) + &print(&COGNITO, "config", &COGNITO.example());
    insta::assert_snapshot!("own", text);
}

#[test]
fn no_value_ends_its_string_in_lamplighters_own_settings() {
    let client = hostile(&OKTA);
    let own = &yaml(&print(&OKTA, "config", &client))["oidc"];
    assert_eq!(own["clientId"], client.client_id);
    assert_eq!(own["clientSecretFile"], client.secret_file.unwrap());
    assert_eq!(own.as_object().unwrap().len(), 4);
}

#[test]
fn authentiks_steps() {
    insta::assert_snapshot!("authentik-steps", print(&AUTHENTIK, "steps", &AUTHENTIK.example()));
}

#[test]
fn authentiks_blueprint() {
    insta::assert_snapshot!("authentik-blueprint", print(&AUTHENTIK, "blueprint", &AUTHENTIK.example()));
}

#[test]
fn authentiks_terraform() {
    insta::assert_snapshot!("authentik-terraform", print(&AUTHENTIK, "terraform", &AUTHENTIK.example()));
}

#[test]
fn a_public_client_of_authentik_has_no_secret() {
    for format in ["steps", "blueprint", "terraform"] {
        let text = print(&AUTHENTIK, format, &public(&AUTHENTIK)).to_lowercase();
        assert!(text.contains("public") && !text.contains("confidential"), "{text}");
        assert!(!text.contains("client_secret") && !text.contains("client secret:"), "{text}");
    }
}

#[test]
fn a_blueprint_is_yaml_whatever_the_values() {
    for client in [AUTHENTIK.example(), public(&AUTHENTIK), hostile(&AUTHENTIK)] {
        let blueprint = yaml(&print(&AUTHENTIK, "blueprint", &client));
        let [provider, application] = blueprint["entries"].as_array().unwrap().as_slice() else {
            panic!("two entries")
        };
        assert_eq!(provider["attrs"]["client_id"], client.client_id);
        assert_eq!(
            provider["attrs"]["redirect_uris"],
            json!([{"matching_mode": "strict", "url": client.redirect_uri()}])
        );
        assert_eq!(provider["attrs"]["issuer_mode"], "per_provider");
        assert_eq!(application["identifiers"]["slug"], "headlamp");
        assert_eq!(application["attrs"]["meta_launch_url"], client.site);
    }
}

#[test]
fn no_value_ends_its_string_in_terraform() {
    let text = print(&AUTHENTIK, "terraform", &hostile(&AUTHENTIK));
    assert!(!text.replace("$${", "").contains("${") && !text.replace("%%{", "").contains("%{"), "{text}");
    // Not a line more, and each value is where the harmless one was.
    let harmless = print(&AUTHENTIK, "terraform", &AUTHENTIK.example());
    assert_eq!(text.lines().count(), harmless.lines().count());
    for (evil, harmless) in text.lines().zip(harmless.lines()).filter(|(evil, harmless)| evil != harmless) {
        assert_eq!(evil.split('"').next(), harmless.split('"').next());
        assert!(evil.ends_with('"'), "{evil}");
    }
}

#[test]
fn an_issuer_that_is_not_authentiks_is_told() {
    for issuer in [
        "https://auth.example.com/",
        "https://auth.example.com/application/o/headlamp",
        "https://auth.example.com/application/o//",
        "https://auth.example.com/application/o/a/b/",
        "https://auth.example.com/application/o/a%20b/",
    ] {
        let client = Client { issuer: issuer.to_owned(), ..AUTHENTIK.example() };
        for format in ["steps", "blueprint", "terraform"] {
            let error = AUTHENTIK.format(format).unwrap().render(&AUTHENTIK, &client).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "oidc.issuer is {issuer}, and authentik has https://HOST/application/o/SLUG/, with the last \
                     slash; correct it, or ask for another provider"
                )
            );
        }
    }
}

#[test]
fn keycloaks_realm_and_steps() {
    insta::assert_snapshot!("keycloak-realm", print(&KEYCLOAK, "realm-json", &KEYCLOAK.example()));
    insta::assert_snapshot!("keycloak-steps", print(&KEYCLOAK, "steps", &KEYCLOAK.example()));
}

#[test]
fn a_realm_holds_whatever_the_values_are_and_no_secret() {
    for client in [KEYCLOAK.example(), public(&KEYCLOAK), hostile(&KEYCLOAK)] {
        let realm: Value = serde_json::from_str(&print(&KEYCLOAK, "realm-json", &client)).unwrap();
        assert_eq!(realm["realm"], "example");
        let groups: Vec<_> = client.groups.iter().map(|name| json!({"name": name})).collect();
        assert_eq!(realm["groups"], Value::from(groups));
        let [inner] = realm["clients"].as_array().unwrap().as_slice() else { panic!("one client") };
        assert_eq!(inner["clientId"], client.client_id);
        assert_eq!(inner["publicClient"], client.secret_file.is_none());
        assert_eq!(inner["redirectUris"], json!([client.redirect_uri()]));
        assert_eq!(inner["attributes"]["pkce.code.challenge.method"], "S256");
        assert!(inner.get("secret").is_none());
    }
}

#[test]
fn an_issuer_that_is_not_keycloaks_is_told() {
    for issuer in [
        "https://a.example",
        "https://a.example/realms/",
        "https://a.example/realms/a/",
        "https://a.example/realms/a b",
    ] {
        let client = Client { issuer: issuer.to_owned(), ..KEYCLOAK.example() };
        for format in ["steps", "realm-json"] {
            let error = KEYCLOAK.format(format).unwrap().render(&KEYCLOAK, &client).unwrap_err();
            assert!(error.to_string().contains("https://HOST/realms/REALM, without a last slash"), "{error}");
        }
    }
}

#[test]
fn dexs_static_client() {
    insta::assert_snapshot!("dex-static-client", print(&DEX, "static-client", &DEX.example()));
}

#[test]
fn dexs_configuration_is_yaml_whatever_the_values() {
    for client in [DEX.example(), public(&DEX), hostile(&DEX)] {
        let config = yaml(&print(&DEX, "static-client", &client));
        assert_eq!(config["issuer"], client.issuer);
        let [inner] = config["staticClients"].as_array().unwrap().as_slice() else { panic!("one client") };
        assert_eq!(
            (&inner["id"], &inner["redirectURIs"]),
            (&client.client_id.clone().into(), &json!([client.redirect_uri()]))
        );
        let is_public = client.secret_file.is_none();
        assert_eq!((inner["public"] == true, inner.get("secretEnv").is_none()), (is_public, is_public));
        assert!(inner.get("secret").is_none());
    }
}
