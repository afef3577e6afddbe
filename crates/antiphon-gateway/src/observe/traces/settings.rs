//! What the standard environment variables ask for. Those about headers, the resource and the batch are read by the
//! exporter itself.
//!
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use std::time::Duration;

use antiphon::{Error, ErrorKind, env, env::Lookup};
use opentelemetry_sdk::trace::Sampler;

/// Time for one export, where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Settings {
    /// Where spans are sent, path included.
    pub(super) endpoint: String,
    pub(super) timeout: Duration,
    pub(super) sampler: Sampler,
    /// The environment says whose spans they are.
    pub(super) names_service: bool,
}

impl Settings {
    /// `None` where no collector is named, or tracing is off.
    pub(super) fn read(env: Lookup<'_>) -> Result<Option<Self>, Error> {
        let is_disabled = one_of(env, env::OTEL_SDK_DISABLED, ["true", "false"])? == Some("true");
        let exporter = one_of(env, env::OTEL_TRACES_EXPORTER, ["otlp", "none"])?;
        if is_disabled || exporter == Some("none") {
            return Ok(None);
        }
        let of_traces = endpoint(env, env::OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)?;
        let of_all = endpoint(env, env::OTEL_EXPORTER_OTLP_ENDPOINT)?
            .map(|base| format!("{}/v1/traces", base.trim_end_matches('/')));
        let Some(endpoint) = of_traces.or(of_all) else {
            return Ok(None);
        };
        check_protocol(env)?;
        for name in [
            env::OTEL_EXPORTER_OTLP_TRACES_HEADERS,
            env::OTEL_EXPORTER_OTLP_HEADERS,
            env::OTEL_RESOURCE_ATTRIBUTES,
        ] {
            check_pairs(env, name)?;
        }
        let attributes = env(env::OTEL_RESOURCE_ATTRIBUTES).unwrap_or_default();
        let mut attributes = attributes.split(',');
        let names_service = env(env::OTEL_SERVICE_NAME).is_some()
            || attributes.any(|pair| pair.trim_start().starts_with("service.name="));
        Ok(Some(Self {
            endpoint,
            timeout: timeout(env)?,
            sampler: sampler(env)?,
            names_service,
        }))
    }
}

/// Which of the words a variable says, in whatever case; `None` where it is not set.
fn one_of<const N: usize>(
    env: Lookup<'_>,
    name: &str,
    words: [&'static str; N],
) -> Result<Option<&'static str>, Error> {
    let Some(set) = env(name).filter(|set| !set.trim().is_empty()) else {
        return Ok(None);
    };
    let word = words
        .into_iter()
        .find(|word| set.trim().eq_ignore_ascii_case(word));
    word.map(Some).ok_or_else(|| {
        let words = words.join(" or ");
        refuse(format!("{name} is {set:?}: {words} is needed"))
    })
}

/// The URL that a variable names.
fn endpoint(env: Lookup<'_>, name: &str) -> Result<Option<String>, Error> {
    let Some(set) = env(name).filter(|set| !set.trim().is_empty()) else {
        return Ok(None);
    };
    let url = set.trim();
    let parsed: Option<http::Uri> = url.parse().ok();
    let is_web = parsed.is_some_and(|url| matches!(url.scheme_str(), Some("http" | "https")));
    match is_web {
        true => Ok(Some(url.to_owned())),
        // it may hold a password
        false => Err(refuse(format!(
            "{name} is no URL of http or https: a collector on this machine is at http://127.0.0.1:4318"
        ))),
    }
}

/// Refuses a list that is not `name=value,name=value`. Values are not shown: headers hold keys.
fn check_pairs(env: Lookup<'_>, name: &str) -> Result<(), Error> {
    let set = env(name).unwrap_or_default();
    let mut pairs = set.split(',').filter(|pair| !pair.trim().is_empty());
    let is_pair = |pair: &str| {
        let name = pair.split_once('=').map(|(name, _)| name.trim());
        name.is_some_and(|name| !name.is_empty())
    };
    match pairs.position(|pair| !is_pair(pair)) {
        None => Ok(()),
        Some(at) => Err(refuse(format!(
            "{name} has no name=value at place {}: pairs are separated by commas",
            at + 1
        ))),
    }
}

