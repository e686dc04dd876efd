//! The commands, one file each: what they are called, and how they end.
//!
//! Data goes to stdout; what is said to people goes to stderr. Settings that cannot be used end with exit code 78, anything
//! else that fails with 1, and a command line that is not understood with 2.

use std::io::{self, Write as _};
use std::num::ParseIntError;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Parser, Subcommand};

use crate::catalog::{Catalog, CatalogError, LoadError};
use crate::cli::keys::KeysError;
use crate::cli::serve::RunError;
use crate::config::{Config, ConfigError, Loaded, Mode};
use crate::ids::{TeamId, UserId};
use crate::store::counters::{Counters, CountersError};
use crate::store::database::{Database, OpenError};
use crate::store::migrations::MigrateError;
use crate::telemetry::{self, TelemetryError};

pub mod check;
pub mod dev;
pub mod keys;
pub mod migrate;
pub mod models;
pub mod serve;
pub mod usage;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "llm-gateway",
    version,
    about = "One binary between a company's products and Anthropic, OpenAI and Google Gemini.",
    after_help = "Settings: the built-in defaults, then the file named by LLM_GATEWAY_CONFIG, then variables named \
                  LLM_GATEWAY_…; `llm-gateway check` shows what they come to. To try things out, run `llm-gateway dev`.",
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve production traffic (what happens without a command, too)
    ///
    /// Needs LLM_GATEWAY_DATABASE_URL. Never changes the database's schema: see `migrate`. While the database is out of
    /// reach it runs, is not ready, and keeps trying. SIGTERM drains.
    Serve,
    /// Run everything on this machine, with simulated providers where no key is set
    ///
    /// Listens on loopback only, keeps tokens in SQLite, and takes one key that is known to everybody; prints a curl
    /// line that works. A provider whose key is set is called for real. LLM_GATEWAY_REDIS_URL, …_POSTHOG_API_KEY and
    /// …_DATABASE_URL are used when they are set; nothing is written to that database.
    Dev {
        /// The port to listen on; 0 takes a free one [default: LLM_GATEWAY_PORT, else 8080]
        #[arg(long, value_name = "PORT")]
        port: Option<u16>,
        /// The folder for SQLite's file
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: PathBuf,
    },
    /// Load and check all settings, and show what would run
    ///
    /// Prints listeners, stores, providers, products and their limits, with secrets hidden. Exit code 0 if `serve` could
    /// start with these settings, 78 with one sentence on what is wrong if it could not. Connects to nothing.
    Check,
    /// Create or upgrade the database's tables
    ///
    /// Works on the database that LLM_GATEWAY_DATABASE_URL names, PostgreSQL or SQLite. Tables that are there already,
    /// PostHog's own for instance, stay as they are.
    Migrate,
    /// Make, list and revoke personal API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Show, or forget, what was spent of a product's limits
    ///
    /// Reads the counters that instances share in Redis: LLM_GATEWAY_REDIS_URL has to be set. For one instance that counts
    /// for itself, ask it: GET /v1/usage/{product}.
    #[command(subcommand)]
    Usage(UsageCommand),
    /// Print the catalog: models, their providers, context and prices
    Models {
        /// As JSON; prices in nano-dollars (10⁻⁹ USD) per million tokens
        #[arg(long)]
        json: bool,
    },
}

/// What can be done with what was spent.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum UsageCommand {
    /// Show each window: limit, used, left
    Show(Whose),
    /// Forget what was spent, in all instances within a moment
    Reset(Whose),
}

/// Whose spending is meant; limits of those that are not named are left out.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Whose {
    /// The product
    #[arg(long, value_name = "NAME", default_value = "llm_gateway")]
    pub product: String,
    /// The team, by number
    #[arg(long, value_name = "ID", value_parser = team_id)]
    pub team: Option<TeamId>,
    /// The end user, as callers name it
    #[arg(long, value_name = "NAME", requires = "team")]
    pub user: Option<String>,
    /// The end user, as the owner of the token, by number
    #[arg(long, value_name = "ID", value_parser = user_id, requires = "team", conflicts_with = "user")]
    pub owner: Option<UserId>,
    /// The personal API key, by id
    #[arg(long, value_name = "ID", requires = "team")]
    pub key: Option<String>,
}

