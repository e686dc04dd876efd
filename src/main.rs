//! The binary `llm-gateway`: its arguments and its environment go to [`llm_gateway::cli`], its exit code comes back.

use std::process::ExitCode;

use llm_gateway::{cli, config};

fn main() -> ExitCode {
    cli::run(config::environment())
}
