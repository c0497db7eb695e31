//! What cannot be said beside `--server`.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

use crate::commands::device_args::DeviceArgs;

/// No option of its own, but the rule that none of [`DeviceArgs`] is written beside `--server`: a daemon learns nothing of them. What a variable
/// says is meant for other commands, too, and no mistake, which clap's own rules do not tell apart.
#[derive(Debug)]
pub(super) struct NoDevicesOfAServer;

impl Args for NoDevicesOfAServer {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

impl FromArgMatches for NoDevicesOfAServer {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        if !matches.contains_id("server") {
            return Ok(Self);
        }
        let devices = DeviceArgs::augment_args(Command::new("devices"));
        let written =
            |option: &&clap::Arg| matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine);
        let Some(option) = devices.get_arguments().find(written).and_then(clap::Arg::get_long) else {
            return Ok(Self);
        };
        let why = format!("--{option} is of no use with --server: the daemon draws as its own settings say");
        Err(Error::raw(ErrorKind::ArgumentConflict, why))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        Self::from_arg_matches(matches).map(|_| ())
    }
}
