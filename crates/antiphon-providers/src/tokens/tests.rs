use antiphon_core::{
    Message,
    account::most_input_tokens,
    chat::{Content, Role},
};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dialects::{DIALECTS, EncodeTarget};

/// Written for this test: equal contents in several scripts.
const SAMPLES: [(&str, &str); 9] = [
    (
        "English",
        "The harbour was quiet when the last ferry came in. A few people stood by the rail with their collars turned up, watching the lights of the town slide past, and nobody said much. It had been a long day for all of them, and the children had fallen asleep against the luggage hours ago. Somebody laughed in the cabin below; then the engine changed its tone and the ropes went over.",
    ),
    (
        "code",
        "fn merge(mut left: Vec<u32>, right: &[u32]) -> Vec<u32> {\n    let mut out = Vec::with_capacity(left.len() + right.len());\n    let (mut i, mut j) = (0, 0);\n    while i < left.len() && j < right.len() {\n        if left[i] <= right[j] {\n            out.push(left[i]);\n            i += 1;\n        } else {\n            out.push(right[j]);\n            j += 1;\n        }\n    }\n    out.extend(left.drain(i..));\n    out.extend_from_slice(&right[j..]);\n    out\n}\n",
    ),
    (
        "JSON",
        r#"{"order_id": "A-20417", "placed_at": "2026-03-14T09:26:53Z", "customer": {"id": 88213, "name": "Mira Okafor", "tier": "gold"}, "lines": [{"sku": "TX-100-B", "quantity": 3, "unit_price": 19.95}, {"sku": "LM-7", "quantity": 1, "unit_price": 249.0}], "notes": null, "paid": true}"#,
    ),
    (
        "German",
        "Als die letzte Fähre anlegte, war es im Hafen still. Ein paar Leute standen mit hochgeschlagenem Kragen an der Reling, sahen zu, wie die Lichter der Stadt vorüberzogen, und niemand sagte viel. Für alle war es ein langer Tag gewesen, und die Kinder waren schon vor Stunden auf dem Gepäck eingeschlafen.",
    ),
    (
        "Russian",
        "Когда причалил последний паром, в гавани было тихо. Несколько человек стояли у борта, подняв воротники, и смотрели, как мимо проплывают огни города; почти никто не разговаривал. День для всех выдался долгим, а дети уже давно уснули на чемоданах.",
    ),
    (
        "Chinese",
        "最后一班渡轮靠岸时，港口一片寂静。几个人竖起衣领站在栏杆旁，看着城里的灯火缓缓掠过，谁也没有多说话。对所有人来说这都是漫长的一天，孩子们几个小时前就靠着行李睡着了。",
    ),
    (
        "Japanese",
        "最後のフェリーが着いたとき、港は静かだった。襟を立てた人たちが手すりのそばに立ち、町の明かりが流れていくのを眺めていて、ほとんど誰も話さなかった。みんなにとって長い一日だったし、子どもたちは何時間も前に荷物にもたれて眠っていた。",
    ),
    (
        "Arabic",
        "كان الميناء هادئا عندما وصلت العبارة الأخيرة. وقف بضعة أشخاص قرب الحاجز وقد رفعوا ياقات معاطفهم يراقبون أضواء المدينة وهي تمر ببطء، ولم يتكلم أحد كثيرا. كان يوما طويلا على الجميع، وكان الأطفال قد ناموا على الأمتعة منذ ساعات.",
    ),
    (
        "Hindi",
        "जब आख़िरी नाव किनारे लगी तो बंदरगाह शांत था। कुछ लोग कॉलर उठाए रेलिंग के पास खड़े थे और शहर की रोशनियों को धीरे-धीरे गुज़रते देख रहे थे, किसी ने ज़्यादा बात नहीं की। सबके लिए दिन लंबा रहा था और बच्चे घंटों पहले सामान पर सो गए थे।",
    ),
];

fn texts(system: &str, user: &str) -> ChatRequest {
    ChatRequest::new(vec![
        Message::text(Role::System, system),
        Message::text(Role::User, user),
    ])
}

