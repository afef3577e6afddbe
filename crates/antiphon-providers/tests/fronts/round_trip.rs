//! Any answer, written by a front and read by the dialect of the same wire, is the same answer.

use antiphon_core::{
    Answer, ChatDelta, FinishReason, Spent, Usage,
    chat::{Fold, ToolCall, ToolCallDelta, deltas_of},
};
use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};

use super::{WIRES, decoded, folded, front_of, head, reply, told, writer, written};

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~äß\u{2028}\n]{0,12}",
        Just("data: [DONE]\n\n".to_owned())
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    (0..1000_u64, 0..100_u64, 0..100_u64, 0..1000_u64, 0..100_u64).prop_map(
        |(input, read, written, output, reasoning)| Usage {
            input_tokens: input + read + written,
            output_tokens: output,
            cached_input_tokens: read,
            reasoning_tokens: reasoning,
            cache_write_tokens: written,
            cache_write_1h_tokens: 0,
        },
    )
}

fn finish() -> impl Strategy<Value = FinishReason> {
    prop_oneof![
        Just(FinishReason::Stop),
        Just(FinishReason::Length),
        Just(FinishReason::ToolCalls),
        Just(FinishReason::ContentFilter),
        Just(FinishReason::Other("pause".to_owned())),
    ]
}

/// The arguments of a call, whole, and where they are cut.
fn arguments() -> impl Strategy<Value = (String, usize)> {
    let object = prop_oneof![
        Just("{}".to_owned()),
        words().prop_map(|value| serde_json::json!({"a": value, "n": 1.50}).to_string()),
        Just("{ \"spaced\" : [1,  2.0e3] }".to_owned()),
    ];
    (object, 0..40_usize)
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Reasoning(String),
    Refusal(String),
    /// The next piece of the call with this number, modulo the calls that there are.
    Call(usize),
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => words().prop_map(Piece::Text),
        2 => words().prop_map(Piece::Reasoning),
        1 => words().prop_map(Piece::Refusal),
        3 => (0..3_usize).prop_map(Piece::Call),
    ]
}

prop_compose! {
    /// The pieces of an answer: calls interleaved with each other and with text, in two pieces each.
    fn deltas()(
        pieces in vec(piece(), 0..12),
        calls in vec(arguments(), 0..3),
        finish in finish(),
        usage in usage(),
        late in any::<bool>(),
    ) -> Vec<ChatDelta> {
        let mut sent = vec![0_u8; calls.len()];
        let mut order: Vec<Piece> = pieces;
        // what has not come by itself comes at the end
        for _ in 0..2 {
            order.extend((0..calls.len()).map(Piece::Call));
        }
        let mut deltas = vec![ChatDelta { model: Some("m-1".to_owned()), ..ChatDelta::default() }];
        let mut begun = 0;
        for piece in order {
            let mut delta = ChatDelta::default();
            match piece {
                Piece::Text(text) => delta.text = text,
                Piece::Reasoning(text) => delta.reasoning = Some(text).filter(|text| !text.is_empty()),
                Piece::Refusal(text) => delta.refusal = Some(text).filter(|text| !text.is_empty()),
                Piece::Call(_) if calls.is_empty() => continue,
                Piece::Call(number) => {
                    let wanted = number % calls.len();
                    // calls begin in the order of their numbers, as providers send them
                    let index = wanted.min(begun);
                    let (arguments, cut) = &calls[index];
                    let cut = (0..=*cut.min(&arguments.len())).rev().find(|at| arguments.is_char_boundary(*at)).unwrap_or(0);
                    let piece = match sent[index] {
                        0 => ToolCallDelta {
                            index,
                            id: Some(format!("call-{index}")),
                            name: Some(format!("f{index}")),
                            arguments: arguments[..cut].to_owned(),
                        },
                        1 => ToolCallDelta { index, arguments: arguments[cut..].to_owned(), ..ToolCallDelta::default() },
                        _ => continue,
                    };
                    sent[index] += 1;
                    begun = begun.max(index + 1).min(calls.len() - 1);
                    delta.tool_calls.push(piece);
                }
            }
            deltas.push(delta);
        }
        let usage = Some(usage);
        let end = ChatDelta { finish_reason: Some(finish), ..ChatDelta::default() };
        if late {
            deltas.extend([end, ChatDelta { usage, ..ChatDelta::default() }]);
        } else {
            deltas.push(ChatDelta { usage, ..end });
        }
        deltas
    }
}

fn fold(deltas: Vec<ChatDelta>) -> Answer {
    let mut fold = Fold::new();
    deltas.into_iter().for_each(|delta| fold.push(delta));
    fold.finish(|_| Bytes::new()).expect("a finish reason")
}

/// What a wire can tell of an answer.
fn told_by(wire: &str, mut answer: Answer) -> Answer {
    let calls = !answer.tool_calls.is_empty();
    match wire {
        // a refusal is a stop reason there, and none stands beside another
        "anthropic" if answer.refusal.is_some() => {
            answer.finish_reason = FinishReason::ContentFilter;
        }
        "anthropic" if answer.finish_reason == FinishReason::ContentFilter => {
            // without words of its own a refusal is the text
            answer.refusal = Some(answer.text.clone());
        }
        "openai-responses" => {
            let ended = matches!(
                answer.finish_reason,
                FinishReason::Stop | FinishReason::ToolCalls
            );
            if ended {
                answer.finish_reason = if calls {
                    FinishReason::ToolCalls
                } else {
                    FinishReason::Stop
                };
            }
        }
        _ => {}
    }
    answer.body = Bytes::new();
    answer
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_written_stream_reads_as_the_same_answer(deltas in deltas()) {
        let answer = fold(deltas.clone());
        for wire in WIRES {
            let stream = written(writer(wire, &head(None)), deltas.clone());
            let mut again = folded(wire, &stream).unwrap();
            let mut expected = told_by(wire, answer.clone());
            // a stream has no words for a refusal of which nothing is told
            for answer in [&mut again, &mut expected] {
                if answer.finish_reason == FinishReason::ContentFilter && wire == "anthropic" {
                    answer.refusal = answer.refusal.take().filter(|words| *words != answer.text && !words.is_empty());
                }
            }
            prop_assert_eq!(again, expected, "{}: {}", wire, stream);
        }
    }

    #[test]
    fn a_written_body_reads_as_the_same_answer(deltas in deltas()) {
        let answer = fold(deltas);
        for wire in WIRES {
            let body = front_of(wire).body(&reply(None, answer.clone()), &told());
            let mut again = decoded(wire, body);
            again.body = Bytes::new();
            prop_assert_eq!(again, told_by(wire, answer.clone()), "{}", wire);
        }
    }

    #[test]
    fn a_whole_answer_as_pieces_is_the_same_answer(
        text in words(),
        reasoning in option::of("[a-z]{1,5}"),
        calls in vec(arguments(), 0..3),
        usage in option::of(usage()),
        finish in finish(),
    ) {
        let answer = Answer {
            text,
            finish_reason: finish,
            reasoning,
            refusal: None,
            tool_calls: calls
                .into_iter()
                .map(|(arguments, _)| ToolCall { id: "i".to_owned(), name: "f".to_owned(), arguments })
                .collect(),
            model: Some("m".to_owned()),
            spent: Spent::answer(usage),
            body: Bytes::new(),
            latency: std::time::Duration::ZERO,
        };
        let again = fold(deltas_of(&answer));
        prop_assert_eq!(&again, &answer);
        let stream = written(writer("openai", &head(None)), deltas_of(&answer));
        prop_assert_eq!(folded("openai", &stream).unwrap(), answer);
    }
}
