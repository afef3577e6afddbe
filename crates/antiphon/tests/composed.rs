//! Models made of others, as the configuration says, against the simulated provider.

#![allow(missing_docs, reason = "a test")]

use antiphon::{Session, core::ChatRequest, session::Wire};

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
