//! The transport against servers on loopback: well-behaved ones from hyper, badly behaved ones written byte by byte.

mod hostile;
mod http1;
mod http2;
mod proxy;
mod server;
mod tls;
