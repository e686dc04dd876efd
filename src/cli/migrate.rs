//! `migrate`: makes the tables that are missing.

use std::io::Write;

use crate::cli::Failure;
use crate::config::database::Database as Settings;
use crate::store::migrations;

/// Makes what is missing, and says what that was.
///
/// # Errors
/// When the database cannot be used or reached, refuses, or nobody can be told.
pub fn run(settings: &Settings, people: &mut impl Write) -> Result<(), Failure> {
    let ran = migrations::run(settings)?;
    if ran.is_empty() {
        writeln!(people, "the tables are up to date").map_err(Failure::Output)?;
    }
    for name in ran {
        writeln!(people, "ran migration {name}").map_err(Failure::Output)?;
    }
    Ok(())
}
