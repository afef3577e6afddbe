//! Streams that break on their way from simulated providers, and go on from others.

#![allow(missing_docs, reason = "a test")]

use antiphon::{
    Config, Session,
    core::{
        Body, ChatDelta, ChatRequest, Error, ErrorKind, Head, SharedModel, SystemClock,
        chat::Delivery, patterns::RescueMode,
    },
    session::{SessionOptions, Wire},
};
use antiphon_sim::{SimConfig, SimServer, Simulator};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

const QUESTIONS: [&str; 6] = [
    "Why is the sky blue?",
    "What is 17 + 25?",
    "Tell me of the sea — and of ships.",
    "A shop sells 16 cups a day for $2 each. How much does it make in 5 days?",
    "Who goes there?",
    "What is a naïve question?",
];

/// A simulated provider on a free port of loopback.
async fn serve(fail: &[&str], seed: u64) -> String {
    let config = SimConfig {
        fail: fail.iter().map(|fault| fault.parse().unwrap()).collect(),
        seed,
        ..SimConfig::default()
    };
    let simulator = Simulator::new(config, SystemClock::shared());
    let address = "127.0.0.1:0".parse().unwrap();
    let server = SimServer::bind(address, simulator).await.unwrap();
    let url = server.url();
    tokio::spawn(server.run(std::future::pending()));
    url
}

/// Two providers, in both wire formats each: `a…` of the first, `b…` of the second, `…o` for OpenAI's.
fn providers(first: &str, second: &str) -> String {
    let mut toml = String::new();
    for (name, url) in [("a", first), ("b", second)] {
        toml.push_str(&format!(
            "[providers.{name}o]\ndialect = \"openai\"\nbase_url = \"{url}/v1\"\n\
             [providers.{name}a]\ndialect = \"anthropic\"\nbase_url = \"{url}\"\n"
        ));
    }
    toml
}

fn streaming(question: &str) -> ChatRequest {
    ChatRequest {
        delivery: Delivery::Streamed,
        ..ChatRequest::prompt(question)
    }
}

struct Read {
    head: Head,
    deltas: Vec<ChatDelta>,
    error: Option<Error>,
}

impl Read {
    /// Reads a stream; the head is kept all the while, as a server keeps it.
    async fn of(model: &SharedModel, question: &str) -> Self {
        let mut read = Self {
            head: Head::default(),
            deltas: Vec::new(),
            error: None,
        };
        let response = match model.call(streaming(question)).await {
            Ok(response) => response,
            Err(error) => {
                read.error = Some(error);
                return read;
            }
        };
        read.head = response.head;
        let mut deltas = match response.body {
            Body::Stream(deltas) => deltas,
            Body::Whole(_) => panic!("a stream was asked for"),
            Body::Ready(answer) => {
                read.deltas.push(ChatDelta {
                    text: answer.text,
                    finish_reason: Some(answer.finish_reason),
                    ..ChatDelta::default()
                });
                return read;
            }
        };
        while let Some(delta) = deltas.next().await {
            match delta {
                Ok(delta) => read.deltas.push(delta),
                Err(error) => read.error = Some(error),
            }
        }
        read
    }

    fn text(&self) -> String {
        let texts = self.deltas.iter().map(|delta| delta.text.as_str());
        texts.collect()
    }

    fn is_whole(&self) -> bool {
        self.deltas.iter().any(|d| d.finish_reason.is_some())
    }

    /// Where the stream goes on that broke.
    fn seam(&self) -> Option<usize> {
        let is_told = |d: &ChatDelta| d.has_content() || d.finish_reason.is_some();
        let is_seam = |d: &ChatDelta| is_told(d) && d.frame.is_empty();
        self.deltas.iter().position(is_seam)
    }
}

async fn whole(session: &Session, model: &str, question: &str) -> String {
    let model = session.model(model).unwrap();
    model
        .ask(ChatRequest::prompt(question))
        .await
        .unwrap()
        .into()
}

#[tokio::test]
async fn a_chain_goes_on_across_providers_and_wire_formats() {
    let good = serve(&[], 7).await;
    for fault in ["truncate", "error-event", "early-end", "stall"] {
        let bad = serve(&[&format!("{fault}=100%")], 7).await;
        let mut rescued = 0;
        for (first, second) in [("ao", "bo"), ("ao", "ba"), ("aa", "bo"), ("aa", "ba")] {
            let toml = format!(
                "{}[models.first]\nuse = \"{first}/demo\"\ntimeout = \"400ms\"\nmax_retries = 0\n\
                 [models.safe]\nfallback = [\"first\", \"{second}/demo\"]\nrescue = \"verify\"\n",
                providers(&bad, &good)
            );
            let session = Session::from_toml(&toml).unwrap();
            let model = session.model("safe").unwrap();
            let questions = match fault {
                "stall" => &QUESTIONS[..1],
                _ => &QUESTIONS[..],
            };
            for question in questions {
                let read = Read::of(&model, question).await;
                let expected = whole(&session, &format!("{second}/demo"), question).await;
                let context = format!("{fault}, {first} to {second}: {question}");
                assert!(read.error.is_none(), "{context}: {:?}", read.error);
                assert!(read.is_whole(), "{context}");
                assert_eq!(read.text(), expected, "{context}");
                let Some(seam) = read.seam() else {
                    // it broke before it began, and the other link answered from the start
                    assert_eq!(read.head.model, format!("{second}/demo"));
                    continue;
                };
                rescued += 1;
                assert_eq!(read.head.model, format!("{first}/demo"));
                let after = &read.deltas[seam..];
                assert!(
                    after.iter().all(|delta| delta.frame.is_empty()),
                    "{context}"
                );
                let last = after.last().unwrap();
                let spent = last.spent.unwrap();
                assert!(last.usage.unwrap().output_tokens > 0, "{context}");
                assert_eq!(
                    (spent.answers(), spent.lost_attempts()),
                    (1, 1),
                    "{context}"
                );
            }
        }
        assert!(rescued > 1, "{fault} broke {rescued} answers on their way");
    }
}

