//! Gives `serve`, `check` and `health` the flags of all settings, and reads the variables that have none.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt::Write as _,
};

use clap::{ArgMatches, Command, Error, FromArgMatches};

use super::{
    error::ConfigErrors,
    flags::{Args, Setting, Source},
    settings::SETTINGS,
    store::StoreAddress,
};

impl Args {
    /// The raw values of these settings, whatever the environment holds. A setting is named by its variable, by the
    /// variable of its file, or by its flag without the hyphens; a secret by the flag that it would have. `None` if
    /// there is no such setting.
    pub fn of_settings<N: AsRef<str>, V: AsRef<OsStr>>(
        settings: impl IntoIterator<Item = (N, V)>,
    ) -> Option<Self> {
        let values = settings.into_iter().map(|(name, value)| {
            let variable =
                SETTINGS.iter().find_map(|setting| setting.variable_named(name.as_ref()))?;
            Some((variable, value.as_ref().to_owned()))
        });
        values.collect::<Option<_>>().map(Self)
    }

    /// The value of every setting, by `value_of_flag` or from the environment.
    fn collect(value_of_flag: impl Fn(&Setting) -> Option<OsString>) -> Self {
        let values = SETTINGS.iter().flat_map(|setting| {
            let value = match setting.source {
                Source::File => env::var_os(setting.variable),
                Source::Flag | Source::FlagOrFile => value_of_flag(setting),
            };
            let file = match setting.source {
                Source::Flag => None,
                Source::File | Source::FlagOrFile => env::var_os(setting.file_variable),
            };
            [(setting.variable, value), (setting.file_variable, file)]
        });
        Self(values.filter_map(|(variable, value)| Some((variable, value?))).collect())
    }
}

impl StoreAddress {
    /// The store of a flag or the variable `GATEWAY_STORE`, else of the file that `GATEWAY_STORE_FILE` names.
    pub(crate) fn of_flag(value: Option<OsString>) -> Result<Self, ConfigErrors> {
        const FILE: &str = "GATEWAY_STORE_FILE";
        let values = [("GATEWAY_STORE", value), (FILE, env::var_os(FILE))];
        let mut args = Args(values.into_iter().filter_map(|(name, v)| Some((name, v?))).collect());
        let mut errors = ConfigErrors::default();
        let address = args.read("GATEWAY_STORE", FILE, Self::parse, &mut errors);
        if address.is_none() && errors.is_empty() {
            errors.add("GATEWAY_STORE", "is required");
        }
        address.ok_or(errors)
    }
}

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().filter_map(Setting::arg)).after_help(secrets_help())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self::collect(|setting| matches.get_one::<OsString>(setting.variable).cloned()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The settings without a flag.
fn secrets_help() -> String {
    let mut help = "Secrets, which have no flag, because other users of the machine can read a process's flags:\n".to_owned();
    for setting in SETTINGS.iter().filter(|setting| setting.source == Source::File) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            help,
            "  {}, or {} with the name of a file\n          {}\n",
            setting.variable,
            setting.file_variable,
            setting.help(),
        );
    }
    help
}