fn check_protocol(env: Lookup<'_>) -> Result<(), Error> {
    let names = [
        env::OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
        env::OTEL_EXPORTER_OTLP_PROTOCOL,
    ];
    let set = names
        .into_iter()
        .find_map(|name| env(name).map(|set| (name, set)));
    match set {
        Some((name, protocol)) if protocol != "http/protobuf" => Err(refuse(format!(
            "{name} is {protocol:?}: traces are sent as http/protobuf, which collectors take on port 4318"
        ))),
        _ => Ok(()),
    }
}

fn timeout(env: Lookup<'_>) -> Result<Duration, Error> {
    let names = [
        env::OTEL_EXPORTER_OTLP_TRACES_TIMEOUT,
        env::OTEL_EXPORTER_OTLP_TIMEOUT,
    ];
    let set = names
        .into_iter()
        .find_map(|name| env(name).map(|set| (name, set)));
    let Some((name, millis)) = set else {
        return Ok(TIMEOUT);
    };
    let parsed = millis.trim().parse().map(Duration::from_millis);
    parsed.map_err(|_| {
        refuse(format!(
            "{name} is {millis:?}: a number of milliseconds is needed"
        ))
    })
}

fn sampler(env: Lookup<'_>) -> Result<Sampler, Error> {
    let of_parent = |sampler| Sampler::ParentBased(Box::new(sampler));
    let name = env(env::OTEL_TRACES_SAMPLER);
    Ok(match name.as_deref().unwrap_or("parentbased_always_on") {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio(env)?),
        "parentbased_always_on" => of_parent(Sampler::AlwaysOn),
        "parentbased_always_off" => of_parent(Sampler::AlwaysOff),
        "parentbased_traceidratio" => of_parent(Sampler::TraceIdRatioBased(ratio(env)?)),
        other => {
            let message = format!(
                "{} is {other:?}: known are always_on, always_off, traceidratio, and each after parentbased_",
                env::OTEL_TRACES_SAMPLER
            );
            return Err(refuse(message));
        }
    })
}

/// The share of traces that is kept; all where nothing is said.
fn ratio(env: Lookup<'_>) -> Result<f64, Error> {
    let name = env::OTEL_TRACES_SAMPLER_ARG;
    let Some(text) = env(name) else {
        return Ok(1.0);
    };
    let ratio = text.trim().parse().ok();
    let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| {
        refuse(format!(
            "{name} is {text:?}: a number from 0 to 1 is needed"
        ))
    })
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, Error> {
        let lookup = |name: &str| {
            let set = variables.iter().find(|(known, _)| *known == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(&lookup)
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/");

    #[test]
    fn spans_go_where_the_environment_says_or_nowhere() {
        assert!(read(&[]).unwrap().is_none());
        assert!(
            read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")])
                .unwrap()
                .is_none()
        );
        assert!(
            read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")])
                .unwrap()
                .is_none()
        );
        let settings = read(&[ENDPOINT]).unwrap().unwrap();
        assert_eq!(settings.endpoint, "http://127.0.0.1:4318/v1/traces");
        assert_eq!(settings.timeout, TIMEOUT);
        assert!(!settings.names_service);
        let settings = read(&[
            ENDPOINT,
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "http://127.0.0.1:1/own",
            ),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=mine"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.endpoint, "http://127.0.0.1:1/own");
        assert_eq!(settings.timeout, Duration::from_millis(250));
        assert!(settings.names_service);
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_its_name() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_TRACES_EXPORTER", "jaeger"),
            ("OTEL_SDK_DISABLED", "yes"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://127.0.0.1"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,secret"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=x"),
        ] {
            let error = read(&[ENDPOINT, (name, value)]).unwrap_err();
            assert!(error.message().contains(name), "{error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
        let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
        let error = read(&[ENDPOINT, ratio, ("OTEL_TRACES_SAMPLER_ARG", "2")]).unwrap_err();
        assert!(error.message().contains("from 0 to 1"), "{error}");
        let kept = read(&[ENDPOINT, ratio, ("OTEL_TRACES_SAMPLER_ARG", "0.25")]).unwrap();
        let sampler = format!("{:?}", kept.unwrap().sampler);
        assert_eq!(sampler, "TraceIdRatioBased(0.25)");
    }
}
