//! A TCP proxy between the gateway and a server, which can break the network on a test's word.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the network does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything passes.
    Fair,
    /// Each piece arrives this much later.
    Slow(Duration),
    /// Connections are taken and stay open, and nothing passes in either direction until the weather changes.
    Hanging,
    /// Open connections are closed, and new ones as soon as they are made.
    Cut,
    /// Each connection is cut once so many more bytes have passed in one of its directions: in the middle of a message.
    Brittle(usize),
}

/// A proxy in front of one address. Dropped: all its connections end.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    taken: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of `server`, on a free port of the loopback.
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, changes) = watch::channel(Weather::Fair);
        let taken = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn(accept(listener, server, changes, Arc::clone(&taken), Arc::clone(&open)));
        Self { address, weather, taken, open, accepting }
    }

    /// Where the gateway is to connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what the network does, from now on, for open connections as for new ones.
    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections were taken so far.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.weather.send_replace(Weather::Cut);
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    weather: watch::Receiver<Weather>,
    taken: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
) {
    while let Ok((client, _)) = listener.accept().await {
        taken.fetch_add(1, Ordering::SeqCst);
        open.fetch_add(1, Ordering::SeqCst);
        let weather = weather.clone();
        let open = Arc::clone(&open);
        tokio::spawn(async move {
            carry(client, server, weather).await;
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Carries one connection until either end closes it or the weather cuts it.
async fn carry(client: TcpStream, server: SocketAddr, mut weather: watch::Receiver<Weather>) {
    if *weather.borrow() == Weather::Cut {
        return reset(&client);
    }
    let Ok(upstream) = TcpStream::connect(server).await else {
        return reset(&client);
    };
    for stream in [&client, &upstream] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = upstream.into_split();
    let up = pump(from_client, to_server, weather.clone());
    let down = pump(from_server, to_client, weather.clone());
    let both = async { tokio::join!(up, down) };
    tokio::select! {
        ((from_client, to_server), (from_server, to_client)) = both => {
            drop((from_client, to_server, from_server, to_client));
        }
        _ = weather.wait_for(|now| *now == Weather::Cut) => {}
    }
}

/// Carries one direction, and hands on its end. Returns the halves, so that they are closed with the other direction's.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) -> (OwnedReadHalf, OwnedWriteHalf) {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let Ok(now) = weather.wait_for(|now| *now != Weather::Hanging).await.map(|now| *now) else {
            break;
        };
        if let Weather::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        let (length, breaks) = match now {
            Weather::Brittle(most) => {
                passed += length;
                (length.saturating_sub(passed.saturating_sub(most)), passed >= most)
            }
            Weather::Fair | Weather::Slow(_) | Weather::Hanging | Weather::Cut => (length, false),
        };
        if to.write_all(&buffer[..length]).await.is_err() || breaks {
            break;
        }
    }
    let _half_closed = to.shutdown().await;
    (from, to)
}

/// Makes the drop that follows a reset instead of an orderly end.
fn reset(stream: &TcpStream) {
    let _best_effort = stream.set_zero_linger();
}

mod tests {
    use super::*;
    use crate::support::wait;

    /// Sends back all that it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn say(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(text).await?;
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard).await?;
        Ok(heard)
    }

    #[tokio::test]
    async fn a_proxy_carries_both_ways_until_it_is_cut() {
        let proxy = Proxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
        assert_eq!((proxy.taken(), proxy.open()), (1, 1));

        proxy.set(Weather::Cut);
        say(&mut stream, b"hello").await.unwrap_err();
        wait::until_equal("the connections that are open", 0, || proxy.open()).await;

        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        say(&mut refused, b"hello").await.unwrap_err();

        proxy.set(Weather::Fair);
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut again, b"hello").await.unwrap(), b"hello");
    }

    #[tokio::test]
    async fn a_brittle_connection_breaks_in_the_middle_of_what_it_carries() {
        let proxy = Proxy::start(echo().await).await;
        proxy.set(Weather::Brittle(8));
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
        let mut heard = Vec::new();
        stream.write_all(b"hello").await.unwrap();
        wait::within("the end", stream.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"hel");
    }

    #[tokio::test]
    async fn what_a_hanging_network_held_back_arrives_once_it_is_fair() {
        let proxy = Proxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");

        proxy.set(Weather::Hanging);
        let held = tokio::time::timeout(Duration::from_millis(20), say(&mut stream, b"later")).await;
        held.unwrap_err();

        proxy.set(Weather::Slow(Duration::from_millis(1)));
        let mut heard = vec![0; 5];
        wait::within("the echo", stream.read_exact(&mut heard)).await.unwrap();
        assert_eq!(heard, b"later");
    }
}
