//! The command line: a thin skin over the library.

mod args;
#[cfg(feature = "train")]
mod debias;
mod equilibrate;
mod evaluate;
#[cfg(feature = "train")]
mod fit;
mod inspect;
mod label;
#[cfg(feature = "train")]
mod labels;
#[cfg(feature = "train")]
mod page;
#[cfg(feature = "train")]
mod paper;
mod ranks;
#[cfg(feature = "train")]
mod readings;
mod sample;
mod terminal;
#[cfg(feature = "train")]
mod train;

use std::process::ExitCode;

use boltzdrift::Result;
use clap::{Parser, Subcommand};

/// Learns one-step Boltzmann samplers of molecules from molecular dynamics, and draws from them.
#[derive(Parser)]
#[command(name = "boltzdrift", version, arg_required_else_help = true)]
struct Cli {
    /// Say more on stderr; twice for details.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    /// Say nothing on stderr but errors; no progress bar.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Threads to compute with; all cores where absent.
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What a trajectory holds: atoms, units, forces, bonds, symmetry, temperature, warnings.
    Inspect(inspect::Inspect),
    /// Fit a force field to the forces of a trajectory.
    #[cfg(feature = "train")]
    Fit(fit::Fit),
    /// Compute energies and forces of a trajectory's frames with a potential.
    Label(label::Label),
    /// Equilibrate states at a temperature from a trajectory's frames and a potential.
    Equilibrate(Box<equilibrate::Equilibrate>),
    /// Train a sampler on a trajectory.
    #[cfg(feature = "train")]
    Train(Box<train::Train>),
    /// Reproduce the tables of "Drifting to Boltzmann" (2026) on a trajectory.
    #[cfg(feature = "train")]
    Paper(Box<paper::Paper>),
    /// Draw equilibrated structures from a sampler.
    Sample(sample::Sample),
    /// Compare structures with a reference trajectory.
    Evaluate(evaluate::Evaluate),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::start_log(cli.verbose, cli.quiet);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    terminal::use_threads(cli.threads)?;
    terminal::catch_interrupts()?;
    terminal::survive_file_limits()?;
    let quiet = cli.quiet;
    match cli.command {
        Command::Inspect(command) => command.run(quiet),
        Command::Label(command) => command.run(quiet),
        Command::Equilibrate(command) => command.run(quiet),
        #[cfg(feature = "train")]
        Command::Fit(command) => command.run(quiet),
        #[cfg(feature = "train")]
        Command::Train(command) => command.run(quiet),
        #[cfg(feature = "train")]
        Command::Paper(command) => command.run(quiet),
        Command::Sample(command) => command.run(quiet),
        Command::Evaluate(command) => command.run(quiet),
    }
}