#[test]
fn chats_of_text_count_as_openai_documents() {
    let counter = Counter::for_model("openai", "gpt-4o");
    // role and content, three around each message, three for the reply
    let expected = (3 + 1 + 2) + (3 + 1 + 2) + 3;
    let request = texts("hello world", "hello world");
    let count = counter.count(&request);
    assert!(count.is_exact());
    assert_eq!(count.tokens, expected);
    assert_eq!(
        counter.count(&request),
        count,
        "what is remembered counts alike"
    );
    let mut named = request.clone();
    let messages = Arc::make_mut(&mut named.messages);
    messages[1]
        .extra
        .insert("name".into(), json!("hello world"));
    assert_eq!(counter.count(&named).tokens, expected + 1 + 2);
    let parts = vec![json!({"type": "text", "text": "hello world"})];
    Arc::make_mut(&mut named.messages)[1].content = Some(Content::Parts(parts));
    assert_eq!(counter.count(&named).tokens, expected + 1 + 2);
}

#[test]
fn what_is_not_documented_is_an_estimate_with_bounds() {
    let tool =
        json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let plain = texts("a", "b");
    let tools = plain.clone().with_param("tools", tool);
    let image = Message {
        role: Role::User,
        content: Some(Content::Parts(vec![
            json!({"type": "image_url", "image_url": {"url": "x"}}),
        ])),
        extra: Map::new(),
    };
    for (model, request) in [
        ("gpt-4o", &tools),
        ("gpt-5", &plain),
        ("gpt-oss-20b", &plain),
        ("claude-sonnet-4-5", &plain),
    ] {
        let count = Counter::for_model("x", model).count(request);
        assert!(!count.is_exact(), "{model}");
        assert!(
            count.low <= count.tokens && count.tokens <= count.high,
            "{model}: {count:?}"
        );
    }
    let counter = Counter::for_model("openai", "gpt-4o");
    let seen = Counter::count(&counter, &ChatRequest::new(vec![image.clone(), image]));
    assert_eq!(seen.unknown_parts, 2);
    assert!(!seen.is_exact());
    assert_eq!(
        CountTokens::count(&counter, &plain),
        Some(counter.count(&plain).tokens)
    );
}

#[test]
fn what_rows_share_is_counted_anew_when_it_changes() {
    let counter = Counter::for_model("openai", "gpt-4o");
    let with = |words: &str| {
        let schema = Schema::new(json!({"type": "object", "description": words})).unwrap();
        ChatRequest {
            schema: Some(schema),
            ..texts(words, "x")
        }
    };
    let (short, long) = (with("one"), with("one two three four five"));
    let fresh = |request| Counter::for_model("openai", "gpt-4o").count(request);
    for request in [&short, &long, &short, &texts("one", "x"), &long] {
        assert_eq!(counter.count(request), fresh(request));
    }
}

#[test]
fn all_rows_are_counted_once() {
    let counter = Counter::for_model("openai", "gpt-4o");
    let requests = || (0..100).map(|row| texts("shared", &"word ".repeat(row)));
    let mut one_by_one = Count::default();
    requests().for_each(|request| one_by_one += counter.count(&request));
    for threads in [1, 3] {
        let threads = NonZeroUsize::new(threads).unwrap();
        assert_eq!(counter.count_all(requests(), threads), one_by_one);
    }
}

/// The table of docs/performance.md, "Counting tokens". The bounds for models whose vocabulary is not public hold for two
/// vocabularies that are, one of them another vendor's.
#[test]
#[expect(clippy::print_stdout, reason = "the table is for people")]
fn vocabularies_differ_less_than_the_bounds() {
    let counter = Counter::for_model("anthropic", "claude-sonnet-4-5");
    println!("| text | bytes a token | cl100k / o200k | voyage3 / o200k |");
    for (name, text) in SAMPLES {
        let own = Encoding::O200k.count(text) as f64;
        let others = [
            Encoding::Cl100k.count(text),
            bpe_openai::voyage3_base().count(text) as u64,
        ];
        let [cl100k, voyage3] = others.map(|other| other as f64 / own);
        let bytes = text.len() as f64 / own;
        println!("| {name} | {bytes:.1} | {cl100k:.2} | {voyage3:.2} |");
        let count = counter.count(&ChatRequest::prompt(text));
        for other in others {
            assert!(
                count.low <= other && other <= count.high,
                "{name}: {count:?}, {other}"
            );
        }
    }
}

