//! `antiphon keys new`, and what `config show` and `serve` make of keys.

use serde_json::Value;

use crate::support::Scratch;

#[test]
fn a_new_key_is_shown_once_with_what_the_configuration_keeps_of_it() {
    let scratch = Scratch::new();
    let ran = scratch.antiphon(&["keys", "new", "team a"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let key = ran.out.trim_end();
    assert!(key.starts_with("antiphon_") && key.len() == 52, "{key}");
    assert!(
        ran.err
            .contains("[[keys]]\nname = \"team a\"\nkey_sha256 = \""),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains(key));
    assert_ne!(scratch.antiphon(&["keys", "new", "team a"]).out, ran.out);

    let told = scratch.antiphon(&["keys", "new", "b", "--json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    let hash = told["key_sha256"].as_str().unwrap();
    scratch.write("antiphon.toml", told["config"].as_str().unwrap());
    for args in [&["config", "show"][..], &["config", "show", "--json"]] {
        let shown = scratch.antiphon(args);
        assert_eq!(shown.code, 0, "{shown:?}");
        assert!(shown.out.contains("keys.b.key_sha256"), "{}", shown.out);
        assert!(
            shown.out.contains("(hidden)") && !shown.out.contains(hash),
            "{}",
            shown.out
        );
    }

    let ran = scratch.antiphon(&["keys", "new", "team-a", "--env"]);
    assert!(
        ran.out.starts_with("export TEAM_A_KEY=antiphon_"),
        "{ran:?}"
    );
    assert!(ran.err.contains("key_env = \"TEAM_A_KEY\""), "{ran:?}");
    let ran = scratch.antiphon(&["keys", "new", " "]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
    assert!(
        ran.err.contains("the name of a key has 1 to 64 bytes"),
        "{ran:?}"
    );
}

#[test]
fn a_gateway_with_keys_that_cannot_work_does_not_start() {
    let scratch = Scratch::new();
    let serve = |listen: &str| scratch.antiphon(&["serve", "--listen", listen]);
    let ran = serve("0.0.0.0:0");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("without [[keys]]"), "{ran:?}");
    scratch.write(
        "antiphon.toml",
        "[[keys]]\nname = \"a\"\nkey_env = \"A_KEY\"\n",
    );
    let ran = serve("127.0.0.1:0");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err
            .contains("antiphon.toml:1: the key \"a\": A_KEY is not set"),
        "{ran:?}"
    );
    let ran = scratch.antiphon_with(&[("A_KEY", "short")], &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("fewer than 16 characters") && !ran.err.contains("short"),
        "{ran:?}"
    );
}