#[tokio::test]
async fn a_model_that_continues_is_not_made_to_begin_again() {
    let (bad, good) = (serve(&["truncate=100%"], 7).await, serve(&[], 7).await);
    let toml = format!(
        "{}[models.first]\nuse = \"ao/claude-3-demo\"\nmax_retries = 0\n\
         [models.safe]\nfallback = [\"first\", \"ba/claude-3-demo\"]\nrescue = \"verify\"\n",
        providers(&bad, &good)
    );
    let session = Session::from_toml(&toml).unwrap();
    let model = session.model("safe").unwrap();
    let mut rescued = 0;
    for question in QUESTIONS {
        let read = Read::of(&model, question).await;
        let straight = session.model("ba/claude-3-demo").unwrap();
        let expected = straight.ask(ChatRequest::prompt(question)).await.unwrap();
        assert_eq!(
            (read.text().as_str(), read.is_whole()),
            (expected.text(), true)
        );
        let Some(seam) = read.seam() else { continue };
        let begun: String = read.deltas[..seam]
            .iter()
            .map(|d| d.text.as_str())
            .collect();
        if begun.trim().is_empty() {
            continue;
        }
        rescued += 1;
        // it read the begun answer, and wrote no more than was missing
        let used = read.deltas.last().unwrap().usage.unwrap();
        let straight = expected.answer.usage().unwrap();
        assert!(
            used.output_tokens < straight.output_tokens,
            "{question}: {begun}"
        );
        assert!(
            used.input_tokens > straight.input_tokens,
            "{question}: {begun}"
        );
    }
    assert!(rescued > 2);
}

#[tokio::test]
async fn another_answer_is_never_glued_on() {
    let (bad, other) = (serve(&["truncate=100%"], 7).await, serve(&[], 8).await);
    let straight = serve(&[], 7).await;
    let toml = format!(
        "{}[providers.c]\ndialect = \"openai\"\nbase_url = \"{straight}/v1\"\n\
         [models.first]\nuse = \"ao/demo\"\nmax_retries = 0\n\
         [models.safe]\nfallback = [\"first\", \"bo/demo\"]\nrescue = \"verify\"\n",
        providers(&bad, &other)
    );
    let session = Session::from_toml(&toml).unwrap();
    let model = session.model("safe").unwrap();
    let mut broken = 0;
    for question in QUESTIONS {
        let read = Read::of(&model, question).await;
        let answers = [
            whole(&session, "c/demo", question).await,
            whole(&session, "bo/demo", question).await,
        ];
        match read.error {
            None => assert!(read.is_whole() && answers.contains(&read.text())),
            Some(ref error) => {
                broken += 1;
                assert!(answers[0].starts_with(&read.text()));
                assert!(!read.is_whole());
                assert!(error.message().contains("no model continued it"), "{error}");
                assert_eq!(error.kind(), ErrorKind::Connection);
            }
        }
    }
    assert!(broken > 2);
}

fn session(toml: &str, rescue: RescueMode) -> Session {
    let options = SessionOptions {
        rescue,
        ..SessionOptions::default()
    };
    let config = Config::from_toml(toml).unwrap();
    Session::new(config, options, &|_| None, CancellationToken::new())
}

/// How many answers of the model came whole; none came otherwise than they should.
async fn whole_answers(session: &Session, model: &str) -> usize {
    let straight = Session::from_toml("").unwrap();
    let model = session.model(model).unwrap();
    let mut number = 0;
    for turn in 0..40 {
        let question = format!("{} ({turn})", QUESTIONS[turn % QUESTIONS.len()]);
        let expected = whole(&straight, "sim/demo", &question).await;
        let read = Read::of(&model, &question).await;
        if read.text() == "sorry" {
            continue;
        }
        assert_eq!(read.is_whole(), read.error.is_none());
        match read.is_whole() {
            true => assert_eq!(read.text(), expected),
            false => assert!(expected.starts_with(&read.text())),
        }
        number += usize::from(read.is_whole());
    }
    number
}

