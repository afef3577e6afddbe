//! Whatever breaks where and whoever answers in its place: what was handed out is one model's answer, or its beginning.

use std::sync::Arc;

use antiphon_core::{
    ChatRequest, ErrorKind, SharedModel,
    chat::Delivery,
    patterns::{Fallback, Rescue, RescueMode},
};
use proptest::prelude::*;

use super::script::{Fate, Part, Read, Script, Scripted};

fn streaming() -> ChatRequest {
    ChatRequest {
        delivery: Delivery::Streamed,
        ..ChatRequest::prompt("x")
    }
}

/// Neighbouring texts joined, as any reader joins them.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match (joined.last_mut(), part) {
            (_, Part::Text(said) | Part::Refusal(said)) if said.is_empty() => {}
            (Some(Part::Text(text)), Part::Text(more)) => text.push_str(&more),
            (Some(Part::Refusal(text)), Part::Refusal(more)) => text.push_str(&more),
            (_, part) => joined.push(part),
        }
    }
    joined
}

/// Few letters, of one to three bytes, so that answers often agree for a while.
fn words() -> impl Strategy<Value = String> {
    "[aé€]{0,6}"
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        3 => words().prop_map(Part::Text),
        1 => words().prop_map(Part::Refusal),
        2 => ("[fg]", words()).prop_map(|(name, arguments)| Part::Call(name, arguments)),
    ]
}

fn answer() -> impl Strategy<Value = Vec<Part>> {
    prop::collection::vec(part(), 1..4).prop_map(joined)
}

/// How another answer comes from the first.
#[derive(Clone, Debug)]
enum Kin {
    Same,
    /// Without its last part.
    Shorter,
    /// Its last part with something more.
    Longer(String),
    /// With another part at the end.
    Another(Part),
    /// With these parts from some place on.
    Differs(prop::sample::Index, Vec<Part>),
    /// Without the last character of its last part, and then otherwise.
    Bent(String),
    Unrelated(Vec<Part>),
}

fn kin() -> impl Strategy<Value = Kin> {
    prop_oneof![
        3 => Just(Kin::Same),
        1 => Just(Kin::Shorter),
        2 => words().prop_map(Kin::Longer),
        1 => part().prop_map(Kin::Another),
        2 => (any::<prop::sample::Index>(), answer()).prop_map(|(at, parts)| Kin::Differs(at, parts)),
        1 => words().prop_map(Kin::Bent),
        1 => answer().prop_map(Kin::Unrelated),
    ]
}

fn said(part: &mut Part) -> &mut String {
    match part {
        Part::Text(said) | Part::Refusal(said) | Part::Call(_, said) => said,
    }
}

impl Kin {
    fn of(&self, first: &[Part]) -> Vec<Part> {
        let mut parts = first.to_vec();
        let mut last = |change: &dyn Fn(&mut String)| parts.last_mut().map(said).map(change);
        match self {
            Self::Same => {}
            Self::Shorter => drop(parts.pop()),
            Self::Longer(more) => drop(last(&|text| text.push_str(more))),
            Self::Bent(more) => drop(last(&|text| {
                text.pop();
                text.push_str(more);
            })),
            Self::Another(part) => parts.push(part.clone()),
            Self::Differs(at, others) => {
                parts.truncate(at.index(first.len() + 1));
                parts.extend(others.iter().cloned());
            }
            Self::Unrelated(others) => parts.clone_from(others),
        }
        joined(parts)
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Whole),
        1 => Just(Fate::Ready),
        3 => (1..12_usize).prop_map(Fate::Breaks),
        1 => (1..12_usize).prop_map(Fate::Stops),
        1 => Just(Fate::Fails(ErrorKind::ServerError)),
        1 => Just(Fate::Fails(ErrorKind::BadRequest)),
    ]
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..4_usize, 1..4)
}

/// A first answer that breaks, and those of whoever is asked after it.
fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let first = (answer(), sizes(), 1..12_usize);
    let others = prop::collection::vec((kin(), sizes(), fate()), 1..5);
    (first, others).prop_map(|((parts, sizes, after), others)| {
        let scripts = others.into_iter().map(|(kin, sizes, fate)| Script {
            parts: kin.of(&parts),
            sizes,
            fate,
        });
        let scripts = scripts.collect::<Vec<_>>();
        let fate = Fate::Breaks(after);
        let first = Script { parts, sizes, fate };
        [vec![first], scripts].concat()
    })
}

