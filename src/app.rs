//! The composition root: configuration, stores, actors, listeners, and the order in which they end.
//!
//! `main` and the tests build a gateway with the same [`App::start`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use actix_web::dev::{Server, ServerHandle};
use actix_web::rt::task::JoinHandle;
use actix_web::{HttpServer, web};
use arc_swap::ArcSwap;
use futures_util::future::select_all;
use tokio::net::TcpSocket;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tracing_actix_web::TracingLogger;

use crate::actors::analytics::Analytics;
use crate::actors::auth::{Auth, DevelopmentKey};
use crate::actors::limiter::Limiter;
use crate::actors::provider::Providers;
use crate::auth::token::DEVELOPMENT_KEY_ID;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::{Config, SharedConfig};
use crate::exchange::memory::MemoryBound;
use crate::exchange::{Exchange, Gateway};
use crate::http::trace::RequestSpan;
use crate::http::{self, Audience, Draining, State};
use crate::sandbox::{self, Sandbox, SandboxOptions};
use crate::store::counters::{Counters, CountersError};
use crate::store::database::Database;
use crate::store::migrations::{self, MigrateError};
use crate::telemetry::metrics::Metrics;
use crate::translate::{Traits, TraitsError};
use crate::upstream::client::Tls;

/// How long an idle connection of a caller is kept. Longer than the 60 s after which common load balancers drop theirs, so that it
/// is never we who close a connection that a request is already on.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a request's head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a caller that was refused may go on sending, so that it sees the refusal and not a connection that was reset.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections may wait to be taken. The standard library's 128 overflows in a burst, and each that does costs its
/// caller a second.
const BACKLOG: u32 = 1024;

/// How many answers may be read to their end for callers that have left.
const MOST_DRAINS: usize = 256;

/// How long calls that are cut may take to end.
const CUT_TIMEOUT: Duration = Duration::from_secs(5);

pub use reload::Reload;

mod patience;
mod reload;

