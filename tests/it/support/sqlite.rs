//! A database in a file, made and filled by the binary's own commands, and `serve` on it.

use std::path::Path;

use llm_gateway::sandbox::{API_KEY, Sandbox};
use tempfile::TempDir;

use crate::support::binary::Binary;

/// A database of one test's own. Dropped: gone.
pub(crate) struct Sqlite {
    files: TempDir,
    url: String,
}

impl Sqlite {
    /// One with all of its tables.
    pub(crate) fn create() -> Self {
        let files = TempDir::new().unwrap();
        let url = format!("sqlite:{}", files.path().join("gateway.db").display());
        let database = Self { files, url };
        database.run(&["migrate"]);
        database
    }

    /// Runs a command on it that has to go well; what that printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let ended = Binary::new(arguments).env("LLM_GATEWAY_DATABASE_URL", &self.url).run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.trim().to_owned()
    }

    /// A new key's token, of somebody in team 1.
    pub(crate) fn key(&self) -> String {
        self.run(&["keys", "create", "--email", "ada@example.com", "--team", "1"])
    }

    /// Where it lies, with room for other files.
    pub(crate) fn folder(&self) -> &Path {
        self.files.path()
    }

    /// `serve` as in production, on free ports, with one simulated provider.
    pub(crate) fn serve(&self, openai: &Sandbox) -> Binary {
        Binary::new(["serve"])
            .env("LLM_GATEWAY_DATABASE_URL", &self.url)
            .env("LLM_GATEWAY_HOST", "127.0.0.1")
            .env("LLM_GATEWAY_PORT", "0")
            .env("LLM_GATEWAY_ADMIN_ADDR", "127.0.0.1:0")
            .env("LLM_GATEWAY_OPENAI_API_KEY", API_KEY)
            .env("LLM_GATEWAY_OPENAI_BASE_URL", openai.base_url().as_str())
    }
}
