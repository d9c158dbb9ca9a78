//! Implements clap's `Args` for the raw settings, so that the commands `serve` and `check` have a flag for
//! each setting.

use std::ffi::OsString;

use clap::{ArgMatches, Command, Error, FromArgMatches};

use super::{
    flags::{Args, Setting},
    settings::SETTINGS,
};

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().map(Setting::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let value = |setting: &Setting| {
            Some((setting.variable, matches.get_one::<OsString>(setting.variable)?.clone()))
        };
        Ok(Self(SETTINGS.iter().filter_map(value).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
