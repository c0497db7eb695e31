//! `lipsyncd completions`: a script that completes commands and options.

use clap::{Args as ClapArgs, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, CommandError, stdout};

/// What `lipsyncd completions` takes.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The shell, e.g. `lipsyncd completions bash > /etc/bash_completion.d/lipsyncd`
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lipsyncd", &mut script);
    stdout::write(&script)
}
