//! Names to addresses: the operating system's resolver, asked once where many ask at the same time.
//!
//! Without it, thousands of connections to one host are as many `getaddrinfo` calls on as many threads.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use antiphon_core::{Error, ErrorKind};
use tokio::sync::OnceCell;

/// Shorter than most records live; `getaddrinfo` does not tell how long theirs do.
const REMEMBER: Duration = Duration::from_secs(60);
/// Just enough that a thousand waiting requests do not ask a thousand times.
const REMEMBER_FAILURE: Duration = Duration::from_secs(1);

/// A cache of host names. Entries are few: hosts come from the configuration.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

#[derive(Debug, Default)]
struct Host {
    answer: OnceCell<Answer>,
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Answer {
    until: Instant,
    addresses: Result<Vec<IpAddr>, Error>,
}

impl Resolver {
    /// The addresses of a host in the order in which to try them, a different one first each time.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let entry = self.entry(host);
        // if the first asker gives up, the next one takes over: a dropped request fails nobody else
        let answer = entry.answer.get_or_init(|| look_up(host)).await;
        let addresses = answer.addresses.as_ref().map_err(Error::clone)?;
        let turn = entry.turn.fetch_add(1, Ordering::Relaxed);
        Ok(in_turn(addresses, turn)
            .map(|address| SocketAddr::new(address, port))
            .collect())
    }

    /// The host's live entry, or a new one that nobody has answered yet.
    fn entry(&self, host: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = hosts.get(host)
            && entry
                .answer
                .get()
                .is_none_or(|answer| answer.until > Instant::now())
        {
            return Arc::clone(entry);
        }
        let entry = Arc::new(Host::default());
        hosts.insert(host.to_owned(), Arc::clone(&entry));
        entry
    }
}

async fn look_up(host: &str) -> Answer {
    let addresses = match tokio::net::lookup_host((host, 0)).await {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found.map(|address| address.ip()) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            Ok(addresses)
        }
        Err(error) => Err(Error::new(
            ErrorKind::Connection,
            format!("cannot find the host {host}: {}", plain(&error)),
        )
        .with_source(error)),
    };
    let addresses = addresses.and_then(|found| match found.is_empty() {
        true => Err(Error::new(
            ErrorKind::Connection,
            format!("the host {host} has no address"),
        )),
        false => Ok(found),
    });
    let keep = if addresses.is_ok() {
        REMEMBER
    } else {
        REMEMBER_FAILURE
    };
    Answer {
        until: Instant::now() + keep,
        addresses,
    }
}

/// The resolver's own words without Rust's prefix for them.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text)
        .to_owned()
}

/// Rotates within each family and then alternates between them, the operating system's preferred family first
/// (RFC 8305, section 4): rotating across families would start every second connection on a family that may not work.
fn in_turn(addresses: &[IpAddr], turn: usize) -> impl Iterator<Item = IpAddr> {
    let preferred_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv6() == preferred_is_v6);
    for family in [&mut first, &mut second] {
        let shift = turn % family.len().max(1);
        family.rotate_left(shift);
    }
    let longest = first.len().max(second.len());
    (0..longest).flat_map(move |i| {
        [first.get(i).copied(), second.get(i).copied()]
            .into_iter()
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn rotates_within_a_family_and_keeps_the_preferred_one_first() {
        let known = addresses(&[
            "2001:db8::1",
            "2001:db8::2",
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
        ]);
        let order: Vec<_> = in_turn(&known, 1).collect();
        let expected = addresses(&[
            "2001:db8::2",
            "192.0.2.2",
            "2001:db8::1",
            "192.0.2.3",
            "192.0.2.1",
        ]);
        assert_eq!(order, expected);
    }

    #[tokio::test]
    async fn askers_at_the_same_time_share_one_answer() {
        let resolver = Resolver::default();
        let (one, two) = tokio::join!(
            resolver.resolve("localhost", 1),
            resolver.resolve("localhost", 2)
        );
        assert!(
            one.unwrap()
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 1)
        );
        assert!(two.unwrap().iter().all(|address| address.port() == 2));
        assert_eq!(
            resolver.hosts.lock().unwrap()["localhost"]
                .turn
                .load(Ordering::Relaxed),
            2
        );
    }

    #[tokio::test]
    async fn literals_are_not_looked_up() {
        let resolver = Resolver::default();
        assert_eq!(
            resolver.resolve("::1", 80).await.unwrap(),
            ["[::1]:80".parse::<SocketAddr>().unwrap()]
        );
        assert!(resolver.hosts.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_failure_names_the_host_and_is_asked_again_later() {
        let resolver = Resolver::default();
        let error = resolver
            .resolve("nonexistent.invalid", 80)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert!(error.message().contains("nonexistent.invalid"), "{error}");
        let entry = resolver.entry("nonexistent.invalid");
        let until = entry.answer.get().unwrap().until;
        assert!(until <= Instant::now() + REMEMBER_FAILURE);
    }
}