/// With one place only: what broke must have left it, though its head is still held.
const HALF: &str = "[providers.sim]\nfail = [\"truncate=50%\"]\nconcurrency = 1\n\
    [models.off]\nuse = \"sim/demo\"\nrescue = \"off\"\n\
    [models.verify]\nuse = \"sim/demo\"\nrescue = \"verify\"\n\
    [models.buffer]\nuse = \"sim/demo\"\nrescue = \"buffer\"\n\
    [models.worded]\nuse = \"verify\"\nrescue = \"sorry\"\n";

#[tokio::test(start_paused = true)]
async fn a_model_that_is_no_chain_is_asked_again() {
    let library = session(HALF, RescueMode::default());
    let lost = whole_answers(&library, "off").await;
    assert_eq!(
        whole_answers(&session(HALF, RescueMode::Off), "sim/demo").await,
        lost
    );
    assert!(lost < 30, "{lost}");
    for name in ["verify", "worded"] {
        let kept = whole_answers(&session(HALF, RescueMode::Off), name).await;
        assert!(
            kept > lost + 5,
            "{name}: {kept} whole with rescue, {lost} without"
        );
    }
    let kept = whole_answers(&session(HALF, RescueMode::Verify), "sim/demo").await;
    assert!(kept > lost + 5, "{kept} whole with rescue, {lost} without");
    let still = whole_answers(&session(HALF, RescueMode::Verify), "off").await;
    assert_eq!(still, lost, "a model's own word wins over the session's");
}

#[tokio::test(start_paused = true)]
async fn a_buffer_shows_nothing_that_breaks() {
    let session = session(HALF, RescueMode::Off);
    let model = session.model("buffer").unwrap();
    let (mut whole, mut failed) = (0, 0);
    for turn in 0..40 {
        match model.call(streaming(&format!("question {turn}"))).await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::BadResponse);
                failed += 1;
            }
            Ok(response) => {
                response.whole().await.unwrap();
                whole += 1;
            }
        }
    }
    assert!(whole > 20 && failed > 0, "{whole} whole, {failed} failed");
}

#[test]
fn a_text_that_is_no_mode_stays_a_text() {
    use antiphon::config::RescueSettings::{self, Streams, Text};
    for (written, expected) in [
        ("buffer", Streams(RescueMode::Buffer)),
        ("verify", Streams(RescueMode::Verify)),
        ("off", Streams(RescueMode::Off)),
        ("off, sorry", Text("off, sorry".to_owned())),
    ] {
        assert_eq!(RescueSettings::try_from(written.to_owned()), Ok(expected));
    }
    for (written, meant) in [
        ("Verify", "did you mean \"verify\"?"),
        ("verfiy", "did you mean \"verify\"?"),
        ("buffre", "did you mean \"buffer\"?"),
        ("OFF", "did you mean \"off\"?"),
        (" ", "`rescue` is empty"),
    ] {
        let why = RescueSettings::try_from(written.to_owned()).unwrap_err();
        assert!(why.contains(meant), "{why}");
        let toml = format!("[models.a]\nuse = \"sim/demo\"\nrescue = {written:?}\n");
        assert!(antiphon::Config::from_toml(&toml).is_err());
    }
    let session = session(HALF, RescueMode::Verify);
    assert!(session.resolve("worded", Wire::OpenAi).is_ok());
}

#[tokio::test]
async fn a_rescue_text_bears_the_configured_name_and_none_of_a_model_that_did_not_answer() {
    let toml = "[providers.sim]\nfail = [\"500=100%\"]\n\
                [models.a]\nuse = \"sim/demo\"\nmax_retries = 0\nrescue = \"Sorry, later.\"\n\
                [models.b]\nfallback = [\"sim/demo\"]\nmax_retries = 0\nrescue = \"Sorry, later.\"\n";
    let session = Session::from_toml(toml).unwrap();
    for name in ["a", "b"] {
        let model = session.model(name).unwrap();
        let reply = model.ask(antiphon::ChatRequest::prompt("x")).await.unwrap();
        let told = (
            &*reply.head.model,
            reply.answer.model.as_deref(),
            &*reply.answer.text,
        );
        assert_eq!(told, (name, Some(name), "Sorry, later."));
    }
}

#[tokio::test]
async fn chains_within_a_chain_take_its_mode() {
    // the inner chain is asked first, and rescues with its own second link
    let (bad, good) = (serve(&["truncate=100%"], 7).await, serve(&[], 7).await);
    let other = serve(&[], 8).await;
    let toml = format!(
        "{}[providers.c]\ndialect = \"openai\"\nbase_url = \"{other}/v1\"\n\
         [models.bad]\nuse = \"ao/demo\"\nmax_retries = 0\n\
         [models.inner]\nfallback = [\"bad\", \"bo/demo\"]\n\
         [models.outer]\nfallback = [\"inner\", \"c/demo\"]\nrescue = \"verify\"\n",
        providers(&bad, &good)
    );
    let session = Session::from_toml(&toml).unwrap();
    let model = session.model("outer").unwrap();
    for question in QUESTIONS {
        let read = Read::of(&model, question).await;
        let expected = whole(&session, "bo/demo", question).await;
        assert_eq!((read.text(), read.is_whole()), (expected, true));
    }
}