/// How the gateway runs.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Production: operators have a listener of their own, and the development key is refused.
    Serve,
    /// One port on loopback, the development key, and sandboxes for providers without a key.
    Dev {
        /// Where SQLite keeps its file.
        data: PathBuf,
    },
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be had.
    #[error(
        "cannot listen on {address}: {source}; choose another with LLM_GATEWAY_HOST and LLM_GATEWAY_PORT (or LLM_GATEWAY_ADMIN_ADDR)"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database's setting or file is unusable.
    #[error(transparent)]
    Database(#[from] crate::store::database::OpenError),
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be made: {source}; choose another with --data", path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The development database cannot be used.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The TLS library refuses its own settings.
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// A sandbox did not start.
    #[error("the sandbox of {provider} did not start: {source}")]
    Sandbox {
        /// Whose.
        provider: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is built in of the models' habits is broken.
    #[error(transparent)]
    Traits(#[from] TraitsError),
    /// Redis's setting is unusable.
    #[error(transparent)]
    Counters(#[from] CountersError),
    /// A fixed name is taken twice.
    #[error("the metrics could not be set up: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A gateway that listens.
pub struct App {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    listeners: Vec<Listener>,
    state: State,
    sandboxes: Vec<Sandbox>,
    control: Arbiter,
    /// The thread of analytics.
    back_office: Arbiter,
}

/// The signals that end a gateway. Made before it listens, so that none is missed.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes SIGTERM and SIGINT over from the system, for the whole process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// One HTTP server and the task that runs it.
struct Listener {
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
}

impl App {
    /// Opens the stores, starts the actors and begins to listen. Has to be called inside an actix system, whose own thread
    /// becomes the home of the actors that outlive the HTTP workers.
    ///
    /// # Errors
    /// When an address is taken, the database's setting is unusable, or a sandbox does not start. A database that is merely
    /// down is no error: the gateway runs, is not ready, and keeps trying.
    pub async fn start(config: Config, catalog: Catalog, mode: Mode) -> Result<Self, StartError> {
        Self::start_by(Clock::system(), config, catalog, mode).await
    }

    /// The same, by another clock than the machine's.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_by(clock: Clock, mut config: Config, catalog: Catalog, mode: Mode) -> Result<Self, StartError> {
        let sandboxes = match &mode {
            Mode::Serve => Vec::new(),
            Mode::Dev { data } => prepare_dev(&mut config, data).await?,
        };
        let address = SocketAddr::new(config.server.host, config.server.port);
        let callers = bind(address)?;
        let operators = match &mode {
            Mode::Serve => Some(bind(config.server.admin_addr)?),
            Mode::Dev { .. } => None,
        };
        let database = Database::open(&config.database)?;
        let development_key = match &mode {
            Mode::Serve => DevelopmentKey::Refused,
            Mode::Dev { .. } => DevelopmentKey::Accepted,
        };
        let workers = workers(&config);
        let bodies = Arc::new(MemoryBound::new(config.server.body_memory));
        let memory = Arc::new(MemoryBound::new(config.server.answer_memory));
        let captures = Arc::new(MemoryBound::new(config.analytics.stream_memory));
        let drain = config.drain.clone();
        let config: SharedConfig = Arc::new(ArcSwap::from_pointee(config));
        // The supervisors' own thread: it outlives the HTTP workers, and no accept loop or look-up is in their way.
        let control = Arbiter::new();
        let auth = Auth::start(database, config.clone(), clock.clone(), development_key);
        let metrics = Metrics::new()?;
        let counters = Counters::open(&config.load().redis)?;
        let limiter = Limiter::start(config.clone(), clock.clone(), metrics.clone(), counters);
        limiter.join().await;
        // A thread that may be slow, and that outlives the HTTP workers too.
        let back_office = Arbiter::new();
        let tls = Tls::web()?;
        let analytics = Analytics::start(
            &config.load().analytics,
            config.load().telemetry.otlp_endpoint.clone(),
            clock.clone(),
            tls.clone(),
            &back_office.handle(),
        );
        let providers = Providers::start(config.clone(), clock.clone(), tls, &control.handle());
        let gateway = Arc::new(Gateway {
            config,
            catalog: Arc::new(ArcSwap::from_pointee(catalog)),
            traits: Traits::embedded()?,
            auth,
            limiter,
            analytics,
            metrics,
            clock,
            bodies,
            memory,
            captures,
            drains: Arc::new(Semaphore::new(MOST_DRAINS)),
            cut: Arc::default(),
        });
        let state = State { gateway, providers, draining: Draining::default() };

        let address = local_address(&callers, address)?;
        let audience = if operators.is_some() { Audience::Callers } else { Audience::Both };
        let mut listeners = vec![listen(callers, address, audience, &state, workers, drain.grace)?];
        let admin_address = match operators {
            None => None,
            Some(listener) => {
                let address = local_address(&listener, address)?;
                listeners.push(listen(listener, address, Audience::Operators, &state, 1, Duration::from_secs(1))?);
                Some(address)
            }
        };
        Ok(Self { address, admin_address, listeners, state, sandboxes, control, back_office })
    }

    /// Where callers reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators reach it, if not there too.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// The gateway's inside, for tests.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The simulated providers that run beside it.
    pub fn sandboxes(&self) -> &[Sandbox] {
        &self.sandboxes
    }

    /// Runs until a signal, then drains. A second signal cuts what is under way; what it cost is kept all the same.
    ///
    /// # Errors
    /// When a listener ended by itself.
    pub async fn run(mut self, mut signals: Signals, mut reload: Reload) -> std::io::Result<()> {
        let mut ended = select_all(self.listeners.iter_mut().map(|listener| &mut listener.task));
        loop {
            tokio::select! {
                () = signals.next() => break,
                () = reload.asked() => reload.apply(&self.state.gateway),
                (outcome, ..) = &mut ended => {
                    return Err(match outcome {
                        Ok(Ok(())) => std::io::Error::other("a listener ended although nobody asked it to"),
                        Ok(Err(error)) => error,
                        Err(lost) => std::io::Error::other(lost),
                    });
                }
            }
        }
        self.stop_at_once_after(signals.next()).await;
        Ok(())
    }

    /// Drains: readiness says no at once, calls are still taken for `drain.delay`, then no new connections; open streams may
    /// go on for `drain.grace`.
    pub async fn stop(self) {
        self.stop_at_once_after(std::future::pending()).await;
    }

    /// Drains, and cuts what is under way as soon as `told` is ready, or `drain.grace` is over.
    async fn stop_at_once_after(self, told: impl Future<Output = ()>) {
        let drain = self.state.gateway.config.load().drain.clone();
        self.state.draining.begin();
        tracing::info!(delay_ms = drain.delay.as_millis(), grace_ms = drain.grace.as_millis(), "draining");
        let mut closing = std::pin::pin!(closed(self.listeners));
        let drained = async {
            tokio::time::sleep(drain.delay).await;
            closing.as_mut().await;
        };
        let is_cut = tokio::select! {
            () = drained => false,
            () = told => {
                tracing::warn!("a second signal: calls under way are cut");
                true
            }
            () = tokio::time::sleep(drain.delay + drain.grace) => {
                tracing::warn!("calls under way take longer than drain.grace: they are cut");
                true
            }
        };
        if is_cut {
            self.state.gateway.cut.make();
            if tokio::time::timeout(CUT_TIMEOUT, closing).await.is_err() {
                tracing::warn!("some calls did not end in time; what they cost is not known");
            }
        }
        // Nobody spends any more.
        self.state.gateway.limiter.flush().await;
        self.state.gateway.analytics.close().await;
        for sandbox in self.sandboxes {
            sandbox.stop().await;
        }
        self.control.stop();
        self.back_office.stop();
        tracing::info!("stopped");
    }
}

/// Ends when nobody listens, and no caller is connected any more.
async fn closed(listeners: Vec<Listener>) {
    for listener in listeners {
        listener.handle.stop(true).await;
        match listener.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(error = %error, "a listener ended badly"),
            Err(error) => tracing::error!(error = %error, "a listener's task was lost"),
        }
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Makes a configuration self-sufficient: loopback, SQLite in the data folder, a sandbox for each provider without a key.
async fn prepare_dev(config: &mut Config, data: &std::path::Path) -> Result<Vec<Sandbox>, StartError> {
    if !config.server.host.is_loopback() {
        config.server.host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    }
    config.drain.delay = Duration::ZERO;
    if config.database.url.is_none() {
        let file = data.join("llm-gateway.db");
        std::fs::create_dir_all(data).map_err(|source| StartError::Data { path: data.to_owned(), source })?;
        migrations::prepare_development(&file)?;
        config.database.url = Some(format!("sqlite:{}", file.display()).into());
    }
    trust_development_key(config);
    config.analytics.spool = config.analytics.spool.take().map(|spool| data.join(spool));
    let mut sandboxes = Vec::new();
    for (name, provider) in &mut config.providers {
        let kind = provider.kind;
        for upstream in provider.upstreams.values_mut().filter(|upstream| upstream.api_key.is_none()) {
            let sandbox = Sandbox::start(kind, SandboxOptions::default())
                .await
                .map_err(|source| StartError::Sandbox { provider: name.to_string(), source })?;
            upstream.base_url = sandbox.base_url();
            upstream.api_key = Some(sandbox::API_KEY.into());
            sandboxes.push(sandbox);
        }
    }
    Ok(sandboxes)
}

/// In `dev`, the key may name any team.
fn trust_development_key(config: &mut Config) {
    config.attribution.team_override_keys.insert(DEVELOPMENT_KEY_ID.to_owned());
}

fn workers(config: &Config) -> usize {
    match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

fn local_address(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen { address: asked, source })
}

fn listen(
    listener: TcpListener,
    address: SocketAddr,
    audience: Audience,
    state: &State,
    workers: usize,
    grace: Duration,
) -> Result<Listener, StartError> {
    let state = state.clone();
    let write_timeout = state.gateway.config.load().server.write_timeout;
    let server: Server = HttpServer::new(move || {
        let app = actix_web::App::new()
            .wrap(TracingLogger::<RequestSpan>::new())
            .app_data(web::Data::new(state.clone()))
            .configure(http::configure(audience));
        match audience {
            Audience::Operators => app,
            Audience::Callers | Audience::Both => {
                // Called once on each worker's own thread: its lanes hold that thread's connections.
                app.app_data(web::Data::new(Exchange::new(state.gateway.clone(), state.providers.start_lanes())))
            }
        }
    })
    .workers(workers)
    // Without these a caller that leaves goes unnoticed while the provider is silent, and streams advance in 44 ms steps.
    .h1_allow_half_closed(false)
    .on_connect(move |connection, _| patience::bound_writes(connection, write_timeout))
    .tcp_nodelay(true)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_TIMEOUT)
    .client_disconnect_timeout(REFUSED_TIMEOUT)
    // Later than calls are cut: what the server drops by itself is settled by nobody.
    .shutdown_timeout((grace + CUT_TIMEOUT).as_secs() + 1)
    .disable_signals()
    .listen(listener)
    .map_err(|source| StartError::Listen { address, source })?
    .run();
    Ok(Listener { handle: server.handle(), task: actix_web::rt::spawn(server) })
}
