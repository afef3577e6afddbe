//! Models made of others, as the configuration says, against the simulated provider.

#![allow(missing_docs, reason = "a test")]

use std::{path::Path, time::Duration};

use antiphon::{
    Config, Session, batch,
    core::{ChatRequest, ErrorKind, patterns::ByteBudget},
    session::{SessionOptions, Wire},
};
use tokio_util::sync::CancellationToken;

const PANEL: &str =
    "[models.panel]\nensemble = [\"sim/demo\"]\nsamples = 3\ndecide = \"sim/chair\"\n";

/// Attempts, tokens paid, tokens that hits have saved, and answers at hand of five equal questions.
async fn five_equal(toml: &str, cache: &Path) -> (u32, u64, u64, usize) {
    let session = Session::from_toml(toml).unwrap().cache_dir(cache);
    let questions = ["What is 17 + 25?"; 5];
    let result = batch(session.model("panel").unwrap(), questions)
        .run()
        .await;
    let replies = || result.successes().map(|(_, reply)| reply);
    let hits = replies().filter(|reply| reply.head.cached);
    let saved = hits.filter_map(|reply| reply.answer.usage());
    assert_eq!((result.failed(), session.cache_notes()), (0, vec![]));
    (
        replies().map(|reply| reply.head.attempts).sum(),
        result.usage().total(),
        saved.map(|usage| usage.total()).sum(),
        result.summary().cached,
    )
}

#[tokio::test]
async fn equal_questions_to_an_ensemble_are_samples_and_are_paid_once() {
    let folder = tempfile::tempdir().unwrap();
    let (attempts, paid, saved, hits) = five_equal(PANEL, folder.path()).await;
    assert_eq!((attempts, saved, hits), (5 * (3 + 1), 0, 0));
    let second = five_equal(PANEL, folder.path()).await;
    assert_eq!(second, (0, 0, paid, 5), "hits tell what they have saved");
}

#[test]
fn parameters_of_the_first_of_a_chain_are_known_wherever_the_chain_is_used() {
    let print = |temperature: f64, name: &str| {
        let toml = format!(
            "[models.first]\nuse = \"sim/demo\"\nparams = {{ temperature = {temperature} }}\n\
             [models.chain]\nfallback = [\"first\", \"sim/other\"]\n\
             [models.longer]\nfallback = [\"chain\", \"sim/third\"]\n\
             [models.race]\nrace = [\"chain\", \"sim/third\"]\n\
             [models.panel]\nensemble = [\"chain\", \"sim/third\"]\ndecide = \"sim/chair\"\n\
             [models.chaired]\nensemble = [\"sim/demo\", \"sim/third\"]\ndecide = \"chain\"\n"
        );
        let session = Session::from_toml(&toml).unwrap();
        let resolved = session.resolve(name, Wire::OpenAi).unwrap();
        resolved.fingerprint(&ChatRequest::prompt("x"))
    };
    for name in ["chain", "longer", "race", "panel", "chaired"] {
        assert_ne!(print(0.1, name), print(0.9, name), "{name}");
        assert_eq!(print(0.1, name), print(0.1, name), "{name}");
    }
}

#[tokio::test]
async fn no_rescue_and_no_vote_stands_for_an_interrupted_call() {
    // so many retries that no call comes to its end before the interrupt
    let toml = "[providers.sim]\nfail = [\"500=100%\"]\nconcurrency = 1\n\
        [models.plain]\nuse = \"sim/demo\"\nrescue = \"sorry\"\nmax_retries = 1000\n\
        [models.chain]\nfallback = [\"sim/demo\", \"sim/other\"]\nrescue = \"sorry\"\nmax_retries = 1000\n\
        [models.race]\nrace = [\"sim/demo\", \"chain\"]\nrescue = \"sorry\"\nmax_retries = 1000\n\
        [models.panel]\nensemble = [\"sim/demo\", \"race\", \"plain\"]\nvote = \"all\"\nrescue = \"sorry\"\nmax_retries = 1000\n\
        [models.outer]\nfallback = [\"panel\", \"race\"]\nrescue = \"sorry\"\nmax_retries = 1000\n";
    for name in ["plain", "chain", "race", "panel", "outer"] {
        let stop = CancellationToken::new();
        let config = Config::from_toml(toml).unwrap();
        let session = Session::new(config, SessionOptions::default(), &|_| None, stop.clone());
        let model = session.model(name).unwrap();
        // some wait for their turn by then, some to be sent again
        let interrupt = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            stop.cancel();
        };
        let (answer, ()) = tokio::join!(model.ask(ChatRequest::prompt("x")), interrupt);
        let error = answer.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Stopped, "{name}: {error}");
    }
}

#[tokio::test]
async fn members_of_an_ensemble_within_another_are_samples_of_their_own() {
    for (made, calls) in [
        ("ensemble = [\"pair\", \"sim/demo\"]", 3 + 1 + 1),
        ("ensemble = [\"sim/demo\", \"pair\"]", 3 + 1 + 1),
        ("ensemble = [\"pair\", \"trio\"]", 3 + 4 + 1),
        (
            "ensemble = [\"pair\", \"trio\", \"nested\", \"sim/demo\"]",
            3 + 4 + 8 + 1 + 1,
        ),
    ] {
        let toml = format!(
            "[models.pair]\nensemble = [\"sim/demo\"]\nsamples = 2\ndecide = \"sim/chair\"\n\
             [models.trio]\nensemble = [\"sim/demo\"]\nsamples = 3\ndecide = \"sim/chair\"\n\
             [models.nested]\nensemble = [\"pair\", \"trio\"]\ndecide = \"sim/chair\"\n\
             [models.panel]\n{made}\ndecide = \"sim/chair\"\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let (attempts, ..) = five_equal(&toml, folder.path()).await;
        assert_eq!(attempts, 5 * calls, "{made}");
        let (attempts, paid, ..) = five_equal(&toml, folder.path()).await;
        assert_eq!((attempts, paid), (0, 0), "{made}");
    }
}

#[tokio::test]
async fn an_account_of_one_call_serves_whatever_is_made_of_it() {
    let toml = "[providers.sim]\nconcurrency = 1\n\
        [models.pair]\nensemble = [\"sim/demo\"]\nsamples = 2\ndecide = \"sim/demo\"\n\
        [models.race]\nrace = [\"pair\", \"sim/demo\"]\n\
        [models.chain]\nfallback = [\"race\", \"sim/demo\"]\n\
        [models.judged]\nensemble = [\"chain\", \"race\", \"pair\"]\njudge = \"pair\"\nquorum = 2\n";
    let session = Session::from_toml(toml).unwrap();
    let model = session.model("judged").unwrap();
    let questions = (0..20).map(|number| format!("What is {number} + 1?"));
    let work = batch(model, questions)
        .max_concurrent(8)
        .byte_budget(ByteBudget::new(1))
        .run();
    let result = tokio::time::timeout(Duration::from_secs(60), work).await;
    assert_eq!(result.expect("nobody waits for ever").succeeded(), 20);
    for account in session.accounts() {
        assert_eq!(account.snapshot().in_flight, 0);
    }
}