#[test]
fn hostile_texts_are_counted() {
    for piece in [
        "a",
        " ",
        "\n",
        "\u{301}",
        "0",
        "\r\n \t",
        "漢",
        "'s",
        "\u{200d}👩",
    ] {
        let text = piece.repeat(200_000 / piece.len());
        let tokens = Encoding::O200k.count(&text);
        assert!(tokens > 0 && tokens <= text.len() as u64, "{piece:?}");
    }
}

/// Schemas with references beside other keywords, references in circles, notes for keywords that a provider does not take.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(
            |text| json!({"type": "string", "contentEncoding": text, "pattern": "^\\d\"+$"})
        ),
        any::<String>().prop_map(|text| json!({"type": "string", "enum": [text], "maxLength": 9})),
        any::<f64>()
            .prop_map(|number| json!({"type": "number", "maximum": number, "not": {"const": 1}})),
        any::<String>().prop_map(|text| json!({"$ref": "#/$defs/a", "description": text})),
        Just(json!({"$ref": "#/$defs/b"})),
        Just(json!({"allOf": [{"$ref": "#/$defs/b"}, {"title": "t"}]})),
    ];
    let node = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::btree_map("[a-z\"\\\\é]{1,8}", inner.clone(), 1..4).prop_map(|fields| {
                json!({"type": "object", "properties": fields, "additionalProperties": false, "minProperties": 1})
            }),
            inner.clone().prop_map(|items| json!({"type": "array", "items": items, "uniqueItems": true})),
            (inner.clone(), inner).prop_map(|(one, other)| json!({"oneOf": [one, other]})),
        ]
    });
    (node.clone(), node.clone(), node).prop_map(|(root, a, b)| {
        json!({
            "type": "object",
            "properties": {"root": root},
            "additionalProperties": false,
            "$defs": {"a": a, "b": b}
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// No text has more tokens than the bound says.
    #[test]
    fn texts_stay_below_their_bound(texts in prop::collection::vec(any::<String>(), 1..5)) {
        let messages = texts.into_iter().map(|text| Message::text(Role::User, text));
        let request = ChatRequest::new(messages.collect());
        let bound = most_input_tokens(&request).unwrap();
        for model in ["gpt-4o", "gpt-4"] {
            let count = Counter::for_model("openai", model).count(&request);
            prop_assert!(count.high <= bound, "{count:?} of {bound}");
        }
    }

    /// Whatever our dialects make of a schema, the bytes that go out have no more tokens than the bound.
    #[test]
    fn what_is_sent_stays_below_its_bound(schema in schemas(), tool in schemas()) {
        let tool = json!({"type": "function", "function": {"name": "f", "parameters": tool}});
        let request = ChatRequest::prompt("x").with_param("tools", json!([tool]));
        let format = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}});
        let given = request.clone().with_param("response_format", format);
        let wanted = ChatRequest {
            schema: Some(Schema::new(schema).unwrap()),
            ..request
        };
        for request in [wanted, given] {
            let Some(bound) = most_input_tokens(&request) else {
                continue;
            };
            for dialect in DIALECTS {
                let target = EncodeTarget {
                    provider: dialect.name(),
                    model: "m",
                    version: None,
                };
                if let Ok(encoded) = dialect.encode(&request, &target) {
                    // the constants for hidden instructions must not hide what is sent
                    let sent = encoded.body.len() as u64;
                    prop_assert!(sent <= bound - 2 * 1024, "{sent} bytes of {bound}: {}", String::from_utf8_lossy(&encoded.body));
                }
            }
        }
    }
}
