//! What answers of a provider's models take, by the zone of the user's choice.

use antiphon_providers::catalog::{
    estimate::{Estimate, Unestimated},
    zones::Zone,
};

use super::Session;

impl Session {
    /// The zone that was chosen for a provider: by flag, else in the configuration. `None` leaves it to what is known of the
    /// provider.
    pub fn zone(&self, provider: &str) -> Option<&'static Zone> {
        let configured = || self.config.settings.providers.get(provider)?.zone;
        self.options.zone.or_else(configured)
    }

    /// What answers of a provider's model take: of the first of these names that is known. The zone changes no request, so
    /// that it is no part of any fingerprint.
    ///
    /// # Errors
    /// Nothing is known of the provider or of the model.
    pub fn estimate<'a>(
        &self,
        provider: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Estimate, Unestimated> {
        Estimate::of(provider, names, self.zone(provider))
    }
}

#[cfg(test)]
mod tests {
    use antiphon_providers::catalog::zones::zone;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Config, session::SessionOptions};

    fn code(toml: &str, flag: Option<&str>, provider: &str, model: &str) -> String {
        let options = SessionOptions {
            zone: flag.map(|flag| zone(flag).unwrap()),
            ..SessionOptions::default()
        };
        let config = Config::from_toml(toml).unwrap();
        let session = Session::new(config, options, &|_| None, CancellationToken::new());
        let estimate = session.estimate(provider, [model]).unwrap();
        estimate.zone.code.clone()
    }

    #[test]
    fn a_flag_stands_over_the_file_and_the_file_over_what_is_known() {
        let file = "[providers.mistral]\nzone = \"fr\"\nbase_url = \"https://x.test\"\n[providers.sim]\nzone = \"DEU\"\n";
        let [mistral, small] = ["mistral", "mistral-small-latest"];
        assert_eq!(code("", None, mistral, small), "SWE");
        assert_eq!(code(file, None, mistral, small), "FRA");
        assert_eq!(code(file, Some("nor"), mistral, small), "NOR");
        assert_eq!(code(file, None, "openai", "gpt-4o"), "USA");
        assert_eq!(code(file, None, "sim", "gpt-4o"), "DEU");
    }
}