fn begins(whole: &[Part], beginning: &[Part]) -> bool {
    let Some((last, before)) = beginning.split_last() else {
        return true;
    };
    let Some(part) = whole.get(before.len()) else {
        return false;
    };
    let begins_part = match (part, last) {
        (Part::Text(whole), Part::Text(text)) | (Part::Refusal(whole), Part::Refusal(text)) => {
            whole.starts_with(text.as_str())
        }
        (Part::Call(name, whole), Part::Call(named, arguments)) => {
            name == named && whole.starts_with(arguments.as_str())
        }
        _ => false,
    };
    begins_part && whole.starts_with(before)
}

/// The promise itself.
fn check(read: &Read, scripts: &[Script]) {
    let (parts, ids) = read.parts();
    if read.is_whole() {
        assert!(read.error.is_none(), "whole, and yet an error");
        let is_answer = |script: &Script| script.is_whole() && script.told() == parts;
        assert!(scripts.iter().any(is_answer), "nobody's answer: {parts:?}");
    } else {
        assert!(read.error.is_some(), "cut off in silence: {parts:?}");
        let is_beginning = |script: &Script| begins(&script.told(), &parts);
        assert!(scripts.iter().any(is_beginning), "glued: {parts:?}");
    }
    for (index, id) in ids.iter().enumerate() {
        let one_model = id.ends_with(&format!("-{index}")) && id.matches('-').count() == 1;
        assert!(one_model, "the id of a call is one model's: {id}");
    }
}

fn chain_of(scripts: &[Script], mode: RescueMode) -> Fallback {
    let links = scripts.iter().enumerate().map(|(number, script)| {
        Scripted::new(number.to_string(), vec![script.clone()]) as SharedModel
    });
    let chain = Fallback::new("chain", links.collect()).unwrap();
    chain.with_rescue_mode(mode)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_chain_hands_out_one_answer_or_its_beginning(scripts in scripts()) {
        // a link that failed before may be asked again, and break again at the same place
        let chain = chain_of(&scripts, RescueMode::Verify);
        check(&Read::of(&chain, streaming()), &scripts);
    }

    #[test]
    fn one_model_hands_out_one_answer_or_its_beginning(scripts in scripts()) {
        let model = Scripted::new("one", scripts.clone());
        let rescue = Rescue::new(model, RescueMode::Verify);
        let read = Read::of(&rescue, streaming());
        check(&read, &scripts);
    }

    #[test]
    fn the_same_answer_told_again_is_always_gone_on_with(
        parts in answer(), first in sizes(), again in sizes(), after in 1..12_usize, as_chain: bool,
    ) {
        let breaks = Script { parts: parts.clone(), sizes: first, fate: Fate::Breaks(after) };
        let whole = Script { parts: parts.clone(), sizes: again, fate: Fate::Whole };
        let rescue: SharedModel = match as_chain {
            true => Arc::new(chain_of(&[breaks, whole], RescueMode::Verify)),
            false => {
                let model = Scripted::new("one", vec![breaks, whole]);
                Arc::new(Rescue::new(model, RescueMode::Verify))
            }
        };
        let read = Read::of(&*rescue, streaming());
        prop_assert!(read.error.is_none(), "{:?}", read.error);
        prop_assert!(read.is_whole());
        prop_assert_eq!(read.parts().0, parts);
    }

    #[test]
    fn a_buffer_hands_out_whole_answers_or_nothing(scripts in scripts()) {
        let scripts: Vec<Script> = scripts.into_iter()
            .filter(|script| script.fate != Fate::Ready).collect();
        let read = Read::of(&chain_of(&scripts, RescueMode::Buffer), streaming());
        if read.error.is_some() {
            prop_assert_eq!(read.deltas.len(), 0);
        } else {
            check(&read, &scripts);
        }
    }

    #[test]
    fn without_rescue_a_break_is_the_end(scripts in scripts()) {
        let first = scripts[0].clone();
        let read = Read::of(&chain_of(&scripts, RescueMode::Off), streaming());
        prop_assert!(!read.is_whole() || read.error.is_none());
        if read.error.is_some() && !read.deltas.is_empty() {
            prop_assert_eq!(read.error.as_ref().map(|e| e.message()), Some("it broke"));
            let (parts, _) = read.parts();
            let is_one = scripts.iter().any(|script| begins(&script.told(), &parts));
            prop_assert!(is_one || begins(&first.told(), &parts));
        }
    }
}
