//! Addresses to listen on, by name or number.

use std::net::{SocketAddr, ToSocketAddrs};

/// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`. Of a name's addresses the first of IPv4, where it has one.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.rsplit_once(':').filter(|(host, port)| {
        let is_number = port.parse::<u16>().is_ok();
        // an address of IPv6 without brackets has colons of its own
        is_number && !host.is_empty() && (!host.contains(':') || host.ends_with(']'))
    });
    if port.is_none() {
        let bare_port = text.strip_prefix(':').unwrap_or(text);
        if bare_port.parse::<u16>().is_ok() {
            return Err(format!(
                "it needs a host and a port: try 127.0.0.1:{bare_port}"
            ));
        }
        let host = match text.contains(':') && text.parse::<std::net::Ipv6Addr>().is_ok() {
            true => format!("[{text}]"),
            false => text.split(':').next().unwrap_or_default().to_owned(),
        };
        let host = if host.is_empty() { "127.0.0.1" } else { &host };
        return Err(format!("it needs a host and a port: try {host}:8080"));
    }
    let found = text.to_socket_addrs();
    let found: Vec<SocketAddr> = found
        .map_err(|error| format!("the host is not known: {error}"))?
        .collect();
    let of_ipv4 = found.iter().find(|address| address.is_ipv4());
    let address = of_ipv4.or(found.first());
    address
        .copied()
        .ok_or_else(|| "the host has no address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_names_or_numbers_and_a_port() {
        assert_eq!(
            address("localhost:80").unwrap(),
            "127.0.0.1:80".parse().unwrap()
        );
        for number in ["127.0.0.1:0", "[::1]:8080"] {
            assert_eq!(address(number).unwrap(), number.parse().unwrap());
        }
        for (wrong, try_this) in [
            ("127.0.0.1", "127.0.0.1:8080"),
            ("localhost", "localhost:8080"),
            ("localhost:", "localhost:8080"),
            ("localhost:http", "localhost:8080"),
            (":9000", "127.0.0.1:9000"),
            ("9000", "127.0.0.1:9000"),
            ("::1", "[::1]:8080"),
        ] {
            let hint = format!("it needs a host and a port: try {try_this}");
            assert_eq!(address(wrong).unwrap_err(), hint, "{wrong}");
        }
    }
}
