//! The server of tools, as clients meet it: line by line.

mod calls;
mod client;
mod http;
mod http_client;
mod robustness;
mod tools;
