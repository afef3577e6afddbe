use antiphon_core::SystemClock;
use proptest::prelude::*;

use super::*;

const CALL: Duration = Duration::from_secs(600);

fn seal() -> Seal {
    Seal::new(SystemClock::shared(), CALL)
}

fn binding(tool: &str, arguments: Value, client: &str, caller: &str) -> Binding {
    let client = Implementation::new(client, "1");
    Binding::of(
        tool,
        arguments.as_object(),
        Some(&client),
        caller.as_bytes(),
    )
}

fn ours() -> Binding {
    binding("ask", json!({"prompt": "Hi", "n": 2}), "desk", "")
}

fn carried() -> Carried {
    Carried {
        answers: BTreeMap::from([("a-0".to_owned(), json!({"content": "4"}))]),
        asked: BTreeMap::from([("b-0".to_owned(), 1)]),
    }
}

#[test]
fn a_state_is_good_for_the_call_and_the_caller_it_was_given_to() {
    let seal = seal();
    let sealed = seal.seal(carried(), &ours()).unwrap();
    let others = [
        binding("review", json!({"prompt": "Hi", "n": 2}), "desk", ""),
        binding("ask", json!({"prompt": "Ho", "n": 2}), "desk", ""),
        binding("ask", json!({"prompt": "Hi"}), "desk", ""),
        binding("ask", json!({"prompt": "Hi", "n": 2}), "editor", ""),
        binding("ask", json!({"prompt": "Hi", "n": 2}), "desk", "Bearer b"),
        Binding::of("ask", None, None, b""),
    ];
    for other in others {
        let opened = seal.open(&sealed, &other);
        assert!(matches!(opened, Err(NotOurs::Codec(_))), "{opened:?}");
    }
    let reordered = binding("ask", json!({"n": 2, "prompt": "Hi"}), "desk", "");
    assert_eq!(seal.open(&sealed, &reordered).unwrap(), carried());
}

#[test]
fn a_state_of_another_process_is_refused() {
    let sealed = seal().seal(carried(), &ours()).unwrap();
    assert!(matches!(
        seal().open(&sealed, &ours()),
        Err(NotOurs::Codec(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_state_lasts_an_hour_and_longer_than_the_longest_call() {
    for (call_timeout, life) in [(600, 3600), (7200, 7800)] {
        let seal = Seal::new(SystemClock::shared(), Duration::from_secs(call_timeout));
        let sealed = seal.seal(carried(), &ours()).unwrap();
        tokio::time::advance(Duration::from_millis(life * 1000 - 1)).await;
        assert!(seal.open(&sealed, &ours()).is_ok());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(matches!(seal.open(&sealed, &ours()), Err(NotOurs::TooOld)));
    }
}

#[test]
fn more_than_a_client_can_carry_is_refused_with_what_to_do() {
    let seal = seal();
    let mut large = carried();
    let text = "a".repeat(LONGEST);
    large.answers.insert("c-0".to_owned(), text.clone().into());
    let error = seal.seal(large, &ours()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
    assert!(error.message().contains("8 MiB"), "{error}");
    assert!(error.message().contains("`model`"), "{error}");
    let opened = seal.open(&format!("{text}a"), &ours());
    assert!(matches!(opened, Err(NotOurs::TooLong)));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn states() -> impl Strategy<Value = Carried> {
    let answers = prop::collection::btree_map(".*", values(), 0..8);
    let asked = prop::collection::btree_map(".*", any::<u32>(), 0..8);
    (answers, asked).prop_map(|(answers, asked)| Carried { answers, asked })
}

proptest! {
    #[test]
    fn whatever_is_carried_comes_back_as_it_was(carried in states()) {
        let seal = seal();
        let sealed = seal.seal(carried.clone(), &ours()).unwrap();
        prop_assert_eq!(seal.open(&sealed, &ours()).unwrap(), carried);
    }

    #[test]
    fn whatever_is_changed_is_refused(carried in states(), at in any::<prop::sample::Index>(), to in any::<char>()) {
        let seal = seal();
        let sealed = seal.seal(carried, &ours()).unwrap();
        let mut characters: Vec<char> = sealed.chars().collect();
        let at = at.index(characters.len());
        prop_assume!(characters[at] != to);
        characters[at] = to;
        let changed: String = characters.into_iter().collect();
        prop_assert!(seal.open(&changed, &ours()).is_err());
        prop_assert!(seal.open(&sealed[..at], &ours()).is_err());
    }

    #[test]
    fn what_was_never_sealed_is_refused(forged in ".{0,200}") {
        prop_assert!(seal().open(&forged, &ours()).is_err());
        let tagged = format!("rs1.{forged}.AAAA");
        prop_assert!(seal().open(&tagged, &ours()).is_err());
    }
}
