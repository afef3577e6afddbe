//! Models made of others, as the configuration says, against the simulated provider.

#![allow(missing_docs, reason = "a test")]

use std::path::Path;

use antiphon::{Session, batch, core::ChatRequest, session::Wire};

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
    let saved = hits.filter_map(|reply| reply.answer.usage);
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
