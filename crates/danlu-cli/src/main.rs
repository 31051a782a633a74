//! The `danlu` command: it parses, calls the library and prints.

mod arguments;
mod bench;
mod classifier;
mod commands;
mod data;
mod device;
mod diagnosis;
mod failure;
mod fit_check;
mod interrupt;
mod models;
mod output;
mod predictions;
mod progress;
mod recipe;
mod report;
mod run_folder;
mod runs;
mod subject;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use crate::arguments::{Command, CommandLine};
use crate::failure::{Failure, Result};

fn main() -> ExitCode {
    let started = Instant::now();
    std::panic::set_hook(Box::new(|information| {
        output::say(&format!(
            "danlu: this is a bug in danlu {}, please report it with the command that you gave: {information}",
            env!("CARGO_PKG_VERSION")
        ));
        std::process::exit(1);
    }));
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => {
            // Help and version go to stdout, all else to stderr; a reader that has gone away is no error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match run(command_line.command, started) {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(failure) => {
            output::say(&format!("danlu: {failure}"));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: Command, started: Instant) -> Result<()> {
    interrupt::listen();
    match command {
        Command::Train(arguments) => commands::train::run(&arguments, started),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments),
        Command::Predict(arguments) => commands::predict::run(&arguments),
        Command::Summary(arguments) => commands::summary::run(&arguments),
        Command::Convert(arguments) => commands::convert::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Recipes(arguments) => commands::recipes::run(&arguments),
        Command::Runs(arguments) => commands::runs::run(&arguments),
        Command::Compare(arguments) => commands::compare::run(&arguments),
        Command::Architectures(arguments) => commands::architectures::run(&arguments),
        Command::Layers(arguments) => commands::layers::run(&arguments),
    }
}
