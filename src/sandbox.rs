//! Simulated OpenAI, Anthropic and Gemini: real HTTP on loopback, the vendors' own wire formats, no model behind them.
//!
//! `dev` starts one for each provider without a key; tests start them to script what an upstream does and to see what
//! reached it, byte for byte. It shares no codec with the gateway, so that the two check each other. It speaks
//! HTTP/1.1 itself instead of through actix-web, which can't cut a chunk in half, nor tell in which order and spelling
//! headers came. `docs/sandbox.md` says what it answers and lists its magic prompts.

mod anthropic;
mod bytes;
mod compose;
mod connection;
mod deliver;
mod directive;
mod example;
mod gate;
mod gemini;
mod http1;
mod openai;
mod record;
mod reply;
mod script;
mod seal;
mod shape;
mod telling;
#[cfg(test)]
pub(crate) mod testing;
mod world;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use url::Url;

pub use gate::Gate;
pub use record::{Recorded, Seen};
pub use reply::Reply;
pub use script::Script;

use crate::clock::Clock;
use crate::config::providers::Kind;
use world::World;

/// The credential that a sandbox takes unless told otherwise.
pub const API_KEY: &str = "sk-sandbox";

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Loopback port; 0: any free one.
    pub port: u16,
    /// The one credential it takes; any other is the provider's own refusal.
    pub api_key: String,
    /// Dates the answers.
    pub clock: Clock,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self { port: 0, api_key: API_KEY.to_owned(), clock: Clock::system() }
    }
}

/// A running simulated provider, on a thread of its own; dropped or stopped, it closes all its connections.
#[derive(Debug)]
pub struct Sandbox {
    world: Arc<World>,
    address: SocketAddr,
    base_url: Url,
    stop: Option<oneshot::Sender<()>>,
    stopped: oneshot::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts one; usable from any runtime.
    ///
    /// # Errors
    /// When the port is taken, or the machine has no thread to give.
    pub async fn start(kind: Kind, options: SandboxOptions) -> io::Result<Self> {
        let port = options.port;
        Self::host(Arc::new(World::new(kind, options)), port).await
    }

    /// Starts one on the port where another was before, as a provider that comes back.
    ///
    /// # Errors
    /// As for [`Sandbox::start`].
    pub async fn restart_on(kind: Kind, port: u16, options: SandboxOptions) -> io::Result<Self> {
        Self::start(kind, SandboxOptions { port, ..options }).await
    }

    async fn host(world: Arc<World>, port: u16) -> io::Result<Self> {
        let (ready, is_ready) = oneshot::channel();
        let (stop, stops) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        let shared = Arc::clone(&world);
        let thread = std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
            run(shared, port, ready, stops);
            // Nobody may be waiting.
            let _ = done.send(());
        })?;
        let address = is_ready.await.map_err(io::Error::other)??;
        let path = if world.kind == Kind::OpenAi { "/v1" } else { "" };
        let base_url = Url::parse(&format!("http://{address}{path}")).map_err(io::Error::other)?;
        Ok(Self { world, address, base_url, stop: Some(stop), stopped, thread: Some(thread) })
    }

    /// Where it listens, as that vendor's own SDK takes it.
    pub fn base_url(&self) -> Url {
        self.base_url.clone()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Which vendor it plays.
    pub fn kind(&self) -> Kind {
        self.world.kind
    }

    /// What it answers before it simulates.
    pub fn script(&self) -> &Script {
        &self.world.script
    }

    /// All requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.world.log.look(|seen| seen.requests.to_vec())
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.world.log.look(|seen| seen.connections)
    }

    /// Waits until the condition gives a value. It looks again whenever something happened.
    pub async fn until<T>(&self, condition: impl FnMut(Seen<'_>) -> Option<T>) -> T {
        self.world.log.until(condition).await
    }

    /// Waits until there was a request with this number, counted from 0, and returns it.
    pub async fn request(&self, number: usize) -> Recorded {
        self.until(|seen| seen.requests.get(number).cloned()).await
    }

    /// Waits until the caller of this request closed its connection in the middle of the answer; returns when.
    pub async fn left(&self, number: usize) -> std::time::Instant {
        self.until(|seen| seen.requests.get(number).and_then(|request| request.peer_closed)).await
    }

    /// Ends it: the port is free and all connections are closed when this returns.
    pub async fn stop(mut self) {
        self.ask_to_stop();
        // The other end sends or is gone, and both mean that it stopped.
        let _ = (&mut self.stopped).await;
        if let Some(thread) = self.thread.take() {
            // It has ended but for its last instruction.
            let _ = thread.join();
        }
    }

    fn ask_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

fn run(world: Arc<World>, port: u16, ready: oneshot::Sender<io::Result<SocketAddr>>, stops: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // The starter waits for this unless it was dropped.
            let _ = ready.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let (listener, address) =
            match bound.and_then(|listener| listener.local_addr().map(|address| (listener, address))) {
                Ok(bound) => bound,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
        if ready.send(Ok(address)).is_ok() {
            tokio::select! {
                _ = stops => {}
                () = accept(listener, world) => {}
            }
        }
    });
}

async fn accept(listener: TcpListener, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // What fails here is one connection, or the machine is out of descriptors and the next one fails, too.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection::serve(stream, Arc::clone(&world)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