/// What can be done with personal API keys.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print its token
    ///
    /// The token is shown this once: the database keeps only its hash.
    #[command(group = ArgGroup::new("owner").args(["user", "email"]).required(true))]
    Create {
        /// The user that the key belongs to, by number
        #[arg(long, value_name = "ID", value_parser = user_id)]
        user: Option<UserId>,
        /// The user that the key belongs to, by email address; made if there is none
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// The team to make the user's current one
        #[arg(long, value_name = "ID", value_parser = team_id)]
        team: Option<TeamId>,
        /// What the key is for, in a few words
        #[arg(long, value_name = "TEXT", default_value = "llm-gateway")]
        label: String,
        /// What the key may do; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", default_value = "llm_gateway:read")]
        scopes: Vec<String>,
    },
    /// List keys: id, label, user, scopes, when made and when last used
    List {
        /// Only this user's
        #[arg(long, value_name = "ID", value_parser = user_id)]
        user: Option<UserId>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key, in all instances within a second
    Revoke {
        /// The key's id, as `keys list` shows it
        id: String,
    },
}

fn user_id(text: &str) -> Result<UserId, ParseIntError> {
    text.parse().map(UserId)
}

fn team_id(text: &str) -> Result<TeamId, ParseIntError> {
    text.parse().map(TeamId)
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The catalog that is built in cannot be used.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The database's setting cannot be used.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// Redis's settings cannot be used.
    #[error(transparent)]
    Redis(#[from] CountersError),
    /// The tables could not be made.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// A key could not be made, listed or revoked.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Nothing can be said of what was spent.
    #[error(transparent)]
    Usage(#[from] usage::UsageError),
    /// Logging could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The gateway did not start, or ended badly.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Nobody could be told.
    #[error("cannot write to stdout: {0}")]
    Output(#[source] io::Error),
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Embedded(error) => Self::Catalog(error),
            LoadError::Config(error) => Self::Config(error),
        }
    }
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_)
            | Self::Database(_)
            | Self::Redis(_)
            | Self::Migrate(MigrateError::Open(_))
            | Self::Usage(usage::UsageError::NoRedis)
            | Self::Keys(KeysError::Open(_)) => ExitCode::from(ConfigError::EXIT_CODE),
            Self::Migrate(_) | Self::Keys(_) | Self::Usage(_) => ExitCode::FAILURE,
            Self::Telemetry(TelemetryError::Filter(_)) => ExitCode::from(ConfigError::EXIT_CODE),
            Self::Catalog(_) | Self::Telemetry(_) | Self::Run(_) | Self::Output(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs the command that the process's arguments name, with this environment.
pub fn run(environment: Vec<(String, String)>) -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve);
    match dispatch(command, environment) {
        Ok(()) => ExitCode::SUCCESS,
        // `llm-gateway models | head` is not a failure.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            // There is nobody left to tell where stderr is gone.
            let _ = writeln!(io::stderr(), "llm-gateway: {failure}");
            failure.exit_code()
        }
    }
}

/// Where settings are read again from.
#[derive(Clone, Debug)]
pub struct ReloadFrom {
    environment: Vec<(String, String)>,
    mode: Mode,
}

