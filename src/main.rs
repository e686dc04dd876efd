//! The binary `llm-gateway`: its arguments and its environment go to [`llm_gateway::cli`], its exit code comes back.

use std::process::ExitCode;

use llm_gateway::{cli, config};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run(config::environment())
}
