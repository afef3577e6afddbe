//! Each fault of a provider, and what becomes of a call that meets it.

use antiphon::core::{ChatRequest, ErrorKind, chat::Delivery};
use antiphon_sim::{RunningSim, SimConfig};
use futures_util::{StreamExt, stream};

use crate::{ask, chain, failing, question, serve};

/// Limits of the first model where it falls silent; the second keeps the usual ones, however busy the machine is.
const SHORT: &str =
    "timeout = \"500ms\"\nheaders_timeout = \"500ms\"\nfirst_token_timeout = \"500ms\"\n";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    /// The first model answers.
    First,
    /// The second does, after so many tries of the first.
    Second(u32),
    /// The first model's error goes back as it came.
    Refused(ErrorKind),
}

use Ends::{First, Refused, Second};

/// Each fault of the simulator that is told before any text is, and what becomes of a call that meets it every time.
fn table() -> Vec<(&'static str, Ends)> {
    use ErrorKind::{Auth, BadRequest, ModelNotFound};
    vec![
        ("refuse", Second(4)),
        ("reset", Second(4)),
        ("hang", Second(1)),
        ("html", Second(4)),
        ("empty", Second(4)),
        ("headers", Second(4)),
        ("301", Second(4)),
        ("408", Second(4)),
        ("409", Second(4)),
        ("425", Second(4)),
        ("429", Second(4)),
        ("500", Second(4)),
        ("502", Second(4)),
        ("503", Second(4)),
        ("504", Second(4)),
        ("529", Second(4)),
        ("html-502", Second(4)),
        ("wrong-type", Second(4)),
        ("no-retry", Second(1)),
        ("no-retry-after", Second(4)),
        ("retry-after-ms", Second(4)),
        ("retry-after-hour", Second(1)),
        ("quota", Second(1)),
        ("400", Refused(BadRequest)),
        ("401", Refused(Auth)),
        ("403", Refused(Auth)),
        ("404", Refused(ModelNotFound)),
        ("413", Refused(BadRequest)),
        ("422", Refused(BadRequest)),
        ("no-done", First),
        ("refusal", First),
        ("content-filter", First),
        ("length", First),
    ]
}

/// Those of whole answers besides. Within a stream they come after text was handed out.
fn table_of_whole_answers() -> Vec<(&'static str, Ends)> {
    vec![
        ("stall", Second(1)),
        ("drip", Second(1)),
        ("truncate", Second(4)),
        ("garbage", Second(4)),
        ("error-event", Second(4)),
    ]
}

async fn meet(dialect: &str, delivery: Delivery, fault: &str, ends: Ends) {
    let name = format!("{fault}, {dialect}, {delivery:?}");
    let (first, second) = (failing(fault).await, serve(SimConfig::default()).await);
    let limits = match fault {
        "hang" | "stall" | "drip" => SHORT,
        _ => "",
    };
    let session = chain(dialect, first.url(), second.url(), limits);
    let ended = ask(&session, "safe", question(delivery)).await;
    let asked = |sim: &RunningSim| u32::try_from(sim.simulator().ledger().report().asked).unwrap();
    match ends {
        First => {
            let reply = ended.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(
                (&*reply.head.model, asked(&second)),
                ("a/small", 0),
                "{name}"
            );
            assert_eq!(reply.head.attempts, 1, "{name}");
        }
        Second(tries) => {
            let reply = ended.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(&*reply.head.model, "b/small", "{name}");
            assert!(reply.text().contains("42"), "{name}: {}", reply.text());
            let told = (asked(&first), reply.head.attempts, asked(&second));
            assert_eq!(told, (tries, tries + 1, 1), "{name}");
        }
        Refused(kind) => {
            let error = ended.unwrap_err();
            assert_eq!((error.kind(), asked(&second)), (kind, 0), "{name}");
            assert_eq!(error.status(), fault.parse().ok(), "{name}");
            let body: serde_json::Value = serde_json::from_slice(error.body().unwrap()).unwrap();
            assert!(body["error"]["message"].is_string(), "{name}: {body}");
            assert_eq!((error.attempts(), asked(&first)), (1, 1), "{name}");
        }
    }
    for account in session.accounts() {
        assert_eq!(account.snapshot().in_flight, 0, "{name}");
    }
}

#[tokio::test]
async fn each_fault_of_a_provider_ends_as_it_should() {
    let mut cases = Vec::new();
    for dialect in ["openai", "anthropic"] {
        let both = table().into_iter().flat_map(|(fault, ends)| {
            [Delivery::Whole, Delivery::Streamed].map(|delivery| (fault, ends, delivery))
        });
        let whole = table_of_whole_answers().into_iter();
        let whole = whole.map(|(fault, ends)| (fault, ends, Delivery::Whole));
        cases.extend(both.chain(whole).map(|case| (dialect, case)));
    }
    // most of their time is back-off
    stream::iter(cases)
        .for_each_concurrent(24, |(dialect, (fault, ends, delivery))| {
            meet(dialect, delivery, fault, ends)
        })
        .await;
}

#[tokio::test]
async fn a_stream_that_says_nothing_after_its_head_is_given_up_for_the_next_model() {
    let (first, second) = (failing("drip").await, serve(SimConfig::default()).await);
    let limits = "first_token_timeout = \"300ms\"\n";
    let session = chain("openai", first.url(), second.url(), limits);
    let reply = ask(&session, "safe", question(Delivery::Streamed)).await;
    let reply = reply.unwrap();
    assert_eq!((&*reply.head.model, reply.head.attempts), ("b/small", 2));
    let gathered = reply.head.gathered.unwrap();
    let failed = gathered.members[0].error.as_ref().unwrap();
    assert!(
        failed.message.contains("no event within 300ms"),
        "{}",
        failed.message
    );
}

#[tokio::test]
async fn nobody_listening_and_nobody_shaking_hands_are_faults() {
    let second = serve(SimConfig::default()).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let url = format!("http://{address}");
    let session = chain("openai", &url, second.url(), "");
    let reply = ask(&session, "safe", question(Delivery::Whole))
        .await
        .unwrap();
    assert_eq!((&*reply.head.model, reply.head.attempts), ("b/small", 5));

    // it takes connections, and never answers a handshake
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", mute.local_addr().unwrap());
    let limits = "connect_timeout = \"300ms\"\n";
    let session = chain("openai", &url, second.url(), limits);
    let reply = ask(&session, "safe", question(Delivery::Whole))
        .await
        .unwrap();
    assert_eq!((&*reply.head.model, reply.head.attempts), ("b/small", 2));
}

#[tokio::test]
async fn a_request_that_is_too_long_for_one_model_is_put_to_the_next() {
    let first = serve(SimConfig {
        context_window: 5,
        ..SimConfig::default()
    });
    let (first, second) = (first.await, serve(SimConfig::default()).await);
    for dialect in ["openai", "anthropic"] {
        let session = chain(dialect, first.url(), second.url(), "");
        let long = ChatRequest::prompt("What is 17 + 25? ".repeat(20));
        let reply = ask(&session, "safe", long).await.unwrap();
        let seen = (&*reply.head.model, reply.head.attempts);
        assert_eq!(seen, ("b/small", 2), "{dialect}");
    }
}