fn dispatch(command: Command, environment: Vec<(String, String)>) -> Result<(), Failure> {
    match command {
        Command::Serve => {
            let reload = ReloadFrom { environment: environment.clone(), mode: Mode::Serve };
            let (loaded, catalog) = prepare(environment, Mode::Serve)?;
            begin_logging(&loaded)?;
            Ok(serve::run(loaded.config, catalog, reload)?)
        }
        Command::Dev { port, data } => {
            let reload = ReloadFrom { environment: environment.clone(), mode: Mode::Dev { port } };
            let (loaded, catalog) = prepare(environment, Mode::Dev { port })?;
            begin_logging(&loaded)?;
            Ok(dev::run(loaded.config, catalog, data, reload)?)
        }
        Command::Check => {
            let (loaded, _catalog) = prepare(environment, Mode::Serve)?;
            check::print(&loaded, &mut io::stdout().lock()).map_err(Failure::Output)
        }
        Command::Migrate => {
            let loaded = Config::load(environment, Mode::Tool)?;
            loaded.config.database_url()?;
            migrate::run(&loaded.config.database, &mut io::stderr().lock())
        }
        Command::Keys(command) => {
            let loaded = Config::load(environment, Mode::Tool)?;
            loaded.config.database_url()?;
            keys::run(command, &loaded.config.database, &mut io::stdout().lock(), &mut io::stderr().lock())
        }
        Command::Usage(command) => {
            let loaded = Config::load(environment, Mode::Tool)?;
            Counters::check(&loaded.config.redis)?;
            usage::run(command, &loaded.config, &mut io::stdout().lock(), &mut io::stderr().lock())
        }
        Command::Models { json } => {
            let catalog = Catalog::load(&Config::load(environment, Mode::Tool)?)?;
            let mut out = io::stdout().lock();
            let printed = if json { models::json(&catalog, &mut out) } else { models::table(&catalog, &mut out) };
            printed.map_err(Failure::Output)
        }
    }
}

/// From here on log lines go to stderr.
fn begin_logging(loaded: &Loaded) -> Result<(), Failure> {
    telemetry::init(&loaded.config.telemetry)?;
    loaded.log_ignored();
    Ok(())
}

/// The settings and the catalog, which have to fit each other.
fn prepare(environment: Vec<(String, String)>, mode: Mode) -> Result<(Loaded, Catalog), Failure> {
    let loaded = Config::load(environment, mode)?;
    let catalog = Catalog::load(&loaded)?;
    if mode == Mode::Serve {
        Database::check(&loaded.config.database)?;
    }
    Counters::check(&loaded.config.redis)?;
    Ok((loaded, catalog))
}

/// Makes ring the process's TLS library. Called once, before the first connection.
pub fn install_crypto() {
    // Refused where one is installed already, by a test in the same process: that one is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, Command, KeysCommand};
    use crate::ids::UserId;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(line.split(' ')).unwrap()
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_means_to_serve() {
        assert!(parse("llm-gateway").command.is_none());
    }

    #[test]
    fn dev_keeps_its_data_beside_the_caller_unless_told_otherwise() {
        let Some(Command::Dev { port: None, data }) = parse("llm-gateway dev").command else { panic!("no dev") };
        assert_eq!(data.to_str().unwrap(), "data");
        let Some(Command::Dev { port: Some(0), data }) = parse("llm-gateway dev --port 0 --data /d").command else {
            panic!("no dev")
        };
        assert_eq!(data.to_str().unwrap(), "/d");
    }

    #[test]
    fn a_key_is_made_for_somebody_with_the_scope_that_the_gateway_asks_for() {
        assert!(Cli::try_parse_from(["llm-gateway", "keys", "create"]).is_err());
        assert!(Cli::try_parse_from(["llm-gateway", "keys", "create", "--user", "x"]).is_err());
        let Some(Command::Keys(KeysCommand::Create { user, email, scopes, .. })) =
            parse("llm-gateway keys create --user 7").command
        else {
            panic!("no keys create")
        };
        assert_eq!((user, email), (Some(UserId(7)), None));
        assert_eq!(scopes, ["llm_gateway:read"]);
    }

    #[test]
    fn every_command_says_what_it_is_for() {
        let command = Cli::command();
        let mut open = vec![&command];
        while let Some(command) = open.pop() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            open.extend(command.get_subcommands());
        }
    }
}
