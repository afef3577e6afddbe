//! A TCP proxy on loopback that treats its connections as bad networks do.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    runtime::Runtime,
};

/// Bytes that are carried at once.
const PIECE: usize = 1024;

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traffic {
    /// They pass.
    #[default]
    Pass,
    /// They pass after this time.
    Delay(Duration),
    /// The connection is closed in order after this many bytes of answers.
    CutAfter(u64),
    /// The connection is reset (RST) after this many bytes of answers.
    ResetAfter(u64),
    /// They are swallowed in both directions, and the connection stays open.
    HalfOpen,
    /// They pass at this many bytes a second.
    Throttle(u64),
    /// New connections are closed at once.
    Refuse,
}

/// The proxy; it ends with this value.
#[derive(Debug)]
pub struct FaultProxy {
    // given up with its connections when the value is dropped
    _runtime: Runtime,
    address: SocketAddr,
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    upstream: SocketAddr,
    traffic: Mutex<Traffic>,
    connections: AtomicU64,
}

impl Rules {
    fn now(&self) -> Traffic {
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

impl FaultProxy {
    /// Listens on a free port and carries everything to `upstream`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(upstream: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port of loopback");
        let address = listener.local_addr().expect("an address");
        let rules = Arc::new(Rules {
            upstream,
            traffic: Mutex::default(),
            connections: AtomicU64::new(0),
        });
        runtime.spawn(accept(listener, rules.clone()));
        Self {
            _runtime: runtime,
            address,
            rules,
        }
    }

    /// Its base URL in OpenAI's form.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// From now on bytes are treated like this, those of open connections too.
    pub fn set(&self, traffic: Traffic) {
        *self
            .rules
            .traffic
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = traffic;
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.rules.connections.load(Relaxed)
    }
}

async fn accept(listener: TcpListener, rules: Arc<Rules>) {
    while let Ok((client, _)) = listener.accept().await {
        rules.connections.fetch_add(1, Relaxed);
        if rules.now() != Traffic::Refuse {
            tokio::spawn(carry(client, rules.clone()));
        }
    }
}

/// Carries both directions until either ends, and ends the connection to the client as the rules have it.
async fn carry(mut client: TcpStream, rules: Arc<Rules>) {
    let Ok(mut server) = TcpStream::connect(rules.upstream).await else {
        return;
    };
    let end = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let rules = &*rules;
        tokio::select! {
            end = copy(&mut from_client, &mut to_server, rules, None) => end,
            end = copy(&mut from_server, &mut to_client, rules, Some(0)) => end,
        }
    };
    if end == End::Reset {
        // closing with zero linger sends RST
        let _as_it_is = client.set_zero_linger();
    }
}

/// Carries one direction; `answered` counts its bytes where it is that of the answers.
async fn copy(
    from: &mut tcp::ReadHalf<'_>,
    to: &mut tcp::WriteHalf<'_>,
    rules: &Rules,
    mut answered: Option<u64>,
) -> End {
    let mut piece = [0; PIECE];
    loop {
        let Ok(count @ 1..) = from.read(&mut piece).await else {
            return End::Closed;
        };
        let mut passes = count;
        let mut end = None;
        match (rules.now(), &mut answered) {
            (Traffic::HalfOpen, _) => continue,
            (Traffic::Delay(delay), _) => tokio::time::sleep(delay).await,
            (Traffic::Throttle(rate), _) => {
                let seconds = count as f64 / rate.max(1) as f64;
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            }
            (Traffic::CutAfter(limit), Some(answered)) => {
                (passes, end) = cut(count, limit, answered, End::Closed);
            }
            (Traffic::ResetAfter(limit), Some(answered)) => {
                (passes, end) = cut(count, limit, answered, End::Reset);
            }
            _ => {}
        }
        if to.write_all(&piece[..passes]).await.is_err() {
            return End::Closed;
        }
        if let Some(end) = end {
            return end;
        }
    }
}

/// How many of `count` bytes pass, and whether the connection ends behind them.
fn cut(count: usize, limit: u64, answered: &mut u64, end: End) -> (usize, Option<End>) {
    let left = limit.saturating_sub(*answered);
    *answered += count as u64;
    if (count as u64) < left {
        (count, None)
    } else {
        (usize::try_from(left).unwrap_or(count), Some(end))
    }
}
